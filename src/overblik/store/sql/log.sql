-- name: read_sealed_log
-- scope: patient
-- What was logged about one record and is sealed in the first `size` leaves, for the citizen; the oldest
-- first of each record. Reading it is logged too. One row without a leaf where there is nothing yet.
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
leaves as materialized (
    select l.pid, l.seq, l.at, l.lid, l.n, l.place, l.entry,
           lag(l.hash) over (partition by l.pid order by l.seq) as before
    from log_leaf l where l.pid = any(%(pids)s::bigint[])
),
newest as (select * from leaves where n < %(size)s order by seq desc limit %(limit)s)
select sha256((select secret from log_tree) || int8send(l.pid)) as record, l.seq, l.n, l.place, l.entry, l.before,
       a.lid is null as gone, l.at, l.lid, a.salt, a.request, a.channel, a.action, a.outcome, a.rule, a.evidence,
       a.actor_kind, a.actor, a.actor_name, a.actor_role, a.org, a.org_name, a.on_behalf, a.purpose, a.reason,
       a.query, a.rids, a.versions, a.policy, a.orgs, a.reach, a.snapshot
from p left join newest l on true
     left join lateral (select * from access_log a where a.pid = l.pid and a.at = l.at and a.lid = l.lid limit 1) a
     on true
order by l.pid, l.seq;

-- name: own_record
-- scope: cross
-- The record that an identifier of a person opens, and every pid of it.
select k.pid, coalesce((select s.parts from record_alias s where s.pid = k.pid), array[k.pid]) as pids
from person_key k where k.system = %(system)s and k.value = %(value)s and k.source = '';

-- name: read_events
-- scope: patient
-- What was logged about one record, newest first, narrowed by what is asked: entries as AuditEvents tell them.
-- Reading it is logged too. `data` is what an entry of one resource was about, where the reader may see that;
-- no more than the reader could see anyway is told of what somebody else has read.
with t as (select %(pid)s::bigint as pid),
p as materialized (
    select e.rule, e.evidence from t, lateral (:permit_whole:) e
    where %(rid)s::bigint = 0 or exists (select from resource q
                  where q.pid = %(pid)s and q.rid = %(rid)s and not q.deleted and :visible_entry:)
),
logged as (
    insert into access_log :log_columns:
    select t.pid, case when p.rule is null then 'refuse' else 'permit' end, coalesce(p.rule, 'none'),
           p.evidence, '{}'::bigint[], '{}'::integer[], %(query)s, :log_values:
    from t left join p on true
),
found as materialized (
    select e.* from p, unnest(%(parts)s::bigint[]) as x(pid), lateral (
        select * from access_log l
        where l.pid = x.pid
          and (l.outcome <> 'refuse' or l.actor <> %(person)s)  -- as on the page, see read_log
          and (%(start)s::timestamptz is null or l.at >= %(start)s)
          and (%(end)s::timestamptz is null or l.at < %(end)s)
          and (%(before)s::timestamptz is null or (l.at, l.lid) < (%(before)s, %(before_lid)s::uuid))
          and (%(lid)s::uuid is null or l.lid = %(lid)s)
          and (%(outcomes)s::text[] is null or l.outcome = any(%(outcomes)s))
          and (%(done)s::text[] is null or l.action = any(%(done)s))
          and (%(agents)s::text[] is null
               or (l.actor_kind not in ('citizen', 'proxy') and l.actor = any(%(agents)s)
                   and not (l.actor_kind = 'professional' and l.org = any(%(withheld)s::text[])))
               or l.org = any(%(units)s::text[])
               or (%(own)s and (l.actor_kind = 'citizen' or l.on_behalf <> '')))
          and (%(called)s::text[] is null
               or not (l.actor_kind = 'professional' and l.org = any(%(withheld)s::text[])) and exists (
              select from unnest(%(called)s::text[]) as c(name)
              where strpos(' ' || lower(l.actor_name), ' ' || c.name) > 0))
          and (%(about)s::bigint[] is null
               or (l.action = any(%(single)s::text[]) and l.rids && %(about)s and exists (
                   select from resource r where r.pid = l.pid and r.rid = any(%(about)s) and :visible:)))
        order by l.at desc, l.lid desc limit %(limit)s
    ) e order by e.at desc, e.lid desc limit %(limit)s
)
select a.lid, a.at, a.request, a.channel, a.action, a.outcome, a.rule, a.actor_kind, a.actor, a.actor_name,
       a.actor_role, a.org, a.org_name, a.on_behalf, a.purpose, a.reason, a.query, d.data, d.version,
       (select q.id from resource q
        where q.pid = any(%(pids)s::bigint[]) and q.type = 'Patient' and not q.deleted and :visible_entry:
        order by q.pid, q.rid limit 1) as patient
from found a left join lateral (
    select r.type || '/' || r.id as data, a.versions[1] as version from resource r
    where a.action = any(%(single)s::text[]) and r.pid = a.pid and r.rid = a.rids[1] and :visible:
) d on true
order by a.at desc, a.lid desc;
