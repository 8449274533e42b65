-- name: may_consent
-- scope: patient
-- Whether the caller may say something for a record: permitted, and sees the Patient named (any, for rid 0).
with t as (select %(pid)s::bigint as pid)
select e.rule, e.evidence from t, lateral (:permit:) e
where exists (select from resource q
              where q.pid = any(%(pids)s::bigint[]) and q.type = 'Patient' and not q.deleted
                and (%(rid)s::bigint = 0 or q.rid = %(rid)s) and :visible_entry:);

-- name: visible_entries
-- scope: cross
-- Those of the entries named, by type and id, that are of the record and that the caller sees.
select r.type, r.id, r.rid
from locator l join resource r on r.pid = l.pid and r.rid = l.rid
where (l.type, l.id) in (select * from unnest(%(types)s::text[], %(ids)s::text[]))
  and r.pid = any(%(pids)s::bigint[]) and not r.deleted and :visible:;

-- name: load_consent
-- scope: patient
-- A Consent that was written here, with who may still change it.
select r.pid, r.rid, r.type, r.id, r.version, r.body, r.deleted, r.source, r.via, r.received_at from resource r
where r.pid = any(%(pids)s::bigint[]) and r.type = 'Consent' and r.id = %(id)s and r.via = %(via)s and not r.deleted;

-- name: load_consents
-- scope: patient
-- The Consents of a record that were written here.
select r.pid, r.rid, r.type, r.id, r.version, r.body, r.deleted, r.source, r.via, r.received_at from resource r
where r.pid = any(%(pids)s::bigint[]) and r.type = 'Consent' and r.via = %(via)s and not r.deleted;

-- name: clear_blocks
-- scope: patient
delete from deny where pid = %(pid)s and consent = %(rid)s;

-- name: put_block
-- scope: patient
insert into deny (pid, did, person, org, sub_units, rid, type, source, data_from, data_until, valid_from, valid_until,
    parent, excepting, consent)
values (%(pid)s, %(did)s, %(person)s, %(org)s, %(sub_units)s, %(rid)s, %(type)s, %(source)s, %(data_from)s,
    %(data_until)s, coalesce(%(valid_from)s::timestamptz, '-infinity'), coalesce(%(valid_until)s::timestamptz, 'infinity'), %(parent)s,
    %(excepting)s, %(consent)s);

-- name: clear_mandates
-- scope: patient
delete from mandate where pid = %(pid)s and rid = %(rid)s;

-- name: put_mandate
-- scope: patient
insert into mandate (pid, mid, kind, holder, types, valid_from, valid_until, rid)
values (%(pid)s, %(mid)s, %(kind)s, %(holder)s, %(types)s, coalesce(%(valid_from)s::timestamptz, '-infinity'),
    coalesce(%(valid_until)s::timestamptz, 'infinity'), %(rid)s);

-- name: record_of_person
-- scope: cross
-- The record an identifier belongs to, with all its parts.
select k.pid, coalesce((select a.parts from record_alias a where a.pid = k.pid), array[k.pid]) as pids
from person_key k
where k.system = %(system)s and k.value = %(value)s and k.source = %(source)s;

-- name: preview
-- scope: patient
-- What the citizen sees of the record that the blocks of one Consent hide from one viewer, the newest first, with
-- how many there are. Asked in a transaction that is rolled back, of the very rows that the Consent would write.
select r.pid, r.rid, r.type, r.id, r.version, r.received_at, r.body, r.source, r.clinical_from, count(*) over () as total,
       count(*) filter (where r.type = 'Patient') over () as patients
from resource r
where r.pid = any(%(pids)s::bigint[]) and not r.deleted and r.type not in ('Consent', 'Provenance') and :visible: and :blocked:
order by r.clinical_from desc nulls last, r.rid
limit %(limit)s;

-- name: relations_of_record
-- scope: patient
-- Which units have a relation to a record now, by which kind of evidence, until when.
select l.org, l.kind, max(l.valid_until) as until from relation l
where l.pid = any(%(pids)s::bigint[]) and l.kind <> 'break-glass'
  and l.valid_from <= %(now)s and l.valid_until > %(now)s
group by l.org, l.kind order by l.org, l.kind;

