"""Evidence of a treatment relation: every kind with how long it lasts, and for whom it holds.

The lengths are those of docs and law in one table; each edge is asked just before and just after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from overblik.demo.cast import CLINIC, INGER, OTHER_CLINIC, REGISTER
from overblik.demo.formats import pdc
from overblik.fhir.dates import COPENHAGEN
from overblik.trust.organisations import set_route
from overblik.trust.treatment.evidence import Durations
from tests.conftest import NOW
from tests.journeys.tell import set_the_stage
from tests.trust.stage import (
    DAY,
    DEPARTMENT,
    HOSPITAL,
    MUNICIPALITY,
    SIBLING,
    UNIT,
    about,
    encounter,
    organisation,
    patient,
    sees,
    stage,
    unit,
    write,
)

if TYPE_CHECKING:
    from tests.conftest import World

EDGE = timedelta(seconds=2)
"""A FHIR instant written to the second lasts that second; an edge is asked for on either side of it."""
WARD = "99900016009"
"""A sub-unit of the department."""
YEARS = 1000 * DAY
RECIPIENT = "urn:overblik:extension:recipient"


def appointment(org: str, start: datetime, end: datetime | None, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": start.isoformat(),
        "participant": [
            {"actor": about(), "status": "accepted"},
            {"actor": {"type": "HealthcareService", **unit(org)}, "status": "accepted", **more},
        ],
    }
    return body | ({"end": end.isoformat()} if end else {})


def task(org: str, status: str) -> dict[str, Any]:
    return {"resourceType": "Task", "status": status, "intent": "order", "for": about(), "owner": unit(org)}


def communication(org: str) -> dict[str, Any]:
    return {"resourceType": "Communication", "status": "completed", "subject": about(), "recipient": [unit(org)]}


def plan(org: str, status: str = "active") -> dict[str, Any]:
    return {
        "resourceType": "CarePlan",
        "status": status,
        "intent": "plan",
        "subject": about(),
        "extension": [{"url": RECIPIENT, "valueReference": unit(org)}],
    }


def document(org: str) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": about(),
        "content": [{"attachment": {"contentType": "text/plain", "title": "x"}}],
        "extension": [{"url": RECIPIENT, "valueReference": unit(org)}],
    }


def episode(org: str, status: str) -> dict[str, Any]:
    return {
        "resourceType": "EpisodeOfCare",
        "status": status,
        "patient": about(),
        "managingOrganization": unit(org),
    }


@dataclass(frozen=True)
class Evidence:
    """A resource written at NOW, and when its unit sees the record because of it: (instant, seen)."""

    what: str
    resource: dict[str, Any]
    seen: tuple[tuple[datetime, bool], ...]


def lasts(start: datetime | None, until: datetime | None) -> tuple[tuple[datetime, bool], ...]:
    """Return what holds on either side of both ends; None for an end that never comes."""
    found = [(start - EDGE, False), (start + EDGE, True)] if start else [(NOW + EDGE, True)]
    return (*found, *([(until - EDGE, True), (until + EDGE, False)] if until else [(NOW + YEARS, True)]))


def never(*moments: datetime) -> tuple[tuple[datetime, bool], ...]:
    return tuple((moment, False) for moment in moments or (NOW + EDGE, NOW + DAY, NOW + YEARS))


SOON, LATER = NOW + 20 * DAY, NOW + 25 * DAY
MIDNIGHT = datetime(2026, 12, 1, tzinfo=COPENHAGEN)
KINDS = [
    Evidence(
        "a contact lasts 30 days after its end", encounter(DEPARTMENT, SOON, LATER), lasts(SOON, LATER + 30 * DAY)
    ),
    Evidence("an open contact lasts", encounter(DEPARTMENT, SOON, None), lasts(SOON, None)),
    Evidence(
        "a contact that ends on a day lasts that day and 30 more",
        {**encounter(DEPARTMENT, NOW - DAY, NOW), "period": {"start": "2026-11-20", "end": "2026-11-30"}},
        lasts(None, MIDNIGHT + 30 * DAY),
    ),
    Evidence(
        "a contact without a period lasts from when it was told",
        {k: v for k, v in encounter(DEPARTMENT, NOW, None).items() if k != "period"},
        lasts(None, None),
    ),
    Evidence(
        "an appointment lasts from 14 days before to 30 after",
        appointment(DEPARTMENT, SOON, SOON + timedelta(hours=1)),
        lasts(SOON - 14 * DAY, SOON + timedelta(hours=1) + 30 * DAY),
    ),
    Evidence(
        "an appointment without an end lasts 30 days from its start",
        appointment(DEPARTMENT, SOON, None),
        lasts(SOON - 14 * DAY, SOON + 30 * DAY),
    ),
    Evidence(
        "an appointment one only asked for confers nothing",
        appointment(DEPARTMENT, SOON, SOON, type=[{"coding": [{"code": "REF"}]}]),
        never(SOON - DAY, SOON + EDGE, SOON + DAY),
    ),
    Evidence("a message lasts 90 days with its receiver", communication(DEPARTMENT), lasts(None, NOW + 90 * DAY)),
    Evidence("a plan lasts 90 days with its receiver", plan(DEPARTMENT), lasts(None, NOW + 90 * DAY)),
    Evidence("a document lasts 90 days with its receiver", document(DEPARTMENT), lasts(None, NOW + 90 * DAY)),
    Evidence("a task asked of a unit lasts 90 days", task(DEPARTMENT, "requested"), lasts(None, NOW + 90 * DAY)),
    *[
        Evidence(f"a course lasts while its task is {status}", task(DEPARTMENT, status), lasts(None, None))
        for status in ("accepted", "ready", "in-progress", "on-hold")
    ],
    *[
        Evidence(f"a task that is {status} confers nothing", task(DEPARTMENT, status), never())
        for status in ("draft", "completed", "rejected", "failed", "cancelled", "entered-in-error")
    ],
    Evidence("an active episode of care lasts", episode(DEPARTMENT, "active"), lasts(None, None)),
    *[
        Evidence(f"an episode of care that is {status} confers nothing", episode(DEPARTMENT, status), never())
        for status in ("planned", "finished", "cancelled", "entered-in-error")
    ],
    *[
        Evidence(
            f"an appointment that is {status} confers nothing",
            appointment(DEPARTMENT, SOON, SOON) | {"status": status},
            never(SOON, SOON + DAY),
        )
        for status in ("cancelled", "noshow", "proposed", "entered-in-error")
    ],
    Evidence(
        "a contact that was cancelled confers nothing",
        encounter(DEPARTMENT, NOW, None) | {"status": "cancelled"},
        never(),
    ),
    Evidence("a plan that was revoked confers nothing", plan(DEPARTMENT, "revoked"), never()),
    Evidence(
        "a registration that is not the register's word confers nothing",
        {**patient(), "generalPractitioner": [unit(DEPARTMENT)]},
        never(),
    ),
    Evidence(
        "to be author and performer confers nothing",
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": about(),
            "performer": [unit(DEPARTMENT)],
        },
        never(),
    ),
    Evidence(
        "to be sender confers nothing",
        {"resourceType": "Communication", "status": "completed", "subject": about(), "sender": unit(DEPARTMENT)},
        never(),
    ),
]


@pytest.mark.parametrize("evidence", KINDS, ids=[k.what for k in KINDS])
async def test_evidence_lasts_as_long_as_its_kind_and_no_longer(world: World, evidence: Evidence) -> None:
    identifier = await stage(world)
    assert not await sees(world, identifier, DEPARTMENT)
    await write(world, evidence.resource)
    for moment, seen in evidence.seen:
        world.clock.set(moment)
        assert await sees(world, identifier, DEPARTMENT) is seen, moment


def test_the_table_of_lengths_is_the_published_one() -> None:
    assert Durations() == Durations(after_contact=30, before_appointment=14, after_appointment=30, addressed=90)


ENDINGS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a course is closed", task(DEPARTMENT, "accepted"), {"status": "completed"}),
    ("an episode is finished", episode(DEPARTMENT, "active"), {"status": "finished"}),
    ("a contact was a mistake", encounter(DEPARTMENT, NOW - DAY, None), {"status": "entered-in-error"}),
    ("an appointment is cancelled", appointment(DEPARTMENT, NOW, NOW), {"status": "cancelled"}),
    ("a message goes to somebody else", communication(DEPARTMENT), {"recipient": [unit(UNIT)]}),
    ("a contact is corrected to another unit", encounter(DEPARTMENT, NOW, None), {"serviceProvider": unit(UNIT)}),
]


@pytest.mark.parametrize(("what", "resource", "change"), ENDINGS, ids=[e[0] for e in ENDINGS])
async def test_a_relation_ends_with_its_evidence(
    world: World, what: str, resource: dict[str, Any], change: dict[str, Any]
) -> None:
    identifier = await stage(world)
    made = await write(world, resource)
    assert await sees(world, identifier, DEPARTMENT), what
    changed = {**resource, **change, "id": made}
    assert (await world.replace(f"/{resource['resourceType']}/{made}", world.source(), changed)).status_code == 200
    assert not await sees(world, identifier, DEPARTMENT), what


async def test_a_relation_ends_when_its_evidence_is_deleted(world: World) -> None:
    identifier = await stage(world)
    made = await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    assert await sees(world, identifier, DEPARTMENT)
    await world.http.delete(f"/fhir/Encounter/{made}", headers=world.source())
    assert not await sees(world, identifier, DEPARTMENT)


async def test_one_kind_of_evidence_outlives_another(world: World) -> None:
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - 9 * DAY, NOW - DAY))
    await write(world, communication(DEPARTMENT))
    world.clock.set(NOW + 60 * DAY)
    assert await sees(world, identifier, DEPARTMENT)
    world.clock.set(NOW + 91 * DAY)
    assert not await sees(world, identifier, DEPARTMENT)


async def test_the_registered_gp_sees_while_registered(world: World) -> None:
    """The card is the register's own message; the next card, with another clinic, ends the first clinic's access."""
    await set_the_stage(world)
    card = pdc.master_data(INGER, REGISTER, CLINIC, NOW)
    source = world.token(kind="source", sub=REGISTER.slug, name=REGISTER.name)
    media = {"Content-Type": "application/xml"}
    await world.post("/$process-message", source, card, headers=media)
    assert await world.patient_id(INGER.cpr, world.professional(CLINIC.sor))
    world.clock.forward(days=1000)
    assert await world.patient_id(INGER.cpr, world.professional(CLINIC.sor))
    moved = pdc.master_data(INGER, REGISTER, OTHER_CLINIC, world.clock.now())
    await world.post("/$process-message", source, moved, headers=media)
    assert not await world.patient_id(INGER.cpr, world.professional(CLINIC.sor))
    assert await world.patient_id(INGER.cpr, world.professional(OTHER_CLINIC.sor))


INHERITED = [
    # evidence at, signed in at, seen
    (DEPARTMENT, DEPARTMENT, True),
    (DEPARTMENT, WARD, True),
    (DEPARTMENT, HOSPITAL, False),
    (DEPARTMENT, SIBLING, False),
    (DEPARTMENT, MUNICIPALITY, False),
    (DEPARTMENT, UNIT, False),
    (HOSPITAL, HOSPITAL, True),
    (HOSPITAL, DEPARTMENT, True),
    (HOSPITAL, SIBLING, True),
    (HOSPITAL, WARD, True),
    (HOSPITAL, UNIT, False),
    (WARD, WARD, True),
    (WARD, DEPARTMENT, False),
    (WARD, HOSPITAL, False),
    (UNIT, MUNICIPALITY, False),
    (MUNICIPALITY, UNIT, True),
    (DEPARTMENT, "99900099999", False),
    (DEPARTMENT, "", False),
]


@pytest.mark.parametrize(("at", "signed_in", "seen"), INHERITED)
async def test_evidence_holds_for_the_unit_and_those_below_it(
    world: World, at: str, signed_in: str, seen: bool
) -> None:
    identifier = await stage(world)
    await world.post("/Organization", world.system(), organisation(WARD, DEPARTMENT))
    await world.run.directory.refresh(force=True)
    await write(world, encounter(at, NOW - DAY, None))
    assert await sees(world, identifier, signed_in) is seen


async def test_units_that_belong_to_each_other_in_a_ring_are_no_way_in(world: World) -> None:
    identifier = await stage(world)
    await world.post("/Organization", world.system(), organisation(WARD, UNIT))
    await world.post("/Organization", world.system(), organisation(UNIT, WARD))
    await world.run.directory.refresh(force=True)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    assert not await sees(world, identifier, WARD)
    assert await sees(world, identifier, DEPARTMENT)


async def test_what_is_sent_to_a_municipality_reaches_the_units_it_is_routed_to(world: World) -> None:
    identifier = await stage(world)
    other = "99900016008"
    await world.post("/Organization", world.system(), organisation(other, MUNICIPALITY))
    await set_route(world.run.database, MUNICIPALITY, [UNIT])
    await world.run.directory.refresh(force=True)
    await write(world, communication(MUNICIPALITY))
    assert await sees(world, identifier, UNIT)
    assert not await sees(world, identifier, other)
    assert not await sees(world, identifier, DEPARTMENT)
