"""Where the rows of a search come from: chosen here, not left to the planner.

    record   one patient's rows, newest first by (pid, type, sort_at, rid)
    tokens   rare tokens, by the GIN index
    listed   the headline token, newest first by (headline, sort_at, rid)
    rows     a narrow table leads: names, numbers, dates that are not the headline's
    ids      by id
    step     what a chain or `_has` ends in, where that is rare
    changes  `_lastUpdated`, by the records changed
    newest   all of the type, newest first by (type, sort_at, rid)

A professional's search over all records can be led from another side: where the unit has few relations,
`listed` and `newest` look into each of its records instead of walking everybody's rows. The statement
itself sees which is the smaller side.

A driver is one or more sources whose rows never overlap. Each is ordered and limited by itself and
then merged, so that a page reads a page of each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, LiteralString

from overblik.fhir.index.digests import token
from overblik.fhir.index.parameters import headline_date, headline_token
from overblik.fhir.query import (
    Chain,
    Composites,
    Dates,
    Either,
    Has,
    Ids,
    Links,
    Numbers,
    Patients,
    Strings,
    Tokens,
    Updated,
)
from overblik.store.search.common import COMMON
from overblik.store.search.conditions import condition, digests, record_of
from overblik.store.search.implied import implied
from overblik.store.search.leads import BEGINS, FROM, UNTIL, beginning, lead_of_patients, lead_of_step
from overblik.store.search.narrow import among, pairs, test_of
from overblik.store.search.scope import DIGITS

if TYPE_CHECKING:
    from overblik.fhir.query import Criterion, Query
    from overblik.store.search.scope import Scope


@dataclass(frozen=True, slots=True)
class Source:
    """One place rows come from: tables, a condition, and the columns they are ordered by."""

    tables: LiteralString
    where: LiteralString
    sort_at: LiteralString = "r.sort_at"
    rid: LiteralString = "r.rid"


@dataclass(slots=True)
class Driver:
    """The sources of a search with their parameters; `record` selects the records of a patient.

    `answers` are the criteria that the driver meets by itself; every other stands as a condition too. With
    `either`, the records are those the unit has a relation to, and the sources are for where they are many.
    `many` asks whether more rows match than a search of them all should collect, and `match` is then the
    condition under which one of the newest matches.
    """

    name: str
    sources: list[Source] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    record: LiteralString = ""
    answers: tuple[Criterion, ...] = ()
    either: bool = False
    many: LiteralString = ""
    match: LiteralString = ""


_OWN_RECORD: LiteralString = (
    "select m.pid from person_key k, lateral (select k.pid as pid union select s.pid from record_alias s"
    " join record_alias o on o.root = s.root where o.pid = k.pid) m"
    " where k.system = %(system)s and k.value = %(value)s and k.source = ''"
)
_FEW: LiteralString = "select m.pid from mine m, side where side.few"
_NEWEST = Source("resource r", "r.type = %(type)s")
_TYPED: LiteralString = "(case when r.type = %(type)s then true else false end) and "
"""For sources that another index leads to: the type is then a condition like any other."""
_UNORDERED: LiteralString = "r.sort_at + interval '0'"
"""An order that no index can give: what was found is sorted, rather than the newest looked through for it."""


def choose(query: Query, scope: Scope) -> Driver:
    """Choose where the rows come from."""
    patients = [c for c in query.criteria if isinstance(c, Patients)]
    named = [c for c in patients if c.matching is None]
    if named:
        return _of_record(named[0], scope)
    if scope.kind in {"citizen", "proxy"}:
        return Driver("record", record=_OWN_RECORD)
    by_id = [c for c in query.criteria if isinstance(c, Ids)]
    if by_id:
        return _by_ids(by_id[0])
    driver = _crossing(query.criteria, scope)
    walks = driver.name == "newest" or (driver.name == "listed" and _many(query, scope))
    if walks and patients and (found := _of_matching(patients[0], scope)) is not None:
        return found
    if scope.kind == "professional" and walks:
        driver.either, driver.record = True, _FEW
        driver.params |= {"few": COMMON.few, "most_few": 8 * COMMON.few}
    return driver


def _many(query: Query, scope: Scope) -> bool:
    """Say whether the headline token of a search stands in a good part of all rows."""
    coded = [c for c in (*query.criteria, *implied(query.criteria, scope)) if isinstance(c, Tokens)]
    return any(COMMON.has(c, scope) for c in coded if c.param == headline_token(scope.type))


def _by_ids(criterion: Ids) -> Driver:
    where: LiteralString = _TYPED + "(r.pid, r.rid) in (select l.pid, l.rid from locator l where l.type = %(type)s"
    where += " and l.id = any(%(d_ids)s::text[]))"
    return Driver("ids", [Source("resource r", where, _UNORDERED)], {"d_ids": list(criterion.ids)})


def _of_record(patients: Patients, scope: Scope) -> Driver:
    who = record_of(patients, scope)
    params = {"d" + name: value for name, value in who.params.items()}
    return Driver("record", params=params, record=who.text.replace("{p}", "d"), answers=(patients,))


def _of_matching(patients: Patients, scope: Scope) -> Driver | None:
    """The records of the Patients that meet a criterion lead, where an index finds those."""
    found = lead_of_patients(patients, scope)
    if found is None:
        return None
    found = found.under("d")
    driver = Driver("record", params=found.params, record=found.text, answers=(patients,))
    if found.many and scope.kind != "professional":
        each = condition(patients, scope)
        driver.params |= {"dm" + name: value for name, value in each.params.items()}
        _walk_first(driver, found.many, " and " + each.text.replace("{p}", "dm"))
    return driver


def _crossing(criteria: tuple[Criterion, ...], scope: Scope) -> Driver:
    """Choose for a search over all records."""
    composed = list(implied(criteria, scope))
    coded = [c for c in criteria if isinstance(c, Tokens | Links)]
    rare = [found for c in (*criteria, *composed) if (found := _rare(c, scope)) is not None]
    if rare:
        return _by_tokens(rare)
    texts = [c for c in criteria if isinstance(c, Strings)]
    led = (led for c in criteria if isinstance(c, Chain | Has) and (led := _by_step(c, scope)) is not None)
    if (driver := _by_texts(texts, scope) if texts else next(led, None)) is not None:
        return driver
    dates = [c for c in criteria if isinstance(c, Dates)]
    dated = [c for c in dates if c.param == headline_date(scope.type) and len(c.values) == 1]
    listed = [c for c in (*coded, *composed) if c.param == headline_token(scope.type)]
    if listed:
        return _listed(listed, dated, scope)
    ranged: list[Numbers | Dates] = [c for c in criteria if isinstance(c, Numbers)]
    ranged += [c for c in dates if c.param != headline_date(scope.type)]
    if ranged and not coded:
        return _by_rows(ranged[0], scope)
    changed = [c for c in criteria if isinstance(c, Updated) and len(c.values) == 1 and c.values[0][0] in FROM]
    if changed and not coded and not dated:
        return _by_change(changed[0])
    return _dated("newest", [_NEWEST], {}, dated)


def _rare(criterion: Criterion, scope: Scope) -> list[int] | None:
    """Return the digests of which every match has one, where few rows have any; None where that is not so."""
    match criterion:
        case Tokens() | Links() if criterion.param != headline_token(scope.type):
            return None if COMMON.has(criterion, scope) else digests(criterion, scope)
        case Composites() if (found := pairs(criterion, scope)) is not None:
            return None if COMMON.are(found) else found
        case Either(several) if all(isinstance(c, Tokens | Links) and not COMMON.has(c, scope) for c in several):
            return [found for c in several if isinstance(c, Tokens | Links) for found in digests(c, scope)]
    return None


def _listed(listed: list[Tokens | Links], dated: list[Dates], scope: Scope) -> Driver:
    """One code is walked in order; for several, or a whole system, the GIN index collects."""
    for criterion in listed:
        if isinstance(criterion, Tokens) and len(criterion.values) == 1 and criterion.values[0][1] is not None:
            return _by_headline(criterion, dated, scope)
    return _by_tokens([digests(criterion, scope) for criterion in listed])


def _by_tokens(every: list[list[int]]) -> Driver:
    """Let the GIN index find the rows that have one of each; their order cannot be taken from another index then."""
    where: LiteralString = _TYPED
    params: dict[str, Any] = {}
    for number, found in enumerate(every):
        name: LiteralString = "d" + DIGITS[number]
        where += (" and " if number else "") + "r.tokens " + ("@>" if len(found) == 1 else "&&") + " %(" + name
        where += ")s::bigint[]"
        params[name] = found
    return Driver("tokens", [Source("resource r", where, _UNORDERED)], params)


def _by_rows(criterion: Strings | Numbers | Dates, scope: Scope) -> Driver:
    found = among(criterion, scope)
    source = Source("resource r", _TYPED + found.text.replace("{p}", "d").replace("{r}", scope.row), _UNORDERED)
    return Driver("rows", [source], {"d" + name: value for name, value in found.params.items()})


_INDEXED = frozenset({"begins", "whole"})
_WITH: LiteralString = "select x.pid, x.rid from index_string x where "


def _by_texts(texts: list[Strings], scope: Scope) -> Driver:
    """One text leads; of several, what has each of the first two: they are seldom as many as either has."""
    texts = sorted(texts, key=lambda text: text.how not in _INDEXED)
    tests = [test_of(text, scope) for text in texts[:2]]
    one = tests[0].text.replace("{p}", "d").replace("{x}", "x")
    params = {"d" + name: value for name, value in tests[0].params.items()}
    among: LiteralString = _TYPED + "(r.pid, r.rid) in (" + _WITH + one
    driver = Driver("rows", [Source("resource r", among + ")", _UNORDERED)], params, answers=(texts[0],))
    if len(texts) > 1 and texts[1].how in _INDEXED:
        other = tests[1].text.replace("{p}", "dt").replace("{x}", "x")
        driver.sources = [Source("resource r", among + " intersect " + _WITH + other + ")", _UNORDERED)]
        driver.params |= {"dt" + name: value for name, value in tests[1].params.items()}
        driver.answers = tuple(texts[:2])
    elif scope.kind != "professional":
        many: LiteralString = "exists (select from index_string x where " + one + " offset %(collected)s::bigint)"
        # With an offset PostgreSQL looks for each row that is walked; it would collect all that match otherwise.
        match: LiteralString = " and exists (select from index_string x where x.pid = r.pid and x.rid = r.rid and "
        _walk_first(driver, many, match + one + " offset 0)")
    return driver


def _by_step(step: Chain | Has, scope: Scope) -> Driver | None:
    found = lead_of_step(step, scope)
    if found is None:
        return None
    found = found.under("d")
    driver = Driver("step", [Source("resource r", found.text, _UNORDERED)], found.params)
    if found.many and scope.kind != "professional":
        _walk_first(driver, found.many, "")
    return driver


def _walk_first(driver: Driver, many: LiteralString, match: LiteralString) -> None:
    """Let what many have be looked for among the newest first: one in twenty is found there at once.

    Both bounds grow with the root of all records, as `Common.few` does: where fewer have it, collecting them
    costs less than a walk that finds a page of it; a walk that finds none costs a few times the collecting.
    A professional's rows are few in a walk over everybody's.
    """
    driver.many, driver.match = many, match
    driver.params |= {"collected": COMMON.collected, "walked": 16 * COMMON.few}


def _by_headline(criterion: Tokens, dated: list[Dates], scope: Scope) -> Driver:
    """A resource has one headline code in its own row and any further in `index_headline`."""
    value = criterion.values[0][1]
    params = {"d_token": token(scope.key, scope.type, criterion.param, None, value).value}
    sources = [
        Source("resource r", _TYPED + "r.headline = %(d_token)s"),
        Source(
            "index_headline l join resource r on r.pid = l.pid and r.rid = l.rid",
            "l.token = %(d_token)s",
            "l.sort_at",
            "l.rid",
        ),
    ]
    return _dated("listed", sources, params, dated)


def _by_change(criterion: Updated) -> Driver:
    ((prefix, interval),) = criterion.values
    upper: LiteralString = " and c.at < %(d_hi)s" if prefix in UNTIL else ""
    where: LiteralString = (
        _TYPED + "(r.pid, r.cid) in (select c.pid, c.cid from change c where c.at >= %(d_lo)s" + upper + ")"
    )
    params = {"d_lo": interval.start, "d_hi": interval.end}
    return Driver("changes", [Source("resource r", where, _UNORDERED)], params)


def _dated(name: str, sources: list[Source], params: dict[str, Any], dated: list[Dates]) -> Driver:
    """Bound a driver's order by ranges of the headline date.

    A row that matches begins before the range ends. Where the columns hold its date it is at most
    `WIDEST` wide, so it begins that long before the range at the earliest, or within it where it must
    lie there. What the columns do not hold has an index of its own, of few rows, and is tried row by row.
    """
    until = [c.values[0][1].end for c in dated if c.values[0][0] in UNTIL]
    since = [c for c in dated if c.values[0][0] in FROM]
    if until:
        sources = [_also(s, " and r.sort_at < %(d_until)s") for s in sources]
        params["d_until"] = min(until)
    if since:
        near: LiteralString = " and r.sort_to is not null and r.sort_at >= %(d_from)s"
        wide: LiteralString = " and r.sort_to is null"
        params["d_from"] = max(beginning(*c.values[0]) for c in since)
        begins = [c.values[0][1].start for c in since if c.values[0][0] in BEGINS]
        if begins:
            wide = " and r.sort_to is null and r.sort_at >= %(d_begins)s"
            params["d_begins"] = max(begins)
        sources = [_also(s, near) for s in sources] + [_also(s, wide) for s in sources]
    return Driver(name, sources, params)


def _also(source: Source, text: LiteralString) -> Source:
    return Source(source.tables, source.where + text, source.sort_at, source.rid)
