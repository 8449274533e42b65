"""Rows of group Z that no test of the door, of consent or of scopes has."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.strict_json import dumps
from overblik.trust.callers.identity import Caller
from tests.api.test_transaction import bundle, entry
from tests.conftest import NOW
from tests.security.conftest import SECRET, observation
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, about, deny, encounter, patient, stage, write

if TYPE_CHECKING:
    from tests.conftest import World
    from tests.security.conftest import Scene

DOCTOR = {"kind": "professional", "sub": "TEST1", "name": "Test Person", "role": "læge", "org": DEPARTMENT}


async def test_z08_a_page_link_is_authorised_anew(world: World) -> None:
    """Another's hands, and a block that came since the page before."""
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    for _ in range(3):
        await write(world, observation())
    doctor = world.professional(DEPARTMENT)
    page = (await world.get("/Observation?code=X&_count=1", doctor)).json()
    following = next(link["url"] for link in page["link"] if link["relation"] == "next").removeprefix(
        "http://test/fhir"
    )
    assert len((await world.get(following, doctor)).json()["entry"]) == 1
    for other in (world.professional(DEPARTMENT, "TEST2"), world.citizen(CPR), world.source()):
        assert (await world.get(following, other)).json()["issue"][0]["details"]["coding"][0][
            "code"
        ] == "cursor-invalid"
    assert (await world.http.get(f"/fhir{following}")).status_code == 401
    await deny(world, identifier, type="Observation")
    assert "entry" not in (await world.get(following, doctor)).json()


CHAINED = (
    "/Observation?subject:Patient.identifier={cpr}",
    "/Observation?subject:Patient.name=x",
    "/Observation?patient.name=x",
    "/Observation?_has:Provenance:target:recorded=gt2020",
    "/Observation?encounter.class=IMP",
    '/Observation?_filter=subject:Patient.name co "x"',
    "/?_type=Observation&encounter:Encounter.subject:Patient.name=x",
)


@pytest.mark.parametrize("path", CHAINED)
async def test_z09_a_chain_through_a_type_that_is_not_in_scope_is_403(scene: Scene, path: str) -> None:
    """For the whole request, whether or not there is anything at its end."""
    app = scene.world.token(**DOCTOR, scope="patient/Observation.rs", patient=scene.mine, app="Prøve")
    answers = [await scene.world.get(path.replace("{cpr}", cpr), app) for cpr in (CPR, OTHER, "0905489971")]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.content for answer in answers}) == 1
    assert (await scene.world.get("/Observation?code=X", app)).status_code == 200


OPERATIONS = (
    "$summary",
    "$document",
    "$member-match",
    "$graphql",
    "$validate",
    "$diff",
    "$expunge",
    "$export",
    "$reindex",
)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_z11_an_operation_that_is_not_there_is_the_same_for_every_patient(scene: Scene, operation: str) -> None:
    app = scene.world.token(**DOCTOR, scope="patient/*.rs", patient=scene.mine, app="Prøve")
    for method in ("GET", "POST"):
        answers = []
        for name in (scene.mine, scene.other, "0" * 32):
            answer = await scene.world.http.request(method, f"/fhir/Patient/{name}/{operation}", headers=app, json={})
            answers.append((answer.status_code, answer.text.replace(name, "ID")))
        assert len(set(answers)) == 1
        assert answers[0][0] in {403, 404, 405}


SMUGGLED = (
    "http://evil.example/fhir/Patient", "//evil/Patient", "../Patient", "/../admin", "Patient/../Observation",
    "http://127.0.0.1:5432/", "Patient/%2e%2e/Observation", "Patient/x/../../y",
)  # fmt: skip


@pytest.mark.parametrize("url", SMUGGLED)
async def test_z14_an_entry_that_leads_elsewhere_is_refused(scene: Scene, url: str) -> None:
    for kind in ("batch", "transaction"):
        answer = await scene.world.post("", scene.source, bundle(entry("GET", url), kind=kind))
        status = (
            answer.json()["entry"][0]["response"]["status"][:3] if answer.status_code == 200 else answer.status_code
        )
        assert str(status) in {"400", "404"}, (kind, answer.text)


async def test_z14_what_is_quoted_in_an_entry_stays_one_value(scene: Scene) -> None:
    sent = bundle(entry("GET", "Patient?_id=x%26_include=*%26_id=" + scene.other), kind="batch")
    answer = (await scene.world.post("", scene.doctor, sent)).json()["entry"][0]
    assert "entry" not in answer["resource"]
    nested = {"resource": bundle(entry("GET", "Patient")), "request": {"method": "POST", "url": "/"}}
    assert (await scene.world.post("", scene.doctor, bundle(nested, kind="batch"))).status_code in {200, 400}


