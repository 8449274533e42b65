-- Signing in by OpenID Connect, in place of links.

drop table sign_in_link;

-- Persons that the built-in provider of demo and test signs in; their names, not their CPR, stand in addresses.
create table test_person (
    id          text primary key,
    place       bigint generated always as identity,
    claims      jsonb not null,
    notice      text not null,
    listed      boolean not null,
    expires_at  timestamptz
);

-- Whose session it is (a digest, so that all of a person's can be found), through which provider, and when
-- the person last proved who they are. Sessions of before say none of it: everybody signs in again.
delete from session;
alter table session add column person bytea not null;
alter table session add column provider text not null;
alter table session add column proved_at timestamptz not null;
create index session_person on session (person);
