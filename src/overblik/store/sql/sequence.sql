-- name: try_sequencer
-- scope: shared
-- Become the one sequencer until the transaction ends, unless somebody else is.
select pg_try_advisory_xact_lock(7013202) as mine;

-- name: be_sequencer
-- scope: shared
-- The same, waiting for whoever is.
select pg_advisory_xact_lock(7013202);

-- name: try_signing
-- scope: shared
-- Be the one who has the log signed until the transaction ends, unless somebody else is.
select pg_try_advisory_xact_lock(7013203) as mine;

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
-- Number the log entries, in the same order of numbers as the changes, and seal them: each becomes a
-- leaf of the tree and the next link of its record's chain (docs/log.md). An entry that is gone from
-- the log is sealed as gone, with a hash of zeros. Gives how many leaves there are before and after.
with head as (select seq from sequencer for update),
tree as (select secret, coalesce((select max(n) + 1 from log_leaf), 0) as size from log_tree),
taken as (
    delete from log_queue q
    where q.ctid = any(array(select ctid from log_queue limit %(limit)s))
    returning q.pid, q.at, q.lid
),
ordered as (
    select t.pid, t.at, t.lid, row_number() over (order by t.at, t.lid) as step,
           row_number() over (partition by t.pid order by t.at, t.lid) as place
    from taken t
),
last as materialized (
    select p.pid, sha256(tree.secret || int8send(p.pid)) as record, coalesce(l.place, 0) as place,
           coalesce(l.hash, decode(repeat('00', 32), 'hex')) as hash
    from tree, (select distinct pid from taken) p left join lateral (
        select place, hash from log_leaf l where l.pid = p.pid order by l.seq desc limit 1) l on true
),
sealed as materialized (
    select o.pid, o.at, o.lid, o.step, last.record, last.place + o.place as place, last.hash as before,
           coalesce(e.entry, decode(repeat('00', 32), 'hex')) as entry
    from ordered o join last using (pid) left join lateral (
        select log_entry(a) as entry from access_log a
        where a.pid = o.pid and a.at = o.at and a.lid = o.lid limit 1) e on true
),
numbered as (
    insert into log_leaf (pid, seq, at, lid, n, place, entry, hash)
    select s.pid, head.seq + s.step, s.at, s.lid, tree.size + s.step - 1, s.place, s.entry,
           log_link(s.before, s.record, s.place, head.seq + s.step, s.entry)
             over (partition by s.pid order by s.place rows unbounded preceding)
    from sealed s, head, tree
    returning 1
),
moved as (
    update sequencer s set seq = head.seq + (select count(*) from taken)
    from head where exists (select from taken) returning s.seq
)
select (select count(*) from numbered) as numbered, (select seq from moved) as seq, tree.size as before,
       tree.size + (select count(*) from numbered) as after
from tree;

-- name: log_hashes
-- scope: cross
-- Hashes of the tree: for each range asked for (a level; from; up to), those of its subtrees in order.
select w.place, (case when w.level = 0 then
        (select string_agg(l.hash, ''::bytea order by l.n) from log_leaf l where l.n >= w.lo and l.n < w.hi)
    else
        (select string_agg(d.hash, ''::bytea order by d.n) from log_node d
         where d.level = w.level and d.n >= w.lo and d.n < w.hi) end) as hashes
from unnest(%(levels)s::integer[], %(los)s::bigint[], %(his)s::bigint[])
     with ordinality as w(level, lo, hi, place)
order by w.place;

-- name: put_log_node
-- scope: cross
insert into log_node (level, n, hash) values (%(level)s, %(n)s, %(hash)s) on conflict (level, n) do nothing;

-- name: log_name
-- scope: cross
-- What the log is called, and how many leaves it has.
select t.id, coalesce((select max(n) + 1 from log_leaf), 0) as size from log_tree t;

-- name: log_head
-- scope: cross
-- The last signed head.
select h.size, h.at,
       coalesce((select r.note from log_rotation r where r.size = h.size order by r.n desc limit 1), h.note) as note
from log_head h order by h.size desc limit 1;

-- name: be_signing
-- scope: shared
-- Be the one who has the log signed, waiting for whoever is.
select pg_advisory_xact_lock(7013203);

-- name: log_rotations
-- scope: cross
-- How the log's key was replaced, the first time first.
select n, old_key, new_key, note from log_rotation order by n;

