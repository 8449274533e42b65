-- name: read_record_keys
-- scope: cross
-- Keys by record and number, as they are wrapped; a destroyed one without.
select k.pid, k.kid, k.master, k.wrapped from record_key k
where (k.pid, k.kid) in (select * from unnest(%(pids)s::bigint[], %(kids)s::bigint[]));

-- name: live_record_keys
-- scope: cross
-- The keys that these records are written with now. Asked inside the transaction that writes, when it is the record's
-- one writer: a key that was destroyed a moment ago seals nothing more.
select k.pid, k.kid, k.master, k.wrapped from record_key k
where k.pid = any(%(pids)s::bigint[]) and k.wrapped is not null;

-- name: put_record_key
-- scope: patient
insert into record_key (pid, kid, master, wrapped, made_at)
values (%(pid)s, %(kid)s, %(master)s, %(wrapped)s, clock_timestamp());

-- name: share_masters
-- scope: cross
-- A master key that somebody may be wrapping with is not given up meanwhile.
select pg_advisory_xact_lock_shared(7013204);

-- name: hold_masters
-- scope: cross
select pg_advisory_xact_lock(7013204);

-- name: masters_in_use
-- scope: cross
-- Each master key that wraps something, with how many it wraps and one of them to try it on.
select k.master, count(*) as keys, (array_agg(k.pid))[1] as pid, (array_agg(k.kid))[1] as kid
from record_key k where k.wrapped is not null group by k.master order by k.master;

-- name: destroy_message_key
-- scope: cross
-- The key of a message whose bytes the inbox no longer holds; its number stands in front of them.
delete from record_key k using inbox i
where i.iid = %(iid)s and substring(i.raw from 1 for 1) = '\x01'
  and k.pid = 0 and k.kid = substring(i.raw from 2 for 8)::bigint;

-- name: destroy_refusal_keys
-- scope: cross
-- The keys of what was refused of a block, before it is judged anew.
delete from record_key k using load_refusal f
where f.via = %(via)s and f.digest = %(digest)s and substring(f.raw from 1 for 1) = '\x01'
  and k.pid = 0 and k.kid = substring(f.raw from 2 for 8)::bigint;

-- name: next_records
-- scope: cross
select r.pid from record r where r.pid > %(after)s order by r.pid limit %(limit)s;

-- name: read_plain
-- scope: cross
-- What of these records is not sealed, read by their one writer.
select 'resource' as kept, r.pid, r.rid, r.type, r.id, r.version, r.body, null::bytea as raw
from resource r where r.pid = any(%(pids)s::bigint[]) and substring(r.body from 1 for 1) <> '\x01'
union all
select 'history', h.pid, h.rid, r.type, r.id, h.version, h.body, null
from history h join resource r on r.pid = h.pid and r.rid = h.rid
where h.pid = any(%(pids)s::bigint[]) and substring(h.body from 1 for 1) <> '\x01'
union all
select 'raw', w.pid, w.rid, '', '', 0, null, w.body
from raw w where w.pid = any(%(pids)s::bigint[]) and substring(w.body from 1 for 1) <> '\x01'
limit %(limit)s;

-- name: count_plain
-- scope: cross
-- What is not sealed, in the whole database.
select (select count(*) from resource r where substring(r.body from 1 for 1) <> '\x01')
     + (select count(*) from history h where substring(h.body from 1 for 1) <> '\x01')
     + (select count(*) from raw w where substring(w.body from 1 for 1) <> '\x01')
     + (select count(*) from inbox i where substring(i.raw from 1 for 1) <> '\x01')
     + (select count(*) from load_refusal f where substring(f.raw from 1 for 1) <> '\x01') as plain;

-- name: seal_resource
-- scope: patient
update resource set body = %(body)s where pid = %(pid)s and rid = %(rid)s and version = %(version)s;

-- name: seal_history
-- scope: patient
update history set body = %(body)s where pid = %(pid)s and rid = %(rid)s and version = %(version)s;

-- name: seal_raw
-- scope: patient
update raw set body = %(raw)s where pid = %(pid)s and rid = %(rid)s;