-- name: circle
-- scope: patient
-- For the citizen: which units have or had a relation to the record, until when, and which sources have delivered.
-- Logged as a look at the own record.
with t as (select %(pid)s::bigint as pid),
p as materialized (select e.rule, e.evidence from t, lateral (:permit:) e),
logged as (
    insert into access_log :log_columns:
    select t.pid, case when p.rule is null then 'refuse' else 'permit' end, coalesce(p.rule, 'none'),
           p.evidence, '{}'::bigint[], '{}'::integer[], %(query)s, :log_values:
    from t left join p on true
)
select x.* from p, lateral (
    select 'relation' as what, l.org as name, max(l.valid_until) as until from relation l
    where l.pid = any(%(pids)s::bigint[]) and l.kind <> 'break-glass' group by l.org
    union all
    select distinct 'source', unnest(r.origins), null::timestamptz from resource r
    where r.pid = any(%(pids)s::bigint[]) and not r.deleted and :visible:
) x;

-- name: mandates_of_holder
-- scope: cross
-- Whom somebody may act for now, by the CPR of each, with what the mandate is for; at most `limit`, the widest of
-- each person first, so that nobody fills the list with mandates that were not asked for.
select f.value, f.kind, f.types, f.until from (
    select k.value, m.kind, m.types, nullif(m.valid_until, 'infinity') as until, m.mid,
           row_number() over (partition by k.value order by (m.types is not null), m.valid_until desc, m.mid) as place
    from mandate m
    join person_key k on k.pid = any(coalesce((select a.parts from record_alias a where a.pid = m.pid), array[m.pid]))
         and k.system = %(system)s and k.source = ''
    where m.holder = %(holder)s and m.valid_from <= %(now)s and m.valid_until > %(now)s
      and not death_known(m.pid, %(now)s)
      and not exists (select from person_key h where h.system = %(system)s and h.value = %(holder)s and h.source = ''
                      and death_known(h.pid, %(now)s))
) f
order by f.place, f.value, f.kind, f.mid limit %(limit)s;

-- name: put_mandate_by_law
-- scope: cross
-- What the authority states: custody until the child is fifteen, guardianship as long as it says.
insert into mandate (pid, mid, kind, holder, valid_from, valid_until, rid)
values (%(pid)s, %(mid)s, %(kind)s, %(holder)s, %(valid_from)s,
    case when %(kind)s = 'custody' then least(%(valid_until)s::timestamptz, custody_ends(%(pid)s))
         else %(valid_until)s end, %(rid)s);

-- name: clear_death
-- scope: patient
delete from death where pid = %(pid)s and rid = %(rid)s;

-- name: put_death
-- scope: patient
-- What a Patient says again of a death without a day is known already.
insert into death as d (pid, rid, since, ends) values (%(pid)s, %(rid)s, %(since)s, %(ends)s)
on conflict (pid, rid) do update set since = excluded.since, ends = excluded.ends
where %(dated)s and d.since <> excluded.since;

-- name: relations_of_unit
-- scope: cross
-- The records that a professional's unit has a relation to now, the newest first: each visible Patient with every
-- relation that permits it, its evidence and until when. One log entry a patient shown.
with mine as materialized (
    select t.pid, t.newest from (
        select l.pid, max(l.valid_from) as newest from relation l
        where l.org = any(%(orgs)s::text[]) and (l.person is null or l.person = %(person)s)
          and l.valid_from <= %(now)s and l.valid_until > %(now)s
        group by l.pid order by newest desc, l.pid
    ) t
    where exists (:relations:)
      and exists (select from resource q where q.pid = t.pid and q.type = 'Patient' and not q.deleted
                  and :visible_entry:)
    order by t.newest desc, t.pid limit %(limit)s
),
p as materialized (select t.pid, t.newest, e.rule, e.evidence, e.until from mine t, lateral (:relations:) e),
shown as materialized (
    select r.pid, r.rid, r.type, r.id, r.version, r.received_at, r.body, r.deleted, r.source, r.via, r.recorded_at,
           r.cid, r.created_cid
    from (select distinct pid from p) d join resource r on r.pid = d.pid
    where r.type = 'Patient' and not r.deleted and :visible:
),
logged as (
    insert into access_log :log_columns:
    select s.pid, 'permit', f.rule, f.evidence, s.rids, s.versions, %(query)s, :log_values:
    from (select pid, array_agg(rid order by rid) as rids, array_agg(version order by rid) as versions
          from shown group by pid) s,
         lateral (select p.rule, p.evidence from p where p.pid = s.pid order by p.until desc, p.evidence limit 1) f
)
select s.*, p.rule, nullif(p.until, 'infinity') as until, ev.type as evidence_type, ev.source as evidence_source
from shown s join p on p.pid = s.pid left join resource ev on ev.pid = p.pid and ev.rid = p.evidence
order by p.newest desc, s.pid, s.id, p.until, p.rule;
