-- Apps (SMART App Launch): who is registered, what a person has let them do, and the tokens for it.

create table app_client (
    id             text primary key,
    name           text not null,
    kind           text not null check (kind in ('public', 'confidential', 'backend')),
    redirects      text[] not null,
    launch_url     text not null,
    scopes         text not null,
    jwks           jsonb,
    jwks_uri       text not null,
    acts_as        text not null,
    registered_at  timestamptz not null,
    disabled_at    timestamptz
);

-- What a person (or, for a backend service, the operator) has let an app do. Everything issued for it
-- ends with it: a grant is the family of its tokens.
create table app_grant (
    id          uuid primary key,
    client      text not null references app_client (id) on delete cascade,
    slot        text not null,
    person      bytea not null,
    claims      jsonb not null,
    scope       text not null,
    patient     text not null,
    fhir_user   text not null,
    nonce       text not null,
    offline     boolean not null,
    created_at  timestamptz not null,
    expires_at  timestamptz not null,
    revoked_at  timestamptz
);
create index app_grant_person on app_grant (person);

-- Authorization codes and refresh tokens, each good once; a used one that comes again ends its grant.
create table app_credential (
    hash        bytea primary key,
    use         text not null check (use in ('code', 'refresh')),
    grant_id    uuid not null references app_grant (id) on delete cascade,
    redirect    text not null default '',
    challenge   text not null default '',
    expires_at  timestamptz not null,
    used_at     timestamptz
);
create index app_credential_grant on app_credential (grant_id);

-- Assertions by which clients have said who they are; none is taken twice.
create table app_assertion (
    client      text not null,
    jti         text not null,
    expires_at  timestamptz not null,
    primary key (client, jti)
);
