-- Who reads many people's records within an hour is followed up as well. `many` is how many; such a case names nobody.
alter table follow_up drop constraint follow_up_kind_check;
alter table follow_up add constraint follow_up_kind_check check (kind in ('stated', 'break-glass', 'reading'));
alter table follow_up add column many integer;
create index follow_up_reading on follow_up (at) where kind = 'reading';

-- One row: which process counts, and until when it may be counted on to.
create table reading_watch (
    one     boolean primary key default true check (one),
    holder  uuid not null default gen_random_uuid(),
    until   timestamptz not null default '-infinity'
);
insert into reading_watch default values;
