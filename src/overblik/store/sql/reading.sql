-- name: be_reading_watch
-- scope: cross
-- Be the one process that counts who reads, for half a minute; nothing where another is. By the database's own clock.
update reading_watch set holder = %(me)s, until = clock_timestamp() + interval '30 seconds'
where holder = %(me)s or until < clock_timestamp()
returning (select coalesce(max(n) + 1, 0) from log_leaf) as size;

-- name: read_readers
-- scope: cross
-- Whose records were disclosed to whom in these leaves of the log, since an instant: to professionals, and to services
-- that act for the system. A leaf is there once its entry is committed.
select a.actor, max(a.actor_name) as actor_name, max(a.actor_role) as actor_role, a.org, max(a.org_name) as org_name,
       a.channel, a.actor_kind, array_agg(distinct a.pid) as pids, max(a.at) as at
from (select l.pid, l.at, l.lid from log_leaf l where l.n >= %(first)s and l.n < %(last)s) l
join access_log a on a.pid = l.pid and a.at = l.at and a.lid = l.lid
where a.pid <> 0 and a.outcome = 'permit' and a.at > %(since)s
  and (a.actor_kind = 'professional' or (a.actor_kind = 'system' and starts_with(a.channel, 'app:')))
group by a.actor, a.org, a.channel, a.actor_kind
order by at;

-- name: put_reading_alert
-- scope: cross
-- One alert an hour for the same reader, whichever process raises it.
insert into follow_up (pid, fid, kind, basis, person, person_name, role, org, org_name, orgs, reason,
                       at, until, alerted_at, many)
select 0, gen_random_uuid(), 'reading', %(of)s, %(person)s, %(name)s, %(role)s, %(org)s, %(org_name)s,
       array[%(org)s::text], '',
       %(now)s, %(now)s::timestamptz + interval '30 days', %(now)s, %(many)s
where not exists (select from follow_up f where f.kind = 'reading' and f.basis = %(of)s and f.at > %(since)s
                  and f.person = %(person)s and (%(of)s = 'person' or (f.org = %(org)s and f.org_name = %(org_name)s)))
returning fid;
