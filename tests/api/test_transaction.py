"""Transactions and batches on the base: all or nothing, references resolved, order of the standard."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import World

CPR_SYSTEM = "urn:oid:1.2.208.176.1.2"
CPR = "2512489996"
PATIENT = {"resourceType": "Patient", "identifier": [{"system": CPR_SYSTEM, "value": CPR}]}
P_URL, O_URL = "urn:uuid:6f1c3f9e-0a0a-4a0a-8a0a-000000000001", "urn:uuid:6f1c3f9e-0a0a-4a0a-8a0a-000000000002"


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    full = {"fullUrl": more.pop("full_url")} if "full_url" in more else {}
    body = {"resource": resource} if resource else {}
    return {**full, **body, "request": {"method": method, "url": url, **more}}


def bundle(*entries: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def observation(subject: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://npu-terminology.org", "code": "NPU02319"}]},
        "subject": {"reference": subject},
        **more,
    }


async def total(world: World, path: str) -> int:
    return len((await world.get(path, world.system())).json().get("entry", []))


def place(answer: dict[str, Any], number: int) -> str:
    """Return `Type/id` of an entry's location."""
    return "/".join(answer["entry"][number]["response"]["location"].split("/fhir/")[1].split("/")[:2])


async def test_references_by_urn_uuid_are_resolved_wherever_they_stand(world: World) -> None:
    second = observation(P_URL, derivedFrom=[{"reference": O_URL}], note=[{"text": f"see {O_URL}"}])
    sent = bundle(
        entry("POST", "Observation", second),
        entry("POST", "Observation", observation(P_URL), full_url=O_URL),
        entry("POST", "Patient", PATIENT, full_url=P_URL),
    )
    response = await world.post("", world.source(), sent)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["type"] == "transaction-response"
    assert [e["response"]["status"] for e in answer["entry"]] == ["201 Created"] * 3
    stored = (await world.get(f"/{place(answer, 0)}", world.source())).json()
    assert stored["subject"]["reference"] == place(answer, 2)
    assert stored["derivedFrom"][0]["reference"] == place(answer, 1)
    assert stored["note"][0]["text"] == f"see {O_URL}", "text that is no reference stays as it is"


async def test_a_transaction_may_refer_to_a_patient_by_a_condition(world: World) -> None:
    await world.post("/Patient", world.source(), PATIENT)
    sent = bundle(entry("POST", "Observation", observation(f"Patient?identifier={CPR_SYSTEM}|{CPR}")))
    response = await world.post("", world.source(), sent)
    assert response.status_code == 200, response.text
    stored = (await world.get(f"/{place(response.json(), 0)}", world.source())).json()
    assert stored["subject"]["reference"].startswith("Patient/")


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (entry("POST", "Observation", {"resourceType": "Observation", "status": "wrong"}), 422),
        (entry("POST", "Observation", observation("Patient/" + "0" * 32)), 422),
        (entry("POST", "Observation", observation(f"Patient?identifier={CPR_SYSTEM}|0101010101")), 412),
        (entry("PUT", "Observation/" + "0" * 32, {**observation(P_URL), "id": "0" * 32}), 404),
        (entry("DELETE", "Observation/" + "0" * 32), 404),
        (entry("PATCH", "Observation/" + "0" * 32), 400),
        (entry("POST", "Nonsense", observation(P_URL)), 400),
        (entry("POST", "https://elsewhere.example/Observation", observation(P_URL)), 400),
        (entry("POST", "Observation"), 400),
        (entry("POST", "Condition", observation(P_URL)), 422),
        (entry("POST", "Patient", PATIENT, full_url=P_URL), 400),
    ],
)
async def test_one_bad_entry_undoes_all(world: World, second: dict[str, Any], status: int) -> None:
    sent = bundle(entry("POST", "Patient", PATIENT, full_url=P_URL), second)
    response = await world.post("", world.source(), sent)
    assert response.status_code == status, response.text
    issue = response.json()["issue"][0]
    assert issue["severity"] == "error"
    assert issue["details"]["text"]
    assert await total(world, "/Patient") == 0
    assert await total(world, "/Observation") == 0


