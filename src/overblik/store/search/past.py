"""A search as it was known at a past moment: the same statement over what was current then.

The statement's own text stays as it is. In front of it stand tables of the same names, which hold of
the records asked for what was known at the moment; a name that is defined so hides the table. Index
rows of versions that have been superseded since are not kept: they are made anew from their bodies
(`read_past` gives those) and come as arrays. Both statements must see one snapshot.

The door's condition looks at today's rows, so what is hidden now is hidden then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from overblik.fhir.identifiers import CPR
from overblik.fhir.index.digests import token
from overblik.fhir.query import Ids, Patients
from overblik.store.index_rows import NARROW, indexed
from overblik.store.queries import sql_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overblik.fhir.query import Query
    from overblik.fhir.strict_json import Json
    from overblik.store.search.compile import Compiled
    from overblik.store.visibility import Kind


class Then(NamedTuple):
    """A resource as it was, with where it is kept."""

    pid: int
    rid: int
    resource: Json


def records(query: Query, kind: Kind, key: bytes, citizen: str) -> dict[str, Any] | None:
    """Return the parameters that name the records a search may find things in; None where it names none."""
    patients = next((c for c in query.criteria if isinstance(c, Patients) and c.matching is None), None)
    ids = next((c for c in query.criteria if isinstance(c, Ids)), None)
    if patients is not None:
        tokens = [token(key, "Patient", "identifier", *stated).value for stated in patients.identifiers]
        return _named("Patient", patients.ids, patients.identifiers) | {"past_tokens": tokens}
    if kind in {"citizen", "proxy"}:
        return _named("", (), ((CPR, citizen),))
    return _named(query.type, ids.ids, ()) if ids is not None else None


def _named(kind: str, ids: Iterable[str], identifiers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    named = list(identifiers)
    return {
        "past_type": kind,
        "past_ids": list(ids),
        "past_systems": [system for system, _ in named],
        "past_values": [value for _, value in named],
        "past_tokens": [],
    }


def read_past(kind: Kind) -> LiteralString:
    """Return the statement that reads the superseded versions that were current at the moment."""
    return sql_for("read_past", kind)


def in_past(compiled: Compiled, kind: Kind) -> LiteralString:
    """Return a search's statement as one of the past."""
    known = sql_for("read_past", kind).partition("\nselect")[0]
    return known + ", " + _AS_THEN + compiled.text.removeprefix("with ")


def index_of(found: Iterable[Then], key: bytes) -> dict[str, Any]:
    """Return the index rows of superseded versions as the arrays that `in_past` takes."""
    rows = [(then.pid, then.rid, indexed(then.resource, key, then.pid, then.rid)) for then in found]
    params: dict[str, Any] = {"past_pid": [pid for pid, _, _ in rows], "past_rid": [rid for _, rid, _ in rows]}
    for name in ("headline", "sort_at", "sort_to", "present"):
        params["past_" + name] = [index[name] for _, _, index in rows]
    params["past_words"] = [_array(index["tokens"]) for _, _, index in rows]
    for table in ("index_date", "index_number", "index_string"):
        narrow = [row for _, _, index in rows for row in index["narrow"][table]]
        for column in NARROW[table]:
            values = [row[column] for row in narrow]
            params[f"past_{table}_{column}"] = [_array(v) for v in values] if column == "marks" else values
    return params


def _array(values: list[int] | None) -> str | None:
    """Return an array as text: arrays of arrays must all be of one length."""
    return None if values is None else "{" + ",".join(map(str, values)) + "}"


_AS_THEN: LiteralString = """
resource as materialized (
    select r.pid, r.rid, r.type, r.id, r.source, r.via, r.origins, r.labels, r.others, r.clinical_from, r.clinical_to,
           p.version, p.received_at, p.body, p.deleted, r.cid,
           case when p.present then r.tokens else u.tokens::bigint[] end as tokens,
           case when p.present then r.headline else u.headline end as headline,
           case when p.present then r.sort_at else u.sort_at end as sort_at,
           case when p.present then r.sort_to else u.sort_to end as sort_to, r.link,
           case when p.present then r.present else u.present end as present
    from past p join resource r on r.pid = p.pid and r.rid = p.rid
         left join unnest(%(past_pid)s::bigint[], %(past_rid)s::bigint[], %(past_words)s::text[],
                          %(past_headline)s::bigint[], %(past_sort_at)s::timestamptz[], %(past_sort_to)s::timestamptz[],
                          %(past_present)s::bigint[])
              as u (pid, rid, tokens, headline, sort_at, sort_to, present) on u.pid = p.pid and u.rid = p.rid
),
index_date as not materialized (
    select x.pid, x.rid, x.lo, x.hi, x.param, x.part, x.marks from index_date x
    where x.pid = 0 or (x.pid, x.rid) in (select p.pid, p.rid from past p where p.present)
    union all
    select u.pid, u.rid, u.lo, u.hi, u.param, u.part, u.marks::bigint[]
    from unnest(%(past_index_date_pid)s::bigint[], %(past_index_date_rid)s::bigint[],
                %(past_index_date_lo)s::timestamptz[], %(past_index_date_hi)s::timestamptz[],
                %(past_index_date_param)s::integer[], %(past_index_date_part)s::smallint[],
                %(past_index_date_marks)s::text[]) as u (pid, rid, lo, hi, param, part, marks)
),
index_number as not materialized (
    select x.pid, x.rid, x.param, x.part, x.lo, x.hi, x.marks from index_number x
    where x.pid = 0 or (x.pid, x.rid) in (select p.pid, p.rid from past p where p.present)
    union all
    select u.pid, u.rid, u.param, u.part, u.lo, u.hi, u.marks::bigint[]
    from unnest(%(past_index_number_pid)s::bigint[], %(past_index_number_rid)s::bigint[],
                %(past_index_number_param)s::integer[], %(past_index_number_part)s::smallint[],
                %(past_index_number_lo)s::numeric[], %(past_index_number_hi)s::numeric[],
                %(past_index_number_marks)s::text[]) as u (pid, rid, param, part, lo, hi, marks)
),
index_string as not materialized (
    select x.pid, x.rid, x.param, x.part, x.value, x.marks from index_string x
    where x.pid = 0 or (x.pid, x.rid) in (select p.pid, p.rid from past p where p.present)
    union all
    select u.pid, u.rid, u.param, u.part, u.value collate "C", u.marks::bigint[]
    from unnest(%(past_index_string_pid)s::bigint[], %(past_index_string_rid)s::bigint[],
                %(past_index_string_param)s::integer[], %(past_index_string_part)s::smallint[],
                %(past_index_string_value)s::text[], %(past_index_string_marks)s::text[])
         as u (pid, rid, param, part, value, marks)
),
"""
