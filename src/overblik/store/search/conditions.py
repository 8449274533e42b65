"""One criterion as a condition on the row `r`, with its parameters.

In the texts `{p}` stands for the criterion's own prefix and `{x}` for a narrow row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from overblik.fhir.index.digests import missing, pair, token
from overblik.fhir.index.parameters import headline_date, kept_as, number_of
from overblik.fhir.query import Composites, Dates, Ids, Links, Missing, Numbers, Patients, Strings, Tokens, Updated
from overblik.store.visibility import visible

if TYPE_CHECKING:
    from overblik.fhir.dates import Interval
    from overblik.fhir.query import Criterion
    from overblik.store.visibility import Kind

DIGITS: tuple[LiteralString, ...] = (
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20",
)  # fmt: skip


class Scope(NamedTuple):
    """What a search compiles for: the type, the key of its digests, the kind of access, and which table."""

    type: str
    key: bytes
    kind: Kind
    shared: bool = False


class Condition(NamedTuple):
    """A condition and its parameters, named without their prefix."""

    text: LiteralString
    params: dict[str, Any]


def condition(criterion: Criterion, scope: Scope) -> Condition:
    """Return the condition under which a row meets a criterion."""
    match criterion:
        case Dates() | Numbers() | Strings() | Composites() | Updated():
            return _of_values(criterion, scope)
        case Ids(ids):
            return Condition("r.id = any(%({p}_ids)s::text[])", {"_ids": list(ids)})
        case Patients():
            who = record_of(criterion, scope)
            return Condition("r.pid in (" + who.text + ")", who.params)
        case Tokens() | Links():
            return _has(digests(criterion, scope))
        case Missing(param, wanted):
            has = _has([missing(scope.key, scope.type, param).value])
            return has if wanted else Condition("not (" + has.text + ")", has.params)


def _of_values(criterion: Dates | Numbers | Strings | Composites | Updated, scope: Scope) -> Condition:
    match criterion:
        case Composites():
            return _composites(criterion, scope)
        case Updated(values):
            return _updated(values)
        case Dates(param) if param == headline_date(scope.type) and not scope.shared:
            return _headline_date(criterion, scope)
        case _:
            return exists(criterion, scope)


def _updated(values: tuple[tuple[str, Interval], ...]) -> Condition:
    test, params = _dates(values)
    moment: LiteralString = "date_trunc('milliseconds', r.received_at)"
    text = test.replace("{x}.lo", moment).replace("{x}.hi", "(" + moment + " + interval '1 millisecond')")
    return Condition("(" + text + ")", params)


def _headline_date(criterion: Dates, scope: Scope) -> Condition:
    """The row's own columns have it, or else the narrow rows."""
    test, params = _dates(criterion.values)
    rows = exists(criterion, scope)
    column = test.replace("{x}.lo", "r.sort_at").replace("{x}.hi", "r.sort_to")
    text = "(case when r.sort_to is not null then " + column + " else " + rows.text + " end)"
    return Condition(text, params | rows.params)


def digests(criterion: Tokens | Links, scope: Scope) -> list[int]:
    """Return the digests of which a row must have one."""
    code, colon, modifier = criterion.param.partition(":")
    names = [name + colon + modifier for name in kept_as(scope.type, code)]
    asked = criterion.values if isinstance(criterion, Tokens) else [(None, link) for link in criterion.values]
    return [token(scope.key, scope.type, name, system, value).value for name in names for system, value in asked]


def _has(found: list[int]) -> Condition:
    return Condition("r.tokens && %({p}_tokens)s::bigint[]", {"_tokens": found})


def record_of(patients: Patients, scope: Scope) -> Condition:
    """Any visible Patient of a record opens the whole record; an invisible one opens nothing."""
    found: LiteralString = "q.tokens && %({p}_who)s::bigint[]"
    names: list[Any] = [token(scope.key, "Patient", "identifier", s, v).value for s, v in patients.identifiers]
    if not patients.identifiers:
        names = list(patients.ids)
        found = (
            "(q.pid, q.rid) in (select l.pid, l.rid from locator l"
            " where l.type = 'Patient' and l.id = any(%({p}_who)s::text[]))"
        )
    text = (
        "select m.pid from resource q, lateral ("
        " select q.pid as pid union select s.pid from record_alias s"
        " join record_alias o on o.root = s.root where o.pid = q.pid) m"
        " where q.type = 'Patient' and not q.deleted and " + visible(scope.kind, "q") + " and " + found
    )
    return Condition(text, {"_who": names})