async def test_if_none_exist_gives_what_is_there(world: World) -> None:
    condition = f"identifier={CPR_SYSTEM}|{CPR}"
    sent = bundle(
        entry("POST", "Patient", PATIENT, full_url=P_URL, ifNoneExist=condition),
        entry("POST", "Observation", observation(P_URL)),
    )
    first = (await world.post("", world.source(), sent)).json()
    second = (await world.post("", world.source(), sent)).json()
    assert [e["response"]["status"] for e in second["entry"]] == ["200 OK", "201 Created"]
    assert place(first, 0) == place(second, 0)
    assert await total(world, "/Patient") == 1
    assert await total(world, f"/Observation?patient={place(first, 0)}") == 2


async def test_if_none_exist_holds_against_writers_at_once(world: World) -> None:
    condition = {"If-None-Exist": f"identifier={CPR_SYSTEM}|{CPR}"}
    answers = await asyncio.gather(
        *(world.post("/Patient", world.source(), PATIENT, headers=condition) for _ in range(5))
    )
    assert sorted(a.status_code for a in answers) == [200] * 4 + [201]
    assert len({a.headers["Location"] for a in answers}) == 1
    assert {a.json()["identifier"][0]["value"] for a in answers} == {CPR}


async def test_an_ambiguous_condition_is_a_failed_precondition(world: World) -> None:
    for _ in range(2):
        await world.post("/Patient", world.source(), PATIENT)
    condition = {"If-None-Exist": f"identifier={CPR_SYSTEM}|{CPR}"}
    assert (await world.post("/Patient", world.source(), PATIENT, headers=condition)).status_code == 412


async def test_order_is_delete_post_put_get_and_answers_come_in_the_order_asked(world: World) -> None:
    made = bundle(
        entry("POST", "Patient", PATIENT, full_url=P_URL),
        entry("POST", "Observation", observation(P_URL), full_url=O_URL),
    )
    answer = (await world.post("", world.source(), made)).json()
    patient, gone = place(answer, 0), place(answer, 1)
    changed = {**PATIENT, "id": patient.split("/")[1], "birthDate": "1948-12-25"}
    sent = bundle(
        entry("GET", patient),
        entry("PUT", patient, changed, ifMatch='W/"1"'),
        entry("POST", "Observation", observation(patient)),
        entry("DELETE", gone),
    )
    response = await world.post("", world.source(), sent)
    assert response.status_code == 200, response.text
    entries = response.json()["entry"]
    assert [e["response"]["status"] for e in entries] == ["200 OK", "200 OK", "201 Created", "204 No Content"]
    assert entries[0]["resource"]["birthDate"] == "1948-12-25", "a GET sees what the transaction wrote"
    assert (await world.get(f"/{gone}", world.source())).status_code == 410


async def test_a_stale_if_match_undoes_the_transaction(world: World) -> None:
    patient = place((await world.post("", world.source(), bundle(entry("POST", "Patient", PATIENT)))).json(), 0)
    changed = {**PATIENT, "id": patient.split("/")[1]}
    sent = bundle(
        entry("POST", "Observation", observation(patient)),
        entry("PUT", patient, changed, ifMatch='W/"9"'),
    )
    assert (await world.post("", world.source(), sent)).status_code == 412
    assert await total(world, "/Observation") == 0


async def test_a_batch_answers_each_entry_alone(world: World) -> None:
    sent = bundle(
        entry("POST", "Patient", PATIENT),
        entry("POST", "Observation", {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}),
        entry("GET", "Patient/" + "0" * 32),
        entry("GET", f"Patient?identifier={CPR_SYSTEM}|{CPR}"),
        kind="batch",
    )
    response = await world.post("", world.source(), sent)
    assert response.status_code == 200, response.text
    statuses = [e["response"]["status"][:3] for e in response.json()["entry"]]
    assert statuses == ["201", "201", "404", "200"]
    assert response.json()["entry"][2]["response"]["outcome"]["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"resourceType": "Patient"}, 422),
        ({"resourceType": "Bundle", "type": "message"}, 422),
        ({"resourceType": "Bundle", "type": "collection"}, 422),
        ({"resourceType": "Bundle"}, 422),
        ({"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": PATIENT}]}, 400),
        ({"resourceType": "Bundle", "type": "transaction"}, 200),
    ],
)
async def test_the_base_takes_only_batches_and_transactions(world: World, body: dict[str, Any], status: int) -> None:
    assert (await world.post("", world.source(), body)).status_code == status
