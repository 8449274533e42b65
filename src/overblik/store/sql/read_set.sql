-- name: read_set
-- scope: cross
-- Current resources through the door, for many requests at once: for each where it is kept, decision,
-- row and log entry, as `read` does it for one. Every request is a row `t` of parallel arrays, so what
-- is a parameter there is a column here. One node only: see docs/decisions/010.
with asked as materialized (
    select u.*, u.units::text[] as orgs, u.user_types::text[] as reach_user, u.patient_types::text[] as reach_patient,
           u.records::bigint[] as reach_pids, l.pid, l.rid,
           coalesce((select s.parts from record_alias s where s.pid = l.pid), array[l.pid]) as pids
    from unnest(%(n)s::int[], %(type)s::text[], %(id)s::text[], %(now)s::timestamptz[], %(request)s::uuid[],
                %(query)s::text[], %(action)s::text[], %(channel)s::text[], %(actor_kind)s::text[], %(actor)s::text[],
                %(actor_name)s::text[], %(actor_role)s::text[], %(org)s::text[], %(org_name)s::text[],
                %(orgs)s::text[], %(on_behalf)s::text[], %(purpose)s::text[], %(reason)s::text[], %(person)s::text[],
                %(via)s::text[], %(system)s::text[], %(value)s::text[], %(reach_user)s::text[],
                %(reach_patient)s::text[], %(reach_pids)s::text[], %(reach)s::text[])
         as u(n, type, id, now, request, query, action, channel, actor_kind, actor, actor_name, actor_role, org,
              org_name, units, on_behalf, purpose, reason, person, via, system, value, user_types, patient_types,
              records, reach)
         left join locator l on l.id = u.id and l.type = u.type
),
found as materialized (
    select t.n, s.*
    from asked t, lateral (
        select e.rule, e.evidence, r.pid, r.rid, r.type, r.id, r.version, r.received_at, r.body, r.deleted
        from lateral (:permit:) e, resource r
        where r.pid = t.pid and r.rid = t.rid and :visible:
    ) s
),
logged as (
    insert into access_log :log_columns:
    select coalesce(t.pid, 0), case when s.rid is null then 'refuse' else 'permit' end,
           case when s.rid is null then 'none' else s.rule end, s.evidence,
           case when s.rid is null then '{}' else array[s.rid] end,
           case when s.rid is null then '{}' else array[s.version] end,
           t.query, :log_values:
    from asked t left join found s on s.n = t.n
)
select n, pid, rid, type, id, version, received_at, body, deleted from found;
