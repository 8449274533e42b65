-- name: read_catalogue
-- scope: shared
-- The definitions in force, one row for each and type, with how much of the type's pass is done; one row
-- without a number where there are none.
select c.generation, p.number, p.definition, s.type, s.place, s.indexed, w.done, w.total
from search_catalogue c
left join search_parameter p on p.until is null
left join search_place s on s.number = p.number
left join search_pass w on w.type = s.type and w.generation >= p.since
order by p.number, s.type;

-- name: read_generation
-- scope: shared
-- How often the definitions have changed, and whether there are rows to be made by them.
select c.generation, exists (select from search_pass) or exists (
    select from search_place s join search_parameter p on p.number = s.number
    where p.until is not null or not s.indexed) as unmade
from search_catalogue c;

-- name: read_definitions
-- scope: shared
-- Every definition with a place that is not free again.
select p.number, p.id, p.definition, p.until is not null as ended, s.type, s.place
from search_parameter p join search_place s on s.number = p.number;

-- name: draw_parameter_number
-- scope: shared
select nextval('search_parameter_number')::integer as number;

-- name: end_definition
-- scope: shared
update search_parameter set until = %(generation)s where number = %(number)s;

-- name: put_definition
-- scope: shared
insert into search_parameter (number, id, definition, since)
values (%(number)s, %(id)s, %(definition)s, %(generation)s);

-- name: put_place
-- scope: shared
insert into search_place (type, place, number) values (%(type)s, %(place)s, %(number)s);

-- name: next_generation
-- scope: shared
update search_catalogue set generation = generation + 1 returning generation;

-- name: try_indexer
-- scope: shared
-- One process at a time makes rows by new definitions, a transaction long.
select pg_try_advisory_xact_lock(7013203) as mine;

-- name: begin_pass
-- scope: cross
-- Begin a pass over one type whose rows are not yet made by every definition, unless one is going on. The total is
-- for people to see how far it is: beyond a million it is what the statistics say.
insert into search_pass (type, generation, fence, total)
select w.type, c.generation, pg_snapshot_xmax(pg_current_snapshot()),
       (select count(*) from (select from resource r where r.type = w.type limit 1000000) few)
       + (select count(*) from shared_resource r where r.type = w.type)
       + coalesce((select greatest((t.reltuples * m.share)::bigint - 1000000, 0)
                   from pg_stats s, pg_class t, unnest(s.most_common_vals::text::text[], s.most_common_freqs) m (type, share)
                   where s.schemaname = current_schema() and s.tablename = 'resource' and s.attname = 'type'
                     and t.oid = 'resource'::regclass and m.type = w.type), 0)
from search_catalogue c, (
    select s.type from search_place s join search_parameter p on p.number = s.number
    where p.until is not null or not s.indexed order by s.type limit 1) w
returning type;

-- name: read_pass
-- scope: shared
-- The pass that is going on, and whether what was under way when it began is over. A fence that lies ahead of every
-- transaction is another server's, of which this is a copy: nothing of there is under way here.
select w.type, w.generation, w.total, w.done, w.sort_at::text as sort_at, w.rid, w.id,
       pg_snapshot_xmin(pg_current_snapshot()) >= w.fence or pg_snapshot_xmax(pg_current_snapshot()) < w.fence as clear
from search_pass w order by w.type limit 1;

-- name: read_pass_places
-- scope: cross
-- Where the next rows of a pass are, in the order of an index. The bound stands in the text: of one that is not known
-- PostgreSQL expects a tenth of all rows, and sorts them.
select k.sort_at::text as sort_at, k.pid, k.rid from (
    select r.sort_at, r.pid, r.rid from resource r
    where r.type = %(type)s and (r.sort_at, r.rid) > (%(sort_at)s::timestamptz, %(rid)s)
    order by r.sort_at, r.rid limit 100) k
order by k.sort_at, k.rid limit %(limit)s;

-- name: read_pass_rows
-- scope: cross
-- The rows of these places, held until the transaction ends. One that was moved since is its writer's, who makes it by
-- the definitions in force: the pass goes on from where it was.
select r.pid, r.rid, r.type, r.id, r.version, r.received_at, r.body, r.clinical_from, r.tokens, r.present,
       r.index_version
from unnest(%(pids)s::bigint[], %(rids)s::bigint[]) as k (pid, rid)
join resource r on r.pid = k.pid and r.rid = k.rid
for no key update of r;

-- name: read_pass_shared
-- scope: shared
select r.type, r.id, r.version, r.received_at, r.body, r.tokens, r.present, r.index_version
from shared_resource r where r.type = %(type)s and r.id > %(id)s
order by r.id limit %(limit)s for no key update;

-- name: move_pass
-- scope: shared
update search_pass set done = done + %(count)s, sort_at = %(sort_at)s::timestamptz, rid = %(rid)s, id = %(id)s
where type = %(type)s;

-- name: end_pass
-- scope: shared
-- Every row of the type was made by the definitions of the pass: those in force find all, and the places of
-- those that ended are free.
with made as (
    update search_place s set indexed = true from search_parameter p
    where s.type = %(type)s and p.number = s.number and p.until is null and p.since <= %(generation)s
),
freed as (
    delete from search_place s using search_parameter p
    where s.type = %(type)s and p.number = s.number and p.until <= %(generation)s
)
delete from search_pass where type = %(type)s;

-- name: clear_definitions
-- scope: shared
-- Definitions that ended and have no place left.
delete from search_parameter p
where p.until is not null and not exists (select from search_place s where s.number = p.number);
