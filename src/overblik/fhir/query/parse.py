"""The whole search string: which parameters a type has, and what each value stands for."""

from __future__ import annotations

import re
from functools import cache, partial
from typing import TYPE_CHECKING

from overblik.fhir.definitions import r4
from overblik.fhir.errors import Issue, Malformed
from overblik.fhir.index.parameters import KEPT, component_type, headlines, parameters
from overblik.fhir.query import values
from overblik.fhir.query.includes import INCLUDES, MOST_INCLUDES, Include, includes
from overblik.fhir.query.result import RESULT, as_of, count, sort, sortable, total
from overblik.fhir.query.tree import MOST_CRITERIA, MOST_SORTS, Criterion, Ids, Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from overblik.fhir.definitions import SearchParameter
    from overblik.fhir.query.values import Part

    Parser = Callable[[str], Criterion]

_CONTROL = re.compile(r"[\x00-\x1f]")
"""No stored value holds one, PostgreSQL takes no NUL, and digests are joined by one."""


def parse_query(resource_type: str, pairs: Iterable[tuple[str, str]], *, lenient: bool = False) -> Query:
    """Parse search parameters; an unknown one is Malformed unless `lenient` (Prefer: handling)."""
    criteria: list[Criterion] = []
    applied: list[tuple[str, str]] = []
    issues: list[Issue] = []
    followed: list[tuple[Include, ...]] = []
    result = {"_count": "", "_cursor": "", "_sort": "", "_total": "", "asOf": ""}
    for name, value in pairs:
        if name in RESULT or (name == "_sort" and sort(resource_type, value)):
            result[name] = value
            applied += [(name, value)] if name in {"_sort", "asOf"} else []
            continue
        if name in INCLUDES and (asked := includes(resource_type, name, value)):
            followed.append(asked)
            applied.append((name, value))
            continue
        parser = _parser(resource_type, name)
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
    return Query(
        resource_type,
        tuple(criteria),
        count(result["_count"]),
        result["_cursor"],
        tuple(applied),
        sort(resource_type, result["_sort"]),
        total(result["_total"]),
        as_of(result["asOf"]),
        tuple(dict.fromkeys(include for asked in followed for include in asked)),
    )


def _check(issues: list[Issue], criteria: list[Criterion], followed: list[tuple[Include, ...]]) -> None:
    if issues:
        raise Malformed.of(issues)
    if len(criteria) > MOST_CRITERIA:
        raise Malformed("search-too-long", f"At most {MOST_CRITERIA} search parameters at once.")
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


def _of_patients(resource_type: str) -> bool:
    return resource_type in r4().patient or resource_type in _PATIENT_TOO


_PATIENT_TOO = frozenset({"Task", "MessageHeader", "Device", "GuidanceResponse", "Contract"})
"""Of a patient by what they say, though not in the standard's compartment."""


@cache
def searchable(resource_type: str) -> tuple[tuple[str, str], ...]:
    """Return (parameter, type) that a type can be searched by; the CapabilityStatement quotes it."""
    found = {"_id": "token", "_lastUpdated": "date"}
    if _of_patients(resource_type):
        found["patient"] = "reference"
    for code, param in parameters(resource_type).items():
        if param.type in KEPT or _components(param):
            found.setdefault(code, param.type)
    return tuple(found.items())


_PATIENT = frozenset({"patient", "subject"})
_PATIENT_IDENTIFIER = frozenset({"patient:identifier", "subject:identifier", "patient.identifier"})


def _parser(resource_type: str, name: str) -> Parser | None:
    if name in _EVERYWHERE:
        return _EVERYWHERE[name]
    if _of_patients(resource_type) and name in _PATIENT | _PATIENT_IDENTIFIER:
        return values.patients if name in _PATIENT else values.patient_identifiers
    code, colon, modifier = name.partition(":")
    param = parameters(resource_type).get(code)
    if param is None or code == "patient":
        return None
    if colon:
        return _modified(resource_type, param, modifier)
    if param.type == "composite":
        components = _components(param)
        return (lambda value: values.composites(code, values.split(value), components)) if components else None
    read = _reader(code, param.type, param.target)
    return (lambda value: read(values.split(value))) if read is not None else None


def _ids(value: str) -> Criterion:
    return Ids(tuple(values.plain(part) for part in values.split(value)))


def _updated(value: str) -> Criterion:
    return values.updated(values.split(value))


_EVERYWHERE: dict[str, Parser] = {"_id": _ids, "_lastUpdated": _updated}


def _modified(resource_type: str, param: SearchParameter, modifier: str) -> Parser | None:
    code = param.code
    if modifier == "missing" and code in headlines(resource_type):
        return partial(values.missing, code)
    if param.type != "reference":
        return None
    if modifier == "identifier":
        return lambda value: values.tokens(f"{code}:identifier", values.split(value))
    if modifier in r4().resource_types and (not param.target or modifier in param.target):
        return lambda value: values.links(code, values.split(value), (modifier,))
    return None


def _reader(code: str, kind: str, targets: tuple[str, ...]) -> Callable[[list[str]], Part] | None:
    """Return what reads the values of one kind of parameter."""
    if kind == "reference":
        return lambda parts: values.links(code, parts, targets or tuple(sorted(r4().resource_types)))
    readers: dict[str, Callable[[str, list[str]], Part]] = {
        "token": values.tokens,
        "uri": values.uris,
        "date": values.dates,
        "number": values.numbers,
        "quantity": values.numbers,
        "string": values.strings,
    }
    return partial(readers[kind], code) if kind in readers else None


@cache
def _components(param: SearchParameter) -> tuple[Callable[[str], Part], ...]:
    """Return what reads each component of a composite; () where one cannot be read."""
    found: list[Callable[[str], Part]] = []
    for url, _ in param.component:
        read = _reader("", component_type(url), ())
        if read is None:
            return ()
        found.append(partial(_one, read))
    return tuple(found)


def _one(read: Callable[[list[str]], Part], text: str) -> Part:
    return read([text])
