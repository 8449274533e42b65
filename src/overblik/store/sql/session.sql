-- name: put_session
-- scope: shared
insert into session (hash, slot, caller, person, provider, created_at, seen_at, proved_at, expires_at)
values (%(hash)s, %(slot)s, %(caller)s, %(person)s, %(provider)s, %(now)s, %(now)s, %(proved)s, %(expires)s);

-- name: use_session
-- scope: shared
-- A session that is neither too old nor left idle too long; using it keeps it alive.
update session set seen_at = %(now)s
where hash = %(hash)s and slot = %(slot)s and expires_at > %(now)s and seen_at > %(idle_since)s
returning caller, proved_at, expires_at, provider;

-- name: prove_session
-- scope: shared
-- The person of a session has proved again who they are: the slot gets a new cookie, and the old one is void.
update session set hash = %(new)s, seen_at = %(now)s, proved_at = %(now)s
where hash = %(hash)s and slot = %(slot)s and person = %(person)s and expires_at > %(now)s
  and seen_at > %(idle_since)s
returning slot;

-- name: end_session
-- scope: shared
-- A session, and those in which its citizen acts for somebody: they came out of it, and have the very same end.
delete from session s using session o
where o.hash = %(hash)s and o.slot = %(slot)s
  and (s.hash = o.hash
       or (s.person = o.person and s.expires_at = o.expires_at and s.caller ->> 'kind' = 'proxy'
           and o.caller ->> 'kind' = 'citizen'));

-- name: end_sessions
-- scope: shared
-- Every session of one person.
delete from session where person = %(person)s;

-- name: read_sessions
-- scope: shared
-- The sessions of one person that are open, the latest first.
select slot, provider, created_at, seen_at from session
where person = %(person)s and expires_at > %(now)s and seen_at > %(idle_since)s
order by created_at desc, slot limit 100;

-- name: sweep_sessions
-- scope: shared
-- Sessions that open nothing any more.
delete from session where expires_at <= %(now)s or seen_at <= %(idle_since)s;

-- name: put_test_person
-- scope: shared
insert into test_person (id, claims, notice, listed, expires_at)
values (%(id)s, %(claims)s, %(notice)s, %(listed)s, %(expires)s)
on conflict (id) do update set claims = excluded.claims, notice = excluded.notice;

-- name: read_test_persons
-- scope: shared
select id, claims, notice from test_person where listed order by place limit 100;

-- name: read_test_person
-- scope: shared
select id, claims, notice from test_person
where id = %(id)s and (expires_at is null or expires_at > %(now)s);
