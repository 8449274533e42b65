-- Exchange: what came in, what it was recognised as, and what is owed in return.

create table inbox (
    iid           uuid primary key,
    received_at   timestamptz not null,
    via           text not null,
    sender        text not null default '',
    digest        bytea not null,
    content_type  text not null,
    raw           bytea,
    format        text not null default '',
    state         text not null check (state in ('received', 'applied', 'held', 'refused')),
    code          text not null default '',
    reason        text not null default '',
    attempts      integer not null default 0,
    pid           bigint,
    rid           bigint,
    check (raw is not null or state = 'applied')
);
create index inbox_state on inbox (state, received_at);
create index inbox_digest on inbox (digest);

-- The ids a sender has used; kept as long as the record, so that a late duplicate is recognised.
create table message_key (
    sender  text not null,
    kind    text not null check (kind in ('bundle', 'header', 'document', 'digest')),
    value   text not null,
    digest  bytea not null,
    iid     uuid not null,
    primary key (value, kind, sender)
);

-- What is owed to a sender or a receiver; written in the transaction that gives rise to it.
create table outbox (
    oid         uuid primary key,
    iid         uuid not null,
    pid         bigint,
    receiver    text not null,
    kind        text not null,
    body        bytea not null,
    created_at  timestamptz not null,
    sent_at     timestamptz
);
create index outbox_iid on outbox (iid);
create index outbox_unsent on outbox (created_at) where sent_at is null;
