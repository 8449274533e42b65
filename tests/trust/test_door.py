"""Who sees what: one table, each row through HTTP, on the real database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.errors import NotFound
from overblik.trust.door.access import Circle
from overblik.trust.treatment.relations import relations
from tests.conftest import NOW
from tests.trust.consents import CPR_SYSTEM
from tests.trust.stage import (
    CPR,
    DAY,
    DEPARTMENT,
    HOSPITAL,
    OTHER,
    SIBLING,
    about,
    caller,
    deny,
    encounter,
    patient,
    sees,
    stage,
    write,
)
from tests.trust.test_facts import fact, tell

if TYPE_CHECKING:
    from tests.conftest import World


async def test_a_citizen_sees_the_own_record_and_no_other(world: World) -> None:
    identifier = await stage(world)
    assert (await world.get(f"/Patient/{identifier}", world.citizen(CPR))).status_code == 200
    assert (await world.get(f"/Patient/{identifier}", world.citizen(OTHER))).status_code == 404
    hidden = await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    own, other = [await caller(world, who) for who in (world.citizen(CPR), world.citizen(OTHER))]
    door = world.run.door
    assert await door.find(own, CPR_SYSTEM, CPR) == identifier
    for cpr in (CPR, "0101010101"):
        with pytest.raises(NotFound):
            await door.find(other, CPR_SYSTEM, cpr)
    place = await door.locate("Patient", identifier)
    logged = "select pid, outcome from access_log where action = 'look up' and query = 'identifier' order by pid"
    assert [tuple(row) for row in await world.run.database.fetch(logged)] == sorted(
        [(place.pid, "refuse"), (0, "refuse")]
    )
    circle = await door.circle(own, identifier)
    assert ([org for org, _ in circle.relations], circle.sources) == ([DEPARTMENT], ("gateway",))
    assert await door.circle(other, identifier) == Circle((), ())
    with pytest.raises(NotFound):
        await door.circle(await caller(world, world.professional(DEPARTMENT)), identifier)
    await world.run.database.run("update resource set origins = '{another}', labels = '{staff}' where id = %(id)s",
                                 {"id": hidden})  # fmt: skip
    assert await door.circle(own, identifier) == circle


async def test_the_log_says_as_of_when_and_only_who_looks_has_looked(world: World) -> None:
    identifier = await stage(world)
    await world.run.drain()
    door, own = world.run.door, await caller(world, world.citizen(CPR))
    looked, counts = "select count(*) as number from looked", []
    for more in ({"as_of": NOW}, {}, {"first": NOW}):
        await door.gather(own, identifier, ("Patient",), "overview", **more)
        counts.append((await world.run.database.fetch(looked))[0].number)
    assert counts == [0, 0, 1]
    rows = await world.run.database.fetch("select query from access_log where action = 'overview'")
    path = f"Patient/{identifier}/overview"
    assert sorted(row.query for row in rows) == [path, path, f"{path}?asOf={NOW.isoformat()}"]


async def test_a_list_of_work_opens_each_record_by_its_patient(world: World) -> None:
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    nurse = await caller(world, world.professional(DEPARTMENT))
    [record] = await world.run.door.worklist(nurse, ("contact",), ("Encounter", "Patient"))
    assert (record.patient_id, len(record.entries)) == (identifier, 2)
    other = await world.post("/Patient", world.source("another"), patient())
    label = "update resource set labels = '{citizen}' where id = %(id)s"
    await world.run.database.run(label, {"id": other.json()["id"]})
    [(record, _)] = await relations(world.run.door, nurse)
    assert (record.patient_id, len(record.entries)) == (identifier, 1)


async def test_a_professional_without_evidence_sees_nothing(world: World) -> None:
    identifier = await stage(world)
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


BY_ITSELF = (
    "Observation/{made}", "Observation/{made}/_history", "Observation/{made}/_history/1",
    "Observation/{made}?asOf=2026-11-24", "Observation?code=X", "Observation?_id={made}", "Observation?date=ge2020",
    "Observation", "Observation/_history", "Observation?status=final&_total=accurate",
    "Observation?code=X&_summary=count", "Encounter?_id={contact}&_revinclude=Observation:encounter",
    "Observation?_id={made}&_include=Observation:encounter", "?_type=Observation",
)  # fmt: skip
BY_PATIENT = (
    "Observation?patient={patient}", "Observation?patient.name=Test", "Patient/{patient}/$everything",
    "Patient/{patient}/$overview", "Patient/{patient}/$overview?asOf=2026-11-24",
    "Observation?patient={patient}&asOf=2026-11-24", "Observation/$lastn?patient={patient}",
)  # fmt: skip


async def test_what_is_blocked_is_hidden_whatever_way_it_is_asked_for(world: World) -> None:
    """An Observation, by itself, by its Patient, and by the Encounter that gave the relation."""
    names = {"patient": await stage(world), "contact": await write(world, encounter(DEPARTMENT, NOW - DAY, None))}
    observed = {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "X"}], "text": "Fund"}}
    observed |= {"encounter": {"reference": f"Encounter/{names['contact']}"}, "effectiveDateTime": NOW.isoformat()}
    names["made"] = await write(world, observed | {"subject": about()})
    changed = observed | {"id": names["made"], "subject": about(), "language": "da"}
    assert (await world.replace(f"/Observation/{names['made']}", world.source(), changed)).status_code == 200
    await world.run.drain()
    nurse, door = world.professional(DEPARTMENT), world.run.door
    named = await caller(world, nurse)

    async def shown() -> set[str]:
        answers = {path: await world.get("/" + path.format(**names), nurse) for path in (*BY_ITSELF, *BY_PATIENT)}
        assert {a.status_code for a in answers.values()} <= {200, 404}
        return {p for p, a in answers.items() if "Fund" in a.text or ("_summary" in p and a.json()["total"])}

    place = await door.locate("Encounter", names["contact"])
    types = ("Encounter", "Observation", "Patient")
    for row, left, listed in (
        ({"valid_until": NOW}, {*BY_ITSELF, *BY_PATIENT}, [3]),
        ({"type": "Observation"}, set(), [2]),
        ({"type": "Patient"}, set(BY_ITSELF), []),
        ({"rid": place.rid}, set(), []),
    ):
        await world.run.database.run("delete from deny")
        await deny(world, names["patient"], **row)
        assert await shown() == left, row
        assert [len(record.entries) for record in await door.worklist(named, ("contact",), types)] == listed, row
    assert not await sees(world, names["patient"], DEPARTMENT)
    entries = await world.run.database.fetch("select pid from access_log where action = 'worklist'")
    assert len(entries) == 2, "one for each list that it stood on"
    with pytest.raises(NotFound):
        await door.find(named, CPR_SYSTEM, CPR)


async def test_the_bytes_of_a_message_need_a_relation_and_are_blocked_by_themselves(world: World) -> None:
    identifier = await stage(world)
    raw = {"resourceType": "Binary", "contentType": "text/plain"}
    binary = "/" + (await tell(world, fact("raw", raw, raw=("text/plain", b"as it came"))))["raw"]
    nurse = world.professional(DEPARTMENT)

    async def shown(who: dict[str, str]) -> bool:
        answer = await world.get(binary, who)
        assert (answer.status_code, b"as it came" in answer.content) in {(200, True), (404, False)}
        return answer.status_code == 200

    assert [await shown(who) for who in (nurse, world.citizen(CPR), world.citizen(OTHER))] == [False, True, False]
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    assert await shown(nurse)
    await deny(world, identifier, type="Binary")
    assert not await shown(nurse)
    assert await sees(world, identifier, DEPARTMENT)
    assert (await world.http.delete(f"/fhir{binary}", headers=world.source())).status_code == 204
    gone = [await world.get(binary, who) for who in (world.citizen(CPR), nurse)]
    assert [(one.status_code, b"as it came" in one.content) for one in gone] == [(410, False), (404, False)]


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


EXCEPTIONS: list[tuple[str, dict[str, Any], bool]] = [
    # what, the exception to a block of everything, observation seen
    ("this person", {"person": "TEST1"}, True),
    ("another person", {"person": "OTHER"}, False),
    ("the unit", {"org": DEPARTMENT}, True),
    ("the hospital with its sub-units", {"org": HOSPITAL}, True),
    ("the hospital without its sub-units", {"org": HOSPITAL, "sub_units": False}, False),
    ("its type", {"type": "Observation"}, True),
    ("another type", {"type": "Condition"}, False),
    ("its source", {"source": "gateway"}, True),
    ("another source", {"source": "clinic"}, False),
    ("a period around", {"data_from": NOW - 3 * DAY, "data_until": NOW - 1 * DAY}, True),
    ("a period that ends within it", {"data_from": NOW - 3 * DAY, "data_until": NOW - 2 * DAY}, False),
    ("from tomorrow", {"valid_from": NOW + DAY}, False),
    ("until yesterday", {"valid_until": NOW - DAY}, False),
    ("of another block", {"parent": 2}, False),
]


@pytest.mark.parametrize(("what", "row", "observed"), EXCEPTIONS, ids=[e[0] for e in EXCEPTIONS])
async def test_an_exception_shows_what_lies_in_it_wholly_and_nothing_else(
    world: World, what: str, row: dict[str, Any], observed: bool
) -> None:
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    body = {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "X"}]}, "subject": about()}
    made = await write(world, body | {"effectiveDateTime": (NOW - 2 * DAY).isoformat()})
    undated = await write(world, body)
    await deny(world, identifier, did=1, type="Observation", excepting=True)
    await deny(world, identifier, parent=1, **row) if "parent" not in row else await deny(world, identifier, **row)
    who = world.professional(DEPARTMENT)
    assert (await world.get(f"/Observation/{made}", who)).status_code == (200 if observed else 404), what
    assert (made in (await world.get("/Observation?code=X", who)).text) is observed
    assert (made in (await world.get(f"/Patient/{identifier}/$everything", who)).text) is observed
    undated_seen = observed and "data_from" not in row
    assert (await world.get(f"/Observation/{undated}", who)).status_code == (200 if undated_seen else 404)
