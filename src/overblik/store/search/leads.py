"""What leads a search to its rows by something else than the rows themselves: the end of a chain, or of `_has`.

A lead is a criterion as a condition that an index is chosen by. Where it may meet many, `many` asks so: a page
is then looked for among the newest rows first, each tried by itself, and only what is not found there is collected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from overblik.fhir.compartment import is_shared
from overblik.fhir.index.digests import way
from overblik.fhir.index.parameters import headline_date, kept_as
from overblik.fhir.index.row import WIDEST
from overblik.fhir.query import Chain, Dates, Has, Ids, Links, Near, Numbers, Strings, Tokens
from overblik.store.search.common import COMMON
from overblik.store.search.conditions import condition
from overblik.store.search.narrow import TABLES, among, test_of
from overblik.store.search.scope import Scope
from overblik.store.visibility import visible

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.fhir.dates import Interval
    from overblik.fhir.query import Criterion, Patients

BEGINS = frozenset({"eq", "sa"})
"""Prefixes by which what matches begins in the range asked for, or after it."""
FROM = frozenset({"eq", "gt", "ge", "sa", "ap"})
UNTIL = frozenset({"eq", "lt", "le", "eb", "ap"})


class Lead(NamedTuple):
    """A condition that an index is chosen by, its parameters, and what asks whether many rows meet it ("" for no)."""

    text: LiteralString
    params: dict[str, Any]
    many: LiteralString = ""

    def under(self, prefix: LiteralString) -> Lead:
        """Return the same with its parameters named by a prefix."""
        params = {prefix + name: value for name, value in self.params.items()}
        return Lead(self.text.replace("{p}", prefix), params, self.many.replace("{p}", prefix))


_LED: LiteralString = """r.pid in (
    select m.pid from resource y, lateral (select y.pid union all select s.pid from record_alias s
        join record_alias o on o.root = s.root where o.pid = y.pid) as m (pid)
    where (case when y.type = %({p}_type)s and not y.deleted then true else false end) and {inner})"""
_LED_BY_SHARED: LiteralString = """r.tokens && array(
    select y.link # w from shared_resource y, unnest(%({p}_ways)s::bigint[]) w
    where y.type = %({p}_type)s and not y.deleted and {inner})"""


def lead_of_step(step: Chain | Has, scope: Scope) -> Lead | None:
    """Let the end of a chain lead: the whole chain is asked of what it leads to. None where that is no help.

    Whatever is of a patient on the way is in one record, so the record leads; of what is nobody's, the link.
    """
    first = step
    while isinstance(step.criterion, Chain | Has) and not is_shared(step.type):
        step = step.criterion
    inner = Scope(step.type, scope.key, scope.kind, is_shared(step.type), "y", "y.pid")
    found = lead(step.criterion, inner)
    if found is None or (inner.shared and (step is not first or isinstance(step, Has))):
        return None
    params = found.params | {"_type": step.type}
    if inner.shared and isinstance(step, Chain):
        names = kept_as(scope.type, step.param)
        params["_ways"] = [way(scope.key, scope.type, name).value for name in names]
        return Lead(_LED_BY_SHARED.replace("{inner}", found.text), params)
    return Lead("r.type = %(type)s and " + _LED.replace("{inner}", found.text), params, found.many)


_RECORD: LiteralString = """
    select m.pid from resource y, lateral (
        select y.pid as pid union select s.pid from record_alias s
        join record_alias o on o.root = s.root where o.pid = y.pid) m
    where y.type = 'Patient' and not y.deleted and {visible} and {inner}"""


def lead_of_patients(patients: Patients, scope: Scope) -> Lead | None:
    """Return the records of the visible Patients that meet a criterion, as the rows of a subquery of `pid`."""
    if patients.matching is None:
        return None
    found = lead(patients.matching, Scope("Patient", scope.key, scope.kind, row="y", home="y.pid"))
    if found is None:
        return None
    text = _RECORD.replace("{visible}", visible(scope.kind, "y")).replace("{inner}", found.text)
    return Lead(text, found.params | {"_type": "Patient"}, found.many)


def lead(criterion: Criterion, scope: Scope) -> Lead | None:
    """Return a criterion as what leads; None where many rows may meet it and a walk of the newest is better."""
    match criterion:
        case Tokens() | Links():
            found = condition(criterion, scope)
            return None if COMMON.leads_to_many(criterion, scope) else Lead(found.text, found.params)
        case Strings() | Numbers() if not scope.shared:
            found = among(criterion, scope)
            return Lead(found.text.replace("{r}", scope.row), found.params, _many(criterion, scope))
        case Dates(values=values) if not scope.shared and len(values) == 1 and values[0][0] in FROM & UNTIL:
            return _by_date(criterion, scope)
        case Ids(ids) if not scope.shared:
            text: LiteralString = "(y.pid, y.rid) in (select l.pid, l.rid from locator l where l.type = %({p}_type)s"
            return Lead(text + " and l.id = any(%({p}_ids)s::text[]))", {"_ids": list(ids)})
        case Strings() | Numbers() | Ids() | Near():
            found = condition(criterion, scope)
            return Lead(found.text, found.params)
    return None


def _many(criterion: Strings | Numbers | Dates, scope: Scope) -> LiteralString:
    test = test_of(criterion, scope).text.replace("{x}", "x")
    return "exists (select from " + TABLES[type(criterion)] + " x where " + test + " offset %(collected)s::bigint)"


_NEAR: LiteralString = (
    "select z.pid, z.rid from resource z where z.type = %({p}_type)s and z.sort_to is not null"
    " and z.sort_at >= %({p}_from)s and z.sort_at < %({p}_until)s"
)


def _by_date(criterion: Dates, scope: Scope) -> Lead:
    """Lead by one span of time: the rows whose columns hold their date in it, and the narrow rows of the others."""
    found = among(criterion, scope)
    if criterion.param != headline_date(scope.type):
        return Lead(found.text.replace("{r}", scope.row), found.params, _many(criterion, scope))
    ((prefix, interval),) = criterion.values
    test = test_of(criterion, scope)
    rows: LiteralString = "select x.pid, x.rid from index_date x where " + test.text.replace("{x}", "x")
    exact = condition(criterion, scope)
    text: LiteralString = "(y.pid, y.rid) in (" + _NEAR + " union all " + rows + ") and " + exact.text
    params = test.params | exact.params | {"_from": beginning(prefix, interval), "_until": interval.end}
    return Lead(text, params, "exists (" + _NEAR + " offset %(collected)s::bigint)")


def beginning(prefix: str, interval: Interval) -> datetime:
    """Return when a row begins at the earliest whose columns hold a date that matches."""
    try:
        return interval.start if prefix in BEGINS else interval.start - WIDEST
    except OverflowError:
        return interval.start
