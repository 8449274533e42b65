-- name: lock_record
-- scope: patient
-- One writer a record at a time, until the transaction ends.
select pg_advisory_xact_lock(%(pid)s);

-- name: lock_key
-- scope: cross
-- One transaction at a time for a key that is not a record, such as a condition of If-None-Exist.
select pg_advisory_xact_lock(%(key)s);

-- name: find_person
-- scope: cross
-- The record an identifier belongs to.
select k.pid from person_key k
where k.system = %(system)s and k.value = %(value)s and k.source = %(source)s;

-- name: claim_person
-- scope: cross
-- Tie an identifier to a record, unless it has one; a concurrent claim of the same key waits here.
insert into person_key (system, value, source, pid)
values (%(system)s, %(value)s, %(source)s, %(pid)s)
on conflict (value, system, source) do nothing returning pid;

-- name: open_record
-- scope: patient
insert into record (pid, kind, opened_at) values (%(pid)s, %(kind)s, %(now)s) on conflict (pid) do nothing;

-- name: load_rows
-- scope: patient
-- The current rows of one record by row key or by fact key, as a writer needs them.
select r.pid, r.rid, r.type, r.id, r.version, r.body, r.deleted, r.source, r.via, r.origins, r.labels,
       r.clinical_from, r.clinical_to, r.recorded_at, r.received_at, r.fact_key, r.facets, r.created_cid
from resource r
where r.pid = %(pid)s and (r.rid = any(%(rids)s::bigint[]) or r.fact_key = any(%(facts)s::text[]));

-- name: load_own_patient
-- scope: patient
-- The Patient a source keeps of this record by plain FHIR, to be used by its messages too.
select r.pid, r.rid, r.type, r.id, r.version, r.body, r.deleted, r.source, r.via, r.origins, r.labels,
       r.clinical_from, r.clinical_to, r.recorded_at, r.received_at, r.fact_key, r.facets, r.created_cid
from resource r
where r.pid = %(pid)s and r.type = 'Patient' and r.source = %(source)s and r.via = %(via)s
  and r.fact_key is null and not r.deleted
order by r.created_cid limit 1;

-- name: load_facts_like
-- scope: patient
-- The rows of one record whose fact key begins so; for facts that share a business key.
select r.pid, r.rid, r.type, r.id, r.version, r.body, r.deleted, r.source, r.via, r.origins, r.labels,
       r.clinical_from, r.clinical_to, r.recorded_at, r.received_at, r.fact_key, r.facets, r.created_cid
from resource r
where r.pid = %(pid)s and starts_with(r.fact_key, %(prefix)s);

-- name: locate_own
-- scope: cross
-- Where resources are kept that the writer delivered (the system: any). What is another's is not locked or waited
-- for: that would tell it from what never was.
select l.type, l.id, l.pid, l.rid from locator l join resource r on r.pid = l.pid and r.rid = l.rid
where (l.type, l.id) in (select * from unnest(%(types)s::text[], %(ids)s::text[]))
  and (%(everyones)s::boolean or r.via = %(via)s);

-- name: insert_change
-- scope: patient
-- What is written after it in the same transaction belongs to it (currval).
insert into change (pid, cid, at, via) values (%(pid)s, nextval('change_cid'), %(now)s, %(via)s)
returning cid;

-- name: supersede
-- scope: patient
-- Keep the version that is about to be replaced.
insert into history (pid, rid, version, body, deleted, source, via, recorded_at, received_at, cid)
select pid, rid, version, body, deleted, source, via, recorded_at, received_at, cid
from resource where pid = %(pid)s and rid = %(rid)s;

-- name: put_resource
-- scope: patient
-- Write the current version, of the change given or the one just begun. A version that came between leaves none
-- for this one, which no row may be without: the transaction fails, without a question that must be answered first.
-- So it does where the index row was made by definitions that are not those in force: what changes them waits for
-- transactions that wrote something before (insert_change), and sees their rows (definitions.sql, begin_pass).
insert into resource as r (pid, rid, type, id, version, body, deleted, source, via, origins, labels, others,
    clinical_from, clinical_to, recorded_at, received_at, created_cid, cid, fact_key, facets, tokens, headline, sort_at,
    sort_to, index_version, link, present)
