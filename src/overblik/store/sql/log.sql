-- name: read_sealed_log
-- scope: patient
-- What was logged about one record and is sealed in the first `size` leaves, for the citizen; the oldest
-- first of each record. Reading it is logged too. One row without a leaf where there is nothing yet.
with t as (select %(pid)s::bigint as pid),
p as materialized (select e.rule, e.evidence from t, lateral (:permit_whole:) e),
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
       a.query, a.rids, a.versions
from p left join newest l on true
     left join lateral (select * from access_log a where a.pid = l.pid and a.at = l.at and a.lid = l.lid limit 1) a
     on true
order by l.pid, l.seq;
