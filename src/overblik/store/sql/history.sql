-- name: history_of_one
-- scope: patient
-- Versions of one resource, newest first. Judged by the resource as a whole, as in read_version. A row
-- without a version says that the resource is there and that no version is asked for.
with t as (select %(pid)s::bigint as pid),
p as materialized (select e.rule, e.evidence from t, lateral (:permit:) e),
versions as (
    select r.pid, r.rid, r.type, r.id, v.version, v.received_at, v.body, v.deleted,
           coalesce(c.instant, %(now)s) as known,
           lead(coalesce(c.instant, %(now)s)) over (order by v.version) as until
    from p, resource r,
    lateral (
        select r.version, r.received_at, r.body, r.deleted, r.cid
        union all
        select h.version, h.received_at, h.body, h.deleted, h.cid from history h
        where h.pid = r.pid and h.rid = r.rid
    ) v
    left join change c on c.pid = %(pid)s and c.cid = v.cid
    where r.pid = %(pid)s and r.rid = %(rid)s and :visible:
),
hit as materialized (
    select * from versions
    where (%(since)s::timestamptz is null or known >= %(since)s)
      and (%(at_from)s::timestamptz is null or (known < %(at_to)s and (until is null or until > %(at_from)s)))
      and (%(before)s::integer is null or version < %(before)s)
    order by version desc limit %(limit)s
),
logged as (
    insert into access_log :log_columns:
    select t.pid, case when k.known then 'permit' else 'refuse' end,
           case when k.known then p.rule else 'none' end,
           case when k.known then p.evidence end,
           n.rids, n.versions, %(query)s, :log_values:
    from t left join p on true,
         (select exists (select from versions) as known) k,
         (select coalesce(array_agg(rid), '{}') as rids, coalesce(array_agg(version), '{}') as versions
          from (select * from hit order by version desc limit %(count)s) s) n
)
select h.pid, h.rid, h.type, h.id, h.version, h.received_at, h.body, h.deleted
from (select exists (select from versions) as known) k left join hit h on true
where k.known order by h.version desc;

-- name: history_of_many
-- scope: cross
-- Versions of many resources, the last that became known first; store/history.py keeps
-- the walk to records that may be permitted. One log entry a patient. Versions without a number yet are
-- not there yet, so a reader who asks for all since the last answer misses none.
with hit as materialized (
    select c.seq, x.*
    from change c,
    lateral (
        select r.pid, r.rid, r.type, r.id, r.version, r.received_at, r.body, r.deleted,
               e.rule, e.evidence, null::timestamptz as until
        from resource r, lateral (select r.pid as pid) t, lateral (:permit:) e
        where r.pid = c.pid and r.cid = c.cid and (%(type)s = '' or r.type = %(type)s) and :visible:
        union all
        select r.pid, r.rid, r.type, r.id, h.version, h.received_at, h.body, h.deleted, e.rule, e.evidence,
               (select d.instant from change d
                where d.pid = h.pid and d.cid = coalesce(
                    (select n.cid from history n
                     where n.pid = h.pid and n.rid = h.rid and n.version = h.version + 1), r.cid))
        from history h join resource r on r.pid = h.pid and r.rid = h.rid,
             lateral (select r.pid as pid) t, lateral (:permit:) e
        where h.pid = c.pid and h.cid = c.cid and (%(type)s = '' or r.type = %(type)s) and :visible:
        union all
        select 0, hashtextextended(s.type || '/' || s.id, 0), s.type, s.id, s.version, s.received_at, s.body,
               s.deleted, '', null, null
        from shared_resource s
        where c.pid = 0 and s.cid = c.cid and (%(type)s = '' or s.type = %(type)s)
        union all
        select 0, hashtextextended(s.type || '/' || s.id, 0), s.type, s.id, s.version, s.received_at, s.body,
               s.deleted, '', null,
               (select d.instant from change d
                where d.pid = 0 and d.cid = coalesce(
                    (select n.cid from shared_history n
                     where n.type = s.type and n.id = s.id and n.version = s.version + 1),
                    (select n.cid from shared_resource n where n.type = s.type and n.id = s.id)))
        from shared_history s
        where c.pid = 0 and s.cid = c.cid and (%(type)s = '' or s.type = %(type)s)
    ) x
    where c.seq is not null and :records:
      and (%(since)s::timestamptz is null or c.instant >= %(since)s)
      and (%(at_from)s::timestamptz is null
           or (c.instant < %(at_to)s and (x.until is null or x.until > %(at_from)s)))
      and (%(before)s::bigint is null or (c.seq <= %(before)s and (c.seq, x.rid) < (%(before)s, %(before_rid)s)))
      and (%(floor)s::bigint is null or c.seq > %(floor)s)
    order by c.seq desc, x.rid desc limit %(limit)s
),
shown as materialized (select * from hit order by seq desc, rid desc limit %(count)s),
logged as (
    insert into access_log :log_columns:
    select pid, 'permit', min(rule), min(evidence), array_agg(rid order by rid, version),
           array_agg(version order by rid, version), %(query)s, :log_values:
    from shown where pid <> 0 group by pid
)
select seq, pid, rid, type, id, version, received_at, body, deleted from hit order by seq desc, rid desc;

