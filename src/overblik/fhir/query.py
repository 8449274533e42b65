"""Search string to a frozen query tree (https://hl7.org/fhir/R4/search.html). Knows no SQL."""

from __future__ import annotations

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
        criteria.append(parser(value))
        applied.append((name, value))
    if issues:
        raise Malformed.of(issues)
    if len(criteria) > MOST_CRITERIA:
        raise Malformed("search-too-long", f"At most {MOST_CRITERIA} search parameters at once.")
    return Query(resource_type, tuple(criteria), _count(result["_count"]), result["_cursor"], tuple(applied))


def _unknown(resource_type: str, name: str) -> Issue:
    text = f"{resource_type} cannot be searched by {name[:64]!r} here; /metadata lists what can."
    return Issue("search-parameter-unknown", text, "not-supported", f"http.{name[:64]}")


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
        return lambda value: Ids(tuple(_split(value)))
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
    """Split on a separator that is not escaped with a backslash, then remove the escapes."""
    parts = [""]
    escaped = False
    for char in value:
        if escaped:
            parts[-1] += char if char in "\\,|$" else "\\" + char
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == separator:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _token(param: str, text: str) -> tuple[str | None, str | None]:
    system, bar, value = text.partition("|")
    if not bar:
        return None, text if param != "identifier" else canonical(CPR if _looks_cpr(text) else "", text).value
    if not value:
        return system, None
    return canonical(system, value) if param == "identifier" else (system, value)


def _looks_cpr(text: str) -> bool:
    return len(text) == 11 and text[6] == "-" and text.replace("-", "").isdigit()


def _patients(value: str) -> Patients:
    ids = []
    for part in _split(value):
        kind, _, identifier = part.rpartition("/")
        if kind and kind.rsplit("/", 1)[-1] != "Patient":
            raise Malformed("search-value-invalid", "patient takes the id of a Patient.", expression="http.patient")
        ids.append(identifier)
    return Patients(ids=tuple(ids))


def _patient_identifiers(value: str) -> Patients:
    found = []
    for part in _split(value):
        system, bar, text = part.partition("|")
        found.append(canonical(system if bar else CPR, text if bar else system))
    return Patients(identifiers=tuple(found))


def _dates(param: str, parts: list[str]) -> Dates:
    if len(parts) > MOST_DATES:
        raise Malformed("search-too-long", f"At most {MOST_DATES} dates in {param}.", expression=f"http.{param}")
    return Dates(param, tuple(_date(param, part) for part in parts))


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
    if not text.isdigit():
        raise Malformed("search-value-invalid", "_count takes a whole number.", expression="http._count")
    return min(int(text), MOST_COUNT)