async def test_z15_nothing_is_moved_to_another_patient(scene: Scene) -> None:
    """Not by a reference that is only known within the transaction, nor by one that a condition finds."""
    made = await write(scene.world, observation())
    new = {"fullUrl": "urn:uuid:8d1e0b3c-5e0f-4f3a-9a55-6a1d2f3b4c5d", "resource": patient("0101010101"),
           "request": {"method": "POST", "url": "Patient"}}  # fmt: skip
    targets = [
        {"reference": new["fullUrl"]}, {"reference": f"Patient/{scene.other}"}, about(OTHER),
        {"reference": f"Patient?identifier=urn:oid:1.2.208.176.1.2|{OTHER}"},
    ]  # fmt: skip
    for subject in targets:
        body = {**observation(), "id": made, "subject": subject}
        put = {"resource": body, "request": {"method": "PUT", "url": f"Observation/{made}", "ifMatch": 'W/"1"'}}
        answer = await scene.world.post("", scene.source, bundle(new, put, kind="transaction"))
        assert answer.status_code == 422, answer.text
        assert "patient-changed" in answer.text
    change = [{"op": "replace", "path": "/subject", "value": about(OTHER)}]
    sent = await scene.world.http.patch(
        f"/fhir/Observation/{made}",
        headers={**scene.source, "Content-Type": "application/json-patch+json"},
        content=dumps(change),
    )
    assert sent.status_code == 422


async def test_z17_what_the_server_says_of_a_resource_is_not_taken_from_a_client(scene: Scene) -> None:
    meta = {"versionId": "77", "lastUpdated": "1999-01-01T00:00:00Z"}
    made = await scene.world.post("/Observation", scene.source, observation(meta=meta))
    assert (made.json()["meta"]["versionId"], made.json()["meta"]["lastUpdated"][:4]) == ("1", "2026")


async def test_z18_nobody_writes_into_the_record_of_somebody_they_do_not_know(scene: Scene) -> None:
    """A source that names a Patient of another's gets the answer of the absent; to be the sender opens nothing."""
    stranger = scene.world.source("stranger")
    answers = []
    for target in (scene.mine, "0" * 32):
        body = {**observation(), "subject": {"reference": f"Patient/{target}"}}
        for sent in (
            body,
            {"resourceType": "Flag", "status": "active", "code": {"text": "x"}, "subject": body["subject"]},
        ):
            answer = await scene.world.post(f"/{sent['resourceType']}", stranger, sent)
            answers.append((answer.status_code, answer.text))
    assert len(set(answers)) == 1
    assert answers[0][0] == 422
    message = {"resourceType": "Communication", "status": "completed", "subject": about(OTHER),
               "sender": about(CPR), "recipient": [about(CPR)], "payload": [{"contentString": SECRET}]}  # fmt: skip
    made = await write(scene.world, message)
    for who in (scene.citizen, scene.doctor):
        assert (await scene.world.get(f"/Communication/{made}", who)).status_code == 404
        for code in ("sender", "recipient"):
            assert SECRET not in (await scene.world.get(f"/Communication?{code}={scene.mine}", who)).text


