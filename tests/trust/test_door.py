"""Who sees what: one table, each row through HTTP, on the real database."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import NOW

if TYPE_CHECKING:
    from tests.conftest import World

CPR = "2512489996"
OTHER = "0905489998"
HOSPITAL, DEPARTMENT, SIBLING, MUNICIPALITY, UNIT = (f"9990001600{n}" for n in range(1, 6))
SOR = "urn:oid:1.2.208.176.1.1"


def organisation(sor: str, parent: str = "") -> dict[str, Any]:
    body: dict[str, Any] = {
        "resourceType": "Organization",
        "name": f"Enhed {sor}",
        "identifier": [{"system": SOR, "value": sor}],
    }
    return body | ({"partOf": {"identifier": {"system": SOR, "value": parent}}} if parent else {})


def unit(sor: str) -> dict[str, Any]:
    return {"identifier": {"system": SOR, "value": sor}, "display": f"Enhed {sor}"}


def about(cpr: str = CPR) -> dict[str, Any]:
    return {"type": "Patient", "identifier": {"system": "urn:oid:1.2.208.176.1.2", "value": cpr}}


def patient(cpr: str = CPR) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [about(cpr)["identifier"]], "name": [{"family": "Test"}]}


def encounter(org: str, start: datetime, end: datetime | None, cpr: str = CPR) -> dict[str, Any]:
    period = {"start": start.isoformat()} | ({"end": end.isoformat()} if end else {})
    return {
        "resourceType": "Encounter",
        "status": "finished" if end else "in-progress",
        "class": {"code": "IMP"},
        "subject": about(cpr),
        "period": period,
        "serviceProvider": unit(org),
    }


async def stage(world: World) -> str:
    """Write the units and one patient; return the patient's id."""
    for sor, parent in (
        (HOSPITAL, ""),
        (DEPARTMENT, HOSPITAL),
        (SIBLING, HOSPITAL),
        (MUNICIPALITY, ""),
        (UNIT, MUNICIPALITY),
    ):
        await world.post("/Organization", world.system(), organisation(sor, parent))
    await world.run.directory.refresh(force=True)
    created = await world.post("/Patient", world.source(), patient())
    return str(created.json()["id"])


async def write(world: World, resource: dict[str, Any]) -> str:
    created = await world.post(f"/{resource['resourceType']}", world.source(), resource)
    assert created.status_code == 201, created.text
    return str(created.json()["id"])


async def sees(world: World, patient_id: str, org: str) -> bool:
    response = await world.get(f"/Patient/{patient_id}", world.professional(org))
    assert response.status_code in {200, 404}
    return response.status_code == 200


async def test_a_citizen_sees_the_own_record_and_no_other(world: World) -> None:
    identifier = await stage(world)
    assert (await world.get(f"/Patient/{identifier}", world.citizen(CPR))).status_code == 200
    assert (await world.get(f"/Patient/{identifier}", world.citizen(OTHER))).status_code == 404


async def test_a_professional_without_evidence_sees_nothing(world: World) -> None:
    identifier = await stage(world)
    assert not await sees(world, identifier, DEPARTMENT)


DAY = timedelta(days=1)
RELATIONS = [
    # what, the resource as evidence, days from now until it is asked, seen
    ("contact begins", encounter(DEPARTMENT, NOW + DAY, None), 0, False),
    ("contact is open", encounter(DEPARTMENT, NOW - 5 * DAY, None), 400, True),
    ("contact ended 30 days ago", encounter(DEPARTMENT, NOW - 9 * DAY, NOW - DAY), 29, True),
    ("contact ended 31 days ago", encounter(DEPARTMENT, NOW - 9 * DAY, NOW - DAY), 31, False),
]


@pytest.mark.parametrize(("what", "resource", "days", "seen"), RELATIONS, ids=[r[0] for r in RELATIONS])
async def test_a_contact_lasts_from_its_start_to_thirty_days_after_its_end(
    world: World, what: str, resource: dict[str, Any], days: int, seen: bool
) -> None:
    identifier = await stage(world)
    await write(world, resource)
    world.clock.forward(days=days)
    assert await sees(world, identifier, DEPARTMENT) is seen, what


