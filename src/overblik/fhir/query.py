"""Search string to a frozen query tree (https://hl7.org/fhir/R4/search.html). Knows no SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from overblik.fhir.dates import Interval, parse_interval
from overblik.fhir.definitions import r4
from overblik.fhir.errors import Issue, Malformed
from overblik.fhir.identifiers import CPR, canonical
from overblik.fhir.index import parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEFAULT_COUNT = 50
MOST_COUNT = 1000
MOST_CRITERIA = 16
MOST_DATES = 20
_RESULT = frozenset({"_count", "_cursor", "_format", "_pretty", "_total"})


@dataclass(frozen=True, slots=True)
class Ids:
    """`_id=a,b`."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Patients:
    """`patient=…`: by id of any of the record's Patient resources, or by identifier."""

    ids: tuple[str, ...] = ()
    identifiers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Tokens:
    """`code=system|value,…`; None for a part means *any*, "" means *without*."""

    param: str
    values: tuple[tuple[str | None, str | None], ...]


@dataclass(frozen=True, slots=True)
class Dates:
    """`date=ge2026-01-01,…`: prefixes with the interval asked for."""

    param: str
    values: tuple[tuple[str, Interval], ...]


Criterion = Ids | Patients | Tokens | Dates


@dataclass(frozen=True, slots=True)
class Query:
    """A search of one type: every criterion must hold; within one, any value will do."""

    type: str
    criteria: tuple[Criterion, ...]
    count: int = DEFAULT_COUNT
    cursor: str = ""
    applied: tuple[tuple[str, str], ...] = ()


def parse_query(resource_type: str, pairs: Iterable[tuple[str, str]], *, lenient: bool = False) -> Query:
    """Parse search parameters; an unknown one is Malformed unless `lenient` (Prefer: handling)."""
    criteria: list[Criterion] = []
    applied: list[tuple[str, str]] = []
    issues: list[Issue] = []
    result = {"_count": "", "_cursor": ""}
    for name, value in pairs:
        if name in _RESULT:
            result[name] = value
            continue
        parser = _parser(resource_type, name)
        if parser is None:
            if not lenient:
                issues.append(_unknown(resource_type, name))
            continue
        if value == "":
            continue
        if _CONTROL.search(value):
            raise Malformed("search-value-invalid", "A control character cannot be searched for.", expression=_at(name))
        criteria.append(parser(value))
        applied.append((name, value))
    if issues:
        raise Malformed.of(issues)
    if len(criteria) > MOST_CRITERIA:
        raise Malformed("search-too-long", f"At most {MOST_CRITERIA} search parameters at once.")
    return Query(resource_type, tuple(criteria), _count(result["_count"]), result["_cursor"], tuple(applied))


_CONTROL = re.compile(r"[\x00-\x1f]")
"""No stored value holds one, PostgreSQL takes no NUL, and digests are joined by one."""


def _at(name: str) -> str:
    return f"http.{name[:64]}"


def _unknown(resource_type: str, name: str) -> Issue:
    text = f"{resource_type} cannot be searched by {name[:64]!r} here; /metadata lists what can."
    return Issue("search-parameter-unknown", text, "not-supported", _at(name))


def searchable(resource_type: str) -> list[tuple[str, str]]:
    """Return (parameter, type) that a type can be searched by; the CapabilityStatement quotes it."""
    found = [("_id", "token")]
    if resource_type in r4().patient or resource_type in {"Task", "MessageHeader"}:
        found.append(("patient", "reference"))
    for code in ("identifier", "code", "date"):
        param = parameter(resource_type, code)
        if param is not None:
            found.append((code, param.type))
    return found


def _parser(resource_type: str, name: str) -> Callable[[str], Criterion] | None:
    known = dict(searchable(resource_type))
    if name == "_id":
        return lambda value: Ids(tuple(_plain(part) for part in _split(value)))
    if name in {"patient", "subject", "patient:identifier", "subject:identifier", "patient.identifier"}:
        if "patient" not in known:
            return None
        return _patient_identifiers if name.endswith("identifier") else _patients
    kind = known.get(name)
    if kind == "token":
        return lambda value: Tokens(name, tuple(_token(name, part) for part in _split(value)))
    if kind == "date":
        return lambda value: _dates(name, _split(value))
    return None


def _split(value: str, separator: str = ",") -> list[str]:
    """Split on a separator that is not escaped with a backslash; escapes stay for `_plain`."""
    parts: list[str] = []
    begin = 0
    for found in re.finditer(rf"\\.|{re.escape(separator)}", value):
        if found[0] == separator:
            parts.append(value[begin : found.start()])
            begin = found.end()
    return [*parts, value[begin:]]


def _plain(text: str) -> str:
    """Remove the escapes (https://hl7.org/fhir/R4/search.html#escaping)."""
    return re.sub(r"\\([\\,|$])", r"\1", text)


def _system_and_value(text: str) -> tuple[str | None, str]:
    system, *rest = _split(text, "|")
    return (_plain(system), _plain("|".join(rest))) if rest else (None, _plain(system))


def _token(param: str, text: str) -> tuple[str | None, str | None]:
    system, value = _system_and_value(text)
    if param == "identifier":
        named = canonical(CPR if system is None and _looks_cpr(value) else system or "", value)
        system, value = named.system if system is not None else None, named.value
    return system, value if value or system is None else None


def _looks_cpr(text: str) -> bool:
    return re.fullmatch(r"[0-9]{6}-[0-9]{4}", text) is not None


def _patients(value: str) -> Patients:
    ids = []
    for part in map(_plain, _split(value)):
        kind, _, identifier = part.rpartition("/")
        if kind and kind.rsplit("/", 1)[-1] != "Patient":
            raise Malformed("search-value-invalid", "patient takes the id of a Patient.", expression="http.patient")
        ids.append(identifier)
    return Patients(ids=tuple(ids))


def _patient_identifiers(value: str) -> Patients:
    found = []
    for part in _split(value):
        system, text = _system_and_value(part)
        found.append(canonical(CPR if system is None else system, text))
    return Patients(identifiers=tuple(found))


def _dates(param: str, parts: list[str]) -> Dates:
    if len(parts) > MOST_DATES:
        raise Malformed("search-too-long", f"At most {MOST_DATES} dates in {param}.", expression=f"http.{param}")
    return Dates(param, tuple(_date(param, _plain(part)) for part in parts))


_PREFIXES = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})


def _date(param: str, text: str) -> tuple[str, Interval]:
    prefix, rest = (text[:2], text[2:]) if text[:2] in _PREFIXES else ("eq", text)
    interval = parse_interval(rest.replace(" ", "+"))
    if interval is None:
        shown = f"{param} takes a date such as 2026-11-22 or ge2026-11, not {text[:40]!r}."
        raise Malformed("search-value-invalid", shown, expression=f"http.{param}")
    return prefix, interval


def _count(text: str) -> int:
    if text == "":
        return DEFAULT_COUNT
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Malformed("search-value-invalid", "_count takes a whole number.", expression="http._count")
    return min(int(text), MOST_COUNT)
