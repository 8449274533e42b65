"""Tokens by value sets and hierarchies: `:in`, `:not-in`, `:below`, `:above`.

https://hl7.org/fhir/R4/search.html#token. They stand for the codes themselves: the tree has Tokens.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from overblik.fhir import terminology
from overblik.fhir.errors import Malformed
from overblik.fhir.fhirpath import checked
from overblik.fhir.query.tree import MOST_VALUES, Not, Tokens
from overblik.fhir.query.values import plain, refuse, split
from overblik.fhir.terminology import MOST_CODES, NotLoaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from overblik.fhir.definitions import SearchParameter
    from overblik.fhir.query.tree import Criterion
    from overblik.fhir.terminology import Codes

MODIFIERS = frozenset({"in", "not-in", "below", "above"})
_BARE = frozenset({"code", "string", "id", "uri", "boolean"})


def by_terminology(param: SearchParameter, modifier: str, value: str) -> Criterion:
    """Read the value of a token parameter with one of these modifiers."""
    name = f"{param.code}:{modifier}"
    parts = split(value)
    if len(parts) > MOST_VALUES:
        raise Malformed("search-too-long", f"At most {MOST_VALUES} values in {name}.", expression=f"http.{param.code}")
    read = _set if modifier in {"in", "not-in"} else _levels(name, modifier)
    try:
        found = frozenset().union(*(read(part) for part in parts))
    except NotLoaded as unknown:
        raise Malformed("terminology-unknown", str(unknown), expression=f"http.{name}") from None
    if len(found) > MOST_CODES:
        raise Malformed("search-too-long", f"{name} means more than {MOST_CODES} codes.", expression=f"http.{name}")
    tokens = Tokens(param.code, tuple(_stored(param, found)))
    return Not(tokens) if modifier == "not-in" else tokens


def _set(part: str) -> Codes:
    return terminology.value_set(plain(part))


def _levels(name: str, modifier: str) -> Callable[[str], Codes]:
    walk = terminology.below if modifier == "below" else terminology.above

    def read(part: str) -> Codes:
        system, *code = map(plain, split(part, "|"))
        if not system or len(code) != 1 or not code[0]:
            raise refuse(name, f"{name} takes system|code: whose hierarchy is meant must be said.")
        return frozenset((system, one) for one in walk(system, code[0]))

    return read


def _stored(param: SearchParameter, codes: Codes) -> Iterable[tuple[str, str]]:
    """Return how codes are kept: an element of type code names no system, for its binding says which it is."""
    bare, systematic = _kinds(param)
    for system, code in sorted(codes):
        if systematic:
            yield system, code
        if bare:
            yield "", code


@lru_cache(maxsize=5_000)
def _kinds(param: SearchParameter) -> tuple[bool, bool]:
    """Say whether a parameter finds mere codes, and whether it finds such as name their system."""
    kinds = {kind for base in param.base for found in checked(param.expression, base) for kind in found.kinds}
    return bool(kinds & _BARE), not kinds or bool(kinds - _BARE)


def named_sets(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return the value sets that searches name and the definitions do not have."""
    asked = (value for name, value in pairs if name.endswith((":in", ":not-in")))
    every = (plain(part) for value in asked for part in split(value))
    return list(dict.fromkeys(one for one in every if one and not terminology.knows(one)))