-- name: history_floor
-- scope: cross
-- How far down one page walks: the change under the last that it looks at, if there is one. A rare type
-- among many changes comes in pages that are not full, each in bounded time.
select c.seq, c.instant from change c
where c.seq is not null and :records: and (%(before)s::bigint is null or c.seq <= %(before)s)
order by c.seq desc offset %(walk)s limit 1;

-- name: shared_history_of_one
-- scope: cross
-- Versions of one resource that belongs to no patient, newest first.
with versions as (
    select v.*, coalesce(c.instant, v.received_at) as known,
           lead(coalesce(c.instant, v.received_at)) over (order by v.version) as until
    from (
        select type, id, version, received_at, body, deleted, cid from shared_resource
        where type = %(type)s and id = %(id)s
        union all
        select type, id, version, received_at, body, deleted, cid from shared_history
        where type = %(type)s and id = %(id)s
    ) v left join change c on c.pid = 0 and c.cid = v.cid
)
select h.type, h.id, h.version, h.received_at, h.body, h.deleted
from (select exists (select from versions) as known) k left join (
    select * from versions
    where (%(since)s::timestamptz is null or known >= %(since)s)
      and (%(at_from)s::timestamptz is null or (known < %(at_to)s and (until is null or until > %(at_from)s)))
      and (%(before)s::integer is null or version < %(before)s)
    order by version desc limit %(limit)s
) h on true
where k.known order by h.version desc;

-- name: read_as_of
-- scope: patient
-- One resource as it was known at an instant, under today's rules.
with t as (select %(pid)s::bigint as pid),
p as materialized (select e.rule, e.evidence from t, lateral (:permit:) e),
shown as materialized (
    select r.pid, r.rid, r.type, r.id, v.version, v.received_at, v.body, v.deleted
    from p, resource r,
    lateral (
        select r.version, r.received_at, r.body, r.deleted, r.cid
        union all
        select h.version, h.received_at, h.body, h.deleted, h.cid from history h
        where h.pid = r.pid and h.rid = r.rid
    ) v
    join change c on c.pid = %(pid)s and c.cid = v.cid
    where r.pid = %(pid)s and r.rid = %(rid)s and c.instant <= %(as_of)s and :visible:
    order by v.version desc limit 1
),
logged as (
    insert into access_log :log_columns:
    select t.pid, case when s.rid is null then 'refuse' else 'permit' end,
           case when s.rid is null then 'none' else p.rule end,
           case when s.rid is null then null else p.evidence end,
           case when s.rid is null then '{}' else array[s.rid] end,
           case when s.rid is null then '{}' else array[s.version] end,
           %(query)s, :log_values:
    from t left join p on true left join shown s on true
)
select pid, rid, type, id, version, received_at, body, deleted from shown;

