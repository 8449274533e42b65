-- The search index, a hybrid (docs/decisions/008).
--
-- In the resource's own row: the digests of its tokens (GIN), the headline token and the headline
-- date, by which three btrees give ordered search. In narrow tables: what is searched by range or by
-- beginning, and what a headline column cannot hold.

-- `headline` is the digest of the first headline code, whatever its system; `sort_at` the start of
-- the headline date, '-infinity' without one; `sort_to` its end where one short interval tells it all.
alter table resource
    add column headline  bigint,
    add column sort_at   timestamptz not null default '-infinity',
    add column sort_to   timestamptz;
drop index resource_type;
create index resource_patient on resource (pid, type, sort_at, rid);
create index resource_headline on resource (headline, sort_at, rid) where headline is not null;
create index resource_newest on resource (type, sort_at, rid);
create index change_at on change (at);

-- Further headline codes of a resource that has several.
create table index_headline (
    pid      bigint not null,
    rid      bigint not null,
    token    bigint not null,
    sort_at  timestamptz not null
);
create index index_headline_row on index_headline (pid, rid);
create index index_headline_token on index_headline (token, sort_at, rid);

-- `param` is the parameter's number, `part` the element the value comes from, `marks` the digests of
-- what stands beside it there: the codes of a composite, the unit of a quantity.
drop table index_date;
create table index_date (
    pid    bigint not null,
    rid    bigint not null,
    lo     timestamptz not null,
    hi     timestamptz not null,
    param  integer not null,
    part   smallint not null default 0,
    marks  bigint[]
);
create index index_date_row on index_date (pid, rid);
create index index_date_lo on index_date (param, lo);
create index index_date_hi on index_date (param, hi);

create table index_number (
    pid    bigint not null,
    rid    bigint not null,
    param  integer not null,
    part   smallint not null default 0,
    lo     numeric not null,
    hi     numeric not null,
    marks  bigint[]
);
create index index_number_row on index_number (pid, rid);
create index index_number_lo on index_number (param, lo);
create index index_number_hi on index_number (param, hi);

create table index_string (
    pid    bigint not null,
    rid    bigint not null,
    param  integer not null,
    part   smallint not null default 0,
    value  text collate "C" not null,
    marks  bigint[]
);
create index index_string_row on index_string (pid, rid);
create index index_string_value on index_string (param, value);

-- What belongs to no patient has its narrow rows under pid 0, by a number made from its name.
alter table shared_resource add column rid bigint not null default 0;
create unique index shared_resource_rid on shared_resource (rid) where rid <> 0;

-- Digest -> proof: another 64 bits of the same hash, so that two words of one digest are noticed.
create table token_dictionary (
    digest  bigint primary key,
    proof   bigint not null
);
