"""An expression of `_filter` to criteria (https://hl7.org/fhir/R4/search_filter.html#ops).

The criteria are those of ordinary parameters, so that both are answered by the same conditions. What an
operator cannot be answered by is refused, with what can be asked instead.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from overblik.fhir.compartment import of_patients
from overblik.fhir.errors import Malformed
from overblik.fhir.fields import fields
from overblik.fhir.index.parameters import parameters
from overblik.fhir.query import values
from overblik.fhir.query.filter import Comparison, Expression, Joined, Step, read_filter, refuse
from overblik.fhir.query.grammar import MOST_HOPS, MOST_STEPS, PATIENT, followed, knows, led, parser_of, referring
from overblik.fhir.query.tree import MOST_VALUES, All, Dates, Either, Has, Missing, Not, Tokens, Updated

if TYPE_CHECKING:
    from overblik.fhir.query.tree import Criterion, How


def filters(resource_type: str, text: str) -> tuple[Criterion, ...]:
    """Return criteria that must all hold where a filter does; Malformed says where it cannot be read."""
    found = _Filter().criterion(resource_type, read_filter(text), 0)
    return found.criteria if isinstance(found, All) else (found,)


class _Filter:
    """Makes one filter's criteria, and counts its steps over every type that they may lead through."""

    def __init__(self) -> None:
        self.steps = 0

    def criterion(self, kind: str, expression: Expression, hops: int) -> Criterion:
        match expression:
            case Joined("not", (only,)):
                return Not(self.criterion(kind, only, hops))
            case Joined("and", parts):
                return All(tuple(self.criterion(kind, part, hops) for part in parts))
            case Joined(_, parts):
                return _either([self.criterion(kind, part, hops) for part in parts])
        found = self.along(kind, expression.path, expression, hops)
        # The set that a path leads to is empty too where a step on it leads nowhere.
        return Not(found) if expression.operator == "pr" and expression.value == "false" else found

    def along(self, kind: str, path: tuple[Step, ...], test: Comparison, hops: int) -> Criterion:
        """Follow the path of a test from a type."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            text = f"_filter leads through more than {MOST_STEPS} steps: say which types, as in subject:Patient.name."
            raise Malformed("search-too-long", text, expression="http._filter")
        step, rest = path[0], path[1:]
        if not rest:
            return _test(kind, step, test)
        if hops >= MOST_HOPS:
            raise refuse(step.at, f"at most {MOST_HOPS} steps follow each other.")
        if step.name.startswith("_has:"):
            _, other, code = step.name.split(":")
            if (way := referring(kind, other, code)) is None:
                raise refuse(step.at, f"{other} has no {code} that refers to {kind}.")
            return Has(other, way, self.along(other, rest, test, hops + 1))
        leads = led(kind, step.name)
        if leads is None:
            raise refuse(step.at, f"{kind} has no reference {step.name} to go on from; /metadata lists what it has.")
        typed = ":" in step.name
        types = [one for one in leads.types if typed or knows(one, rest[0].name)]
        if not 0 < len(types) <= MOST_VALUES:
            raise refuse(step.at, f"say which type {step.name} is to be, as in {step.name}:Patient.{rest[0].name}.")
        return followed(leads, self.of_types(types, step, rest, test, hops + 1))

    def of_types(
        self, types: list[str], step: Step, rest: tuple[Step, ...], test: Comparison, hops: int
    ) -> list[tuple[str, Criterion]]:
        """Return what must hold of each type a step may lead to, less those of which it cannot be asked."""
        found: list[tuple[str, Criterion]] = []
        refused: list[Malformed] = []
        for one in types:
            try:
                inner = self.along(one, rest, test, hops)
                if step.filter is not None:
                    inner = All((self.criterion(one, step.filter, hops), inner))
            except Malformed as error:
                if error.code == "search-too-long":
                    raise
                refused.append(error)
            else:
                found.append((one, inner))
        if not found:
            raise refused[0]
        return found


def _either(parts: list[Criterion]) -> Criterion:
    """Return that one of some holds; tokens of one parameter become one criterion, which an index can answer."""
    tokens = [part for part in parts if isinstance(part, Tokens)]
    if len(tokens) == len(parts) and len({part.param for part in tokens}) == 1:
        return Tokens(tokens[0].param, tuple(value for part in tokens for value in part.values))
    return Either(tuple(parts))


# -- one test


_PREFIXES = dict.fromkeys(sorted(values.PREFIXES), "")
_MODIFIERS: dict[str, dict[str, str]] = {
    "id": {"eq": ""},
    "token": {"eq": "", "ss": ":below", "sb": ":above", "in": ":in", "ni": ":not-in"},
    "reference": {"re": "", "eq": ""},
    "uri": {"eq": ""},
    "composite": {"eq": ""},
    "special": {"eq": ""},
    "date": {**_PREFIXES, "po": ""},
    "number": _PREFIXES,
    "quantity": _PREFIXES,
}
"""By type of parameter: its operators, each with the modifier that asks the same."""
_HOW: dict[str, How] = {
    "eq": "whole", "co": "inside", "sw": "begins", "ew": "ends", "gt": "gt", "lt": "lt", "ge": "ge", "le": "le",
}  # fmt: skip
_ELSEWHERE = frozenset({"_text", "_content", "_list", "_type", "_filter", "_query"})
_UNEQUAL = frozenset({"id", "token", "string", "reference", "uri", "composite"})
"""Types of which `ne` is made of `eq`; the others have a prefix for it."""


def _test(kind: str, step: Step, test: Comparison) -> Criterion:
    """Return the criterion of the last step of a path."""
    code, _, modifier = step.name.partition(":")
    param_type = _type_of(kind, code)
    if param_type is None or (modifier and param_type != "reference"):
        instead = " here; send it as a parameter of its own." if code in _ELSEWHERE else "; /metadata lists what can."
        raise refuse(step.at, f"{kind} cannot be searched by {step.name}{instead}")
    if not test.value:
        raise refuse(test.value_at, "expected a value that is not empty.")
    try:
        found = _criterion(kind, step.name, param_type, test)
    except Malformed as error:
        raise error if error.code != "search-value-invalid" else refuse(test.value_at, error.text) from None
    if found is None:
        raise refuse(test.at, f"{code} is a {param_type} and takes {_operators(param_type)}, not {test.operator}.")
    return found


def _type_of(kind: str, code: str) -> str | None:
    if code in {"_id", "_lastUpdated"}:
        return "id" if code == "_id" else "date"
    if code in PATIENT and of_patients(kind):
        return "reference"
    param = parameters(kind).get(code)
    return param.type if param is not None and code not in _ELSEWHERE else None


def _operators(param_type: str) -> str:
    known = {*(_HOW if param_type == "string" else _MODIFIERS[param_type]), "pr"}
    known |= {"ne"} if param_type in _UNEQUAL else {"co"} if param_type == "date" else set()
    return ", ".join(sorted(known - ({"pr"} if param_type == "id" else set())))


def _criterion(kind: str, name: str, param_type: str, test: Comparison) -> Criterion | None:
    """Return what an operator asks; None where the type of parameter has no such operator."""
    operator, value = test.operator, test.value
    if operator == "pr":
        if value not in {"true", "false"}:
            raise values.refuse(name, "pr takes true or false.")
        return _asked(kind, f"{name.partition(':')[0]}:missing", "false", test)
    if operator == "ne" and param_type in _UNEQUAL:
        return _unequal(kind, name, param_type, test)
    if param_type == "string":
        return values.strings(name, [_escaped(value)], how=_HOW[operator]) if operator in _HOW else None
    if operator == "co" and param_type == "date":
        return _covering(_asked(kind, name, _text("date", "eq", value), test))
    modifier = _MODIFIERS[param_type].get(operator)
    return None if modifier is None else _asked(kind, name + modifier, _text(param_type, operator, value), test)


def _asked(kind: str, name: str, value: str, test: Comparison) -> Criterion:
    """Return the criterion of an ordinary parameter."""
    reads = parser_of(kind, name)
    if reads is None:
        raise refuse(test.at, f"{test.operator} cannot be answered here of {kind} and {name.partition(':')[0]}.")
    try:
        return reads(value)
    except Malformed as error:  # it stands in the filter, whatever parameter it is of
        raise Malformed(error.code, error.text, expression="http._filter") from None


def _covering(found: Criterion) -> Criterion:
    """Return that a stored period has all of the one asked for within it."""
    match found:
        case Dates(param, ((_, interval),)):
            return Dates(param, (("co", interval),))
        case Updated(((_, interval),)):
            return Updated((("co", interval),))
    return found


def _unequal(kind: str, name: str, param_type: str, test: Comparison) -> Criterion:
    """A value that stands once is unequal where it is there and not equal; of several it is not known which is."""
    equal = _criterion(kind, name, param_type, replace(test, operator="eq"))
    assert equal is not None  # noqa: S101 - every type here has eq
    if param_type == "id":
        return Not(equal)
    if not single(kind, name.partition(":")[0]):
        path = ".".join(step.name for step in test.path)
        text = (
            f"{name} may have several values, and is not kept so that an unequal one is found: write not({path} eq …)."
        )
        raise refuse(test.at, text)
    code = name.partition(":")[0]
    there = Missing(code, False) if param_type == "composite" else _asked(kind, f"{code}:missing", "false", test)
    return All((there, Not(equal)))


_SIMPLE = re.compile(r"\(?(?P<path>\w+(?:\.[a-z]\w*)*)(?:\.as\(\w+\)|\s+as\s+\w+\)?)?\s*")


def single(kind: str, code: str) -> bool:
    """Say whether a parameter has one value at the most in a resource of a type."""
    param = parameters(kind).get(code)
    return param is not None and _single(kind, param.expression)


@lru_cache(maxsize=10_000)
def _single(kind: str, expression: str) -> bool:
    branches = expression.split("|")
    own = [branch.strip() for branch in branches if re.match(rf"\(?{kind}\b", branch.strip())]
    found = _SIMPLE.fullmatch(own[0]) if len(own) == 1 else None
    if found is None:
        return False
    at, *names = found["path"].split(".")
    for name in names:
        known = [field for field in fields(at).values() if field.of == name]
        if not known or any(field.many for field in known) or (len(known) > 1 and name != names[-1]):
            return False
        at = known[0].kind
    return True


# -- values, as ordinary parameters take them


_SYSTEMS = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ucum": "http://unitsofmeasure.org",
}
_NAMED = "|".join(_SYSTEMS)
_TOKEN = re.compile(rf"^()({_NAMED})(?=\|)")
_QUANTITY = re.compile(rf"^([^|]*\|)({_NAMED})(?=\|)")


def _text(param_type: str, operator: str, value: str) -> str:
    """Return a value as an ordinary parameter takes it; a comma does not separate here."""
    if param_type in {"id", "uri", "reference"}:
        return _escaped(value)
    text = re.sub(r"\\.|,", lambda found: "\\," if found[0] == "," else found[0], value)
    if param_type == "token":
        return _system(_TOKEN, text)
    if param_type == "composite":
        return "$".join(_system(_QUANTITY, _system(_TOKEN, part)) for part in values.split(text, "$"))
    if param_type in {"date", "number", "quantity"}:
        return {"po": "ap"}.get(operator, operator) + _system(_QUANTITY, text)
    return text


def _escaped(value: str) -> str:
    return re.sub(r"([\\,$|])", r"\\\1", value)


def _system(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda found: found[1] + _SYSTEMS[found[2]], text)