@pytest.mark.parametrize(("days", "seen"), [(-15, False), (-13, True), (0, True), (29, True), (31, False)])
async def test_an_appointment_gives_a_relation_from_fourteen_days_before_to_thirty_after(
    world: World, days: int, seen: bool
) -> None:
    identifier = await stage(world)
    start = NOW + 20 * DAY
    await write(
        world,
        {
            "resourceType": "Appointment",
            "status": "booked",
            "start": start.isoformat(),
            "end": (start + timedelta(hours=1)).isoformat(),
            "participant": [
                {"actor": about(), "status": "accepted"},
                {"actor": {"type": "HealthcareService", **unit(DEPARTMENT)}, "status": "accepted"},
            ],
        },
    )
    world.clock.set(start + days * DAY)
    assert await sees(world, identifier, DEPARTMENT) is seen


@pytest.mark.parametrize(("days", "seen"), [(0, True), (89, True), (91, False)])
async def test_a_message_gives_its_receiver_a_relation_for_ninety_days(world: World, days: int, seen: bool) -> None:
    identifier = await stage(world)
    await write(
        world,
        {"resourceType": "Communication", "status": "completed", "subject": about(), "recipient": [unit(UNIT)]},
    )
    world.clock.forward(days=days)
    assert await sees(world, identifier, UNIT) is seen


@pytest.mark.parametrize(
    ("status", "days", "seen"),
    [
        ("accepted", 300, True),
        ("in-progress", 300, True),
        ("completed", 0, False),
        ("requested", 89, True),
        ("requested", 91, False),
    ],
)
async def test_a_course_gives_a_relation_while_it_is_open(world: World, status: str, days: int, seen: bool) -> None:
    identifier = await stage(world)
    await write(
        world,
        {"resourceType": "Task", "status": status, "intent": "order", "for": about(), "owner": unit(UNIT)},
    )
    world.clock.forward(days=days)
    assert await sees(world, identifier, UNIT) is seen


@pytest.mark.parametrize(
    ("evidence", "signed_in", "seen"),
    [
        (HOSPITAL, HOSPITAL, True),
        (HOSPITAL, DEPARTMENT, True),  # downward
        (DEPARTMENT, HOSPITAL, False),  # never upward
        (DEPARTMENT, SIBLING, False),  # never sideways
        (DEPARTMENT, DEPARTMENT, True),
        (HOSPITAL, UNIT, False),
    ],
)
async def test_evidence_holds_for_the_unit_and_its_sub_units(
    world: World, evidence: str, signed_in: str, seen: bool
) -> None:
    identifier = await stage(world)
    await write(world, encounter(evidence, NOW - DAY, None))
    assert await sees(world, identifier, signed_in) is seen


async def test_the_gp_registration_counts_only_from_its_register(world: World) -> None:
    identifier = await stage(world)
    claimed = {**patient(), "generalPractitioner": [unit(UNIT)]}
    await write(world, claimed)
    assert not await sees(world, identifier, UNIT)


async def test_being_author_performer_or_referrer_confers_nothing(world: World) -> None:
    identifier = await stage(world)
    await write(
        world,
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": about(),
            "performer": [unit(UNIT)],
        },
    )
    referrer = {
        "type": [{"coding": [{"code": "REF"}]}],
        "actor": {"type": "HealthcareService", **unit(UNIT)},
        "status": "accepted",
    }
    await write(
        world,
        {
            "resourceType": "Appointment",
            "status": "booked",
            "start": NOW.isoformat(),
            "end": NOW.isoformat(),
            "participant": [{"actor": about(), "status": "accepted"}, referrer],
        },
    )
    assert not await sees(world, identifier, UNIT)


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
async def test_withdrawn_evidence_gives_no_relation(world: World, status: str) -> None:
    identifier = await stage(world)
    contact = encounter(DEPARTMENT, NOW - DAY, None)
    made = await write(world, contact)
    assert await sees(world, identifier, DEPARTMENT)
    await world.put(f"/Encounter/{made}", world.source(), {**contact, "id": made, "status": status})
    assert not await sees(world, identifier, DEPARTMENT)


