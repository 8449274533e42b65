-- name: keep_message
-- scope: cross
-- What was received, before anything is understood of it.
insert into inbox (iid, received_at, via, digest, content_type, raw, state)
values (%(iid)s, %(now)s, %(via)s, %(digest)s, %(content_type)s, %(raw)s, 'received');

-- name: settle_message
-- scope: cross
-- What became of a message; its bytes move to the record when they have a place there.
update inbox set state = %(state)s, format = %(format)s, sender = %(sender)s, code = %(code)s,
    reason = %(reason)s, pid = %(pid)s, rid = %(rid)s, attempts = attempts + 1,
    raw = case when %(placed)s then null else raw end
where iid = %(iid)s;

-- name: claim_key
-- scope: cross
-- Take an id for a message; a concurrent copy waits here, and then finds it taken.
insert into message_key (sender, kind, value, digest, iid)
values (%(sender)s, %(kind)s, %(value)s, %(digest)s, %(iid)s)
on conflict (value, kind, sender) do nothing returning iid;

-- name: find_keys
-- scope: cross
select k.kind, k.value, k.digest, k.iid from message_key k
where k.sender = %(sender)s and (k.kind, k.value) in
    (select * from unnest(%(kinds)s::text[], %(values)s::text[]));

-- name: put_outbox
-- scope: cross
insert into outbox (oid, iid, pid, receiver, kind, body, created_at, sent_at)
values (gen_random_uuid(), %(iid)s, %(pid)s, %(receiver)s, %(kind)s, %(body)s, %(now)s, %(sent_at)s);

-- name: answer_of
-- scope: cross
-- The acknowledgement a message was given, to be given again to a copy of it.
select body from outbox where iid = %(iid)s and kind = 'acknowledgement' order by created_at limit 1;

-- name: sent_message
-- scope: cross
-- Whether a message with this id was sent from here; an acknowledgement of any other is dropped.
select 1 from outbox where kind <> 'acknowledgement' and oid::text = %(id)s limit 1;

-- name: list_inbox
-- scope: cross
select iid, received_at, via, sender, format, state, code, reason, digest, content_type
from inbox where state = any(%(states)s::text[]) and %(code)s::text in ('', code)
order by received_at desc, iid limit %(limit)s;

-- name: count_inbox
-- scope: cross
select state, code, count(*) as count from inbox group by state, code order by state, code;

-- name: read_inbox
-- scope: cross
-- One message as it came, wherever its bytes lie.
select i.iid, i.received_at, i.via, i.sender, i.format, i.state, i.code, i.reason, i.content_type, i.digest, i.pid,
       i.rid, i.raw as held, (select w.body from raw w where w.pid = i.pid and w.rid = i.rid) as raw
from inbox i where i.iid = %(iid)s;

-- name: unsettled
-- scope: cross
-- Messages that were kept but never settled, as a kill leaves them.
select iid, via, content_type, raw from inbox
where state = 'received' and received_at < %(before)s order by received_at limit %(limit)s;
