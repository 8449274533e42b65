-- What a decision was made of, so that it can be made again (docs/log.md, "Decided again"): an entry says by which
-- policy, for which units, how far an app reached and what its transaction saw; rows that decisions look at say since
-- when they are there, and leave behind what they were. By transactions and not by the clock: what a decision saw
-- is told by its snapshot alone.
alter table access_log
    add column policy    text,
    add column orgs      text[],
    add column reach     text,
    add column snapshot  text;

-- The rules as they stood: one row a policy and kind of access.
create table policy (
    version  text not null,
    kind     text not null,
    permit   text not null,
    whole    text not null,
    visible  text not null,
    primary key (version, kind)
);

-- Rows that decisions looked at, as they were before they were changed or removed; `until` is what did it.
create table past_ground (
    kind   text not null,
    pid    bigint not null,
    was    jsonb not null,
    since  xid8 not null,
    until  xid8 not null
);
create index past_ground_pid on past_ground (pid, kind);

create function keep_ground() returns trigger language plpgsql as $$
begin
    insert into past_ground values (tg_table_name, old.pid, to_jsonb(old), old.ground, pg_current_xact_id());
    return null;
end $$;
create function renew_ground() returns trigger language plpgsql as $$
begin
    new.ground := pg_current_xact_id();
    return new;
end $$;
create function keep_seen() returns trigger language plpgsql as $$
begin
    insert into past_ground values ('resource', old.pid, jsonb_build_object(
        'rid', old.rid, 'source', old.source, 'via', old.via, 'origins', old.origins, 'labels', old.labels,
        'others', old.others, 'clinical_from', old.clinical_from, 'clinical_to', old.clinical_to),
        '0', pg_current_xact_id());
    return null;
end $$;

do $$ declare t text; begin
    foreach t in array array['relation', 'deny', 'mandate', 'person_key', 'record_alias'] loop
        execute format('alter table %1$I add column ground xid8 not null default pg_current_xact_id()', t);
        execute format('create trigger %1$s_renewed before update on %1$I for each row execute function renew_ground()', t);
        execute format('create trigger %1$s_kept after update or delete on %1$I for each row execute function keep_ground()', t);
    end loop;
    foreach t in array array['policy', 'past_ground'] loop
        execute format('create trigger %1$s_append_only before update or delete on %1$s
                        for each row execute function refuse_change()', t);
        execute format('create trigger %1$s_no_truncate before truncate on %1$s
                        for each statement execute function refuse_change()', t);
    end loop;
end $$;
create trigger resource_kept after update on resource for each row when (
    (old.source, old.via, old.origins, old.labels, old.others, old.clinical_from, old.clinical_to)
    is distinct from (new.source, new.via, new.origins, new.labels, new.others, new.clinical_from, new.clinical_to)
) execute function keep_seen();

-- The text of an entry with a policy says which; its digest binds the rest. Others are hashed as they were.
create or replace function log_what(a access_log) returns text language sql stable parallel safe as $$
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
        case when num_nonnulls(a.policy, a.orgs, a.reach, a.snapshot) > 0
            then concat(',"policy":', coalesce(to_json(a.policy)::text, 'null')) end,
        ',"digest":"', encode(sha256(sha256('\x03'::bytea || a.salt) || convert_to(concat(
            a.evidence, ';', array_to_string(a.rids, ','), ';', array_to_string(a.versions, ','),
            case when num_nonnulls(a.policy, a.orgs, a.reach, a.snapshot) > 0 then concat(
                ';', coalesce(to_json(a.policy)::text, 'null'), ';', coalesce(to_json(a.orgs)::text, 'null'),
                ';', coalesce(to_json(a.reach)::text, 'null'), ';', coalesce(to_json(a.snapshot)::text, 'null'))
            end), 'UTF8')), 'hex'),
        '"}')
$$;