# -- narrow rows

_TABLES: dict[type, LiteralString] = {Dates: "index_date", Numbers: "index_number", Strings: "index_string"}
Ranged = Dates | Numbers | Strings


def exists(criterion: Ranged, scope: Scope) -> Condition:
    """Say that there is a narrow row of the resource that meets a criterion."""
    test, params = test_of(criterion, scope)
    text = (
        "exists (select from " + _TABLES[type(criterion)] + " x where x.pid = " + _pid(scope) + " and x.rid = r.rid"
        " and " + test.replace("{x}", "x") + ")"
    )
    return Condition(text, params)


def among(criterion: Ranged, scope: Scope) -> Condition:
    """Say the same from the other side: the resource is among those with such a row."""
    test, params = test_of(criterion, scope)
    table = _TABLES[type(criterion)]
    text = "(r.pid, r.rid) in (select x.pid, x.rid from " + table + " x where " + test.replace("{x}", "x") + ")"
    return Condition(text, params)


def _pid(scope: Scope) -> LiteralString:
    return "0" if scope.shared else "r.pid"


def test_of(criterion: Ranged, scope: Scope) -> Condition:
    """Return the condition on a narrow row {x}: the parameter it is of, and its value."""
    numbers = [number_of(scope.type, name) for name in kept_as(scope.type, criterion.param)]
    test, params = _test(criterion, scope)
    text: LiteralString = "{x}.param = %({p}_param)s and (" + test + ")"
    if len(numbers) > 1:
        text = "{x}.param = any(%({p}_param)s::integer[]) and (" + test + ")"
    return Condition(text, params | {"_param": numbers if len(numbers) > 1 else numbers[0]})


def _test(criterion: Ranged, scope: Scope) -> Condition:
    match criterion:
        case Dates(_, values):
            return _dates(values)
        case Numbers():
            return _numbers(criterion, scope)
        case Strings(_, texts):
            return _strings(texts)


# What follows from the rest is said too where an index on the lower bound can use it.
_DATE_TESTS: dict[str, LiteralString] = {
    "eq": "{x}.lo >= {lo} and {x}.hi <= {hi} and {x}.lo < {hi}",
    "ne": "not ({x}.lo >= {lo} and {x}.hi <= {hi})",
    "gt": "{x}.hi > {hi}",
    "lt": "{x}.lo < {lo}",
    "ge": "{x}.hi > {lo}",
    "le": "{x}.lo < {hi}",
    "sa": "{x}.lo >= {hi}",
    "eb": "{x}.hi <= {lo}",
    "ap": "{x}.lo < {hi} and {x}.hi > {lo}",
}
_NUMBER_TESTS: dict[str, LiteralString] = {
    "eq": "{x}.lo >= {lo} and {x}.hi < {hi} and {x}.lo < {hi}",
    "ne": "not ({x}.lo >= {lo} and {x}.hi < {hi})",
    "gt": "{x}.hi > {v}",
    "lt": "{x}.lo < {v}",
    "ge": "{x}.hi >= {v}",
    "le": "{x}.lo <= {v}",
    "sa": "{x}.lo > {v}",
    "eb": "{x}.hi < {v}",
    "ap": "{x}.lo <= {v} + abs({v}) / 10 and {x}.hi >= {v} - abs({v}) / 10",
}


def _item(name: LiteralString, kind: LiteralString, number: int) -> LiteralString:
    return "(%({p}" + name + ")s::" + kind + "[])[" + DIGITS[number] + "]"


def _dates(values: tuple[tuple[str, Interval], ...]) -> Condition:
    tests: list[LiteralString] = []
    for number, (prefix, _) in enumerate(values):
        test = _DATE_TESTS[prefix].replace("{lo}", _item("_lo", "timestamptz", number))
        tests.append(test.replace("{hi}", _item("_hi", "timestamptz", number)))
    return Condition(_any(tests), {"_lo": [i.start for _, i in values], "_hi": [i.end for _, i in values]})


