-- name: read_persons
-- scope: cross
-- The records that many identifiers belong to; the loader reads ahead for a whole block.
select k.system, k.value, k.source, k.pid
from unnest(%(systems)s::text[], %(values)s::text[], %(sources)s::text[]) as w (system, value, source)
join person_key k on k.value = w.value and k.system = w.system and k.source = w.source;

-- name: read_places
-- scope: cross
-- Where many resources are kept and who delivered them.
select r.pid, r.rid, r.type, r.id, r.version, r.deleted, r.via, r.source, r.origins, r.fact_key, r.facets,
       r.received_at, case when w.whole then r.body end as body
from unnest(%(types)s::text[], %(ids)s::text[], %(whole)s::boolean[]) as w (type, id, whole)
join locator l on l.id = w.id and l.type = w.type
join resource r on r.pid = l.pid and r.rid = l.rid;

-- name: read_shared_places
-- scope: shared
select r.type, r.id, r.version, r.deleted, r.via, r.source, r.received_at, r.body
from unnest(%(types)s::text[], %(ids)s::text[]) as w (type, id)
join shared_resource r on r.id = w.id and r.type = w.type;

-- name: lock_block_records
-- scope: cross
-- As lock_record, for all the records of a block, always in the same order.
select count(pg_advisory_xact_lock(w.pid)) from (select unnest(%(pids)s::bigint[]) as pid order by 1) w;

-- name: claim_persons
-- scope: cross
-- As claim_person, for many, always in the same order; fewer rows than asked say that somebody was first.
insert into person_key (system, value, source, pid)
select w.system, w.value, w.source, w.pid
from unnest(%(systems)s::text[], %(values)s::text[], %(sources)s::text[], %(pids)s::bigint[])
    as w (system, value, source, pid)
order by w.value, w.system, w.source
on conflict (value, system, source) do nothing returning pid;

-- name: draw_cids
-- scope: shared
-- Change keys for the records of a block.
select nextval('change_cid') as cid from generate_series(1, %(count)s);

-- name: read_load_block
-- scope: cross
-- What became of a block of lines that this source delivered before.
select lines, refused from load_block where via = %(via)s and digest = %(digest)s;

-- name: put_load_block
-- scope: cross
-- Note that a block was taken, in the transaction that takes it.
insert into load_block as b (via, digest, file, first_line, lines, taken, changed, known, refused, at)
values (%(via)s, %(digest)s, %(file)s, %(first_line)s, %(lines)s, %(taken)s, %(changed)s, %(known)s, %(refused)s,
    %(now)s)
on conflict (via, digest) do update set taken = b.taken + excluded.taken, changed = b.changed + excluded.changed,
    known = excluded.known, refused = excluded.refused, at = excluded.at;

-- name: clear_refusals
-- scope: cross
-- What was refused of a block is judged anew when the block comes again.
delete from load_refusal where via = %(via)s and digest = %(digest)s;

-- name: put_refusal
-- scope: cross
insert into load_refusal (via, digest, file, line, code, reason, raw, at)
values (%(via)s, %(digest)s, %(file)s, %(line)s, %(code)s, %(reason)s, %(raw)s, %(now)s)
on conflict (via, digest, line) do nothing;

-- name: read_refusals
-- scope: cross
-- The lines of a source that were refused and are kept, in the order of the files.
select file, line, code, reason, raw, digest from load_refusal
where via = %(via)s and (file, line) > (%(file)s, %(line)s)
order by file, line limit %(limit)s;
