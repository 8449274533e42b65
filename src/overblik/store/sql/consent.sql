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
select r.pid, r.rid, r.version, r.body, r.deleted, r.source, r.via, r.received_at from resource r
where r.pid = any(%(pids)s::bigint[]) and r.type = 'Consent' and r.id = %(id)s and r.via = %(via)s and not r.deleted;

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
