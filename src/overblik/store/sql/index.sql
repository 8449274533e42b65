-- name: flush_pending
-- scope: cross
-- Move what was written lately from the GIN index's list, which every search reads through, into the index.
select gin_clean_pending_list('resource_tokens'::regclass) + gin_clean_pending_list('shared_resource_tokens'::regclass)
    as pages;

-- name: common_tokens
-- scope: cross
-- The digests that stand in most rows, and in what part of all, as PostgreSQL's own statistics have them.
select m.token, m.share
from pg_stats s,
     unnest(s.most_common_elems::text::bigint[], s.most_common_elem_freqs[:cardinality(s.most_common_elems::text::bigint[])])
         as m (token, share)
where s.schemaname = current_schema() and s.tablename = 'resource' and s.attname = 'tokens';

-- name: count_rows
-- scope: cross
-- About how many resources and records there are, as PostgreSQL's own statistics have it.
select greatest(r.reltuples, 0)::bigint as rows, greatest(c.reltuples, 0)::bigint as records
from pg_class c, pg_class r where c.oid = 'record'::regclass and r.oid = 'resource'::regclass;

-- name: count_stale
-- scope: cross
-- How many rows an older version of the index made.
select (select count(*) from resource where index_version <> %(version)s)
     + (select count(*) from shared_resource where index_version <> %(version)s) as stale;

-- name: read_stale
-- scope: cross
-- The next rows that an older version of the index made, held until the transaction ends; what
-- somebody is writing just now is written by the newer version.
select r.pid, r.rid, r.type, r.id, r.version, r.received_at, r.body, r.clinical_from
from resource r
where (r.pid, r.rid) > (%(pid)s, %(rid)s) and r.index_version <> %(version)s
order by r.pid, r.rid limit %(limit)s for update skip locked;

-- name: read_stale_shared
-- scope: cross
select r.type, r.id, r.version, r.received_at, r.body
from shared_resource r
where (r.id, r.type) > (%(id)s, %(type)s) and r.index_version <> %(version)s
order by r.id, r.type limit %(limit)s for update skip locked;

-- name: put_index
-- scope: patient
-- The index columns of one row, made by the definitions in force; what a block sees of its dates only grows.
update resource r set tokens = %(tokens)s, headline = %(headline)s, sort_at = %(sort_at)s, sort_to = %(sort_to)s,
    index_version = case when %(catalogue)s = (select c.generation from search_catalogue c)
        then %(index_version)s::smallint end,
    link = %(link)s, present = %(present)s,
    clinical_from = least(r.clinical_from, %(clinical_from)s),
    clinical_to = greatest(r.clinical_to, %(clinical_to)s)
where r.pid = %(pid)s and r.rid = %(rid)s;

-- name: put_shared_index
-- scope: shared
update shared_resource r set rid = %(rid)s, tokens = %(tokens)s,
    index_version = case when %(catalogue)s = (select c.generation from search_catalogue c)
        then %(index_version)s::smallint end,
    link = %(link)s, present = %(present)s
where r.id = %(id)s and r.type = %(type)s;
