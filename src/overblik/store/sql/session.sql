-- name: put_session
-- scope: shared
insert into session (hash, slot, caller, created_at, seen_at, expires_at)
values (%(hash)s, %(slot)s, %(caller)s, %(now)s, %(now)s, %(expires)s);

-- name: use_session
-- scope: shared
-- A session that is neither too old nor left idle too long; using it keeps it alive.
update session set seen_at = %(now)s
where hash = %(hash)s and slot = %(slot)s and expires_at > %(now)s and seen_at > %(idle_since)s
returning caller;

-- name: end_session
-- scope: shared
delete from session where hash = %(hash)s and slot = %(slot)s;

-- name: put_link
-- scope: shared
insert into sign_in_link (hash, claims, expires_at) values (%(hash)s, %(claims)s, %(expires)s);

-- name: read_link
-- scope: shared
select claims from sign_in_link where hash = %(hash)s and expires_at > %(now)s;