-- name: read_shared_as_of
-- scope: cross
-- The same of a resource that belongs to no patient.
select v.type, v.id, v.version, v.received_at, v.body, v.deleted
from (
    select type, id, version, received_at, body, deleted, cid from shared_resource
    where type = %(type)s and id = %(id)s
    union all
    select type, id, version, received_at, body, deleted, cid from shared_history
    where type = %(type)s and id = %(id)s
) v left join change c on c.pid = 0 and c.cid = v.cid
where case when v.cid is null then v.received_at else c.instant end <= %(as_of)s
order by v.version desc limit 1;

-- name: everything
-- scope: patient
-- One page of all current resources of a record, Patients first, entered by a Patient that the caller
-- may see. The period is that of care: what has no date is of every period.
with t as (select %(pid)s::bigint as pid),
blocks as materialized (:blocks:),
p as materialized (
    select e.rule, e.evidence from t, lateral (:permit:) e
    where exists (select from resource q
                  where q.pid = %(pid)s and q.rid = %(rid)s and not q.deleted and :visible_entry:)
),
hit as materialized (
    select r.pid, r.rid, r.type, r.id, r.version, r.received_at, r.body, r.deleted
    from p, resource r
    where r.pid = any(%(pids)s::bigint[]) and not r.deleted
      and (%(types)s::text[] is null or r.type = any(%(types)s::text[])) and :visible_given:
      and (%(since)s::timestamptz is null or not exists (
          select from change c where c.pid = r.pid and c.cid = r.cid and c.instant < %(since)s))
      and (%(start)s::timestamptz is null or r.clinical_to is null or r.clinical_to > %(start)s)
      and (%(end)s::timestamptz is null or r.clinical_from is null or r.clinical_from < %(end)s)
      and (%(after)s::bigint is null
           or (r.type <> 'Patient', r.rid) > (%(after_patients)s::boolean, %(after)s::bigint))
    order by r.type <> 'Patient', r.rid limit %(limit)s
),
logged as (
    insert into access_log :log_columns:
    select t.pid, case when p.rule is null then 'refuse' else 'permit' end,
           coalesce(p.rule, 'none'), p.evidence, n.rids, n.versions, %(query)s, :log_values:
    from t left join p on true,
         (select coalesce(array_agg(rid order by rid), '{}') as rids,
                 coalesce(array_agg(version order by rid), '{}') as versions
          from (select * from hit order by type <> 'Patient', rid limit %(count)s) s) n
)
select p.rule, h.pid, h.rid, h.type, h.id, h.version, h.received_at, h.body, h.deleted
from t left join p on true left join hit h on true order by h.type <> 'Patient', h.rid;

-- name: observations
-- scope: patient
-- The Observations of a record that the caller may see, to choose among. Not logged, because nothing of
-- it is disclosed: what is chosen is read by `read_rows`, which decides again and logs.
with t as (select %(pid)s::bigint as pid),
blocks as materialized (:blocks:),
p as materialized (
    select e.rule, e.evidence from t, lateral (:permit:) e
    where exists (select from resource q
                  where q.pid = %(pid)s and q.rid = %(rid)s and not q.deleted and :visible_entry:)
)
select p.rule, r.pid, r.rid, r.type, r.id, r.version, r.received_at, r.body, r.deleted
from t left join p on true
     left join resource r on p.rule is not null and r.pid = any(%(pids)s::bigint[])
          and r.type = 'Observation' and not r.deleted and :visible_given:;

