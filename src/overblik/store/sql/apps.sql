-- name: put_client
-- scope: shared
insert into app_client (id, name, kind, redirects, launch_url, scopes, jwks, jwks_uri, acts_as, pushed, registered_at)
values (%(id)s, %(name)s, %(kind)s, %(redirects)s, %(launch_url)s, %(scopes)s, %(jwks)s, %(jwks_uri)s, %(acts_as)s,
        %(pushed)s, %(now)s)
on conflict (id) do update set name = excluded.name, kind = excluded.kind, redirects = excluded.redirects,
    launch_url = excluded.launch_url, scopes = excluded.scopes, jwks = excluded.jwks, jwks_uri = excluded.jwks_uri,
    acts_as = excluded.acts_as, pushed = excluded.pushed, disabled_at = null;

-- name: disable_client
-- scope: shared
-- No token of a client opens anything from now on, and it gets no new ones.
with ended as (update app_grant set revoked_at = %(now)s where client = %(id)s and revoked_at is null)
update app_client set disabled_at = %(now)s where id = %(id)s and disabled_at is null;

-- name: read_clients
-- scope: shared
-- The clients that are registered, or the one of an id.
select id, name, kind, redirects, launch_url, scopes, jwks, jwks_uri, acts_as, pushed from app_client
where disabled_at is null and (%(id)s::text is null or id = %(id)s) order by name, id;

-- name: put_grant
-- scope: shared
insert into app_grant (id, client, slot, person, claims, scope, patient, fhir_user, nonce, jkt, offline, created_at, expires_at)
values (%(id)s, %(client)s, %(slot)s, %(person)s, %(claims)s, %(scope)s, %(patient)s, %(fhir_user)s, %(nonce)s,
        %(jkt)s, %(offline)s, %(now)s, %(expires)s);

-- name: read_grant
-- scope: shared
-- A grant that is in force, with the name of its client and what that is registered for now.
select g.*, c.name, c.scopes as registered from app_grant g join app_client c on c.id = g.client
where g.id = %(id)s and g.revoked_at is null and g.expires_at > %(now)s and c.disabled_at is null;

-- name: bind_grant
-- scope: shared
-- Bind a grant's tokens to a key; no row where they are bound to another.
update app_grant set jkt = %(jkt)s where id = %(id)s and jkt in ('', %(jkt)s) returning id;

-- name: read_grants
-- scope: shared
-- What a person has let apps do, the latest first.
select g.id, g.client, c.name, g.scope, g.created_at, g.expires_at, g.offline from app_grant g join app_client c on c.id = g.client
where g.person = %(person)s and g.revoked_at is null and g.expires_at > %(now)s and c.disabled_at is null
order by g.created_at desc, g.id limit 100;

-- name: end_grant
-- scope: shared
update app_grant set revoked_at = %(now)s
where id = %(id)s and revoked_at is null and (%(person)s::bytea is null or person = %(person)s);

-- name: end_grants_of_slot
-- scope: shared
-- Signing out ends what apps may do while the person is there.
update app_grant set revoked_at = %(now)s
where person = %(person)s and slot = %(slot)s and not offline and revoked_at is null;

-- name: end_grants_of_person
-- scope: shared
update app_grant set revoked_at = %(now)s where person = %(person)s and revoked_at is null;

-- name: put_credential
-- scope: shared
insert into app_credential (hash, use, grant_id, redirect, challenge, expires_at)
values (%(hash)s, %(use)s, %(grant)s, %(redirect)s, %(challenge)s, %(expires)s);

-- name: use_credential
-- scope: shared
-- A code or refresh token, used now: whether it had been used before is told by `before`.
with found as materialized (select * from app_credential where hash = %(hash)s and use = %(use)s for update),
used as (update app_credential c set used_at = coalesce(c.used_at, %(now)s) from found f where c.hash = f.hash)
select grant_id, redirect, challenge, expires_at, used_at as before from found;

-- name: read_credential
-- scope: shared
select c.grant_id, g.client from app_credential c join app_grant g on g.id = c.grant_id
where c.hash = %(hash)s and c.use = 'refresh';

-- name: use_assertion
-- scope: shared
-- Take an assertion, once: no row for one that was taken before.
with swept as (delete from app_assertion where expires_at < %(now)s::timestamptz - interval '1 minute')
insert into app_assertion (client, jti, expires_at) values (%(client)s, %(jti)s, %(expires)s)
on conflict do nothing returning jti;

-- name: push_request
-- scope: shared
-- Keep a request that a client sent ahead; no row where the client has as many waiting as it may.
with swept as (delete from pushed_request where expires_at < %(now)s)
insert into pushed_request (hash, client, asked, expires_at)
select %(hash)s, %(client)s, %(asked)s, %(expires)s
where (select count(*) from pushed_request where client = %(client)s and expires_at >= %(now)s) < %(most)s
returning client;

-- name: begin_request
-- scope: shared
-- Take a request_uri, once: what it stands for goes by another name from now on.
update pushed_request set hash = %(new)s, begun = true, expires_at = %(expires)s
where hash = %(hash)s and client = %(client)s and not begun and expires_at > %(now)s returning client;

-- name: read_request
-- scope: shared
select asked from pushed_request where hash = %(hash)s and client = %(client)s and begun and expires_at > %(now)s;

-- name: end_request
-- scope: shared
-- A request that the person has answered; no row for one that was answered before.
delete from pushed_request where hash = %(hash)s and client = %(client)s and begun and expires_at > %(now)s returning client;

-- name: sweep_grants
-- scope: shared
-- What has been of no use to anybody for a day; its credentials go with it.
delete from app_grant where least(expires_at, coalesce(revoked_at, 'infinity')) < %(now)s::timestamptz - interval '1 day';
