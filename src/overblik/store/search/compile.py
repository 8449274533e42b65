"""The whole statement of a search, with the door's condition and the log entry inside."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from overblik.store.queries import LOG_COLUMNS, LOG_VALUES, fill
from overblik.store.search.conditions import Scope, condition
from overblik.store.search.drivers import Source, choose

if TYPE_CHECKING:
    from overblik.fhir.query import Criterion, Query
    from overblik.store.visibility import Kind


class Compiled(NamedTuple):
    """A statement, its parameters (without those of the access itself), and what leads to the rows.

    Every row has a `place`, after which a next page goes on.
    """

    text: LiteralString
    params: dict[str, Any]
    driver: str = ""


_SEARCH: LiteralString = """
with {record}hit as materialized ({hits}
),
shown as materialized (select * from hit order by {order} limit %(count)s),
logged as (
    insert into access_log {columns}
    select pid, 'permit', min(rule), min(evidence), array_agg(rid order by rid),
           array_agg(version order by rid), %(query)s, {values}
    from shown group by pid
)
select h.*, h.sort_at::text || ' ' || h.rid as place from hit h order by {h_order}"""

_RECORD: LiteralString = """record as materialized (
    select w.pid, e.rule, e.evidence
    from ({who}) w, lateral (select w.pid as pid) t, lateral (:permit:) e
),
"""
_OF_RECORD: LiteralString = """
    select * from (select distinct pid, rule, evidence from record) e, lateral (
        select r.rid, r.type, r.id, r.version, r.received_at, r.body, r.sort_at
        from resource r
        where r.pid = e.pid and r.type = %(type)s and not r.deleted and :visible:{criteria}
        order by {r_order} limit %(limit)s
    ) r
    order by {order} limit %(limit)s"""
_BRANCH: LiteralString = """
    select r.pid, e.rule, e.evidence, r.rid, r.type, r.id, r.version, r.received_at, r.body, r.sort_at
    from {tables}, lateral (select r.pid as pid) t, lateral (:permit:) e
    where {source} and not r.deleted{likely} and :visible:{criteria}
    order by {sort} limit %(limit)s"""
# Decides nothing: without it the decision below refuses the same rows, six times as slowly.
_LIKELY: LiteralString = """
      and (case when exists (select from relation y where y.pid = r.pid and y.org = any(%(orgs)s::text[]))
                or exists (select from record_alias y where y.pid = r.pid) then true else false end)"""

_SHARED: LiteralString = """
select type, id, version, received_at, body, id as place, 0 as rid from shared_resource r
where r.type = %(type)s and not r.deleted{criteria}
order by r.id limit %(limit)s"""


def compile_search(query: Query, kind: Kind, key: bytes, after: str = "") -> Compiled:
    """Compile a search of patient data for one kind of access; `after` is the place of the last row shown."""
    scope = Scope(query.type, key, kind)
    driver = choose(query, scope)
    criteria, params = _criteria(query, scope, driver.answers)
    if after:
        moment, _, rid = after.rpartition(" ")
        params |= {"after_at": moment, "after_rid": int(rid)}
        sign: LiteralString = ">" if query.oldest_first else "<"
        criteria += " and (r.sort_at, r.rid) " + sign + " (%(after_at)s::timestamptz, %(after_rid)s)"
    text = _text(kind, driver.record, tuple(driver.sources), criteria, oldest_first=query.oldest_first)
    params |= driver.params | {"type": query.type, "count": query.count, "limit": query.count + 1}
    return Compiled(text, params, driver.name)


@lru_cache(maxsize=2000)
def _text(
    kind: Kind, record: LiteralString, sources: tuple[Source, ...], criteria: LiteralString, *, oldest_first: bool
) -> LiteralString:
    """Put the statement together, once for each shape of search; short, for it is sent and parsed again."""
    way: LiteralString = "" if oldest_first else " desc"
    text = _SEARCH.replace("{record}", _RECORD.replace("{who}", record) if record else "")
    text = text.replace("{hits}", _hits(record, sources, criteria, way))
    for name, alias in _ORDERS:
        text = text.replace(name, _order(alias, way))
    text = text.replace("{likely}", _LIKELY if kind == "professional" else "")
    text = fill(text, kind).replace("{columns}", LOG_COLUMNS).replace("{values}", LOG_VALUES)
    return " ".join(text.split())


_ORDERS: tuple[tuple[LiteralString, LiteralString], ...] = (("{order}", ""), ("{r_order}", "r."), ("{h_order}", "h."))


def _order(alias: LiteralString, way: LiteralString) -> LiteralString:
    return alias + "sort_at" + way + ", " + alias + "rid" + way


def _hits(
    record: LiteralString, sources: tuple[Source, ...], criteria: LiteralString, way: LiteralString
) -> LiteralString:
    if record:
        return _OF_RECORD.replace("{criteria}", criteria)
    branches = [_branch(source, criteria, way) for source in sources]
    if len(branches) == 1:
        return branches[0]
    text: LiteralString = ""
    for branch in branches:
        text += (" union all " if text else "") + "(" + branch + ")"
    return "\n    select * from (" + text + ") b order by {order} limit %(limit)s"


def _branch(source: Source, criteria: LiteralString, way: LiteralString) -> LiteralString:
    text = _BRANCH.replace("{tables}", source.tables).replace("{criteria}", criteria)
    text = text.replace("{source}", source.where)
    return text.replace("{sort}", source.sort_at + way + ", " + source.rid + way)


def compile_shared(query: Query, key: bytes, after: str = "") -> Compiled:
    """Compile a search of resources that belong to no patient, in the order of their ids."""
    criteria, params = _criteria(query, Scope(query.type, key, "system", shared=True))
    if after:
        criteria += "\n      and r.id > %(after)s"
        params["after"] = after
    text = _SHARED.replace("{criteria}", criteria)
    return Compiled(text, params | {"type": query.type, "limit": query.count + 1}, "shared")


def _criteria(query: Query, scope: Scope, answered: Criterion | None = None) -> tuple[LiteralString, dict[str, Any]]:
    """Return the criteria as conditions that no index is chosen by.

    Inside a case, PostgreSQL expects every other row to pass, and goes on in the order that was chosen.
    """
    text: LiteralString = ""
    params: dict[str, Any] = {}
    for name, criterion in zip(_NAMES, query.criteria, strict=False):
        if criterion is answered:
            continue
        found = condition(criterion, scope)
        test: LiteralString = found.text if scope.shared else "(case when " + found.text + " then true else false end)"
        text += " and " + test.replace("{p}", name)
        params |= {name + suffix: value for suffix, value in found.params.items()}
    return text, params


_NAMES: tuple[LiteralString, ...] = (
    "a", "b", "c", "d0", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "q",
)  # fmt: skip
