"""Resource to index row: what a search can find it by.

A row carries 64-bit keyed digests for equality (`tokens`), intervals for dates, and the literal
references by which the resource belongs to patients. `INDEX_VERSION` changes whenever the same
resource would give another row, and stored rows are then made anew.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from overblik.fhir.dates import EARLIEST, LATEST, Interval, parse_interval
from overblik.fhir.definitions import SearchParameter, r4
from overblik.fhir.fhirpath import Item, compile_path
from overblik.fhir.identifiers import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from overblik.fhir.strict_json import Json

INDEX_VERSION = 1
INDEXED = ("identifier", "code", "date")
"""The parameters with rows of their own; `_id` and `patient` are answered by keys."""


@dataclass(slots=True)
class IndexRow:
    """What is indexed of one resource."""

    tokens: list[int] = field(default_factory=list)
    dates: list[tuple[str, Interval]] = field(default_factory=list)

    @property
    def clinical(self) -> Interval | None:
        """The span of the resource's own dates, for ordering and for blocks by period."""
        if not self.dates:
            return None
        spans = [interval for _, interval in self.dates]
        return Interval(min(s.start for s in spans), max(s.end for s in spans))


def index_row(resource: Json, key: bytes) -> IndexRow:
    """Extract the index row of a resource; `key` makes the digests useless without it."""
    row = IndexRow()
    resource_type = resource["resourceType"]
    items = [Item(resource_type, resource)]
    for code, kind, extract in _extractors(resource_type):
        for item in extract(items):
            if kind == "date":
                if (interval := interval_of(item.type, item.value)) is not None:
                    row.dates.append((code, interval))
            else:
                for system, value in _codings(item):
                    row.tokens += token_digests(key, resource_type, code, system, value)
    return row


@cache
def _extractors(resource_type: str) -> tuple[tuple[str, str, Callable[[list[Item]], list[Item]]], ...]:
    found = []
    for code in INDEXED:
        param = parameter(resource_type, code)
        if param is not None and param.expression:
            found.append((code, param.type, compile_path(param.expression)))
    return tuple(found)


@cache
def parameter(resource_type: str, code: str) -> SearchParameter | None:
    """Return a type's parameter; Danish appointments and messages have their usual date as `date`."""
    return r4().param(resource_type, code) or _OWN.get((resource_type, code))


_OWN = {
    (kind, "date"): SearchParameter("date", "date", (kind,), expression, f"urn:overblik:search:{kind}-date")
    for kind, expression in {
        "Communication": "Communication.sent",
        "CommunicationRequest": "CommunicationRequest.authoredOn",
        "Condition": "Condition.onset.as(dateTime) | Condition.onset.as(Period) | Condition.recordedDate",
        "Goal": "Goal.start.as(date) | Goal.statusDate",
        "Task": "Task.authoredOn",
        "Provenance": "Provenance.occurred",
    }.items()
}


def patient_references(resource: Json) -> Iterator[Json]:
    """Walk the references by which a resource is *about* patients.

    They are the Patient compartment's parameters, less those by which someone only takes part
    (author, sender, recorder, participant): taking part confers nothing.
    """
    resource_type = resource["resourceType"]
    items = [Item(resource_type, resource)]
    for extract in _subjects(resource_type):
        for item in extract(items):
            if isinstance(item.value, dict):
                yield item.value


_ABOUT = frozenset({"subject", "patient", "individual", "beneficiary", "subscriber", "member"})


@cache
def _subjects(resource_type: str) -> tuple[Callable[[list[Item]], list[Item]], ...]:
    if resource_type == "Appointment":
        return (compile_path("Appointment.participant.actor.where(resolve() is Patient)"),)
    if resource_type == "Task":
        return (compile_path("Task.for"),)
    codes = [c for c in r4().patient.get(resource_type, ()) if c in _ABOUT]
    params = [r4().param(resource_type, code) for code in codes]
    return tuple(compile_path(p.expression) for p in params if p is not None and p.expression)


def _codings(item: Item) -> Iterator[tuple[str, str]]:
    """Yield (system, code) of a Coding, CodeableConcept, Identifier or code."""
    value: Any = item.value
    if isinstance(value, str):
        yield "", value
    elif item.type == "CodeableConcept":
        for coding in value.get("coding", ()):
            yield str(coding.get("system", "")), str(coding.get("code", ""))
    elif item.type == "Identifier":
        yield canonical(str(value.get("system", "")), str(value.get("value", "")))
    elif item.type == "Coding":
        yield str(value.get("system", "")), str(value.get("code", ""))


def token_digests(key: bytes, resource_type: str, code: str, system: str, value: str) -> list[int]:
    """Return the digests a stored token is found by: `value`, `system|value`, `system|`."""
    if not value:
        return [token_digest(key, resource_type, code, system, None)] if system else []
    found = [
        token_digest(key, resource_type, code, None, value),
        token_digest(key, resource_type, code, system, value),
    ]
    return [*found, token_digest(key, resource_type, code, system, None)] if system else found


def token_digest(key: bytes, resource_type: str, code: str, system: str | None, value: str | None) -> int:
    """Return the signed 64-bit digest of one way to ask for a token; None means *any*."""
    parts = (
        resource_type,
        code,
        "*" if system is None else "=" + system,
        "*" if value is None else "=" + value,
    )
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "big", signed=True)


def interval_of(kind: str, value: Any) -> Interval | None:
    """Return the interval of a date, dateTime, instant, Period or Timing; open ends reach far."""
    if isinstance(value, str):
        return parse_interval(value)
    if not isinstance(value, dict):
        return None
    if kind == "Timing":
        events = [i for e in value.get("event", ()) if (i := parse_interval(e))]
        return Interval(min(i.start for i in events), max(i.end for i in events)) if events else None
    start = parse_interval(str(value.get("start", "")))
    end = parse_interval(str(value.get("end", "")))
    if start is None and end is None:
        return None
    return Interval(start.start if start else EARLIEST, end.end if end else LATEST)
