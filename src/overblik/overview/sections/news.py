"""New since I last looked: in order of receipt, per person, corrections and withdrawals included.

One item a change (a message or a transaction), so that a notification that touches five resources
is one line. A visit lasts until half an hour without a look; what is new is new to the visit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from overblik.fhir.reading import code_of, display_of, words_of
from overblik.overview.context import clinical_time

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.overview.context import Context, Source
    from overblik.trust.access import Entry

QUIET = frozenset({"Patient", "Binary", "Provenance", "MessageHeader", "Goal", "Flag", "DocumentReference"})
"""Types that are told by what they belong to, and stand alone only when nothing else came."""
FIRST_LOOK_DAYS = 14


@dataclass(frozen=True, slots=True)
class News:
    """One thing that became known. `kind` is a resource type or event; `what` words from the data."""

    kind: str
    event: str
    what: str
    source: Source
    clinical: datetime | None
    received: datetime
    late: bool
    reference: str
    raw: str


def news(ctx: Context, baseline: int, before: datetime | None) -> list[News]:
    """Return what became known after `baseline`, last received first.

    On the very first look, only the last fourteen days are news.
    """
    changes: dict[int, list[Entry]] = {}
    for entry in ctx.record.entries:
        if _is_new(ctx, entry, baseline, before):
            changes.setdefault(entry.change, []).append(entry)
    items = [item for members in changes.values() if (item := _item(ctx, members)) is not None]
    return sorted(items, key=lambda i: (i.received, i.reference), reverse=True)


def _is_new(ctx: Context, entry: Entry, baseline: int, before: datetime | None) -> bool:
    if before is None and (ctx.now - entry.received).days >= FIRST_LOOK_DAYS:
        return False
    if entry.seq is not None and entry.seq <= baseline:
        return False
    # A withdrawal is news only to those who could have seen what was withdrawn.
    return not entry.deleted or (entry.created_seq is not None and entry.created_seq <= baseline)


def _item(ctx: Context, members: list[Entry]) -> News | None:
    main = min(members, key=lambda e: (e.type in QUIET, _RANK.get(e.type, 50), e.reference))
    if main.type in QUIET and main.type not in {"DocumentReference", "Provenance"}:
        told_by = [e for e in members if e.type == "Provenance"]
        if not told_by:
            return None
        main = told_by[0]
    clinical = clinical_time(main)
    provenance = next((e for e in members if e.type == "Provenance"), None)
    told = clinical_time(provenance) if provenance else clinical
    return News(
        kind=main.type,
        event=_event(main, provenance),
        what=_what(main),
        source=ctx.source(main.source),
        clinical=told or clinical,
        received=main.received,
        late=bool(told) and (main.received - told).days >= 1 if told else False,
        reference=main.reference,
        raw=ctx.raw.get(main.reference, ""),
    )


_RANK = {
    name: number
    for number, name in enumerate(
        (
            "Encounter",
            "CarePlan",
            "Task",
            "Appointment",
            "Procedure",
            "Communication",
            "MedicationRequest",
            "MedicationStatement",
            "AllergyIntolerance",
            "Condition",
            "Observation",
            "DiagnosticReport",
            "DocumentReference",
            "Provenance",
        )
    )
}


def event_of(activity: str, status: str, *, deceased: bool) -> str:
    """Return what a HospitalNotification tells: from its activity, the stay's status and death.

    A death is announced under whatever activity the hospital was in the middle of; corrections say
    so, and a cancelled notification is a withdrawal.
    """
    if activity.startswith("cancel-"):
        return "withdrawn-" + activity.removeprefix("cancel-")
    if deceased and status == "finished":
        return "died"
    return activity


def _event(main: Entry, provenance: Entry | None) -> str:
    if main.deleted:
        return "withdrawn"
    status = str(main.resource.get("status", ""))
    activity = ""
    if provenance is not None:
        activity = code_of(provenance.resource.get("activity", {}))
    if main.type == "Encounter" and activity:
        disposition = main.resource.get("hospitalization", {}).get("dischargeDisposition", {})
        return event_of(activity, status, deceased=code_of(disposition) == "exp")
    if main.type == "Provenance":
        return activity
    return status


def _what(entry: Entry) -> str:
    """Return the words of what is new, from its own data."""
    resource = entry.resource
    for name in ("code", "medicationCodeableConcept", "type"):
        value = resource.get(name)
        if isinstance(value, dict) and words_of(value):
            return words_of(value)
    if entry.type == "Encounter":
        return display_of(resource.get("serviceProvider"))
    if entry.type == "Appointment":
        actors = [display_of(p.get("actor")) for p in resource.get("participant", ())]
        return str(resource.get("description", "")) or next((a for a in actors if a), "")
    if entry.type == "Communication":
        return next((code_of(c) for c in resource.get("category", ())), "")
    if entry.type == "Task":
        return str(resource.get("description", ""))
    return str(resource.get("title", ""))


def last_received(ctx: Context) -> datetime | None:
    """Return when something last became known; for the page's freshness line."""
    return max((e.received for e in ctx.record.entries), default=None)
