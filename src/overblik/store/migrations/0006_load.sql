-- Loading: which blocks of lines were taken, and the lines that were refused.
--
-- A row is written in the transaction that takes its block, so that after a kill the same command
-- goes on where it stopped. Blocks are known by their content: the same file elsewhere is known too.

create table load_block (
    via         text not null,
    digest      bytea not null,
    file        text not null,
    first_line  bigint not null,
    lines       integer not null,
    taken       integer not null,
    changed     integer not null,
    known       integer not null,
    refused     integer not null,
    at          timestamptz not null,
    primary key (via, digest)
);

-- Nothing that was delivered is lost: the bytes of a refused line stay here until it is taken.
create table load_refusal (
    via     text not null,
    digest  bytea not null,
    file    text not null,
    line    bigint not null,
    code    text not null,
    reason  text not null,
    raw     bytea not null,
    at      timestamptz not null,
    primary key (via, digest, line)
);
create index load_refusal_file on load_refusal (via, file, line);
