-- Authorization requests that clients sent ahead (RFC 9126): `hash` is of the request_uri, and once a browser has come
-- with that, of what the rest of its way goes by. Lives a minute, then as long as a person takes.
create table pushed_request (
    hash        bytea primary key,
    client      text not null references app_client (id) on delete cascade,
    asked       jsonb not null,
    begun       boolean not null default false,
    expires_at  timestamptz not null
);
create index pushed_request_client on pushed_request (client);
create index pushed_request_expires on pushed_request (expires_at);

-- Whether a client's authorization requests come in no other way.
alter table app_client add column pushed boolean not null default false;
