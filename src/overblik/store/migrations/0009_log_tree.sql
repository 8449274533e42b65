-- The log as a Merkle tree (RFC 6962) with a chain for each record; docs/log.md is the specification,
-- and says why each part is hashed as it is.

-- One row: the log's name, and the secret that keeps a record's name from telling its key.
create table log_tree (
    one     boolean primary key default true check (one),
    id      uuid not null default gen_random_uuid(),
    secret  bytea not null default uuid_send(gen_random_uuid())
);
insert into log_tree default values;

-- What an entry says, in two parts, so that names can be withheld and the rest still be verified.
create function log_what(a access_log) returns text language sql stable parallel safe as $$
    select concat('{"id":"', a.lid,
        '","at":"', to_char(a.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        '","request":"', a.request,
        '","channel":', to_json(a.channel),
        ',"action":', to_json(a.action),
        ',"outcome":', to_json(a.outcome),
        ',"rule":', to_json(a.rule),
        ',"kind":', to_json(a.actor_kind),
        ',"role":', to_json(a.actor_role),
        ',"org":', to_json(a.org),
        ',"orgName":', to_json(a.org_name),
        ',"purpose":', to_json(a.purpose),
        ',"reason":', to_json(a.reason),
        ',"query":', to_json(a.query),
        ',"resources":', cardinality(a.rids),
        ',"digest":"', encode(sha256(sha256('\x03'::bytea || a.salt) || convert_to(concat(
            a.evidence, ';', array_to_string(a.rids, ','), ';', array_to_string(a.versions, ',')), 'UTF8')), 'hex'),
        '"}')
$$;

create function log_who(a access_log) returns text language sql stable parallel safe as $$
    select concat('{"actor":', to_json(a.actor), ',"name":', to_json(a.actor_name),
        ',"onBehalf":', to_json(a.on_behalf), '}')
$$;

create function log_entry(a access_log) returns bytea language sql stable parallel safe as $$
    select sha256(
        sha256(sha256('\x01'::bytea || a.salt) || convert_to(log_what(a), 'UTF8'))
        || sha256(sha256('\x02'::bytea || a.salt) || convert_to(log_who(a), 'UTF8')))
$$;

-- The hash of a leaf holds that of the record's leaf before it: over the rows of a record, in order.
create function log_link_step(state bytea, before bytea, record bytea, place bigint, number bigint, entry bytea)
returns bytea language sql immutable parallel safe as $$
    select sha256('\x0001'::bytea || record || int8send(place) || int8send(number) || coalesce(state, before) || entry)
$$;
create aggregate log_link(before bytea, record bytea, place bigint, number bigint, entry bytea) (
    sfunc = log_link_step, stype = bytea, parallel = safe
);

-- What was numbered before there was a tree is sealed by the sequencer, in the same order.
insert into log_queue (pid, at, lid) select pid, at, lid from log_leaf order by seq;
drop table log_leaf;

-- An entry's place: its number among all that became known, in the tree (from 0) and in its record's
-- chain (from 1), and its hashes. They stay when what the entry says is erased.
create table log_leaf (
    pid    bigint not null,
    seq    bigint not null,
    at     timestamptz not null,
    lid    uuid not null,
    n      bigint not null,
    place  bigint not null,
    entry  bytea not null,
    hash   bytea not null,
    primary key (pid, seq)
);
create index log_leaf_n on log_leaf (n);

-- The hashes of full subtrees: 256 leaves on level 1, 256 of those on level 2, and so on.
create table log_node (
    level  smallint not null,
    n      bigint not null,
    hash   bytea not null,
    primary key (level, n)
);

-- Signed tree heads.
create table log_head (
    size  bigint primary key,
    note  text not null,
    at    timestamptz not null
);

do $$ declare t text; begin
    foreach t in array array['log_leaf', 'log_node', 'log_head', 'log_tree'] loop
        execute format('create trigger %1$s_append_only before update or delete on %1$s
                        for each row execute function refuse_change()', t);
        execute format('create trigger %1$s_no_truncate before truncate on %1$s
                        for each statement execute function refuse_change()', t);
    end loop;
end $$;
