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

from overblik.fhir.compartment import is_shared
from overblik.fhir.index.digests import token, way
from overblik.fhir.index.parameters import headline_date, headline_token, kept_as
from overblik.fhir.index.row import WIDEST
from overblik.fhir.query import Chain, Dates, Either, Has, Ids, Links, Near, Numbers, Patients, Strings, Tokens, Updated
from overblik.store.search.conditions import condition, digests, record_of
from overblik.store.search.narrow import among, test_of
from overblik.store.search.scope import DIGITS, Condition, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overblik.fhir.query import Criterion, Query

EVERYWHERE = frozenset({"_profile", "_security", "_tag", "_source", "status", "category", "gender", "active", "class",
                        "intent", "priority", "language", "clinical-status", "verification-status", "deceased",
                        "lifecycle-status", "use", "kind", "outcome"})  # fmt: skip
"""Parameters of few values: most rows match, as long as nothing better is known."""


FEWEST, MOST_FEW = 16, 2_000


class Common:
    """The tokens that stand in a good part of all rows: a search by them alone walks the newest rows.

    Of the process: digests are keyed, so those of another database are other digests.
    """

    def __init__(self) -> None:
        self._tokens: frozenset[int] = frozenset()
        self.few = FEWEST

    def learn(self, tokens: Iterable[int], records: int = 0) -> None:
        """Take what the statistics say, of tokens and of how many records there are.

        Without any, the names of parameters decide which tokens are common. A unit's relations are few up
        to about the root of all records: there both sides cost the same, a walk that passes records /
        relations rows for each it finds, and a look into every related record (a hundred rows' worth).
        """
        self._tokens = frozenset(tokens)
        self.few = min(max(int(0.7 * records**0.5), FEWEST), MOST_FEW)

    def has(self, criterion: Tokens | Links, scope: Scope) -> bool:
        """Say whether one of a criterion's values is common."""
        if not self._tokens:
            return criterion.param in EVERYWHERE
        return not self._tokens.isdisjoint(digests(criterion, scope))


