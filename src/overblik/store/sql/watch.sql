-- name: watch_changes
-- scope: cross
-- The last change of each record that an open page shows, and which of their sessions are still open.
select 'change' as what, w.pid, c.cid, null::bytea as hash
from unnest(%(pids)s::bigint[]) as w(pid),
     lateral (select cid from change c where c.pid = w.pid order by c.cid desc limit 1) c
union all
select 'session', null, null, s.hash from session s
where s.hash = any(%(hashes)s::bytea[]) and s.expires_at > %(machine)s and s.seen_at > %(idle_since)s;

-- name: watch_set
-- scope: cross
-- What open pages showed, as far as their viewers may still see it: for each record of each page whether it is
-- permitted, a digest of the rows, which records those are about besides (`near`), and when a rule of time may
-- next change it (`due`). Discloses nothing, so nothing is logged; what a page is told is only to look again.
with asked as materialized (
    select u.*, u.units::text[] as orgs, u.user_types::text[] as reach_user, u.patient_types::text[] as reach_patient,
           u.records::bigint[] as reach_pids, u.kinds::text[] as types, u.rows::bigint[] as rids,
           coalesce((select s.parts from record_alias s where s.pid = u.pid), array[u.pid]) as pids
    from unnest(%(n)s::int[], %(pid)s::bigint[], %(types)s::text[], %(rids)s::text[], %(upto)s::bigint[],
                %(past)s::timestamptz[], %(alone)s::boolean[], %(now)s::timestamptz[], %(org)s::text[],
                %(orgs)s::text[], %(person)s::text[], %(via)s::text[], %(system)s::text[], %(value)s::text[],
                %(reach_user)s::text[], %(reach_patient)s::text[], %(reach_pids)s::text[])
         as u(n, pid, kinds, rows, upto, past, alone, now, org, units, person, via, system, value, user_types,
              patient_types, records)
)
select t.n, p.rule is not null as permitted, s.digest, t.pids || s.near as near, d.due
from asked t
left join lateral (:permit:) p on true
cross join lateral (
    select encode(sha256(convert_to(coalesce(string_agg(r.rid::text, ',' order by r.rid), ''), 'UTF8')), 'hex') as digest,
           coalesce((array_agg(r.others[1]) filter (where r.others is not null))[1:20], '{}') as near
    from resource r
    where p.rule is not null
      and r.pid = any(case when t.alone then array[t.pid] else t.pids end) and r.type = any(t.types)
      and (t.rids is null or r.rid = any(t.rids)) and r.created_cid <= t.upto
      and (t.past is not null or not r.deleted)
      and (t.past is null or exists (select from change c where c.pid = r.pid and c.cid = r.created_cid
                                     and c.instant <= t.past))
      and :visible:
) s
cross join lateral (
    select min(b.at) as due from (
        select l.valid_until as at from relation l where l.pid = any(t.pids)
        union all select l.valid_from from relation l where l.pid = any(t.pids)
        union all select x.valid_from from deny x where x.pid = any(t.pids)
        union all select x.valid_until from deny x where x.pid = any(t.pids)
        union all select m.valid_until from mandate m where m.pid = any(t.pids)
        union all select x.since from death x where x.pid = any(t.pids)
        union all select x.ends from death x where x.pid = any(t.pids)
    ) b where b.at > t.now
) d
order by t.n;

-- name: read_session
-- scope: shared
-- A session that is open; looking at it does not keep it so.
select caller, proved_at, expires_at, provider, seen_at from session
where hash = %(hash)s and slot = %(slot)s and expires_at > %(now)s and seen_at > %(idle_since)s;
