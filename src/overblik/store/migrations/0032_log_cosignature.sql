-- What witnesses have cosigned: a line of the note of a signed head (docs/log.md, "Witnesses").
create table log_cosignature (
    size     bigint not null,
    witness  text not null,
    line     text not null,
    at       timestamptz not null,
    primary key (size, witness)
);
create trigger log_cosignature_append_only before update or delete on log_cosignature
    for each row execute function refuse_change();
create trigger log_cosignature_no_truncate before truncate on log_cosignature
    for each statement execute function refuse_change();
