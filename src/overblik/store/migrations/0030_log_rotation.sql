-- Each time the log's key was replaced: a head that both keys have signed (docs/log.md, "Another key").
create table log_rotation (
    n        integer primary key,
    old_key  text not null,
    new_key  text not null,
    size     bigint not null,
    note     text not null,
    at       timestamptz not null
);
create trigger log_rotation_append_only before update or delete on log_rotation
    for each row execute function refuse_change();
create trigger log_rotation_no_truncate before truncate on log_rotation
    for each statement execute function refuse_change();
