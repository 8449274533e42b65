-- name: locate
-- scope: cross
-- Where resources are kept, and every pid of their records. Says nothing of who may see them.
select l.type, l.id, l.pid, l.rid,
       coalesce((select array_agg(s.pid order by s.pid) from record_alias s
                 where s.root = (select o.root from record_alias o where o.pid = l.pid)),
                array[l.pid]) as pids
from locator l
where (l.type, l.id) in (select * from unnest(%(types)s::text[], %(ids)s::text[]));

-- name: read_version
-- scope: patient
-- One version of a resource. Judged by the resource as a whole: its labels, origins and clinical span are the widest
-- it ever had.
with t as (select %(pid)s::bigint as pid),
p as materialized (select e.rule, e.evidence from t, lateral (:permit:) e),
shown as materialized (
    select r.pid, r.rid, r.type, r.id, v.version, v.received_at, v.body, v.deleted
    from p, resource r,
    lateral (
        select r.version, r.received_at, r.body, r.deleted
        union all
        select h.version, h.received_at, h.body, h.deleted from history h
        where h.pid = r.pid and h.rid = r.rid
    ) v
    where r.pid = %(pid)s and r.rid = %(rid)s and v.version = %(version)s and :visible:
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

-- name: read_raw
-- scope: patient
-- A Binary, with the bytes of the message or document it stands for as they came, where it has any.
with t as (select %(pid)s::bigint as pid),
p as materialized (select e.rule, e.evidence from t, lateral (:permit:) e),
shown as materialized (
    select r.*, w.content_type, w.body as raw from p, resource r left join raw w using (pid, rid)
    where r.pid = %(pid)s and r.rid = %(rid)s and :visible:
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
select pid, rid, type, id, version, received_at, body, deleted, content_type, raw from shown;

-- name: gather
-- scope: patient
-- Which versions of the given types in one record the caller may see, entered by a Patient that the
-- caller may see; `versions` fetches those that are not known yet. Deleted rows are among them, so that a
-- withdrawal can be told. A `viewer` has now looked: what they had seen, and when, is answered
-- (`baseline`, `before`); a visit lasts until half an hour without a look.
with t as (select %(pid)s::bigint as pid),
blocks as materialized (:blocks:),
p as materialized (
    select e.rule, e.evidence from t, lateral (:permit:) e
    where exists (select from resource q
                  where q.pid = %(pid)s and q.rid = %(rid)s and not q.deleted and :visible_entry:)
),
shown as materialized (
    select r.rid, r.version, r.deleted, r.recorded_at, r.received_at, r.cid, r.created_cid
    from p, resource r
    where r.pid = any(%(pids)s::bigint[]) and r.type = any(%(types)s::text[]) and :visible_given:
),
numbered as materialized (
    select c.cid, c.seq, c.old from (select cid, received_at < %(old)s as old from shown
                                     union select created_cid, false from shown) x,
    lateral (select n.cid, n.seq, x.old from change n where n.pid = any(%(pids)s::bigint[]) and n.cid = x.cid) c
),
logged as (
    insert into access_log :log_columns:
    select t.pid, case when p.rule is null then 'refuse' else 'permit' end,
           coalesce(p.rule, 'none'), p.evidence,
           case when n.count <= 100 then n.rids else '{}' end,
           case when n.count <= 100 then n.versions else '{}' end,
           case when n.count <= 100 then %(query)s else %(query)s || ' #' || n.digest end,
           :log_values:
    from t left join p on true,
         (select count(*), coalesce(array_agg(rid order by rid), '{}') as rids,
                 coalesce(array_agg(version order by rid), '{}') as versions,
                 encode(sha256(convert_to(string_agg(rid || ':' || version, ',' order by rid), 'UTF8')), 'hex')
                     as digest
          from shown where not deleted) n
),
look as (
    insert into looked as l (pid, viewer, baseline, seen, at)
    select %(pid)s, %(viewer)s, coalesce(max(n.seq) filter (where n.old), 0), coalesce(max(n.seq), 0), %(now)s
    from p, numbered n
    where %(viewer)s <> '' and exists (select from shown where not deleted)
    having count(*) > 0
    on conflict (pid, viewer) do update set
        baseline = case when l.at < %(now)s::timestamptz - interval '30 minutes' then l.seen else l.baseline end,
        seen = greatest(l.seen, excluded.seen), at = excluded.at
    returning baseline, (select o.at from looked o where o.pid = l.pid and o.viewer = l.viewer) as before
)
select p.rule, l.baseline, l.before, s.*, n.*
from t left join p on true left join look l on true,
     (select coalesce(array_agg(rid), '{}') as rids, coalesce(array_agg(version), '{}') as versions,
             coalesce(array_agg(recorded_at), '{}') as recorded from shown) s,
     (select coalesce(array_agg(cid), '{}') as cids, coalesce(array_agg(seq), '{}') as seqs from numbered) n;

-- name: gather_as_of
-- scope: patient
-- The same as it was known at an instant: the versions sequenced by then, under today's rules. Nobody has
-- looked.
with t as (select %(pid)s::bigint as pid),
blocks as materialized (:blocks:),
p as materialized (
    select e.rule, e.evidence from t, lateral (:permit:) e
    where exists (select from resource q
                  where q.pid = %(pid)s and q.rid = %(rid)s and not q.deleted and :visible_entry:)
),
versions as (
    select r.pid, r.rid, v.version, v.deleted, v.recorded_at, v.cid, r.created_cid
    from p, resource r,
    lateral (
        select r.version, r.deleted, r.recorded_at, r.cid
        union all
        select h.version, h.deleted, h.recorded_at, h.cid from history h where h.pid = r.pid and h.rid = r.rid
    ) v
    where r.pid = any(%(pids)s::bigint[]) and r.type = any(%(types)s::text[]) and :visible_given:
),
shown as materialized (
    select distinct on (v.rid) v.*
    from versions v join change c on c.pid = v.pid and c.cid = v.cid
    where c.instant <= %(as_of)s
    order by v.rid, v.version desc
),
logged as (
    insert into access_log :log_columns:
    select t.pid, case when p.rule is null then 'refuse' else 'permit' end,
           coalesce(p.rule, 'none'), p.evidence,
           case when n.count <= 100 then n.rids else '{}' end,
           case when n.count <= 100 then n.versions else '{}' end,
           case when n.count <= 100 then %(query)s else %(query)s || ' #' || n.digest end,
           :log_values:
    from t left join p on true,
         (select count(*), coalesce(array_agg(rid order by rid), '{}') as rids,
                 coalesce(array_agg(version order by rid), '{}') as versions,
                 encode(sha256(convert_to(string_agg(rid || ':' || version, ',' order by rid), 'UTF8')), 'hex')
                     as digest
          from shown where not deleted) n
)
select p.rule, null::bigint as baseline, null::timestamptz as before, s.*,
       '{}'::bigint[] as cids, '{}'::bigint[] as seqs
from t left join p on true,
     (select coalesce(array_agg(rid), '{}') as rids, coalesce(array_agg(version), '{}') as versions,
             coalesce(array_agg(recorded_at), '{}') as recorded from shown) s;

-- name: versions
-- scope: patient
-- Versions of one record by key: those that the statement before has permitted and logged.
with asked as materialized (select * from unnest(%(rids)s::bigint[], %(versions)s::integer[]) as a(rid, version))
select r.pid, r.rid, r.type, r.id, a.version, v.body, v.deleted, v.source, v.via, v.recorded_at, v.received_at, v.cid,
       r.created_cid
from asked a, lateral (
    select * from resource r where r.pid = any(%(pids)s::bigint[]) and r.rid = a.rid
) r, lateral (
    select r.body, r.deleted, r.source, r.via, r.recorded_at, r.received_at, r.cid where r.version = a.version
    union all
    select h.body, h.deleted, h.source, h.via, h.recorded_at, h.received_at, h.cid from history h
    where h.pid = r.pid and h.rid = r.rid and h.version = a.version
) v;

-- name: worklist
-- scope: cross
-- The records a unit has work in: those with a relation of the given kinds that is valid now, with
-- what the list is made from. One log entry a patient shown.
with p as materialized (
    select t.pid, e.rule, e.evidence from (
        select l.pid, max(l.valid_from) as newest from relation l
        where l.org = any(%(orgs)s::text[]) and l.kind = any(%(kinds)s::text[])
          and l.valid_from <= %(now)s and l.valid_until > %(now)s
        group by l.pid order by newest desc, l.pid
    ) t, lateral (:permit:) e
    where exists (select from resource q where q.pid = t.pid and q.type = 'Patient' and not q.deleted
                  and :visible_entry:)
    order by t.newest desc, t.pid limit %(limit)s
),
shown as materialized (
    select r.pid, r.rid, r.type, r.id, r.version, r.body, r.deleted, r.source, r.via,
           r.recorded_at, r.received_at, r.cid, r.created_cid, p.rule, p.evidence
    from p join resource r on r.pid = p.pid
    where r.type = any(%(types)s::text[]) and not r.deleted and :visible:
),
logged as (
    insert into access_log :log_columns:
    select pid, 'permit', min(rule), min(evidence), array_agg(rid order by rid),
           array_agg(version order by rid), %(query)s, :log_values:
    from shown group by pid
)
select * from shown;

-- name: find_patient
-- scope: cross
-- The first Patient resource that carries an identifier and that the caller may see. That there is one,
-- and its id, is a disclosure, whether or not its page is opened afterwards; a citizen learns nothing new
-- of their own.
with shown as materialized (
    select q.pid, q.rid, q.id, q.version, e.rule, e.evidence
    from resource q, lateral (select q.pid as pid) t, lateral (:permit:) e
    where q.type = 'Patient' and not q.deleted
      and q.tokens @> array[%(token)s::bigint] and :visible_entry:
    order by q.pid, q.id limit 1
),
logged as (
    insert into access_log :log_columns:
    select pid, 'permit', rule, evidence, array[rid], array[version], %(query)s, :log_values:
    from shown where rule <> 'self'
)
select id from shown;

-- name: read_shared
-- scope: shared
-- A resource that belongs to no patient.
select type, id, version, received_at, body, deleted from shared_resource
where type = %(type)s and id = %(id)s;

-- name: read_shared_version
-- scope: shared
-- One version of a resource that belongs to no patient.
select type, id, version, received_at, body, deleted from shared_resource
where type = %(type)s and id = %(id)s and version = %(version)s
union all
select type, id, version, received_at, body, deleted from shared_history
where type = %(type)s and id = %(id)s and version = %(version)s;

-- name: log_refusal
-- scope: patient
-- A refusal that no other statement records: decided before any look-up, or nothing found.
insert into access_log :log_columns:
select %(pid)s, 'refuse', %(rule)s, null::bigint, '{}'::bigint[], '{}'::integer[], %(query)s, :log_values:;

-- name: log_disclosure
-- scope: patient
-- A disclosure that is not a resource: the log itself, a search that found nothing.
insert into access_log :log_columns:
select %(pid)s, 'permit', %(rule)s, null::bigint, '{}'::bigint[], '{}'::integer[], %(query)s, :log_values:;

-- name: read_log
-- scope: patient
-- What was logged about one record, newest first, all of it or the looks of professionals; for the citizen.
-- Whatever came after it, who broke the glass in the last thirty days is among it. Reading it is logged too.
-- What the reader was refused is left out: of what is not there nothing would stand here, so it would tell that
-- something is.
with t as (select %(pid)s::bigint as pid),
p as materialized (
    select e.rule, e.evidence from t, lateral (:permit_whole:) e
    where exists (select from resource q
                  where q.pid = %(pid)s and q.rid = %(rid)s and not q.deleted and :visible_entry:)
),
logged as (
    insert into access_log :log_columns:
    select t.pid, case when p.rule is null then 'refuse' else 'permit' end, coalesce(p.rule, 'none'),
           p.evidence, '{}'::bigint[], '{}'::integer[], %(query)s, :log_values:
    from t left join p on true
),
newest as (
    select e.* from p, unnest(%(pids)s::bigint[]) as x(pid), lateral (
        (select * from access_log l
         where not %(professionals)s and l.pid = x.pid and (l.outcome <> 'refuse' or l.actor <> %(person)s)
         order by l.at desc, l.lid desc limit %(limit)s)
        union all
        (select * from access_log l
         where %(professionals)s and l.pid = x.pid and l.actor_kind = 'professional'
               and (l.outcome <> 'refuse' or l.actor <> %(person)s)
         order by l.at desc, l.lid desc limit %(limit)s)
    ) e order by e.at desc, e.lid desc limit %(limit)s
),
glass as (
    select l.* from p, access_log l
    where l.pid = any(%(pids)s::bigint[]) and l.action = 'break glass'
      and (not %(professionals)s or l.actor_kind = 'professional')
      and l.at > %(now)s::timestamptz - interval '30 days'
    order by l.at desc, l.lid desc limit %(limit)s
)
select a.at, a.request, a.channel, a.action, a.outcome, a.rule, a.actor_kind, a.actor, a.actor_name, a.actor_role,
       a.org, a.org_name, a.on_behalf, a.purpose, a.reason, cardinality(a.rids) as resources,
       ev.type as evidence_type, ev.source as evidence_source
from (select * from newest union select * from glass) a
     left join lateral (select r.type, r.source from resource r
                        where r.pid = a.pid and r.rid = a.evidence) ev on true
order by a.at desc, a.lid desc;

-- name: protected_among
-- scope: cross
-- Those of the resources named in whose record a Patient says that the person's address is protected.
select w.type, w.id
from unnest(%(types)s::text[], %(ids)s::text[]) as w(type, id) join locator l on l.type = w.type and l.id = w.id
where exists (
    select from resource q
    where q.pid = any(coalesce((select s.parts from record_alias s where s.pid = l.pid), array[l.pid]))
      and q.type = 'Patient' and not q.deleted and q.tokens @> array[%(token)s::bigint]);