def _numbers(criterion: Numbers, scope: Scope) -> Condition:
    tests: list[LiteralString] = []
    units: list[int] = []
    for number, (prefix, _, unit) in enumerate(criterion.values):
        test = _NUMBER_TESTS[prefix].replace("{v}", _item("_v", "numeric", number))
        test = test.replace("{lo}", _item("_lo", "numeric", number)).replace("{hi}", _item("_hi", "numeric", number))
        units.append(token(scope.key, "", "unit", *unit).value if unit else 0)
        tests.append(test + (" and " + _item("_unit", "bigint", number) + " = any({x}.marks)" if unit else ""))
    amounts = [amount for _, amount, _ in criterion.values]
    params = {"_v": [a.value for a in amounts], "_lo": [a.lo for a in amounts], "_hi": [a.hi for a in amounts]}
    return Condition(_any(tests), params | {"_unit": units})


_LAST = "\U0010ffff"
"""Sorts after every character in the C collation."""


def _strings(texts: tuple[str, ...]) -> Condition:
    tests: list[LiteralString] = []
    for number in range(len(texts)):
        lo, hi = _item("_lo", "text", number), _item("_hi", "text", number)
        tests.append("{x}.value >= " + lo + " and {x}.value < " + hi)
    return Condition(_any(tests), {"_lo": list(texts), "_hi": [text + _LAST for text in texts]})


def _any(tests: list[LiteralString]) -> LiteralString:
    text: LiteralString = ""
    for test in tests:
        text += (" or " if text else "") + "(" + test + ")"
    return text or "false"


# -- composites


def _composites(criterion: Composites, scope: Scope) -> Condition:
    names = kept_as(scope.type, criterion.param)
    if not any(isinstance(part, Ranged) for part in criterion.values[0]):
        return _has([pair(scope.key, scope.type, n, _forms(v)).value for v in criterion.values for n in names])
    tests: list[LiteralString] = []
    params: dict[str, Any] = {}
    for number, value in enumerate(criterion.values):
        marks = [pair(scope.key, scope.type, name, _forms(value)).value for name in names]
        found = _element(value, names, marks, scope)
        tests.append(found.text.replace("{p}", "{p}_" + DIGITS[number]))
        params |= {"_" + DIGITS[number] + name: item for name, item in found.params.items()}
    return Condition("(" + _any(tests) + ")", params)


def _forms(value: tuple[Any, ...]) -> tuple[tuple[str | None, str | None], ...]:
    """Return the token and reference parts of a composite's value."""
    coded = [part for part in value if isinstance(part, Tokens | Links)]
    return tuple(p.values[0] if isinstance(p, Tokens) else (None, p.values[0]) for p in coded)


def _element(value: tuple[Any, ...], names: tuple[str, ...], marks: list[int], scope: Scope) -> Condition:
    """Say that one element has every part: a narrow row for each range, all of the same element."""
    ranged = [part for part in value if isinstance(part, Ranged)]
    tables: LiteralString = ""
    tests: LiteralString = "x1.pid = " + _pid(scope) + " and x1.rid = r.rid"
    params: dict[str, Any] = {"_marks": marks}
    for place, part in enumerate(ranged):
        alias = "x" + DIGITS[place]
        test, values = _test(part, scope)
        tables += (", " if tables else "") + _TABLES[type(part)] + " " + alias
        own: LiteralString = "_" + DIGITS[place]
        tests += " and " + alias + ".param = any(%({p}" + own + "_param)s::integer[])"
        tests += " and " + alias + ".marks && %({p}_marks)s::bigint[]"
        tests += " and (" + test.replace("{x}", alias).replace("{p}", "{p}" + own) + ")"
        if place:
            tests += " and " + alias + ".pid = x1.pid and " + alias + ".rid = x1.rid and " + alias + ".part = x1.part"
        params |= {own + name: item for name, item in values.items()}
        params[own + "_param"] = [number_of(scope.type, name + "$" * place) for name in names]
    return Condition("exists (select from " + tables + " where " + tests + ")", params)