-- name: read_rows
-- scope: patient
-- Current resources of one record by row key, entered by a Patient that the caller may see.
with t as (select %(pid)s::bigint as pid),
blocks as materialized (:blocks:),
p as materialized (
    select e.rule, e.evidence from t, lateral (:permit:) e
    where exists (select from resource q
                  where q.pid = %(pid)s and q.rid = %(rid)s and not q.deleted and :visible_entry:)
),
shown as materialized (
    select r.pid, r.rid, r.type, r.id, r.version, r.received_at, r.body, r.deleted
    from p, resource r
    where r.pid = any(%(pids)s::bigint[]) and r.rid = any(%(rids)s::bigint[]) and not r.deleted and :visible_given:
),
logged as (
    insert into access_log :log_columns:
    select t.pid, case when p.rule is null then 'refuse' else 'permit' end,
           coalesce(p.rule, 'none'), p.evidence, n.rids, n.versions, %(query)s, :log_values:
    from t left join p on true,
         (select coalesce(array_agg(rid order by rid), '{}') as rids,
                 coalesce(array_agg(version order by rid), '{}') as versions from shown) n
)
select p.rule, s.* from t left join p on true left join shown s on true;

-- name: read_shared_many
-- scope: shared
-- Resources that belong to no patient, by what refers to them.
select type, id, version, received_at, body, deleted from shared_resource
where not deleted and (type, id) in (select * from unnest(%(types)s::text[], %(ids)s::text[]))
order by type, id;

-- name: lock_records
-- scope: cross
-- Become the one writer of several records, always in the same order, so that two cannot wait for each other.
select pg_advisory_xact_lock(l.pid) from (select unnest(%(pids)s::bigint[]) as pid order by 1) l;

-- name: load_places
-- scope: cross
-- The current rows of several records by row key, as a writer needs them.
select r.pid, r.rid, r.type, r.id, r.version, r.body, r.deleted, r.source, r.via, r.origins, r.labels,
       r.clinical_from, r.clinical_to, r.recorded_at, r.received_at, r.fact_key, r.facets, r.created_cid
from resource r
where (r.pid, r.rid) in (select * from unnest(%(pids)s::bigint[], %(rids)s::bigint[]));

-- name: load_shared_many
-- scope: shared
select type, id, version, body, deleted, source, via, received_at from shared_resource
where (type, id) in (select * from unnest(%(types)s::text[], %(ids)s::text[]));

-- name: read_past
-- scope: cross
-- The versions that were current at an instant in the records named and have been superseded since: a
-- search of the past has to index them. Not logged, because nothing is disclosed: what is found is read
-- by the search itself (store/search/past.py), which decides again, sees the same snapshot, and logs.
with candidate as (
    select l.pid from locator l where l.type = %(past_type)s and l.id = any(%(past_ids)s::text[])
    union
    select k.pid from person_key k
    where (k.system, k.value) in (select * from unnest(%(past_systems)s::text[], %(past_values)s::text[]))
    union
    select q.pid from resource q where q.type = 'Patient' and q.tokens && %(past_tokens)s::bigint[]
),
opened as (
    select t.pid
    from (select c.pid from candidate c
          union select s.pid from candidate c join record_alias o on o.pid = c.pid
                                             join record_alias s on s.root = o.root) t,
         lateral (:permit:) e
),
past as materialized (
    select distinct on (r.pid, r.rid)
           r.pid, r.rid, v.version, v.received_at, v.body, v.deleted, v.present
    from opened p join resource r on r.pid = p.pid
    cross join lateral (
        select r.version, r.received_at, r.body, r.deleted, r.cid, true as present
        union all
        select h.version, h.received_at, h.body, h.deleted, h.cid, false from history h
        where h.pid = r.pid and h.rid = r.rid
    ) v
    join change c on c.pid = r.pid and c.cid = v.cid
    where c.instant <= %(as_of)s and :visible:
    order by r.pid, r.rid, v.version desc
)
select p.pid, p.rid, r.type, r.id, p.version, p.received_at, p.body
from past p join resource r on r.pid = p.pid and r.rid = p.rid
where not p.present and not p.deleted limit %(past_limit)s;
