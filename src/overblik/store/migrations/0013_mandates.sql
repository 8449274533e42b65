-- Who may act for a citizen: by their own word (a Consent), or by law (custody, guardian). `holder` is a
-- CPR; `types` the types of data it is limited to, null for the whole record. `rid` is the row it comes from.
create table mandate (
    pid          bigint not null,
    mid          bigint not null,
    kind         text not null check (kind in ('attorney', 'custody', 'guardian')),
    holder       text not null,
    types        text[],
    valid_from   timestamptz not null default '-infinity',
    valid_until  timestamptz not null default 'infinity',
    rid          bigint not null,
    primary key (pid, mid)
);
create index mandate_holder on mandate (holder);
create index mandate_rid on mandate (pid, rid);
create index deny_consent on deny (pid, consent) where consent is not null;

-- Whether a block leaves out one row of its record for one viewer. A function, because few blocks have
-- exceptions, and its plan would otherwise be part of every decision's. What has no date lies in no period.
-- Who may see something of a record sees whose it is.
create or replace function block_excepts(
    in_pid bigint, in_block bigint, in_now timestamptz, in_person text, in_org text, in_orgs text[],
    row_rid bigint, row_type text, row_source text, row_origins text[], row_from timestamptz, row_to timestamptz
) returns boolean language sql stable parallel safe as $$
    select exists (
        select from deny x
        where x.pid = in_pid and x.parent = in_block
          and x.valid_from <= in_now and x.valid_until > in_now
          and (x.person is null or x.person = in_person)
          and (x.org is null or x.org = in_org or (x.sub_units and x.org = any(in_orgs)))
          and (row_type = 'Patient'
               or ((x.rid is null or x.rid = row_rid)
                   and (x.type is null or x.type = row_type)
                   and (x.source is null or (x.source = row_source and row_origins <@ array[x.source]))
                   and (x.data_from is null or x.data_from <= row_from)
                   and (x.data_until is null or x.data_until >= row_to))))
$$;
