"""Evidence of a treatment relation: which resource gives which organisation a relation, until when.

No register of relations exists in Denmark; it is inferred (docs/trust.md). One table says how long
each kind lasts, and it is the only place that does. Evidence holds for the unit and its sub-units,
never upward or sideways.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from overblik.fhir.dates import LATEST, parse_interval
from overblik.fhir.index import interval_of
from overblik.store.unit import DeathRow, RelationRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from overblik.fhir.strict_json import Json

RECIPIENT = "urn:overblik:extension:recipient"
"""Extension (valueReference) naming an organisation that a plan or document is addressed to."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long evidence lasts, in days; settings may change it."""

    after_contact: int = 30
    before_appointment: int = 14
    after_appointment: int = 30
    addressed: int = 90
    after_death: int = 30


GONE = frozenset({"cancelled", "entered-in-error", "noshow", "rejected", "failed", "revoked", "proposed"})
OPEN_TASK = frozenset({"accepted", "in-progress", "on-hold", "ready"})


def relations(
    resource: Json,
    received: datetime,
    org_of: Callable[[Json], str],
    durations: Durations,
    *,
    registered: bool,
) -> list[RelationRow]:
    """Return the relations a resource gives.

    `org_of` finds the organisation key of a Reference, "" for none. `registered` says that the
    resource comes from the authority for the GP registration; nobody else's word counts for it.
    """
    found: dict[tuple[str, str], RelationRow] = {}
    for row in _rows(resource, received, org_of, durations, registered):
        known = found.get((row.org, row.kind))
        if row.org and (known is None or row.valid_until > known.valid_until):
            found[row.org, row.kind] = row
    return list(found.values())


def _rows(
    resource: Json, received: datetime, org_of: Callable[[Json], str], durations: Durations, registered: bool
) -> Iterator[RelationRow]:
    if resource.get("status") in GONE:
        return
    addressed_until = received + timedelta(days=durations.addressed)
    for receiver in addressed(resource):
        yield RelationRow(org_of(receiver), "addressed", received, addressed_until)
    match resource["resourceType"]:
        case "Encounter":
            yield from _contact(resource, received, org_of, durations)
        case "Appointment":
            yield from _appointment(resource, org_of, durations)
        case "Task" if resource.get("status") in OPEN_TASK:
            yield RelationRow(org_of(resource.get("owner", {})), "course", received, LATEST)
        case "EpisodeOfCare" if resource.get("status") == "active":
            yield RelationRow(org_of(resource.get("managingOrganization", {})), "course", received, LATEST)
        case "Patient" if registered:
            for practitioner in resource.get("generalPractitioner", ()):
                yield RelationRow(org_of(practitioner), "gp", received, LATEST)


def death(resource: Json, received: datetime, durations: Durations) -> DeathRow | None:
    """Return that a Patient says the person is dead: since the beginning of the day (month, year) that it names.

    A relation without an end goes on for some days more (docs/consent.md, "When somebody has died").
    """
    if resource["resourceType"] != "Patient":
        return None
    day = parse_interval(str(resource.get("deceasedDateTime", "")))
    if day is None and resource.get("deceasedBoolean") is not True:
        return None
    since = day.start if day else received
    after = timedelta(days=durations.after_death)
    return DeathRow(since, min(since, LATEST - after) + after, dated=day is not None)


def addressed(resource: Json) -> Iterator[Json]:
    """Walk the references to those a resource is addressed to."""
    for extension in resource.get("extension", ()):
        if extension.get("url") == RECIPIENT:
            yield extension.get("valueReference", {})
    match resource["resourceType"]:
        case "MessageHeader":
            for destination in resource.get("destination", ()):
                yield destination.get("receiver", {})
        case "Communication":
            yield from resource.get("recipient", ())
        case "Task" if resource.get("status") == "requested":
            yield resource.get("owner", {})


def _contact(
    resource: Json, received: datetime, org_of: Callable[[Json], str], durations: Durations
) -> Iterator[RelationRow]:
    org = org_of(resource.get("serviceProvider", {}))
    period: dict[str, Any] = resource.get("period", {})
    start = parse_interval(str(period.get("start", "")))
    end = parse_interval(str(period.get("end", "")))
    until = end.end + timedelta(days=durations.after_contact) if end and end.end < LATEST else LATEST
    yield RelationRow(org, "contact", start.start if start else received, until)


def _appointment(resource: Json, org_of: Callable[[Json], str], durations: Durations) -> Iterator[RelationRow]:
    span = interval_of("Period", {"start": resource.get("start", ""), "end": resource.get("end", "")})
    if span is None:
        return
    start, end = span.start, span.end if span.end < LATEST else span.start
    for participant in resource.get("participant", ()):
        if _asked_only(participant):
            continue
        yield RelationRow(
            org_of(participant.get("actor", {})),
            "appointment",
            start - timedelta(days=durations.before_appointment),
            end + timedelta(days=durations.after_appointment),
        )


def _asked_only(participant: Json) -> bool:
    """Say whether a participant only asked for the appointment (REF): that confers nothing."""
    codes = [c.get("code") for t in participant.get("type", ()) for c in t.get("coding", ())]
    return "REF" in codes
