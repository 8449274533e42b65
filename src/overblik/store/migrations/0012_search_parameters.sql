-- Search parameters that SearchParameter resources define here (docs/decisions/014).

-- One row: how often the definitions have changed. Whoever writes an index row says which definitions it
-- was made by; the row is refused where they are not those in force.
create table search_catalogue (generation bigint not null);
insert into search_catalogue (generation) values (0);

-- Rows and tokens are kept under a definition's `number`, which is never given out again. New rows have it
-- from generation `since` until before `until`.
create sequence search_parameter_number as integer;
create table search_parameter (
    number      integer primary key,
    id          text not null,
    definition  jsonb not null,
    since       bigint not null,
    until       bigint
);

-- The bit of `present` that a definition has in a type. It is free again when no row has it any more;
-- `indexed` says that every row was made by the definition.
create table search_place (
    type     text not null,
    place    smallint not null,
    number   integer not null references search_parameter,
    indexed  boolean not null default false,
    primary key (type, place)
);
create index search_place_number on search_place (number);

-- A pass over the rows of a type, which makes them by the definitions of `generation` or later. It begins when
-- every transaction that might write by older ones is over: those below `fence`. It goes by the order that
-- rows are kept in, (sort_at, rid), or by id where they belong to no patient.
create table search_pass (
    type        text primary key,
    generation  bigint not null,
    fence       xid8 not null,
    total       bigint not null,
    done        bigint not null default 0,
    sort_at     timestamptz not null default '-infinity',
    rid         bigint not null default -9223372036854775808,
    id          text not null default ''
);
