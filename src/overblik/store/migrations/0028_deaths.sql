-- Which Patients of a record say that the person is dead, since when, and until when relations without an end go on.
-- Written with the Patient, gone when it says so no longer; rows that decisions look at, as in 0024.
create table death (
    pid     bigint not null,
    rid     bigint not null,
    since   timestamptz not null,
    ends    timestamptz not null,
    ground  xid8 not null default pg_current_xact_id(),
    primary key (pid, rid)
);
create trigger death_renewed before update on death for each row execute function renew_ground();
create trigger death_kept after update or delete on death for each row execute function keep_ground();

-- Whether the person of a record is dead, as they and who acts for them may be told: a Patient that is for staff only,
-- or about somebody else besides, says nothing here.
create function death_known(in_pid bigint, in_now timestamptz) returns boolean language sql stable parallel safe as $$
    select exists (
        select from (select coalesce((select s.parts from record_alias s where s.pid = in_pid), array[in_pid]) as parts) w
        join death x on x.pid = any(w.parts) and x.since <= in_now
        join resource q on q.pid = x.pid and q.rid = x.rid
        where not 'staff' = any(q.labels) and (q.others is null or q.others <@ w.parts))
$$;

-- Whether a death that a professional may know of ends a relation: one that was only stated, where it began after the
-- death; one without an end, some time after it. A Patient that is blocked from them says nothing.
create function death_ends(
    in_pid bigint, in_stated boolean, in_from timestamptz, in_open boolean,
    in_now timestamptz, in_person text, in_org text, in_orgs text[]
) returns boolean language sql stable parallel safe as $$
    select exists (
        select from (select coalesce((select s.parts from record_alias s where s.pid = in_pid), array[in_pid]) as parts) w
        join death x on x.pid = any(w.parts) and x.since <= in_now
             and ((in_stated and x.since <= in_from) or (in_open and x.ends <= in_now))
        join resource q on q.pid = x.pid and q.rid = x.rid
        where not 'citizen' = any(q.labels) and (q.others is null or q.others <@ w.parts)
          and not exists (
              select from deny d
              where d.pid = any(w.parts) and d.parent is null and d.valid_from <= in_now and d.valid_until > in_now
                and (d.person is null or d.person = in_person)
                and (d.org is null or d.org = in_org or (d.sub_units and d.org = any(in_orgs)))
                and (d.rid is null or d.rid = q.rid) and (d.type is null or d.type = q.type)
                and (d.source is null or d.source = q.source or d.source = any(q.origins))
                and d.data_from is null and d.data_until is null
                and not (d.excepting and block_excepts(d.pid, d.did, in_now, in_person, in_org, in_orgs, q.rid, q.type,
                         q.source, q.origins, q.clinical_from, q.clinical_to))))
$$;
