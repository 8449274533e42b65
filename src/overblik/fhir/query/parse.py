"""The whole search string: which parameters a type has, and what each value stands for."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from overblik.fhir.compartment import is_shared, of_patients
from overblik.fhir.errors import Issue, Malformed
from overblik.fhir.index.catalogue import INDEXED, used
from overblik.fhir.index.parameters import KEPT, with_customs
from overblik.fhir.query import values
from overblik.fhir.query.customs import catalogue_for
from overblik.fhir.query.filtered import filters
from overblik.fhir.query.grammar import MOST_STEPS, components_of, parser_of
from overblik.fhir.query.includes import INCLUDES, MOST_INCLUDES, Include, includes
from overblik.fhir.query.result import RESULT, as_of, count, sort, sortable, total
from overblik.fhir.query.tree import MOST_CRITERIA, MOST_SORTS, Criterion, FullText, Query, passed
from overblik.fhir.units import Bound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from overblik.fhir.index.catalogue import Custom

MOST_PAIRS = 200
"""Parameters of a search, those that are unknown or empty with them; each is read, and many are told of."""
MOST_UNITS = 1_000
"""Characters of all the UCUM codes that one search names, each code once."""
_CONTROL = re.compile(r"[\x00-\x1f]")
"""No stored value holds one, PostgreSQL takes no NUL, and digests are joined by one."""


def parse_query(resource_type: str, pairs: Iterable[tuple[str, str]], *, lenient: bool = False) -> Query:
    """Parse search parameters; an unknown one is Malformed unless `lenient` (Prefer: handling).

    Unavailable for one that this server defines and has not wholly indexed yet, lenient or not.
    """
    text = f"Units of one search have at most {MOST_UNITS} characters together."
    with Bound(MOST_UNITS, Malformed("search-too-long", text)):
        return _parsed(resource_type, pairs, lenient=lenient)


def _parsed(resource_type: str, pairs: Iterable[tuple[str, str]], *, lenient: bool) -> Query:
    criteria: list[Criterion] = []
    applied: list[tuple[str, str]] = []
    issues: list[Issue] = []
    followed: list[tuple[Include, ...]] = []
    result: dict[str, str] = {}
    for name, value in _bounded(pairs):
        if name in RESULT or (name == "_sort" and sort(resource_type, value)):
            _only(name, result)
            result[name] = value
            applied += [(name, value)] if name in {"_sort", "asOf"} else []
            continue
        if name in INCLUDES and (asked := includes(resource_type, name, value)):
            followed.append(asked)
            applied.append((name, value))
            continue
        if name == "_filter":
            criteria += filters(resource_type, value) if value else ()
            applied += [(name, value)] if value else []
            continue
        parser = _FULL_TEXT.get(name) or parser_of(resource_type, name)
        if parser is None:
            if not lenient:
                issues.append(_unknown(resource_type, name, value))
            continue
        if value == "":
            continue
        if _CONTROL.search(value):
            raise values.refuse(name, "A control character cannot be searched for.")
        criteria.append(parser(value))
        applied.append((name, value))
    _check(issues, criteria, followed)
    if is_shared(resource_type) and not all(is_shared(kind) for kind in passed(criteria)):
        raise Malformed("search-crosses-records", "What belongs to no patient cannot be searched by patients' data.")
    query = Query(
        resource_type,
        tuple(criteria),
        count(result.get("_count", "")),
        result.get("_cursor", ""),
        tuple(applied),
        sort(resource_type, result.get("_sort", "")),
        total(result.get("_total", "")),
        as_of(result.get("asOf", "")),
        tuple(dict.fromkeys(include for asked in followed for include in asked)),
    )
    return replace(query, catalogue=catalogue_for(query)) if used().by_type else query


def _bounded(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for number, pair in enumerate(pairs):
        if number == MOST_PAIRS:
            raise Malformed("search-too-long", f"At most {MOST_PAIRS} parameters at once, of whatever kind.")
        yield pair


def _only(name: str, known: dict[str, str]) -> None:
    """Refuse a parameter of the result that has stood before: it could not be told which is meant."""
    if name in known:
        raise Malformed("parameter-twice", f"{name} may stand only once.", expression=f"http.{name}")


_FULL_TEXT: dict[str, Callable[[str], Criterion]] = {"_text": FullText, "_content": partial(FullText, whole=True)}


def _check(issues: list[Issue], criteria: list[Criterion], followed: list[tuple[Include, ...]]) -> None:
    if issues:
        raise Malformed.of(issues)
    if len(criteria) > MOST_CRITERIA:
        raise Malformed("search-too-long", f"At most {MOST_CRITERIA} search parameters at once.")
    if sum(1 for _ in passed(criteria)) > MOST_STEPS:
        text = f"Chains of one search lead through at most {MOST_STEPS} steps: say which types they go to."
        raise Malformed("search-too-long", text)
    if len(followed) > MOST_INCLUDES:
        raise Malformed("search-too-long", f"At most {MOST_INCLUDES} includes at once.")


def _unknown(resource_type: str, name: str, value: str) -> Issue:
    text = f"{resource_type} cannot be searched by {name[:64]!r} here; /metadata lists what can."
    if name == "_sort":
        known = ", ".join(sorted(sortable(resource_type)))
        text = f"{resource_type} cannot be sorted by {value[:40]!r} here, but by up to {MOST_SORTS} of {known}."
    if name in INCLUDES:
        text = f"{name} takes Type:param, Type:param:Target, Type:* or *; here {value[:40]!r} names no reference."
    return Issue("search-parameter-unknown", text, "not-supported", f"http.{name[:64]}")


def searchable(resource_type: str) -> tuple[tuple[str, str], ...]:
    """Return (parameter, type) that a type can be searched by; the CapabilityStatement quotes it."""
    known = used()
    found = _searchable(resource_type, known.of(resource_type))
    return tuple((code, kind) for code, kind in found if known.indexed(resource_type, code) == INDEXED)


@lru_cache(maxsize=1_000)
def _searchable(resource_type: str, customs: tuple[Custom, ...]) -> tuple[tuple[str, str], ...]:
    found = {"_id": "token", "_lastUpdated": "date"}
    if of_patients(resource_type):
        found["patient"] = "reference"
    for code, param in with_customs(resource_type, customs).items():
        if param.type in KEPT or components_of(param):
            found.setdefault(code, param.type)
    return tuple(found.items())
