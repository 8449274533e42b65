-- The record: one row a person, every version of every resource, keyed by pid throughout.
--
-- `pid` is the random, never shown key of one person's record and the distribution column of every
-- table that carries it (Citus). No foreign keys between tables: they would bind shards together,
-- and each row is written in the transaction that writes what it refers to.

create table record (
    pid        bigint primary key check (pid > 0),
    kind       text not null check (kind in ('person', 'unattached')),
    opened_at  timestamptz not null
);

-- Identifier -> record. National person identifiers have source ''; any other is its source's own.
create table person_key (
    system  text not null,
    value   text not null,
    source  text not null default '',
    pid     bigint not null,
    primary key (value, system, source)
);
create index person_key_pid on person_key (pid);

-- Records found to be one person share a root; deleting the rows undoes it.
create table record_alias (
    pid       bigint primary key,
    root      bigint not null,
    reason    text not null,
    since     timestamptz not null
);
create index record_alias_root on record_alias (root);

-- (type, id) -> where the resource is kept. Never changes once written.
create table locator (
    id    text not null,
    type  text not null,
    pid   bigint not null,
    rid   bigint not null,
    primary key (id, type)
);

-- One row a transaction and record; the sequencer gives seq and instant in commit order.
create sequence change_cid;
create table change (
    pid      bigint not null,
    cid      bigint not null,
    at       timestamptz not null,
    via      text not null,
    seq      bigint,
    instant  timestamptz,
    primary key (pid, cid)
);
create index change_unsequenced on change (cid) where seq is null;

-- The current version. `body` is JSON without id, versionId and lastUpdated, beginning inside meta;
-- see store/body.py. `clinical_*`, `labels` and `origins` are the widest any version ever had.
create table resource (
    pid            bigint not null,
    rid            bigint not null,
    type           text not null,
    id             text not null,
    version        integer not null,
    body           bytea,
    deleted        boolean not null default false,
    source         text not null,
    via            text not null,
    origins        text[] not null,
    labels         text[] not null default '{}',
    others         bigint[],
    clinical_from  timestamptz,
    clinical_to    timestamptz,
    recorded_at    timestamptz,
    received_at    timestamptz not null,
    created_cid    bigint not null,
    cid            bigint not null,
    fact_key       text,
    facets         jsonb,
    tokens         bigint[] not null default '{}',
    index_version  smallint not null,
    primary key (pid, rid)
) with (fillfactor = 90);
alter table resource alter column body set storage extended;
create index resource_type on resource (pid, type);
create unique index resource_fact on resource (pid, fact_key) where fact_key is not null;
create index resource_tokens on resource using gin (tokens);
create index resource_others on resource using gin (others) where others is not null;

-- Superseded versions, as they were.
create table history (
    pid          bigint not null,
    rid          bigint not null,
    version      integer not null,
    body         bytea,
    deleted      boolean not null,
    source       text not null,
    via          text not null,
    recorded_at  timestamptz,
    received_at  timestamptz not null,
    cid          bigint not null,
    primary key (pid, rid, version)
);

-- A resource about several patients lives under its home pid; the others find it here.
create table membership (
    pid       bigint not null,
    home_pid  bigint not null,
    rid       bigint not null,
    type      text not null,
    role      text not null,
    primary key (pid, home_pid, rid)
);

create table index_date (
    pid    bigint not null,
    rid    bigint not null,
    type   text not null,
    param  text not null,
    lo     timestamptz not null,
    hi     timestamptz not null
);
create index index_date_row on index_date (pid, rid);
create index index_date_lo on index_date (pid, type, param, lo);

-- The bytes of a message or document as they came, beside the resource that stands for them.
create table raw (
    pid           bigint not null,
    rid           bigint not null,
    content_type  text not null,
    body          bytea not null,
    primary key (pid, rid)
);

-- What belongs to no patient: organisations, practitioners, terminology. Replicated everywhere.
create table shared_resource (
    type         text not null,
    id           text not null,
    version      integer not null,
    body         bytea,
    deleted      boolean not null default false,
    source       text not null,
    via          text not null,
    received_at  timestamptz not null,
    tokens       bigint[] not null default '{}',
    index_version smallint not null,
    primary key (id, type)
);
create index shared_resource_type on shared_resource (type, id);
create index shared_resource_tokens on shared_resource using gin (tokens);

create table shared_history (
    type         text not null,
    id           text not null,
    version      integer not null,
    body         bytea,
    deleted      boolean not null,
    source       text not null,
    via          text not null,
    received_at  timestamptz not null,
    primary key (id, type, version)
);