COMMON = Common()


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

    `answers` is the criterion that the driver meets by itself; every other stands as a condition too. With
    `either`, the records are those the unit has a relation to, and the sources are for where they are many.
    `many` asks whether more rows match than a search of them all should collect, and `match` is then the
    condition under which one of the newest matches.
    """

    name: str
    sources: list[Source] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    record: LiteralString = ""
    answers: Criterion | None = None
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
    patients.sort(key=lambda p: p.matching is not None)
    if patients:
        return _of_record(patients[0], scope)
    if scope.kind in {"citizen", "proxy"}:
        return Driver("record", record=_OWN_RECORD)
    named = [c for c in query.criteria if isinstance(c, Ids)]
    if named:
        return _by_ids(named[0])
    driver = _crossing(query.criteria, scope)
    walks = driver.name == "newest" or (driver.name == "listed" and _many(query, scope))
    if scope.kind == "professional" and walks:
        driver.either, driver.record = True, _FEW
        driver.params |= {"few": COMMON.few, "most_few": 8 * COMMON.few}
    return driver


def _many(query: Query, scope: Scope) -> bool:
    """Say whether the headline token of a search stands in a good part of all rows."""
    coded = [c for c in query.criteria if isinstance(c, Tokens) and c.param == headline_token(scope.type)]
    return any(COMMON.has(c, scope) for c in coded)


def _by_ids(criterion: Ids) -> Driver:
    where: LiteralString = _TYPED + "(r.pid, r.rid) in (select l.pid, l.rid from locator l where l.type = %(type)s"
    where += " and l.id = any(%(d_ids)s::text[]))"
    return Driver("ids", [Source("resource r", where, _UNORDERED)], {"d_ids": list(criterion.ids)})


def _of_record(patients: Patients, scope: Scope) -> Driver:
    who = record_of(patients, scope)
    params = {"d" + name: value for name, value in who.params.items()}
    return Driver("record", params=params, record=who.text.replace("{p}", "d"), answers=patients)


def _crossing(criteria: tuple[Criterion, ...], scope: Scope) -> Driver:
    """Choose for a search over all records."""
    coded = [c for c in criteria if isinstance(c, Tokens | Links)]
    rare = [found for c in criteria if (found := _rare(c, scope)) is not None]
    if rare:
        return _by_tokens(rare)
    texts = [c for c in criteria if isinstance(c, Strings)]
    led = (led for c in criteria if isinstance(c, Chain | Has) and (led := _by_step(c, scope)) is not None)
    if (driver := _by_rows(texts[0], scope) if texts else next(led, None)) is not None:
        return driver
    dates = [c for c in criteria if isinstance(c, Dates)]
    dated = [c for c in dates if c.param == headline_date(scope.type) and len(c.values) == 1]
    listed = [c for c in coded if c.param == headline_token(scope.type)]
    if listed:
        return _listed(listed, dated, scope)
    ranged: list[Numbers | Dates] = [c for c in criteria if isinstance(c, Numbers)]
    ranged += [c for c in dates if c.param != headline_date(scope.type)]
    if ranged and not coded:
        return _by_rows(ranged[0], scope)
    changed = [c for c in criteria if isinstance(c, Updated) and len(c.values) == 1 and c.values[0][0] in _FROM]
    if changed and not coded and not dated:
        return _by_change(changed[0])
    return _dated("newest", [_NEWEST], {}, dated, scope)


def _rare(criterion: Criterion, scope: Scope) -> list[int] | None:
    """Return the digests of which every match has one, where few rows have any; None where that is not so."""
    match criterion:
        case Tokens() | Links() if criterion.param != headline_token(scope.type):
            return None if COMMON.has(criterion, scope) else digests(criterion, scope)
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
    driver = Driver("rows", [source], {"d" + name: value for name, value in found.params.items()})
    if isinstance(criterion, Strings):
        driver.answers = criterion
        if scope.kind != "professional":
            _walk_first(driver, criterion, scope)
    return driver


def _walk_first(driver: Driver, criterion: Strings, scope: Scope) -> None:
    """Let a name of many be looked for among the newest first: one in twenty is found there at once.

    Both bounds grow with the root of all records, as `Common.few` does: where a name has fewer, collecting them
    costs less than a walk that finds a page of it; a walk that finds none costs a few times the collecting.
    A professional's rows are few in a walk over everybody's.
    """
    test = test_of(criterion, scope).text.replace("{p}", "d").replace("{x}", "x")
    driver.many = "exists (select from index_string x where " + test + " offset %(collected)s::bigint)"
    # With an offset PostgreSQL looks for each row that is walked; it would collect all that match otherwise.
    driver.match = " and exists (select from index_string x where x.pid = r.pid and x.rid = r.rid and " + test
    driver.match += " offset 0)"
    driver.params |= {"collected": 6 * COMMON.few, "walked": 16 * COMMON.few}


_LED: LiteralString = """r.pid in (
    select m.pid from resource y, lateral (select y.pid union all select s.pid from record_alias s
        join record_alias o on o.root = s.root where o.pid = y.pid) as m (pid)
    where {typed}{inner})"""
_LED_BY_SHARED: LiteralString = """r.tokens && array(
    select y.link # w from shared_resource y, unnest(%(d_ways)s::bigint[]) w
    where y.type = %(d_type)s and not y.deleted and {inner})"""


def _by_step(step: Chain | Has, scope: Scope) -> Driver | None:
    """Let the end of a chain lead, where few are to be expected: the whole chain is asked of what it leads to.

    Whatever is of a patient on the way is in one record, so the record leads; of what is nobody's, the link.
    """
    first = step
    while isinstance(step.criterion, Chain | Has) and not is_shared(step.type):
        step = step.criterion
    inner = Scope(step.type, scope.key, scope.kind, is_shared(step.type), "y", "y.pid")
    found = _few(step.criterion, inner)
    if found is None or (inner.shared and (step is not first or isinstance(step, Has))):
        return None
    params = {"d" + name: value for name, value in found.params.items()} | {"d_type": step.type}
    if inner.shared and isinstance(step, Chain):
        names = kept_as(scope.type, step.param)
        params["d_ways"] = [way(scope.key, scope.type, name).value for name in names]
        text = _LED_BY_SHARED.replace("{inner}", found.text.replace("{p}", "d"))
        return Driver("step", [Source("resource r", _TYPED + text, _UNORDERED)], params)
    typed: LiteralString = "(case when y.type = %(d_type)s and not y.deleted then true else false end) and "
    text = _LED.replace("{typed}", typed).replace("{inner}", found.text.replace("{p}", "d"))
    return Driver("step", [Source("resource r", "r.type = %(type)s and " + text, _UNORDERED)], params)


def _few(criterion: Criterion, scope: Scope) -> Condition | None:
    """Return a criterion as a condition that an index is chosen by; None where many rows may meet it."""
    match criterion:
        case Tokens() | Links():
            return None if COMMON.has(criterion, scope) else condition(criterion, scope)
        case Strings() | Numbers() if not scope.shared:
            found = among(criterion, scope)
            return Condition(found.text.replace("{r}", scope.row), found.params)
        case Ids(ids) if not scope.shared:
            text: LiteralString = "(y.pid, y.rid) in (select l.pid, l.rid from locator l where l.type = %(d_type)s"
            return Condition(text + " and l.id = any(%({p}_ids)s::text[]))", {"_ids": list(ids)})
        case Strings() | Numbers() | Ids() | Near():
            return condition(criterion, scope)
    return None


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
    return _dated("listed", sources, params, dated, scope)


def _by_change(criterion: Updated) -> Driver:
    ((prefix, interval),) = criterion.values
    upper: LiteralString = " and c.at < %(d_hi)s" if prefix in _UNTIL else ""
    where: LiteralString = (
        _TYPED + "(r.pid, r.cid) in (select c.pid, c.cid from change c where c.at >= %(d_lo)s" + upper + ")"
    )
    params = {"d_lo": interval.start, "d_hi": interval.end}
    return Driver("changes", [Source("resource r", where, _UNORDERED)], params)


_FROM = frozenset({"eq", "gt", "ge", "sa", "ap"})
_UNTIL = frozenset({"eq", "lt", "le", "eb", "ap"})


def _dated(name: str, sources: list[Source], params: dict[str, Any], dated: list[Dates], scope: Scope) -> Driver:
    """Bound a driver's order by ranges of the headline date.

    A row that matches begins before the range ends. Where the columns hold its date it is at most
    `WIDEST` wide, so it begins that long before the range at the earliest; what the columns do not
    hold is led to by the narrow rows.
    """
    until = [c.values[0][1].end for c in dated if c.values[0][0] in _UNTIL]
    since = [c for c in dated if c.values[0][0] in _FROM]
    if until:
        sources = [_also(s, " and r.sort_at < %(d_until)s") for s in sources]
        params["d_until"] = min(until)
    if since:
        rows = among(since[0], scope)
        wide: LiteralString = " and r.sort_to is null and " + rows.text.replace("{p}", "dd").replace("{r}", scope.row)
        near: LiteralString = " and r.sort_to is not null and r.sort_at >= %(d_from)s"
        sources = [_also(s, near) for s in sources] + [_also(s, wide) for s in sources]
        params["d_from"] = _earlier(max(c.values[0][1].start for c in since))
        params |= {"dd" + key: value for key, value in rows.params.items()}
    return Driver(name, sources, params)


def _earlier(moment: Any) -> Any:
    try:
        return moment - WIDEST
    except OverflowError:
        return moment


def _also(source: Source, text: LiteralString) -> Source:
    return Source(source.tables, source.where + text, source.sort_at, source.rid)
