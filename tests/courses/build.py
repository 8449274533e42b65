"""Resources of one course as the door discloses them, short to write in a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from overblik.courses.rehabilitation import Course, courses
from overblik.fhir.dates import COPENHAGEN
from overblik.fhir.identifiers import SKS, SOR, YDER
from overblik.trust.door.entries import Entry
from overblik.trust.organisations import Organisation

if TYPE_CHECKING:
    from collections.abc import Iterable

HOSPITAL, WARD, TOWN, TRAINING, NURSING, CLINIC, OTHER_TOWN = (f"9990001700{n}" for n in range(1, 8))
DIRECTORY = {
    unit.sor: unit
    for unit in (
        Organisation(HOSPITAL, "Sygehuset", kind="hospital"),
        Organisation(WARD, "Afdelingen", parent=HOSPITAL, kind="department", phone="11"),
        Organisation(TOWN, "Kommunen", kind="municipality", phone="22"),
        Organisation(TRAINING, "Træningen", parent=TOWN, kind="municipal-unit", phone="33"),
        Organisation(NURSING, "Sygeplejen", parent=TOWN, kind="municipal-unit", phone="44"),
        Organisation(CLINIC, "Lægerne", kind="gp", yder="990001", phone="55"),
        Organisation(OTHER_TOWN, "Nabokommunen", kind="municipality", phone="66"),
    )
}
EPISODE = "bd481c38-a921-11ed-afa1-0242ac120002"
OTHER_EPISODE = "0f0f0f0f-0000-4000-8000-000000000002"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ADMITTED = datetime(2026, 11, 15, 19, 40, tzinfo=COPENHAGEN)
HOME = datetime(2026, 11, 20, 11, 30, tzinfo=COPENHAGEN)
"""Discharged on a Friday. Day 7 is the Friday after, and it is flagged from the midnight that follows."""
PLANNED = HOME - 2 * HOUR


def local(text: str) -> datetime:
    """Return an instant by the clock on a Danish wall, such as `2026-11-28 00:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=COPENHAGEN)


def unit(token: str) -> dict[str, Any]:
    """Return a reference to a unit by SOR code, or by ydernummer."""
    system, value = (YDER, token.removeprefix("yder:")) if token.startswith("yder:") else (SOR, token)
    name = DIRECTORY[token].name if token in DIRECTORY else token
    return {"type": "Organization", "identifier": {"system": system, "value": value}, "display": name}


def told(resource: dict[str, Any], source: str, at: datetime, **more: Any) -> Entry:
    """Return a resource as an entry that its source told at an instant."""
    known: dict[str, Any] = {"via": "gateway", "recorded": at, "received": at, "change": 1, "created": 1}
    return Entry(resource, source, **{**known, **more})


def tie(episode: str) -> dict[str, Any]:
    """Return the extension that ties a resource to an episode, or nothing."""
    url = "http://hl7.org/fhir/StructureDefinition/workflow-episodeOfCare"
    return {"extension": [{"url": url, "valueReference": {"identifier": {"value": episode}}}]} if episode else {}


def stay(
    start: datetime = ADMITTED,
    end: datetime | None = HOME,
    *,
    name: str = "stay",
    status: str = "",
    kind: str = "IMP",
    episode: str = EPISODE,
    at: str = WARD,
    died: bool = False,
) -> Entry:
    """Return a stay in hospital, ended unless `end` is None."""
    period = {"start": start.isoformat()} | ({"end": end.isoformat()} if end else {})
    body: dict[str, Any] = {
        "resourceType": "Encounter",
        "id": name,
        "status": status or ("finished" if end else "in-progress"),
        "class": {"code": kind},
        "episodeOfCare": [{"identifier": {"value": episode}}],
        "period": period,
        "serviceProvider": unit(at),
    }
    if died:
        body["hospitalization"] = {"dischargeDisposition": {"coding": [{"code": "exp"}]}}
    return told(body, at, end or start)


def operation(*, name: str = "operation", status: str = "completed", code: str = "KNFB02", **more: Any) -> Entry:
    """Return an operation the day after admission."""
    body = {
        "resourceType": "Procedure",
        "id": name,
        "status": status,
        "code": {"coding": [{"system": SKS, "code": code}], "text": "Hofteoperation"},
        "performedDateTime": (ADMITTED + DAY).isoformat(),
        **tie(EPISODE),
    }
    return told(body | more, WARD, ADMITTED + DAY)


def plan(
    created: datetime = PLANNED,
    *,
    name: str = "plan",
    kind: str = "rehabilitation-general",
    asked: str = TOWN,
    author: str = WARD,
    starts: datetime | None = None,
    episode: str = EPISODE,
    **more: Any,
) -> Entry:
    """Return a rehabilitation plan; `starts` is the later start it states."""
    detail: dict[str, Any] = {"kind": "ServiceRequest", "status": "not-started", "performer": [unit(asked)]}
    if starts:
        detail["scheduledPeriod"] = {"start": starts.isoformat()}
    body: dict[str, Any] = {
        "resourceType": "CarePlan",
        "id": name,
        "status": "active",
        "intent": "plan",
        "category": [{"coding": [{"system": "urn:overblik:plan-type", "code": kind}]}],
        "created": created.isoformat(),
        "period": {"start": created.isoformat()},
        "author": unit(author),
        "activity": [{"detail": detail}],
        **tie(episode),
    }
    return told(body | more, author, created)


def task(
    status: str = "accepted",
    at: datetime = HOME + 3 * DAY,
    *,
    name: str = "task",
    owner: str = TRAINING,
    source: str = "",
    made: datetime | None = None,
    episode: str = EPISODE,
) -> Entry:
    """Return the municipality's Task about a plan."""
    body = {
        "resourceType": "Task",
        "id": name,
        "status": status,
        "intent": "order",
        "groupIdentifier": {"value": episode},
        "authoredOn": (made or at).isoformat(),
        "lastModified": at.isoformat(),
        "owner": unit(owner),
    }
    return told(body, source or owner, at)


def session(
    start: datetime = HOME + 5 * DAY,
    *,
    name: str = "session",
    status: str = "booked",
    at: str = TRAINING,
    source: str = "",
    episode: str = EPISODE,
    asked_by: str = "",
    booked: datetime = HOME + 3 * DAY,
    kind: str = "",
) -> Entry:
    """Return a session of training."""
    code = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
    people = [{"type": [{"coding": [{"system": code, "code": "PPRF"}]}], "actor": unit(at)}]
    if asked_by:
        people.append({"type": [{"coding": [{"system": code, "code": "REF"}]}], "actor": unit(asked_by)})
    body: dict[str, Any] = {
        "resourceType": "Appointment",
        "id": name,
        "status": status,
        "start": start.isoformat(),
        "end": (start + HOUR).isoformat(),
        "created": booked.isoformat(),
        "participant": people,
        **tie(episode),
    }
    if kind:
        body["appointmentType"] = {"coding": [{"code": kind}]}
    return told(body, source or at, booked)


def message(
    at: datetime = HOME + 35 * DAY,
    *,
    name: str = "report",
    category: str = "training",
    sender: str = TRAINING,
    to: str = CLINIC,
    status: str = "unknown",
    episode: str = EPISODE,
) -> Entry:
    """Return a message; as it stands, the municipality's report to the GP."""
    body = {
        "resourceType": "Communication",
        "id": name,
        "status": status,
        "category": [{"coding": [{"code": category}]}],
        "sent": at.isoformat(),
        "sender": unit(sender),
        "recipient": [unit(to)],
        **tie(episode),
    }
    return told(body, sender, at)


def own_plan(
    status: str = "completed",
    *,
    name: str = "own",
    author: str = TRAINING,
    source: str = "",
    begun: datetime = HOME + 3 * DAY,
    ended: datetime = HOME + 50 * DAY,
    **more: Any,
) -> Entry:
    """Return the municipality's own plan."""
    period = {"start": begun.isoformat()} | ({"end": ended.isoformat()} if status == "completed" else {})
    body: dict[str, Any] = {
        "resourceType": "CarePlan",
        "id": name,
        "status": status,
        "intent": "plan",
        "created": begun.isoformat(),
        "period": period,
        "author": unit(author),
        **tie(EPISODE),
    }
    return told(body | more, source or author, begun)


def patient(**more: Any) -> Entry:
    """Return a Patient."""
    return told({"resourceType": "Patient", "id": "patient", **more}, WARD, ADMITTED)


def again(entry: Entry, **changes: Any) -> Entry:
    """Return an entry whose resource says something else."""
    return replace(entry, resource={**entry.resource, **changes})


@dataclass(frozen=True)
class Told:
    """What a strip tells, as a table states it."""

    state: str
    holder: str = ""
    phone: str = ""
    due: str = ""
    kind: str = ""
    overdue: bool = False
    private: bool = False


def strips(entries: Iterable[Entry], now: datetime) -> list[Course]:
    """Return the courses of a record at an instant."""
    return courses(entries, now.astimezone(UTC), DIRECTORY.get)


def strip(entries: Iterable[Entry], now: datetime) -> Course:
    """Return the only course of a record at an instant."""
    (course,) = strips(entries, now)
    return course


def tells(course: Course) -> Told:
    """Return what a course tells."""
    return Told(
        course.state,
        course.holder.name,
        course.holder.phone,
        course.deadline.isoformat() if course.deadline else "",
        course.deadline_kind,
        course.overdue,
        course.private_provider,
    )


def done(course: Course) -> list[str]:
    """Return the codes of the steps that are done."""
    return [step.code for step in course.steps if step.done]
