"""Query tree and kind of access to SQL.

Plain form: criteria as conditions on `resource`, tokens by the GIN index, dates by their own rows.
The door's condition stands in the same WHERE, before ORDER and LIMIT. Values are always bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from overblik.fhir.index import token_digest
from overblik.fhir.query import Dates, Ids, Patients, Query, Tokens
from overblik.store.queries import LOG_COLUMNS, LOG_VALUES, fill
from overblik.store.visibility import visible

if TYPE_CHECKING:
    from overblik.fhir.dates import Interval
    from overblik.fhir.query import Criterion
    from overblik.store.visibility import Kind


class Compiled(NamedTuple):
    """A statement and its parameters (without those of the access itself)."""

    text: LiteralString
    params: dict[str, Any]


_SEARCH: LiteralString = """
with hit as materialized (
    select r.pid, r.rid, r.type, r.id, r.version, r.received_at, r.body, e.rule, e.evidence
    from resource r, lateral (select r.pid as pid) t, lateral (:permit:) e
    where r.type = %(type)s and not r.deleted and :visible: {criteria}
    order by r.rid limit %(limit)s
),
shown as materialized (select * from hit order by rid limit %(count)s),
logged as (
    insert into access_log {columns}
    select pid, 'permit', min(rule), min(evidence), array_agg(rid order by rid),
           array_agg(version order by rid), %(query)s, {values}
    from shown group by pid
)
select h.*, s.rid is not null as on_page from hit h left join shown s using (pid, rid) order by h.rid"""

_SHARED: LiteralString = """
select type, id, version, received_at, body, true as on_page, 0 as rid from shared_resource r
where r.type = %(type)s and not r.deleted {criteria}
order by r.id limit %(limit)s"""


def compile_search(query: Query, kind: Kind, key: bytes, after: int | None) -> Compiled:
    """Compile a search of patient data for one kind of access; `after` is the last row shown."""
    parts, params = _criteria(query, key, kind)
    if after is not None:
        parts.append("r.rid > %(after)s")
        params["after"] = after
    text = fill(_SEARCH.replace("{criteria}", _joined(parts)), kind)
    text = text.replace("{columns}", LOG_COLUMNS).replace("{values}", LOG_VALUES)
    return Compiled(text, params | {"type": query.type, "count": query.count, "limit": query.count + 1})


def compile_shared(query: Query, key: bytes, after: str | None) -> Compiled:
    """Compile a search of resources that belong to no patient."""
    parts, params = _criteria(query, key, "system")
    if after is not None:
        parts.append("r.id > %(after)s")
        params["after"] = after
    text = _SHARED.replace("{criteria}", _joined(parts))
    return Compiled(text, params | {"type": query.type, "limit": query.count + 1})


def _joined(parts: list[LiteralString]) -> LiteralString:
    text: LiteralString = ""
    for part in parts:
        text += "\n      and " + part
    return text


def _criteria(query: Query, key: bytes, kind: Kind) -> tuple[list[LiteralString], dict[str, Any]]:
    parts: list[LiteralString] = []
    params: dict[str, Any] = {}
    for number, criterion in enumerate(query.criteria):
        text, value = _criterion(criterion, query.type, key, kind)
        name = _NAMES[number]
        parts.append(text.replace("{p}", name))
        params |= {name + suffix: item for suffix, item in value.items()}
    return parts, params


_NAMES: tuple[LiteralString, ...] = (
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "q",
)  # fmt: skip


def _criterion(
    criterion: Criterion, resource_type: str, key: bytes, kind: Kind
) -> tuple[LiteralString, dict[str, Any]]:
    match criterion:
        case Ids(ids):
            return "r.id = any(%({p}_ids)s::text[])", {"_ids": list(ids)}
        case Patients(ids, identifiers):
            tokens = [token_digest(key, "Patient", "identifier", s, v) for s, v in identifiers]
            return _patients(kind), {"_ids": list(ids), "_tokens": tokens}
        case Tokens(param, values):
            digests = [token_digest(key, resource_type, param, s, v) for s, v in values]
            return "r.tokens && %({p}_tokens)s::bigint[]", {"_tokens": digests}
        case Dates(param, values):
            return _dates(values), {"_param": param} | _bounds(values)


def _patients(kind: Kind) -> LiteralString:
    """Any visible Patient of a record opens the whole record; an invisible one opens nothing."""
    return (
        "r.pid in (select m.pid from resource q, lateral ("
        " select q.pid as pid union select s.pid from record_alias s"
        " join record_alias o on o.root = s.root where o.pid = q.pid) m"
        " where q.type = 'Patient' and not q.deleted and " + visible(kind, "q") + " and ("
        " (q.pid, q.rid) in (select l.pid, l.rid from locator l"
        " where l.type = 'Patient' and l.id = any(%({p}_ids)s::text[]))"
        " or q.tokens && %({p}_tokens)s::bigint[]))"
    )


_DATE_TESTS: dict[str, LiteralString] = {
    "eq": "x.lo >= {lo} and x.hi <= {hi}",
    "ne": "not (x.lo >= {lo} and x.hi <= {hi})",
    "gt": "x.hi > {hi}",
    "lt": "x.lo < {lo}",
    "ge": "x.hi > {lo}",
    "le": "x.lo < {hi}",
    "sa": "x.lo >= {hi}",
    "eb": "x.hi <= {lo}",
    "ap": "x.lo < {hi} and x.hi > {lo}",
}


def _dates(values: tuple[tuple[str, Interval], ...]) -> LiteralString:
    tests: LiteralString = ""
    for number, (prefix, _) in enumerate(values):
        lo: LiteralString = "(%({p}_lo)s::timestamptz[])[" + _DIGITS[number] + "]"
        hi: LiteralString = "(%({p}_hi)s::timestamptz[])[" + _DIGITS[number] + "]"
        test = _DATE_TESTS[prefix].replace("{lo}", lo).replace("{hi}", hi)
        tests += (" or " if tests else "") + "(" + test + ")"
    return (
        "exists (select from index_date x where x.pid = r.pid and x.rid = r.rid"
        " and x.param = %({p}_param)s and (" + tests + "))"
    )


_DIGITS: tuple[LiteralString, ...] = (
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20",
)  # fmt: skip


def _bounds(values: tuple[tuple[str, Interval], ...]) -> dict[str, Any]:
    return {"_lo": [i.start for _, i in values], "_hi": [i.end for _, i in values]}
