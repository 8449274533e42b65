-- What a block leaves out: a row with a `parent` is an exception to that block of the same record, and
-- to no other; the block says that it is `excepting`. `consent` is the row of the Consent it comes from.
alter table deny
    add column parent     bigint,
    add column excepting  boolean not null default false,
    add column consent    bigint;

-- Whether a block leaves out one row of its record for one viewer. A function, because few blocks have
-- exceptions, and its plan would otherwise be part of every decision's. What has no date lies in no period.
create function block_excepts(
    in_pid bigint, in_block bigint, in_now timestamptz, in_person text, in_org text, in_orgs text[],
    row_rid bigint, row_type text, row_source text, row_origins text[], row_from timestamptz, row_to timestamptz
) returns boolean language sql stable parallel safe as $$
    select exists (
        select from deny x
        where x.pid = in_pid and x.parent = in_block
          and x.valid_from <= in_now and x.valid_until > in_now
          and (x.person is null or x.person = in_person)
          and (x.org is null or x.org = in_org or (x.sub_units and x.org = any(in_orgs)))
          and (x.rid is null or x.rid = row_rid)
          and (x.type is null or x.type = row_type)
          and (x.source is null or (x.source = row_source and row_origins <@ array[x.source]))
          and (x.data_from is null or x.data_from <= row_from)
          and (x.data_until is null or x.data_until >= row_to))
$$;

-- Every part of a merged record with each of them, so that a decision finds them by one key. Kept by the
-- table itself: whoever merges or parts records cannot forget it, and those of one record wait for each other.
alter table record_alias add column parts bigint[] not null default '{}';
update record_alias a set parts = array(select s.pid from record_alias s where s.root = a.root order by s.pid);
create function record_parts() returns trigger language plpgsql as $$
declare touched bigint;
begin
    for touched in select distinct r from unnest(array[
        case when tg_op <> 'DELETE' then new.root end, case when tg_op <> 'INSERT' then old.root end]) r
        where r is not null order by r
    loop
        perform pg_advisory_xact_lock(touched);
        update record_alias a
        set parts = array(select s.pid from record_alias s where s.root = touched order by s.pid)
        where a.root = touched;
    end loop;
    return null;
end $$;
create trigger record_alias_parts after insert or delete or update of pid, root on record_alias
    for each row execute function record_parts();
