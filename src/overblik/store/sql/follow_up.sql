-- name: put_follow_up
-- scope: patient
insert into follow_up (pid, fid, kind, basis, person, person_name, role, org, org_name, orgs, reason, at, until)
values (%(pid)s, gen_random_uuid(), %(kind)s, %(basis)s, %(person)s, %(actor_name)s, %(actor_role)s, %(org)s,
    %(org_name)s, %(orgs)s, %(reason)s, %(now)s, %(until)s);

-- name: put_stated
-- scope: patient
-- A relation on a professional's own word: theirs alone, at that unit, and no evidence of anything.
insert into relation (pid, org, kind, rid, type, source, origins, valid_from, valid_until, person)
values (%(pid)s, %(org)s, 'stated', 0, '', '', '{}', %(now)s, %(until)s, %(person)s);

-- name: count_stated
-- scope: cross
-- How many stated relations of a person, and of a unit, nothing has confirmed and nobody has dealt with.
select count(*) filter (where person = %(person)s) as person, count(*) as unit from follow_up
where org = %(org)s and kind = 'stated' and closed_at is null and (confirmed_at is null or alerted_at is not null);

-- name: read_waiting
-- scope: cross
-- Stated relations that wait to be confirmed, those due first.
select pid, fid, person, org, orgs, at, until, alerted_at is not null as alerted from follow_up
where kind = 'stated' and confirmed_at is null and closed_at is null order by until, fid limit %(limit)s;

-- name: confirm_set
-- scope: cross
-- Which of these have a relation by evidence now, as the professional who stated one may be told: what is hidden
-- from them confirms nothing.
with asked as materialized (
    select u.*, u.units::text[] as orgs, coalesce((select s.parts from record_alias s where s.pid = u.pid), array[u.pid]) as pids
    from unnest(%(n)s::int[], %(pid)s::bigint[], %(person)s::text[], %(org)s::text[], %(orgs)s::text[],
                %(now)s::timestamptz[])
         as u(n, pid, person, org, units, now)
)
select t.n from asked t
where exists (select from (:relations:) e where e.rule not in ('stated', 'break-glass'))
order by t.n;

-- name: confirm_follow_up
-- scope: patient
update follow_up set confirmed_at = %(now)s where pid = %(pid)s and fid = %(fid)s and confirmed_at is null;

-- name: alert_follow_up
-- scope: patient
-- Takes one alert; it is one process that does.
update follow_up set alerted_at = %(now)s
where pid = %(pid)s and fid = %(fid)s and alerted_at is null and confirmed_at is null and closed_at is null
returning org, org_name;

-- name: follow_ups_of_unit
-- scope: cross
-- What a unit has to follow up, and what was dealt with lately; whose record it is, and why, only where the viewer
-- sees the Patient by a relation of their own, or did it themselves. One log entry a patient named.
with mine as materialized (
    select f.* from follow_up f
    where f.org = %(org)s and (f.at > %(now)s::timestamptz - interval '30 days'
          or (f.closed_at is null and (f.confirmed_at is null or f.alerted_at is not null)))
    order by f.at desc, f.fid limit %(limit)s
),
named as materialized (
    select t.fid, t.pid, q.rid, q.id, q.version, q.body, e.rule, e.evidence
    from mine t, lateral (:permit:) e, lateral (
        select q.* from resource q where q.pid = t.pid and q.type = 'Patient' and not q.deleted and :visible_entry:
        order by q.id limit 1) q
),
logged as (
    insert into access_log :log_columns:
    select n.pid, 'permit', min(n.rule), min(n.evidence), array_agg(distinct n.rid), array_agg(distinct n.version),
           %(query)s, :log_values:
    from named n group by n.pid
)
select m.fid, m.kind, m.basis, m.many, m.person, m.person_name, m.role, m.at, m.until, m.confirmed_at, m.alerted_at,
       m.closed_at, m.closed_name, m.note, n.id as patient_id,
       case when n.id is not null or m.person = %(person)s then m.reason else '' end as reason
from mine m left join named n on n.fid = m.fid
order by m.at desc, m.fid;

-- name: close_follow_up
-- scope: cross
-- Somebody else at the unit has dealt with it.
update follow_up set closed_at = %(now)s, closed_by = %(person)s, closed_name = %(actor_name)s, note = %(reason)s
where fid = %(fid)s and org = %(org)s and person <> %(person)s and closed_at is null
  and (kind = 'break-glass' or alerted_at is not null)
returning pid;

-- name: follow_ups_open
-- scope: cross
-- For the operator: what units have not dealt with, without whose record it is.
select fid, kind, basis, many, org, org_name, person, person_name, at, until, alerted_at from follow_up
where closed_at is null and (kind = 'break-glass' or confirmed_at is null or alerted_at is not null)
  and (org <> '' or until > %(now)s)
order by at, fid limit %(limit)s;
