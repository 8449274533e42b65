-- name: try_sequencer
-- scope: shared
-- Become the one sequencer until the transaction ends, unless somebody else is.
select pg_try_advisory_xact_lock(7013202) as mine;

-- name: be_sequencer
-- scope: shared
-- The same, waiting for whoever is.
select pg_advisory_xact_lock(7013202);

-- name: sequence_changes
-- scope: cross
-- Number what has been committed and has no number yet. Rows that are not visible yet come later
-- and get later numbers: commit order, never "id > last". Instants never decrease.
with head as (select seq, greatest(instant, %(now)s) as instant from sequencer for update),
batch as (
    select c.pid, c.cid, row_number() over (order by c.at, c.cid) as place
    from change c where c.seq is null order by c.at, c.cid limit %(limit)s
),
numbered as (
    update change c set seq = head.seq + b.place, instant = head.instant
    from batch b, head where c.pid = b.pid and c.cid = b.cid and c.seq is null
    returning 1
),
moved as (
    update sequencer s set seq = head.seq + (select count(*) from batch), instant = head.instant
    from head where exists (select from batch) returning s.seq
)
select (select count(*) from numbered) as numbered, (select seq from moved) as seq;

-- name: sequence_log
-- scope: cross
-- Number the log entries, in the same order of numbers as the changes.
with head as (select seq, instant from sequencer for update),
taken as (
    delete from log_queue q
    where q.ctid = any(array(select ctid from log_queue limit %(limit)s))
    returning q.pid, q.at, q.lid
),
numbered as (
    insert into log_leaf (pid, seq, at, lid)
    select t.pid, head.seq + row_number() over (order by t.at, t.lid), t.at, t.lid from taken t, head
    returning 1
),
moved as (
    update sequencer s set seq = head.seq + (select count(*) from taken)
    from head where exists (select from taken) returning s.seq
)
select (select count(*) from numbered) as numbered, (select seq from moved) as seq;

-- name: last_seq
-- scope: shared
select seq, instant from sequencer;
