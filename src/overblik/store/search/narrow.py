"""Criteria on narrow rows: dates, numbers, texts, and composites of them.

In the texts `{p}` stands for the criterion's own prefix, `{r}` for the row and `{x}` for a narrow row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from overblik.fhir.index.digests import measure, pair, token
from overblik.fhir.index.parameters import kept_as, measured, number_of
from overblik.fhir.query import Base, Composites, Dates, Links, Numbers, Strings, Tokens
from overblik.store.search.scope import DIGITS, LAST, Condition, Scope, any_of, item

if TYPE_CHECKING:
    from overblik.fhir.dates import Interval
    from overblik.fhir.query.tree import How


TABLES: dict[type, LiteralString] = {Dates: "index_date", Numbers: "index_number", Strings: "index_string"}
Ranged = Dates | Numbers | Strings


def exists(criterion: Ranged, scope: Scope) -> Condition:
    """Say that there is a narrow row of the resource that meets a criterion."""
    test, params = test_of(criterion, scope)
    text = (
        "exists (select from " + TABLES[type(criterion)] + " x where x.pid = " + _pid(scope) + " and x.rid = {r}.rid"
        " and " + test.replace("{x}", "x") + _EACH
    )
    return Condition(text, params)


_EACH: LiteralString = " offset 0)"
"""Ends an `exists` that looks for each row: without an offset PostgreSQL may collect all that match instead."""


def among(criterion: Ranged, scope: Scope) -> Condition:
    """Say the same from the other side: the resource is among those with such a row."""
    test, params = test_of(criterion, scope)
    table = TABLES[type(criterion)]
    text = "({r}.pid, {r}.rid) in (select x.pid, x.rid from " + table + " x where " + test.replace("{x}", "x") + ")"
    return Condition(text, params)


def _pid(scope: Scope) -> LiteralString:
    return "0" if scope.shared else "{r}.pid"


def test_of(criterion: Ranged, scope: Scope) -> Condition:
    """Return the condition on a narrow row {x}: the parameter it is of, and its value."""
    numbers = [number_of(scope.type, kept) for kept in _kept(criterion, scope)]
    test, params = _test(criterion, scope)
    text: LiteralString = "{x}.param = %({p}_param)s and (" + test + ")"
    if len(numbers) > 1:
        text = "{x}.param = any(%({p}_param)s::integer[]) and (" + test + ")"
    return Condition(text, params | {"_param": numbers if len(numbers) > 1 else numbers[0]})


def _kept(criterion: Ranged, scope: Scope) -> list[str]:
    """Return the names under which the narrow rows of a criterion are kept."""
    names = kept_as(scope.type, criterion.param)
    if not isinstance(criterion, Numbers):
        return list(names)
    as_stated = [] if all(criterion.measured) else list(names)
    return as_stated + ([measured(name) for name in names] if any(criterion.measured) else [])


def _test(criterion: Ranged, scope: Scope) -> Condition:
    match criterion:
        case Dates(_, values):
            return _dates(values)
        case Numbers():
            return _numbers(criterion, scope)
        case Strings(_, texts, how):
            return _strings(texts, how)


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
    "co": "{x}.lo <= {lo} and {x}.hi >= {hi}",
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
    "ap": "{x}.lo <= {hi} and {x}.hi >= {lo}",
}


def _dates(values: tuple[tuple[str, Interval], ...]) -> Condition:
    tests: list[LiteralString] = []
    for number, (prefix, _) in enumerate(values):
        test = _DATE_TESTS[prefix].replace("{lo}", item("_lo", "timestamptz", number))
        tests.append(test.replace("{hi}", item("_hi", "timestamptz", number)))
    return Condition(any_of(tests), {"_lo": [i.start for _, i in values], "_hi": [i.end for _, i in values]})


def _numbers(criterion: Numbers, scope: Scope) -> Condition:
    tests: list[LiteralString] = []
    units: list[int] = []
    stated: dict[str, Any] = {}
    for number, (prefix, _, unit) in enumerate(criterion.values):
        test = _NUMBER_TESTS[prefix].replace("{v}", item("_v", "numeric", number))
        test = test.replace("{lo}", item("_lo", "numeric", number)).replace("{hi}", item("_hi", "numeric", number))
        units.append(_unit(unit, scope))
        if unit is not None:
            test += " and " + item("_unit", "bigint", number) + " = any({x}.marks)"
        elif any(criterion.measured):  # what is asked for without a unit is found as it stands
            test += " and {x}.param = any(%({p}_stated)s::integer[])"
            stated["_stated"] = [number_of(scope.type, name) for name in kept_as(scope.type, criterion.param)]
        tests.append(test)
    amounts = [amount for _, amount, _ in criterion.values]
    params = {"_v": [a.value for a in amounts], "_lo": [a.lo for a in amounts], "_hi": [a.hi for a in amounts]}
    return Condition(any_of(tests), params | {"_unit": units} | stated)


def _unit(unit: tuple[str | None, str] | Base | None, scope: Scope) -> int:
    if unit is None:
        return 0
    return (measure(scope.key, unit.units) if isinstance(unit, Base) else token(scope.key, "", "unit", *unit)).value


# Texts are kept up to a length: what is longer has no known end, and is the same as far as it is kept.
_TEXT_TESTS: dict[How, LiteralString] = {
    "begins": "{x}.value >= {lo} and {x}.value < {hi}",
    "inside": "strpos({x}.value, {lo}) > 0",
    "ends": "right({x}.value, length({lo})) = {lo}",
    "whole": "{x}.value = {lo}",
    "gt": "{x}.value > {lo}",
    "lt": "{x}.value < {lo}",
    "ge": "{x}.value >= {lo}",
    "le": "{x}.value <= {lo}",
}


def _strings(texts: tuple[str, ...], how: How) -> Condition:
    tests: list[LiteralString] = []
    for number in range(len(texts)):
        test = _TEXT_TESTS[how].replace("{lo}", item("_lo", "text", number))
        tests.append(test.replace("{hi}", item("_hi", "text", number)))
    params = {"_lo": list(texts)}
    return Condition(any_of(tests), params | ({"_hi": [text + LAST for text in texts]} if how == "begins" else {}))


# -- composites


def composites(criterion: Composites, scope: Scope) -> Condition:
    """Say that one element of the resource has every part of a composite."""
    names = kept_as(scope.type, criterion.param)
    if (tokens := pairs(criterion, scope)) is not None:
        return has_token(tokens)
    tests: list[LiteralString] = []
    params: dict[str, Any] = {}
    for number, value in enumerate(criterion.values):
        marks = [pair(scope.key, scope.type, name, _forms(value)).value for name in names]
        found = _element(value, names, marks, scope)
        tests.append(found.text.replace("{p}", "{p}_" + DIGITS[number]))
        params |= {"_" + DIGITS[number] + name: item for name, item in found.params.items()}
    return Condition("(" + any_of(tests) + ")", params)


def pairs(criterion: Composites, scope: Scope) -> list[int] | None:
    """Return the tokens of which what meets a composite has one; None for one with a range in it."""
    if any(isinstance(part, Ranged) for part in criterion.values[0]):
        return None
    names = kept_as(scope.type, criterion.param)
    return [pair(scope.key, scope.type, name, _forms(value)).value for value in criterion.values for name in names]


def _forms(value: tuple[Any, ...]) -> tuple[tuple[str | None, str | None], ...]:
    """Return the token and reference parts of a composite's value."""
    coded = [part for part in value if isinstance(part, Tokens | Links)]
    return tuple(p.values[0] if isinstance(p, Tokens) else (None, p.values[0]) for p in coded)


