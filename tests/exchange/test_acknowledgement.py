"""The answer to a message: its form, and what copies and reused ids are answered (inbox.py's table)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from overblik.fhir.strict_json import dumps, loads
from overblik.fhir.structure import check
from tests.conftest import needs_shared, shared_files
from tests.exchange.notifications import TOWN, WARD, Told, new_cpr, seeded, write_all
from tests.exchange.real import answer_of, content, one

if TYPE_CHECKING:
    from tests.conftest import World

CPR = new_cpr(seeded("acknowledgement"))
ADMITTED = Told("admit-inpatient", 0.01)
HOME = Told("discharge-inpatient-home", 5.01, status="finished", ends=5)


def admission(cpr: str = CPR) -> dict[str, Any]:
    """Return one notification as a Bundle to change."""
    return dict(loads(write_all((ADMITTED,), cpr)[0]))


def renamed(bundle: dict[str, Any], *, bundle_id: str = "", header_id: str = "", ends: str = "") -> bytes:
    """Return the message under other ids, or with other content."""
    text = dumps(bundle).decode()
    if bundle_id:
        text = text.replace(bundle["id"], bundle_id)
    if header_id:
        text = text.replace(bundle["entry"][0]["resource"]["id"], header_id)
    changed = loads(text.encode())
    if ends:
        encounter = next(e["resource"] for e in changed["entry"] if e["resource"]["resourceType"] == "Encounter")
        encounter |= {"status": "finished", "period": encounter["period"] | {"end": ends}}
    return dumps(changed)


def of_type(bundle: dict[str, Any], resource_type: str) -> list[dict[str, Any]]:
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == resource_type]


async def versions(world: World) -> list[Any]:
    """Return every current version, to tell whether a delivery changed anything."""
    rows = await world.run.database.fetch("select pid, rid, version from resource order by 1, 2")
    return [tuple(row) for row in rows]


# -- the form of an answer


def assert_well_formed(answer: dict[str, Any]) -> None:
    """The answer passes the structure check that incoming messages pass, and refers to nothing outside itself."""
    assert check(answer) == []
    inside = {f"{r['resourceType']}/{r['id']}" for r in (e["resource"] for e in answer["entry"])}
    assert len(inside) == len(answer["entry"])
    (header,) = of_type(answer, "MessageHeader")
    named = [header["sender"], header["destination"][0]["receiver"]]
    named += [a["who"] for p in of_type(answer, "Provenance") for a in p["agent"]]
    named += [header["response"]["details"]] if "details" in header["response"] else []
    assert {n["reference"] for n in named} <= inside
    for identifier in (answer["id"], header["id"]):
        assert str(UUID(identifier)) == identifier


async def test_answer_swaps_sender_and_receiver_and_names_the_message(world: World) -> None:
    message = admission()
    answer = answer_of(await world.message(dumps(message))).body
    assert_well_formed(answer)
    (header,) = of_type(answer, "MessageHeader")
    assert header["eventCoding"]["code"] == "acknowledgement-message"
    assert header["response"] == {"identifier": message["entry"][0]["resource"]["id"], "code": "ok"}
    by_id = {o["id"]: {i["value"] for i in o["identifier"]} for o in of_type(answer, "Organization")}
    ends = [header["sender"], header["destination"][0]["receiver"]]
    assert [by_id[e["reference"].split("/")[1]] for e in ends] == [{TOWN.sor, TOWN.gln}, {WARD.sor, WARD.gln}]
    assert header["source"]["endpoint"].endswith(TOWN.sor)
    assert header["destination"][0]["endpoint"].endswith(WARD.sor)


async def test_answer_echoes_the_whole_provenance_chain_and_adds_its_own_step(world: World) -> None:
    _, discharge = write_all((ADMITTED, HOME), CPR)
    sent = [p["id"] for p in of_type(loads(discharge), "Provenance")]
    answer = answer_of(await world.message(discharge)).body
    assert_well_formed(answer)
    *echoed, own = of_type(answer, "Provenance")
    assert len(sent) == 2
    assert [p["id"] for p in echoed] == sent
    (header,) = of_type(answer, "MessageHeader")
    assert own["target"] == [{"reference": f"MessageHeader/{header['id']}"}]
    assert own["entity"][0]["what"]["reference"] == f"MessageHeader/{header['response']['identifier']}"
    assert own["activity"]["coding"][0]["code"] == "acknowledgement"
    assert own["agent"][0]["who"] == header["sender"]


async def test_fatal_error_names_the_message_and_says_what_to_mend(world: World) -> None:
    message = renamed(admission()).replace(b'"admit-inpatient"', b'"admit-somewhere"')
    answer = answer_of(await world.message(message))
    assert (answer.status, answer.code, answer.issue) == (200, "fatal-error", "activity-unknown")
    assert_well_formed(answer.body)
    (header,) = of_type(answer.body, "MessageHeader")
    (outcome,) = of_type(answer.body, "OperationOutcome")
    assert header["response"]["identifier"] == loads(message)["entry"][0]["resource"]["id"]
    assert header["response"]["details"]["reference"] == f"OperationOutcome/{outcome['id']}"
    assert outcome["issue"][0]["details"]["text"] == "HospitalNotification has no activity 'admit-somewhere'."
    assert outcome["issue"][0]["expression"] == ["Provenance.activity"]


async def test_a_message_of_damaged_shape_is_still_answered_by_its_id(world: World) -> None:
    message = admission()
    of_type(message, "Encounter")[0]["period"] = "since Monday"
    answer = answer_of(await world.message(dumps(message)))
    assert (answer.status, answer.code, answer.issue) == (200, "fatal-error", "wrong-json-type")
    (header,) = of_type(answer.body, "MessageHeader")
    assert header["response"]["identifier"] == message["entry"][0]["resource"]["id"]
    assert header["destination"][0]["endpoint"].endswith(WARD.sor)


async def test_known_and_unknown_person_get_the_same_answer(world: World) -> None:
    """Else an answer would tell who has a record."""
    texts = []
    for file in (0, 1):
        raw = write_all((ADMITTED, HOME), CPR)[file]
        answer = answer_of(await world.message(raw)).body
        texts.append(
            [e["resource"]["resourceType"] for e in answer["entry"] if e["resource"]["resourceType"] != "Provenance"]
        )
    assert texts[0] == texts[1]
    assert CPR not in str(texts)


@needs_shared
@pytest.mark.parametrize("pattern", ["hospitalnotification", "carecommunication", "homecareobservation", "messaging"])
async def test_answers_to_the_published_messages_are_well_formed(world: World, pattern: str) -> None:
    for path in shared_files(f"medcom-fhir/{pattern}/Bundle*.json"):
        sent = loads(content(path))
        answer = answer_of(await world.message(content(path)))
        assert (answer.status, answer.code) == (200, "ok"), path.name
        assert_well_formed(answer.body)
        echoed = {p["id"] for p in of_type(answer.body, "Provenance")}
        assert {p["id"] for p in of_type(sent, "Provenance")} < echoed


DOCUMENTS = [
    ("cda/DK-APD_Example_1.xml", "aa2386d0-79ea-11e3-981f-0800200c9a66"),
    ("cda/CPD-DK_Care_Plan_Diabetes*.xml", "31d27e18-c69d-4af6-ae46-0414695ae8fd"),
    ("cda/DK-CPD*-22.xml", "45249877239313"),
    ("medcom-fhir/conditionlist/Bundle-23d8*.json", ""),
]


@needs_shared
@pytest.mark.parametrize(("pattern", "identifier"), DOCUMENTS)
async def test_a_document_is_answered_by_the_part_of_its_id_that_fhir_can_carry(
    world: World, pattern: str, identifier: str
) -> None:
    answer = answer_of(await world.message(content(one(pattern))))
    assert answer.code == "ok"
    assert_well_formed(answer.body)
    named = of_type(answer.body, "MessageHeader")[0]["response"]["identifier"]
    assert named == (identifier or named)


async def test_m12_an_acknowledgement_is_never_acknowledged(world: World) -> None:
    answer = await world.message(dumps(admission()))
    back = await world.message(answer.content)
    assert (back.status_code, back.json()["resourceType"]) == (200, "OperationOutcome")
    assert answer_of(back).issue == "acknowledges-unknown"
    damaged = loads(answer.content)
    del damaged["entry"][0]["resource"]["response"]["code"]
    for copy in (dumps(damaged), dumps(damaged)):
        again = await world.message(copy)
        assert (again.status_code, again.json()["resourceType"]) == (200, "OperationOutcome")
        assert answer_of(again).issue == "element-missing"


# -- the table of inbox.py, row by row

NEW_BUNDLE, NEW_HEADER = "5b1f0d8a-0000-4000-8000-00000000000b", "5b1f0d8a-0000-4000-8000-00000000000d"
OTHER = "2026-11-04T10:00:00+01:00"
ROWS = [
    # (what, bundle id, header id, other content, answer, issue)
    ("known known same", "", "", "", "ok", ""),
    ("known known other", "", "", OTHER, "fatal-error", "same-id-other-content"),
    ("known new same", "", NEW_HEADER, "", "fatal-error", "bundle-id-reused"),
    ("known new other", "", NEW_HEADER, OTHER, "fatal-error", "bundle-id-reused"),
    ("new known same", NEW_BUNDLE, "", "", "ok", ""),
    ("new known other", NEW_BUNDLE, "", OTHER, "fatal-error", "same-id-other-content"),
]


@pytest.mark.parametrize(("what", "bundle_id", "header_id", "ends", "code", "issue"), ROWS, ids=[r[0] for r in ROWS])
async def test_m03_m04_m07_m22_a_second_message_under_known_ids_changes_nothing(
    world: World, what: str, bundle_id: str, header_id: str, ends: str, code: str, issue: str
) -> None:
    first = await world.message(dumps(admission()))
    assert answer_of(first).code == "ok"
    before = await versions(world)
    world.clock.forward(days=40)  # longer than a sender's own memory
    second_raw = renamed(admission(), bundle_id=bundle_id, header_id=header_id, ends=ends)
    second = await world.message(second_raw)
    answer = answer_of(second)
    assert (answer.status, answer.code, answer.issue) == (200, code, issue)
    assert await versions(world) == before, what
    if code == "ok":
        assert second.content == first.content
        return
    (held,) = await world.run.inbox.intake.listed(["held"])
    assert held.code == issue
    assert bytes((await world.run.inbox.intake.show(held.iid)).raw) == second_raw
    # A copy of what is held is answered alike, and the message known before is still answered as before.
    assert (await world.message(second_raw)).content == second.content
    assert (await world.message(dumps(admission()))).content == first.content


async def test_m01_new_ids_are_processed(world: World) -> None:
    await world.message(dumps(admission()))
    before = await versions(world)
    answer = await world.message(renamed(admission(), bundle_id=NEW_BUNDLE, header_id=NEW_HEADER, ends=OTHER))
    assert answer_of(answer).code == "ok"
    assert await versions(world) != before


async def test_the_time_on_the_envelope_is_not_content(world: World) -> None:
    message = admission()
    first = await world.message(dumps(message))
    again = await world.message(dumps(message | {"timestamp": "2026-11-30T08:00:00+01:00"}))
    assert again.content == first.content


async def test_ids_are_scoped_by_sender(world: World) -> None:
    await world.message(dumps(admission()))
    other = dumps(admission()).replace(WARD.sor.encode(), b"99900000055098")
    assert answer_of(await world.message(other)).code == "ok"
    assert len(await world.run.inbox.intake.listed(["applied"])) == 2
    assert [row.code for row in await world.run.inbox.intake.listed(["applied"])] == ["", ""]


async def test_a_held_message_may_be_mended_under_its_own_ids(world: World) -> None:
    message = dumps(admission())
    held = await world.message(message.replace(b'"admit-inpatient"', b'"admit-somewhere"'))
    assert answer_of(held).code == "fatal-error"
    assert answer_of(await world.message(message)).code == "ok"


# -- many at once


async def test_m06_f13_a_hundred_parallel_copies_have_one_effect_and_one_answer(world: World) -> None:
    message = dumps(admission())
    answers = await asyncio.gather(*(world.message(message) for _ in range(100)))
    assert {a.status_code for a in answers} == {200}
    assert len({a.content for a in answers}) == 1
    assert answer_of(answers[0]).code == "ok"
    assert {row[2] for row in await versions(world)} == {1}
    rows = await world.run.database.fetch("select type, count(*) as number from resource group by type")
    assert {row.type: row.number for row in rows} == {
        "Patient": 1, "Encounter": 1, "Binary": 1, "Provenance": 1, "MessageHeader": 1,
    }  # fmt: skip
    states = await world.run.database.fetch("select state, code, count(*) as number from inbox group by state, code")
    assert {(s.state, s.code): s.number for s in states} == {("applied", ""): 1, ("applied", "duplicate"): 99}
    owed = await world.run.database.fetch("select count(*) as number from outbox")
    assert owed[0].number == 1


async def test_forty_parallel_messages_about_a_new_person_open_one_record(world: World) -> None:
    messages = [
        renamed(
            admission(),
            bundle_id=f"5b1f0d8a-0000-4000-8000-0000000000{n}",
            header_id=f"5b1f0d8a-0000-4000-9000-0000000000{n}",
        )
        for n in range(10, 50)
    ]
    answers = await asyncio.gather(*(world.message(m) for m in messages))
    assert {answer_of(a).code for a in answers} == {"ok"}
    people = await world.run.database.fetch("select distinct pid from person_key")
    kept = await world.run.database.fetch(
        "select pid, count(*) as number from resource where type = 'Binary' group by pid"
    )
    assert [(row.pid, row.number) for row in kept] == [(people[0].pid, 40)]
    assert len(people) == 1