-- name: put_log_rotation
-- scope: cross
insert into log_rotation (n, old_key, new_key, size, note, at)
values (%(n)s, %(old)s, %(new)s, %(size)s, %(note)s, %(at)s) on conflict (n) do nothing;

-- name: put_log_head
-- scope: cross
insert into log_head (size, note, at) values (%(size)s, %(note)s, %(at)s) on conflict (size) do nothing;

-- name: log_head_of
-- scope: cross
-- The signed head of so many leaves.
select h.size, coalesce((select r.note from log_rotation r where r.size = h.size order by r.n desc limit 1), h.note) as note
from log_head h where h.size = %(size)s;

-- name: log_cosigned_head
-- scope: cross
-- The last signed head that a witness has cosigned.
select h.size, coalesce((select r.note from log_rotation r where r.size = h.size order by r.n desc limit 1), h.note) as note
from log_head h where h.size = (select max(c.size) from log_cosignature c);

-- name: log_cosignatures
-- scope: cross
-- What witnesses have cosigned, the smallest head first: of one size, or of all.
select c.size, c.witness, c.line, h.note from log_cosignature c left join log_head h on h.size = c.size
where %(size)s::bigint is null or c.size = %(size)s order by c.size, c.witness;

-- name: put_log_cosignature
-- scope: cross
insert into log_cosignature (size, witness, line, at) values (%(size)s, %(witness)s, %(line)s, %(at)s)
on conflict (size, witness) do nothing;

-- name: log_secret
-- scope: cross
select id, secret from log_tree;

-- name: log_leaves
-- scope: cross
-- Leaves with their entries, in the order of the tree; a leaf without its entry is `gone`.
select l.pid, l.seq, l.at, l.lid, l.n, l.place, l.entry, l.hash, a.lid is null as gone,
       a.salt, a.request, a.channel, a.action, a.outcome, a.rule, a.evidence, a.actor_kind, a.actor, a.actor_name,
       a.actor_role, a.org, a.org_name, a.on_behalf, a.purpose, a.reason, a.query, a.rids, a.versions, a.policy, a.orgs, a.reach, a.snapshot
from (select * from log_leaf where n > %(after)s or %(first)s order by n, pid, seq limit %(limit)s) l
     left join lateral (select * from access_log a where a.pid = l.pid and a.at = l.at and a.lid = l.lid limit 1) a
     on true
order by l.n, l.pid, l.seq;

-- name: log_leaves_at
-- scope: cross
-- All leaves of one place, where there must be one.
select l.pid, l.seq, l.at, l.lid, l.n, l.place, l.entry, l.hash, a.lid is null as gone,
       a.salt, a.request, a.channel, a.action, a.outcome, a.rule, a.evidence, a.actor_kind, a.actor, a.actor_name,
       a.actor_role, a.org, a.org_name, a.on_behalf, a.purpose, a.reason, a.query, a.rids, a.versions, a.policy, a.orgs, a.reach, a.snapshot
from log_leaf l
     left join lateral (select * from access_log a where a.pid = l.pid and a.at = l.at and a.lid = l.lid limit 1) a
     on true
where l.n = %(n)s order by l.pid, l.seq;

-- name: log_heads
-- scope: cross
select size, note from log_head order by size;

-- name: log_nodes
-- scope: cross
select d.level, d.n, d.hash
from unnest(%(levels)s::integer[], %(ns)s::bigint[]) w(level, n) join log_node d on d.level = w.level and d.n = w.n;

-- name: log_loose_nodes
-- scope: cross
-- Nodes that are not of full subtrees of the log.
select level, n from log_node
where level < 1 or level > 7 or n < 0
   or n >= coalesce((select max(n) + 1 from log_leaf), 0) >> (8 * level)
order by level, n limit 100;

-- name: log_unsealed
-- scope: cross
-- Entries that have no leaf and wait for none.
select a.lid from access_log a
where not exists (select from log_leaf l where l.pid = a.pid and l.at = a.at and l.lid = a.lid)
  and not exists (select from log_queue q where q.pid = a.pid and q.at = a.at and q.lid = a.lid)
order by a.at, a.lid limit %(limit)s;

-- name: log_twice
-- scope: cross
-- Entries that were sealed more than once.
select lid from log_leaf group by pid, at, lid having count(*) > 1 order by lid limit %(limit)s;

-- name: log_waiting
-- scope: cross
select count(*) as waiting from log_queue;

-- name: log_oldest
-- scope: cross
-- Since when the oldest entry without a number waits.
select min(at) as oldest from log_queue;