values (%(pid)s, %(rid)s, %(type)s, %(id)s, %(version)s, %(body)s, %(deleted)s, %(source)s, %(via)s,
    %(origins)s, %(labels)s, %(others)s, %(clinical_from)s, %(clinical_to)s, %(recorded_at)s, %(received_at)s,
    coalesce(%(cid)s::bigint, currval('change_cid')), coalesce(%(cid)s::bigint, currval('change_cid')),
    %(fact_key)s, %(facets)s, %(tokens)s, %(headline)s, %(sort_at)s, %(sort_to)s,
    case when %(catalogue)s = (select c.generation from search_catalogue c) then %(index_version)s::smallint end,
    %(link)s, %(present)s)
on conflict (pid, rid) do update set
    version = case when r.version = excluded.version - 1 then excluded.version end,
    body = excluded.body, deleted = excluded.deleted, source = excluded.source, via = excluded.via,
    origins = array(select distinct unnest(r.origins || excluded.origins) order by 1),
    labels = array(select distinct unnest(r.labels || excluded.labels) order by 1),
    others = nullif(array(select distinct unnest(coalesce(r.others, '{}') || coalesce(excluded.others, '{}')) order by 1),
                    '{}'),
    clinical_from = least(r.clinical_from, excluded.clinical_from),
    clinical_to = greatest(r.clinical_to, excluded.clinical_to),
    recorded_at = excluded.recorded_at, received_at = excluded.received_at,
    cid = excluded.cid, fact_key = excluded.fact_key, facets = excluded.facets,
    tokens = excluded.tokens, headline = excluded.headline, sort_at = excluded.sort_at,
    sort_to = excluded.sort_to, index_version = excluded.index_version, link = excluded.link,
    present = excluded.present;

-- name: touch_resource
-- scope: patient
-- A fact was stated again, or an older one came late: no new version, but what a block sees is the
-- widest of all that was stated, in whatever order it came.
update resource r set facets = %(facets)s, recorded_at = %(recorded_at)s,
    origins = array(select distinct unnest(r.origins || %(origins)s::text[]) order by 1),
    labels = array(select distinct unnest(r.labels || %(labels)s::text[]) order by 1),
    clinical_from = least(r.clinical_from, %(clinical_from)s),
    clinical_to = greatest(r.clinical_to, %(clinical_to)s)
where pid = %(pid)s and rid = %(rid)s;

-- name: touch_relations
-- scope: patient
-- Evidence is judged as its resource is.
update relation e set origins = r.origins, clinical_from = r.clinical_from, clinical_to = r.clinical_to
from resource r
where e.pid = %(pid)s and e.rid = %(rid)s and r.pid = e.pid and r.rid = e.rid and e.kind <> 'break-glass';

-- name: put_locator
-- scope: cross
insert into locator (type, id, pid, rid) values (%(type)s, %(id)s, %(pid)s, %(rid)s);

-- name: put_membership
-- scope: patient
insert into membership (pid, home_pid, rid, type, role)
values (%(pid)s, %(home_pid)s, %(rid)s, %(type)s, %(role)s)
on conflict (pid, home_pid, rid) do nothing;

-- name: clear_index
-- scope: patient
-- What the index keeps of one resource outside its own row.
with h as (delete from index_headline where pid = %(pid)s and rid = %(rid)s),
     d as (delete from index_date where pid = %(pid)s and rid = %(rid)s),
     n as (delete from index_number where pid = %(pid)s and rid = %(rid)s)
delete from index_string where pid = %(pid)s and rid = %(rid)s;

-- name: put_index_headline
-- scope: patient
insert into index_headline (pid, rid, token, sort_at) values (%(pid)s, %(rid)s, %(token)s, %(sort_at)s);

-- name: put_index_date
-- scope: patient
insert into index_date (pid, rid, lo, hi, param, part, marks)
values (%(pid)s, %(rid)s, %(lo)s, %(hi)s, %(param)s, %(part)s, %(marks)s);