async def test_z24_o18_nothing_that_a_client_names_is_fetched(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is looked up and no address connected to, whatever is written and asked for."""
    reached: list[Any] = []

    def trap(*args: Any, **_: Any) -> Any:
        reached.append(args)
        raise OSError

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, trap)
    monkeypatch.setattr(socket, "getaddrinfo", trap)
    evil = "http://169.254.169.254/latest"
    world, who = scene.world, scene.source
    bodies: list[dict[str, Any]] = [
        observation(meta={"profile": [evil]}), observation(implicitRules=evil),
        observation(performer=[{"reference": evil + "/Patient/1"}]),
        observation(extension=[{"url": evil, "valueUri": evil}]),
        {"resourceType": "DocumentReference", "status": "current", "subject": about(),
         "content": [{"attachment": {"url": evil, "contentType": "text/plain"}}]},
        {"resourceType": "Communication", "status": "completed", "subject": about(),
         "payload": [{"contentAttachment": {"url": "file:///etc/passwd"}}]},
        {"resourceType": "ValueSet", "status": "active", "url": evil,
         "compose": {"include": [{"valueSet": [evil + "/vs"]}]}},
    ]  # fmt: skip
    for body in bodies:
        sent = await world.post(f"/{body['resourceType']}", who, body)
        assert sent.status_code in {201, 422}, sent.text
    for path in (
        f"/Observation?code:in={evil}/vs",
        f"/Observation?subject={evil}/Patient/1",
        f"/Observation?_profile={evil}",
    ):
        assert (await world.get(path, who)).status_code in {200, 400}
    schema = f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="{evil}"'
    xml = f'<Patient xmlns="http://hl7.org/fhir" {schema}/>'
    await world.post("/Patient", who, xml.encode(), headers={"Content-Type": "application/fhir+xml"})
    assert not reached


async def test_z26_what_is_contained_is_about_whom_it_says(scene: Scene) -> None:
    """A contained resource is no way into another record, and none out of it."""
    world = scene.world
    inner = {"resourceType": "Observation", "id": "in", "status": "final", "code": {"coding": [{"code": "INNER"}]},
             "subject": about(OTHER), "note": [{"text": SECRET}]}  # fmt: skip
    named = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [about(OTHER)["identifier"]],
        "name": [{"family": SECRET}],
    }
    for what in (inner, named):
        made = await write(world, observation(contained=[what], hasMember=[{"reference": f"#{what['id']}"}]))
        carrier = await write(world, {**patient(), "contained": [what]})
        for who in (scene.doctor, scene.citizen):
            assert (await world.get(f"/Observation/{made}", who)).status_code == 404
            assert (await world.get(f"/Patient/{carrier}", who)).status_code == 404
            for path in ("/Observation", f"/Patient/{scene.mine}/$everything", f"/Patient/{scene.mine}/$overview"):
                assert SECRET not in (await world.get(path, who)).text
        for kind in ("Organization", "Location"):
            sent = await world.post(f"/{kind}", scene.source, {"resourceType": kind, "name": "x", "contained": [what]})
            assert sent.status_code == 422, "everybody reads it"
    subject = {"reference": "#p"}
    sent = await world.post("/Observation", scene.source, observation(contained=[named], subject=subject))
    assert sent.status_code == 422
    own = {**inner, "subject": about(CPR), "note": [{"text": "eget"}]}
    made = await write(world, observation(contained=[own], hasMember=[{"reference": "#in"}]))
    assert (await world.get(f"/Observation/{made}", scene.doctor)).status_code == 200
    assert "entry" not in (await world.get("/Observation?code=INNER", scene.doctor)).json(), "never a top level match"


@pytest.mark.parametrize("how", ["read", "search", "overview"])
async def test_z41_curiosity_finds_nothing_and_is_told_to_whom_it_was_about(scene: Scene, how: str) -> None:
    """A colleague's, an ex-spouse's, a celebrity's record: no relation, no look, and an entry in their own log."""
    path = {"read": "/Patient/{}", "search": "/Patient?_id={}", "overview": "/Patient/{}/$overview"}[how]
    answers = []
    for name in (scene.other, "0" * 32):
        found = await scene.world.get(path.format(name), scene.doctor)
        answers.append((found.status_code, found.text.replace(name, "ID")))
    assert answers[0] == answers[1]
    assert SECRET not in answers[0][1]
    if how != "search":
        themselves = Caller("citizen", OTHER, "Borger", purpose="PATRQT")
        log = await scene.world.run.door.log(themselves, scene.other, 50)
        assert ("refuse", "TEST1") in {(row.outcome, row.actor) for row in log}


async def test_z45_a_parameter_that_somebody_defines_confers_nothing(world: World) -> None:
    """Who is made findable as a subject is none: membership is that of the standard's elements."""
    await stage(world)
    made = await write(world, patient(OTHER))
    note = {"url": "http://example.dk/about", "valueReference": {"reference": f"Patient/{made}"}}
    shown = await write(world, observation(extension=[note]))
    definition = {
        "resourceType": "SearchParameter", "url": "http://example.dk/about", "name": "about", "status": "active",
        "description": "x", "code": "patient-too", "base": ["Observation"], "type": "reference", "target": ["Patient"],
        "expression": "Observation.extension('http://example.dk/about').value.ofType(Reference)",
    }  # fmt: skip
    assert (await world.post("/SearchParameter", world.professional(DEPARTMENT), definition)).status_code == 403
    assert (await world.post("/SearchParameter", world.source(), definition)).status_code == 403
    assert (await world.post("/SearchParameter", world.system(), definition)).status_code == 201
    for taken in ("patient", "subject"):
        again = {**definition, "code": taken, "url": f"http://example.dk/{taken}"}
        assert (await world.post("/SearchParameter", world.system(), again)).status_code == 422
    assert (await world.get(f"/Observation/{shown}", world.citizen(OTHER))).status_code == 404
    assert "entry" not in (await world.get("/Observation", world.citizen(OTHER))).json()
    assert shown not in (await world.get(f"/Patient/{made}/$everything", world.citizen(OTHER))).text