def _element(value: tuple[Any, ...], names: tuple[str, ...], marks: list[int], scope: Scope) -> Condition:
    """Say that one element has every part: a narrow row for each range, all of the same element."""
    ranged = [part for part in value if isinstance(part, Ranged)]
    tables: LiteralString = ""
    tests: LiteralString = "x1.pid = " + _pid(scope) + " and x1.rid = {r}.rid"
    params: dict[str, Any] = {"_marks": marks}
    for place, part in enumerate(ranged):
        alias = "x" + DIGITS[place]
        test, values = _test(part, scope)
        converted = isinstance(part, Numbers) and all(part.measured)
        tables += (", " if tables else "") + TABLES[type(part)] + " " + alias
        own: LiteralString = "_" + DIGITS[place]
        tests += " and " + alias + ".param = any(%({p}" + own + "_param)s::integer[])"
        tests += " and " + alias + ".marks && %({p}_marks)s::bigint[]"
        tests += " and (" + test.replace("{x}", alias).replace("{p}", "{p}" + own) + ")"
        if place:
            tests += " and " + alias + ".pid = x1.pid and " + alias + ".rid = x1.rid and " + alias + ".part = x1.part"
        params |= {own + name: item for name, item in values.items()}
        kept = [measured(name + "$" * place) if converted else name + "$" * place for name in names]
        params[own + "_param"] = [number_of(scope.type, name) for name in kept]
    return Condition("exists (select from " + tables + " where " + tests + _EACH, params)


def has_token(found: list[int]) -> Condition:
    """Say that the row has one of the tokens."""
    return Condition("{r}.tokens && %({p}_tokens)s::bigint[]", {"_tokens": found})


# -- dates of the row itself


def updated(values: tuple[tuple[str, Interval], ...]) -> Condition:
    """Compare when the row's version became known."""
    test, params = _dates(values)
    moment: LiteralString = "date_trunc('milliseconds', {r}.received_at)"
    text = test.replace("{x}.lo", moment).replace("{x}.hi", "(" + moment + " + interval '1 millisecond')")
    return Condition("(" + text + ")", params)


def headline_dates(criterion: Dates, scope: Scope) -> Condition:
    """The row's own columns have it, or else the narrow rows."""
    test, params = _dates(criterion.values)
    rows = exists(criterion, scope)
    column = test.replace("{x}.lo", "{r}.sort_at").replace("{x}.hi", "{r}.sort_to")
    text = "(case when {r}.sort_to is not null then " + column + " else " + rows.text + " end)"
    return Condition(text, params | rows.params)