DENIALS: list[tuple[str, dict[str, Any], bool, bool]] = [
    # what, the deny row, observation seen, record seen
    ("everything", {}, False, False),
    ("another person", {"person": "OTHER"}, True, True),
    ("this person", {"person": "TEST1"}, False, False),
    ("the unit", {"org": DEPARTMENT}, False, False),
    ("the hospital with its sub-units", {"org": HOSPITAL}, False, False),
    ("the hospital without its sub-units", {"org": HOSPITAL, "sub_units": False}, True, True),
    ("a sibling unit", {"org": SIBLING}, True, True),
    ("a type", {"type": "Observation"}, False, True),
    ("another type", {"type": "Condition"}, True, True),
    ("a source", {"source": "gateway"}, False, False),
    ("another source", {"source": "clinic"}, True, True),
    ("a period before", {"data_until": NOW - 400 * DAY}, True, True),
    ("a period around", {"data_from": NOW - 3 * DAY, "data_until": NOW - 1 * DAY, "type": "Observation"}, False, True),
    ("from tomorrow", {"valid_from": NOW + DAY}, True, True),
    ("until yesterday", {"valid_until": NOW - DAY}, True, True),
]


@pytest.mark.parametrize(("what", "row", "observed", "opened"), DENIALS, ids=[d[0] for d in DENIALS])
async def test_a_block_is_honoured_in_every_channel(
    world: World, what: str, row: dict[str, Any], observed: bool, opened: bool
) -> None:
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    made = await write(
        world,
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"code": "X"}]},
            "subject": about(),
            "effectiveDateTime": (NOW - 2 * DAY).isoformat(),
        },
    )
    await deny(world, identifier, **row)
    who = world.professional(DEPARTMENT)
    assert (await world.get(f"/Observation/{made}", who)).status_code == (200 if observed else 404), what
    assert (await world.get(f"/Observation/{made}/_history", who)).status_code == (200 if observed else 404)
    found = (await world.get("/Observation?code=X", who)).json()
    assert ("entry" in found) is observed
    overview = await world.get(f"/Patient/{identifier}/$overview", who)
    assert overview.status_code == (200 if opened else 404)
    if opened:
        assert bool(overview.json()["results"]) is observed
    citizen = await world.get(f"/Observation/{made}", world.citizen(CPR))
    assert citizen.status_code == 200


async def deny(world: World, patient_id: str, **row: Any) -> None:
    """Insert a deny row, as the trust issue will."""
    place = await world.run.door.locate("Patient", patient_id)
    defaults = {"person": None, "org": None, "sub_units": True, "rid": None, "type": None, "source": None}
    times = {"data_from": None, "data_until": None, "valid_from": NOW - 999 * DAY, "valid_until": NOW + 999 * DAY}
    values = {"pid": place.pid, "did": world.run.writer.keys.number(), **defaults, **times, **row}
    await world.run.database.run(
        "insert into deny (pid, did, person, org, sub_units, rid, type, source, data_from, data_until, valid_from,"
        " valid_until) values (%(pid)s, %(did)s, %(person)s, %(org)s, %(sub_units)s, %(rid)s, %(type)s, %(source)s,"
        " %(data_from)s, %(data_until)s, %(valid_from)s, %(valid_until)s)",
        values,
    )


async def test_evidence_that_is_blocked_gives_no_relation(world: World) -> None:
    identifier = await stage(world)
    made = await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    place = await world.run.door.locate("Encounter", made)
    await deny(world, identifier, rid=place.rid)
    assert not await sees(world, identifier, DEPARTMENT)


async def test_what_is_about_two_patients_needs_a_relation_to_both(world: World) -> None:
    identifier = await stage(world)
    await write(world, patient(OTHER))
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    both = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": NOW.isoformat(),
        "end": NOW.isoformat(),
        "participant": [{"actor": about(), "status": "accepted"}, {"actor": about(OTHER), "status": "accepted"}],
    }
    made = await write(world, both)
    who = world.professional(DEPARTMENT)
    assert (await world.get(f"/Patient/{identifier}", who)).status_code == 200
    assert (await world.get(f"/Appointment/{made}", who)).status_code == 404
    assert (await world.get(f"/Appointment/{made}", world.citizen(CPR))).status_code == 404
    await write(world, encounter(DEPARTMENT, NOW - DAY, None, OTHER))
    assert (await world.get(f"/Appointment/{made}", who)).status_code == 200