-- name: read_plain_inbox
-- scope: cross
-- Messages that are not sealed, under the names of trust/intake.py.
select i.iid, i.raw, 'inbox/' || i.iid as name from inbox i
where substring(i.raw from 1 for 1) <> '\x01' order by i.iid limit %(limit)s for update;

-- name: seal_inbox
-- scope: cross
update inbox set raw = %(raw)s where iid = %(iid)s;

-- name: read_plain_refusals
-- scope: cross
-- Refused lines that are not sealed, under the names of app/load/refusals.py.
select f.via, f.digest, f.line, f.raw, 'refusal/' || encode(f.digest, 'hex') || '/' || f.line || '/' || f.via as name
from load_refusal f where substring(f.raw from 1 for 1) <> '\x01'
order by f.via, f.digest, f.line limit %(limit)s for update;

-- name: seal_refusals
-- scope: cross
update load_refusal set raw = %(raw)s where via = %(via)s and digest = %(digest)s and line = %(line)s;

-- name: read_wrapped
-- scope: cross
-- Keys that another master key than this one wraps.
select k.pid, k.kid, k.master, k.wrapped from record_key k
where k.wrapped is not null and k.master <> %(master)s
order by k.master, k.pid, k.kid limit %(limit)s for update;

-- name: put_wrapped
-- scope: patient
update record_key set master = %(master)s, wrapped = %(wrapped)s
where pid = %(pid)s and kid = %(kid)s and wrapped is not null;

-- name: destroy_record_keys
-- scope: cross
-- Destroy the keys of these records; what they were wrapped as is gone, a digest of it is the receipt.
update record_key k set wrapped = null, master = null, destroyed_at = %(now)s
where k.pid = any(%(pids)s::bigint[]) and k.wrapped is not null
returning k.pid, k.kid, encode(sha256(old.wrapped), 'hex') as was;

-- name: parts_of_record
-- scope: cross
select coalesce((select s.parts from record_alias s where s.pid = %(pid)s), array[%(pid)s::bigint]) as pids;

-- name: stays_elsewhere
-- scope: cross
-- Resources about these records that lie in others'; they are under the others' keys.
select count(*) as count from membership m
where m.pid = any(%(pids)s::bigint[]) and m.home_pid <> all(%(pids)s::bigint[]);

-- name: erase_resources
-- scope: cross
-- Leave of the resources of these records what a deletion leaves; how many bodies there were, and how many not sealed.
with gone as (
    update resource r set body = null, deleted = true, tokens = '{}', headline = null, sort_at = %(never)s,
        sort_to = null, link = 0, present = 0, facets = null, fact_key = null
    where r.pid = any(%(pids)s::bigint[])
    returning old.body as body
)
select count(*) filter (where body is not null) as bodies,
       count(*) filter (where substring(body from 1 for 1) <> '\x01') as plain from gone;

-- name: erase_history
-- scope: cross
with gone as (
    update history h set body = null, deleted = true where h.pid = any(%(pids)s::bigint[]) returning old.body as body
)
select count(*) filter (where body is not null) as bodies,
       count(*) filter (where substring(body from 1 for 1) <> '\x01') as plain from gone;

-- name: erase_raw
-- scope: cross
with gone as (delete from raw w where w.pid = any(%(pids)s::bigint[]) returning w.body)
select count(*) as bodies, count(*) filter (where substring(body from 1 for 1) <> '\x01') as plain from gone;

-- name: erase_index
-- scope: cross
with h as (delete from index_headline where pid = any(%(pids)s::bigint[])),
     d as (delete from index_date where pid = any(%(pids)s::bigint[])),
     n as (delete from index_number where pid = any(%(pids)s::bigint[]))
delete from index_string where pid = any(%(pids)s::bigint[]);

-- name: note_way
-- scope: cross
-- Note the digest of a reference parameter, by which block_carries reads what a sealed Provenance names.
insert into index_way as w (type, param, digest) values (%(type)s, %(param)s, %(digest)s)
on conflict (type, param) do update set digest = excluded.digest where w.digest <> excluded.digest;