-- name: put_index_number
-- scope: patient
insert into index_number (pid, rid, param, part, lo, hi, marks)
values (%(pid)s, %(rid)s, %(param)s, %(part)s, %(lo)s, %(hi)s, %(marks)s);

-- name: put_index_string
-- scope: patient
insert into index_string (pid, rid, param, part, value, marks)
values (%(pid)s, %(rid)s, %(param)s, %(part)s, %(value)s, %(marks)s);

-- name: note_words
-- scope: cross
-- Enter digests with their proofs, in one order so that two writers never wait for each other in a
-- ring; what stood there before comes back, to be compared.
with new as (
    insert into token_dictionary (digest, proof)
    select w.digest, w.proof from unnest(%(digests)s::bigint[], %(proofs)s::bigint[]) as w (digest, proof)
    order by w.digest
    on conflict (digest) do nothing
)
select d.digest, d.proof from token_dictionary d where d.digest = any(%(digests)s::bigint[]);

-- name: note_texts
-- scope: cross
-- Enter texts under which tokens are found, in one order; those that stood there before come back.
with new as (
    insert into vocabulary (param, value, token)
    select w.param, w.value, w.token
    from unnest(%(params)s::integer[], %(texts)s::text[], %(tokens)s::bigint[]) as w (param, value, token)
    order by w.token
    on conflict (token) do nothing
)
select v.param, v.value, v.token from vocabulary v where v.token = any(%(tokens)s::bigint[]);

-- name: clear_relations
-- scope: patient
delete from relation where pid = %(pid)s and rid = %(rid)s and kind <> 'break-glass';

-- name: put_relation
-- scope: patient
-- Judged with the evidence as a whole: what a block sees is the widest span the resource ever had.
insert into relation (pid, org, kind, rid, type, source, origins, clinical_from, clinical_to,
    valid_from, valid_until)
select r.pid, %(org)s, %(kind)s, r.rid, r.type, r.source, r.origins, r.clinical_from, r.clinical_to,
    %(valid_from)s, %(valid_until)s
from resource r where r.pid = %(pid)s and r.rid = %(rid)s;

-- name: break_glass
-- scope: patient
-- A relation for one person and one record, for at most an hour, on their own word.
insert into relation (pid, org, kind, rid, type, source, origins, valid_from, valid_until, person)
values (%(pid)s, %(org)s, 'break-glass', 0, '', '', '{}', %(now)s, %(until)s, %(person)s);

-- name: put_raw
-- scope: patient
insert into raw (pid, rid, content_type, body) values (%(pid)s, %(rid)s, %(content_type)s, %(body)s);

-- name: log_write
-- scope: patient
-- One entry a record written, in the transaction that writes.
insert into access_log :log_columns:
values (%(pid)s, 'permit', %(rule)s, null, %(rids)s, %(versions)s, %(query)s, :log_values:);

-- name: put_shared
-- scope: shared
insert into shared_resource as r (type, id, version, body, deleted, source, via, received_at, cid, rid, tokens,
    index_version, link, present)
values (%(type)s, %(id)s, %(version)s, %(body)s, %(deleted)s, %(source)s, %(via)s, %(received_at)s, %(cid)s,
    %(rid)s, %(tokens)s,
    case when %(catalogue)s = (select c.generation from search_catalogue c) then %(index_version)s::smallint end,
    %(link)s, %(present)s)
on conflict (id, type) do update set
    version = excluded.version, body = excluded.body, deleted = excluded.deleted,
    source = excluded.source, via = excluded.via, received_at = excluded.received_at,
    cid = excluded.cid, rid = excluded.rid, tokens = excluded.tokens, index_version = excluded.index_version,
    link = excluded.link, present = excluded.present
where r.version = excluded.version - 1;

-- name: supersede_shared
-- scope: shared
insert into shared_history (type, id, version, body, deleted, source, via, received_at, cid)
select type, id, version, body, deleted, source, via, received_at, cid
from shared_resource where type = %(type)s and id = %(id)s;

-- name: load_shared
-- scope: shared
select type, id, version, body, deleted, source, via, received_at from shared_resource
where type = %(type)s and id = %(id)s;