async def test_a_source_reads_back_its_own_and_nothing_else(world: World) -> None:
    identifier = await stage(world)
    assert (await world.get(f"/Patient/{identifier}", world.source())).status_code == 200
    assert (await world.get(f"/Patient/{identifier}", world.source("another"))).status_code == 404
    changed = {**patient(), "id": identifier}
    assert (await world.put(f"/Patient/{identifier}", world.source("another"), changed)).status_code == 404
    assert (await world.http.delete(f"/fhir/Patient/{identifier}", headers=world.source("another"))).status_code == 404


async def test_citizens_and_professionals_never_write(world: World) -> None:
    for who in (world.citizen(CPR), world.professional(DEPARTMENT)):
        assert (await world.post("/Patient", who, patient())).status_code == 403
        assert (await world.post("/$process-message", who, {})).status_code == 403
        entry = {"resource": patient(), "request": {"method": "POST", "url": "Patient"}}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        assert (await world.post("", who, bundle)).status_code == 403


async def test_a_subject_that_is_hidden_is_answered_like_one_that_is_not_there(world: World) -> None:
    identifier = await stage(world)
    answers = []
    for target in (identifier, "0" * 32):
        body = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": f"Patient/{target}"},
        }
        response = await world.post("/Observation", world.source("another"), body)
        answers.append((response.status_code, response.text))
    assert answers[0] == answers[1]
    assert answers[0][0] == 422


async def test_hidden_and_absent_are_the_same_bytes(world: World) -> None:
    identifier = await stage(world)
    await world.run.drain()
    stranger = world.professional(SIBLING)
    for path in (
        "/Patient/{}",
        "/Patient/{}/_history",
        "/Patient/{}/_history/1",
        "/Patient/{}/$overview",
        "/Patient?_id={}",
    ):
        answers = []
        for target in (identifier, "0" * 32):
            response = await world.get(path.format(target), stranger)
            headers = {k: v for k, v in response.headers.items() if k != "x-request-id"}
            answers.append((response.status_code, headers, response.content.replace(target.encode(), b"ID")))
        assert answers[0] == answers[1], path


async def test_no_credential_is_one_answer_for_every_cause(world: World) -> None:
    identifier = await stage(world)
    good = world.citizen(CPR)["Authorization"]
    tokens = ["", "Bearer", "Bearer x", "Basic abc", good[:-2], good + "x", "Bearer eyJhbGciOiJub25lIn0.e30."]
    answers = set()
    for token in tokens:
        headers = {"Authorization": token} if token else {}
        response = await world.http.get(f"/fhir/Patient/{identifier}", headers=headers)
        answers.add((response.status_code, response.text, response.headers["WWW-Authenticate"]))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401


async def test_replaced_and_merged_records_open_as_one(world: World) -> None:
    identifier = await stage(world)
    second = await write(world, patient(OTHER))
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    one, two = [await world.run.door.locate("Patient", i) for i in (identifier, second)]
    assert (await world.get(f"/Patient/{second}", world.professional(DEPARTMENT))).status_code == 404
    for place in (one, two):
        await world.run.database.run(
            "insert into record_alias (pid, root, reason, since) values (%(pid)s, %(root)s, 'replaced CPR', %(now)s)",
            {"pid": place.pid, "root": one.pid, "now": NOW},
        )
    who = world.professional(DEPARTMENT)
    assert (await world.get(f"/Patient/{second}", who)).status_code == 200
    overview = (await world.get(f"/Patient/{second}/$overview", who)).json()
    assert [c["unit"] for c in overview["contacts"]] == [f"Enhed {DEPARTMENT}"]
    assert (await world.get(f"/Patient/{second}", world.citizen(CPR))).status_code == 200
    await world.run.database.run("delete from record_alias")
    assert (await world.get(f"/Patient/{second}", who)).status_code == 404
