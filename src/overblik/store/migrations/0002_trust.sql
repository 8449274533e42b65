-- Trust: who may see whom, what is blocked, and the log.

-- Evidence of a treatment relation; written with the resource that is the evidence.
create table relation (
    pid            bigint not null,
    org            text not null,
    kind           text not null check (kind in
                     ('contact', 'appointment', 'addressed', 'gp', 'course', 'break-glass')),
    rid            bigint not null,
    type           text not null,
    source         text not null,
    origins        text[] not null,
    clinical_from  timestamptz,
    clinical_to    timestamptz,
    valid_from     timestamptz not null,
    valid_until    timestamptz not null,
    person         text
);
create index relation_pid on relation (pid, org);
create index relation_org on relation (org, valid_until);
create index relation_rid on relation (pid, rid);

-- A block: everything given must match. No person and no org means every professional.
create table deny (
    pid          bigint not null,
    did          bigint not null,
    person       text,
    org          text,
    sub_units    boolean not null default true,
    rid          bigint,
    type         text,
    source       text,
    data_from    timestamptz,
    data_until   timestamptz,
    valid_from   timestamptz not null default '-infinity',
    valid_until  timestamptz not null default 'infinity',
    primary key (pid, did)
);

-- One row a request and patient, refusals too; pid 0 where no patient was found. Append-only.
create table access_log (
    pid         bigint not null,
    lid         uuid not null,
    salt        bytea not null,
    at          timestamptz not null,
    request     uuid not null,
    channel     text not null,
    action      text not null,
    outcome     text not null check (outcome in ('permit', 'refuse')),
    rule        text not null,
    evidence    bigint,
    actor_kind  text not null,
    actor       text not null,
    actor_name  text not null,
    actor_role  text not null,
    org         text not null,
    org_name    text not null,
    on_behalf   text not null default '',
    purpose     text not null,
    reason      text not null default '',
    query       text not null default '',
    rids        bigint[] not null default '{}',
    versions    integer[] not null default '{}',
    primary key (pid, at, lid)
);

-- Entries that have no number yet, written with them and taken by the sequencer: an entry itself is
-- never touched again, and a taken row leaves nothing to search through.
create table log_queue (
    pid  bigint not null,
    at   timestamptz not null,
    lid  uuid not null
);

-- The number of each entry, in the order in which they were found committed.
create table log_leaf (
    pid  bigint not null,
    seq  bigint not null,
    at   timestamptz not null,
    lid  uuid not null,
    primary key (pid, seq)
);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the log is append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger access_log_append_only before update or delete on access_log
    for each row execute function refuse_change();
create trigger access_log_no_truncate before truncate on access_log
    for each statement execute function refuse_change();

-- One row: the last number given, and its instant.
create table sequencer (
    one      boolean primary key default true check (one),
    seq      bigint not null default 0,
    instant  timestamptz not null default '-infinity'
);
insert into sequencer default values;

-- How far each person has looked in each record; drives "new since I last looked".
create table looked (
    pid       bigint not null,
    viewer    text not null,
    baseline  bigint not null,
    seen      bigint not null,
    at        timestamptz not null,
    primary key (pid, viewer)
);

-- The organisation directory, made from Organization resources; parents by SOR.
create table organisation (
    sor          text primary key,
    parent       text,
    name         text not null,
    kind         text not null default '',
    gln          text,
    yder         text,
    phone        text not null default '',
    address      text not null default '',
    id           text,
    valid_from   date,
    valid_until  date
);
create index organisation_gln on organisation (gln);
create index organisation_yder on organisation (yder);
create index organisation_parent on organisation (parent);

-- A message to a whole municipality reaches its units by this table.
create table routing (
    org      text not null,
    message  text not null,
    unit     text not null,
    primary key (org, message, unit)
);

-- Registered sources and the organisations they may speak for.
create table source (
    name           text primary key,
    organisations  text[] not null,
    registered_at  timestamptz not null
);

-- Connected systems and their health, as the operator states it: the same for every patient, and
-- never computed from what was delivered, which would tell of hidden deliveries.
create table connection (
    name   text primary key,
    kind   text not null,
    state  text not null check (state in ('connected', 'silent', 'absent')),
    since  date,
    place  integer not null default 0
);

-- Test sign-in links (demo and test): a short code stands for the claims, so that no CPR is in an address.
create table sign_in_link (
    hash        bytea primary key,
    claims      jsonb not null,
    expires_at  timestamptz not null
);

create table session (
    hash        bytea primary key,
    slot        text not null,
    caller      jsonb not null,
    created_at  timestamptz not null,
    seen_at     timestamptz not null,
    expires_at  timestamptz not null
);
