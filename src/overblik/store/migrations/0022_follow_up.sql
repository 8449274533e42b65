-- A relation that a professional states themselves, until evidence of it arrives.
alter table relation drop constraint relation_kind_check;
alter table relation add constraint relation_kind_check check (kind in
    ('contact', 'appointment', 'addressed', 'gp', 'course', 'break-glass', 'stated'));

-- What somebody must look at afterwards: a relation that was only stated, a glass that was broken. `orgs` is the
-- unit and every unit above it, by which evidence confirms; `until` is when the access ends by itself.
create table follow_up (
    pid           bigint not null,
    fid           uuid not null,
    kind          text not null check (kind in ('stated', 'break-glass')),
    basis         text not null,
    person        text not null,
    person_name   text not null,
    role          text not null,
    org           text not null,
    org_name      text not null,
    orgs          text[] not null,
    reason        text not null,
    at            timestamptz not null,
    until         timestamptz not null,
    confirmed_at  timestamptz,
    alerted_at    timestamptz,
    closed_at     timestamptz,
    closed_by     text not null default '',
    closed_name   text not null default '',
    note          text not null default '',
    primary key (pid, fid)
);
create index follow_up_unit on follow_up (org, at);
create index follow_up_waiting on follow_up (until) where kind = 'stated' and confirmed_at is null and closed_at is null;
