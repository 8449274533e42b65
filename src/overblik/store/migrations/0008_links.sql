-- What chained search and `:missing`, `:text` and `:below` go by (docs/decisions/008).
--
-- `link` is the digest of `Type/id` as others refer to it: exclusive or with the digest of a reference
-- parameter it is the token of what refers so. `present` has a bit for each parameter with a value.
alter table resource
    add column link     bigint not null default 0,
    add column present  bigint not null default 0;
alter table shared_resource
    add column link     bigint not null default 0,
    add column present  bigint not null default 0;
create index shared_resource_link on shared_resource (link);

-- The different texts of codes and the different urls of each parameter, with the token of those that
-- have them: a search by the beginning of a text becomes one by tokens.
create table vocabulary (
    token  bigint primary key,
    param  integer not null,
    value  text collate "C" not null
);
create index vocabulary_value on vocabulary (param, value);
