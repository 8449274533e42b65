"""New since I last looked: in order of receipt, per person, corrections and withdrawals included.

One item a change (a message or a transaction), so that a notification that touches five resources
is one line. A visit lasts until half an hour without a look; what is new is new to the visit.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from overblik.fhir.reading import code_of, display_of, words_of
from overblik.overview.context import clinical_time
from overblik.shown import Shown

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.fhir.strict_json import Json
    from overblik.overview.context import Context, Source
    from overblik.trust.door.access import Record
    from overblik.trust.door.entries import Entry

QUIET = frozenset({"Patient", "Binary", "Provenance", "MessageHeader", "Goal", "Flag", "DocumentReference"})
"""Types that are told by what they belong to, and stand alone only when nothing else came."""
FIRST_LOOK = timedelta(days=14)
"""On the very first look, only what came in these days is news."""
_UNTOLD = frozenset({"active", "final", "unknown", "current", "preliminary"})
"""Statuses that say nothing new by themselves."""


class News(Shown, frozen=True):
    """One thing that became known. `kind` is a resource type, `what` words of the data.

    `words` names the table in which `what` is a code; "" means it is words already.
    """

    kind: str
    event: str
    what: str
    words: str
    source: Source
    clinical: datetime | None
    received: datetime
    late: bool
    reference: str
    raw: str


def news(ctx: Context, record: Record) -> tuple[News, ...]:
    """Return what became known since the viewer's last visit, last received first.

    `record` is the one of this look; its entries are those of the context, which may be of a look before. Within a
    visit the same is new, so it is not worked out again.
    """
    if ctx.told is not None and (ctx.told[0].baseline, ctx.told[0].seqs) == (record.baseline, record.seqs):
        return ctx.told[1]
    changes: dict[int, list[Entry]] = {}
    for entry in record.entries:
        if _is_new(record, entry):
            changes.setdefault(entry.change, []).append(entry)
    items = [item for members in changes.values() if (item := _item(ctx, members)) is not None]
    found = tuple(sorted(items, key=lambda i: (i.received, i.reference), reverse=True))
    ctx.told = record, found
    return found


def _is_new(record: Record, entry: Entry) -> bool:
    baseline = record.baseline
    seq, created = record.seqs.get(entry.change), record.seqs.get(entry.created)
    if seq is not None and seq <= baseline:
        return False
    # A withdrawal is news only to those who could have seen what was withdrawn.
    return not entry.deleted or (created is not None and created <= baseline)


def _item(ctx: Context, members: list[Entry]) -> News | None:
    main = min(members, key=lambda e: (e.type in QUIET, _RANK.get(e.type, 50), e.reference))
    provenance = next((e for e in members if e.type == "Provenance"), None)
    if main.type in QUIET:
        if provenance is None:
            return None
        main = provenance
    told = clinical_time(provenance) if provenance else clinical_time(main)
    what, words = _what(main)
    return News(
        kind=_kind(main),
        event=_event(main, provenance),
        what=what,
        words=words,
        source=ctx.source(main.source),
        clinical=told or clinical_time(main),
        received=main.received,
        late=told is not None and (main.received - told).days >= 1,
        reference=main.reference,
        raw=ctx.raw.get(main.reference, "") or (_message(provenance) if provenance else ""),
    )


def _kind(main: Entry) -> str:
    """Return the type of what is new; a message that changed nothing is told by what it is about."""
    if main.type != "Provenance":
        return main.type
    target = (main.resource.get("target") or [{}])[0]
    return str(target.get("reference", "")).split("/", 1)[0]


def _message(provenance: Entry) -> str:
    whats = [str(e.get("what", {}).get("reference", "")) for e in provenance.resource.get("entity", ())]
    return next((w for w in whats if w.startswith("Binary/")), "")


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
    activity = code_of(provenance.resource.get("activity", {})) if provenance else ""
    if main.type == "Encounter" and activity:
        disposition = main.resource.get("hospitalization", {}).get("dischargeDisposition", {})
        return event_of(activity, status, deceased=code_of(disposition) == "exp")
    if main.type in {"Provenance", "Communication"}:
        return activity if activity in TOLD else ""
    return "" if status in _UNTOLD else status


TOLD = frozenset(
    {p + a for a in ("admit-emergency", "admit-inpatient", "start-leave-inpatient", "end-leave-inpatient",
                     "discharge-emergency-home", "discharge-inpatient-home") for p in ("", "revise-", "cancel-")}
    | {"new-message", "reply-message", "forward-message", "modified-message", "retract-message"}
)  # fmt: skip
"""Activities that the pages have words for; document types are told by their kind."""


def _what(entry: Entry) -> tuple[str, str]:
    """Return the words of what is new, or a code and the table that has its words."""
    resource = entry.resource
    if entry.type == "CarePlan":
        title = str(resource.get("title", ""))
        return (title, "") if title else (_plan_kind(resource), "plans")
    if entry.type == "Communication":
        return next((code for c in resource.get("category", ()) if (code := code_of(c))), ""), "categories"
    for name in ("code", "medicationCodeableConcept", "type"):
        value = resource.get(name)
        if isinstance(value, dict) and words_of(value):
            return words_of(value), ""
    if entry.type == "Encounter":
        return display_of(resource.get("serviceProvider")), ""
    if entry.type == "Appointment":
        actors = [display_of(p.get("actor")) for p in resource.get("participant", ())]
        return str(resource.get("description", "")) or next((a for a in actors if a), ""), ""
    return str(resource.get("description", "") or resource.get("title", "")), ""


def _plan_kind(resource: Json) -> str:
    codes = (code_of(c, "urn:overblik:plan-type") for c in resource.get("category", ()))
    return next((code for code in codes if code), "care-plan")


def last_received(ctx: Context) -> datetime | None:
    """Return when something last became known; for the page's freshness line."""
    return max((e.received for e in ctx.record.entries), default=None)
