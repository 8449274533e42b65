-- Keys of records: what the bodies of one record are sealed with, each wrapped by a master key that is kept
-- elsewhere (docs/decisions/018). `kid` stands in front of what it sealed. A key that was destroyed keeps its row,
-- without the key, so that what it sealed is known for gone and not taken for damaged. Record 0 is
-- nobody's: its keys seal a message each until that has a patient.
create table record_key (
    pid           bigint not null,
    kid           bigint not null,
    master        text,
    wrapped       bytea,
    made_at       timestamptz not null,
    destroyed_at  timestamptz,
    primary key (pid, kid),
    check ((wrapped is null) = (destroyed_at is not null) and (wrapped is null) = (master is null))
);
create unique index record_key_live on record_key (pid) where wrapped is not null and pid <> 0;
create index record_key_master on record_key (master) where wrapped is not null;
