"""Scopes narrow what a person may do through an app: before the look-up by type, and row by row in the decision."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.errors import Forbidden
from overblik.fhir.strict_json import dumps
from overblik.trust.callers.identity import Caller
from overblik.trust.callers.scopes import Reach, parse_scopes
from tests.conftest import NOW
from tests.trust.consents import attorney, consent, deny, permit, unit, verified
from tests.trust.stage import CPR, HOSPITAL, OTHER, encounter, patient, stage, write

if TYPE_CHECKING:
    from tests.conftest import World


def result(identifier: str) -> dict[str, Any]:
    subject = {"reference": f"Patient/{identifier}"}
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": subject}


async def two_patients(world: World) -> tuple[str, str]:
    """Write two patients of one unit, each with an Observation; return their ids."""
    first = await stage(world)
    made = await world.post("/Patient", world.source(), patient(OTHER))
    second = str(made.json()["id"])
    for cpr, identifier in ((CPR, first), (OTHER, second)):
        await world.post("/Encounter", world.source(), encounter(HOSPITAL, NOW, None, cpr))
        assert (await world.post("/Observation", world.source(), result(identifier))).status_code == 201
    return first, second


DOCTOR = {"kind": "professional", "sub": "TEST1", "name": "Test Person", "role": "læge", "org": HOSPITAL}


async def counted(world: World, path: str, who: dict[str, str]) -> int:
    found = await world.get(path, who)
    assert found.status_code == 200, found.text
    return len(found.json().get("entry", []))


async def test_an_app_reaches_no_further_than_its_types_and_the_patient_in_context(world: World) -> None:
    mine, other = await two_patients(world)
    doctor = world.token(**DOCTOR)
    app = world.token(**DOCTOR, scope="patient/Observation.rs patient/Patient.r", patient=mine, app="Prøve")
    wide = world.token(**DOCTOR, scope="patient/Observation.rs user/Patient.rs", patient=mine, app="Prøve")
    nobody = world.token(**DOCTOR, scope="patient/*.rs", app="Prøve")
    assert await counted(world, "/Observation", doctor) == 2
    assert await counted(world, "/Observation", app) == 1
    assert await counted(world, "/Observation", wide) == 1
    assert await counted(world, "/Observation", nobody) == 0
    assert await counted(world, f"/Observation?patient={other}", app) == 0
    assert await counted(world, f"/Observation?patient={mine}&_include=Observation:subject", app) == 2
    assert await counted(world, "/Observation?_include=Observation:subject", wide) == 2
    assert await counted(world, "/Patient", wide) == 2
    assert (await world.get(f"/Patient/{mine}", app)).status_code == 200
    hidden, absent = await world.get(f"/Patient/{other}", app), await world.get(f"/Patient/{'0' * 32}", app)
    assert (hidden.status_code, hidden.content) == (absent.status_code, absent.content)
    assert hidden.status_code == 404
    assert (await world.get(f"/Patient/{other}", wide)).status_code == 200
    total = await world.get("/Observation?_summary=count", app)
    assert total.json()["total"] == 1


@pytest.mark.parametrize(
    "path",
    [
        "/Encounter", "/Encounter/x", "/Condition?patient=x", "/Patient?identifier=x", "/Patient/x/$everything",
        "/Patient/x/$overview", "/Patient/x/$log", "/Encounter/x/_history", "/Encounter/_history",
        "/Observation/_history", "/Encounter/x/_history/1", "/?_type=Encounter", "/Binary/x",
        "/Patient/x/Encounter", "/_history",
    ],
)  # fmt: skip
async def test_z11_what_the_scopes_never_cover_is_403_whether_it_is_there_or_not(world: World, path: str) -> None:
    mine, _ = await two_patients(world)
    app = world.token(**DOCTOR, scope="patient/Observation.r patient/Patient.r", patient=mine, app="Prøve")
    answers = [await world.get(path.replace("/x", f"/{name}"), app) for name in (mine, "0" * 32)]
    assert [a.status_code for a in answers] == [403, 403]
    assert answers[0].content == answers[1].content


async def test_everything_and_chains_show_only_types_in_scope(world: World) -> None:
    mine, _ = await two_patients(world)
    app = world.token(**DOCTOR, scope="patient/Patient.rs patient/Observation.rs", patient=mine, app="Prøve")
    found = (await world.get(f"/Patient/{mine}/$everything", app)).json()["entry"]
    assert {e["resource"]["resourceType"] for e in found} == {"Patient", "Observation"}
    assert (await world.get(f"/Patient/{mine}/$everything?_type=Encounter", app)).status_code == 403
    assert await counted(world, "/Patient?_has:Encounter:patient:status=in-progress", world.token(**DOCTOR)) == 2
    refused = [await world.get(path, app) for path in ("/Patient?_has:Encounter:patient:status=x", "/Encounter")]
    told = [(one.status_code, "a type that this search goes through" in one.text) for one in refused]
    assert told == [(403, True), (403, False)]
    assert await counted(world, "/Patient?_has:Observation:patient:status=final", app) == 1
    assert await counted(world, f"/Patient?_revinclude=*&_id={mine}", app) == 2


async def test_links_lead_to_what_belongs_to_nobody_only_where_a_scope_covers_it(world: World) -> None:
    mine, _ = await two_patients(world)
    lab = (await world.post("/Organization", world.source(), {"resourceType": "Organization", "name": "Lab"})).json()
    await write(world, result(mine) | {"performer": [{"reference": f"Organization/{lab['id']}"}]})
    path, scope = "/Observation?_include=Observation:performer", "patient/Observation.rs"
    for more, entries in (("", 2), (" user/Organization.s", 2), (" user/Organization.r", 3)):
        app = world.token(**DOCTOR, scope=scope + more, patient=mine, app="Prøve")
        assert await counted(world, path, app) == entries, more


async def test_an_app_writes_what_its_scopes_say_and_nothing_else(world: World) -> None:
    mine = await stage(world)
    source = {"kind": "source", "sub": "gateway", "name": "gateway"}
    app = world.token(**source, scope="system/Observation.cr", app="Prøve")
    made = await world.post("/Observation", app, result(mine))
    assert made.status_code == 201
    assert (await world.post("/Encounter", app, encounter(HOSPITAL, NOW, None))).status_code == 403
    path = f"/Observation/{made.json()['id']}"
    assert (await world.replace(path, app, made.json() | {"status": "amended"})).status_code == 403
    assert (await world.http.delete(f"/fhir{path}", headers=app)).status_code == 403
    entry = {"resource": encounter(HOSPITAL, NOW, None), "request": {"method": "POST", "url": "Encounter"}}
    for kind in ("transaction", "batch"):
        answer = await world.post("", app, {"resourceType": "Bundle", "type": kind, "entry": [entry]})
        assert answer.status_code == 403 or answer.json()["entry"][0]["response"]["status"].startswith("403")
    assert (await world.message(b"{}", app)).status_code == 403
    assert await counted(world, "/Encounter", world.system()) == 0


async def test_the_log_names_the_person_and_the_app(world: World) -> None:
    mine, _ = await two_patients(world)
    app = world.token(**DOCTOR, scope="patient/Patient.r", patient=mine, app="Prøve")
    await world.get(f"/Patient/{mine}", app)
    rows = await world.run.database.fetch("select actor, channel from access_log where action = 'read'")
    assert [(row.actor, row.channel) for row in rows] == [("TEST1", "app:Prøve")]


async def test_no_app_says_who_may_look_whatever_its_scopes(world: World) -> None:
    """An app with every letter on every type sets no block, gives no power of attorney, and ends neither."""
    patient_id = await stage(world)
    await write(world, encounter(HOSPITAL, NOW, None))
    said = (await world.post("/Consent", world.citizen(CPR), consent(deny(unit(HOSPITAL))))).json()
    app = {"scope": "patient/*.cruds user/*.cruds", "app": "app", "patient": patient_id}
    citizen = world.token(kind="citizen", sub=CPR, name="Borger", **app)
    nurse = world.token(kind="professional", sub="TEST1", name="Test", role="læge", org=HOSPITAL, **app)
    answers = [
        await world.post("/Consent", citizen, consent(permit(attorney(OTHER)))),
        await world.post("/Consent", nurse, consent(deny(unit(HOSPITAL)), **verified())),
        await world.put(f"/Consent/{said['id']}", citizen, said | {"status": "inactive"}),
    ]
    assert [(a.status_code, "not-for-this-caller" in a.text) for a in answers] == [(403, True)] * 3
    assert (await world.get(f"/Consent/{said['id']}", citizen)).json()["status"] == "active"
    assert (await world.run.database.fetch("select 1 from mandate")) == []


THROUGH = [
    "/Observation?performer:Practitioner.name={}", '/Observation?_filter=performer:Practitioner.name co "{}"',
    "/Observation?performer:Practitioner.name:missing={}", "/Observation?subject:Patient.name={}",
    "/Observation?performer.name={}", "/Observation?_filter=performer.name co {}",
    "/Observation?patient.name={}", "/Observation?patient:identifier=urn:x|{}",
    "/Observation?_has:Provenance:target:agent:Practitioner.name={}",
    "/?_type=Observation&performer:Practitioner.name={}",
    "/Observation?_summary=count&performer:Practitioner.name={}", "/Encounter?location:Location.near={}|12|5|km",
]  # fmt: skip


async def test_z09_nothing_is_found_through_a_type_that_no_scope_covers(world: World) -> None:
    mine, _ = await two_patients(world)
    named = {"resourceType": "Practitioner", "name": [{"family": "Hemmelig"}]}
    practitioner = (await world.post("/Practitioner", world.source(), named)).json()["id"]
    performed = {**result(mine), "performer": [{"reference": f"Practitioner/{practitioner}"}]}
    assert (await world.post("/Observation", world.source(), performed)).status_code == 201
    app = world.token(**DOCTOR, scope="patient/Observation.rs patient/Encounter.rs", patient=mine, app="Prøve")
    wide = world.token(**DOCTOR, scope="patient/Observation.rs patient/Patient.rs", patient=mine, app="Prøve")
    assert (await world.get("/Observation?performer.name=Hemmelig", wide)).status_code == 403
    assert await counted(world, "/Observation?subject:Patient.name=Test", wide) == 2
    for path in THROUGH:
        values = ("true", "false") if "missing" in path else ("55", "15") if "near" in path else ("Hemmelig", "Intet")
        answers = [await world.get(path.format(value), app) for value in values]
        assert [a.status_code for a in answers] == [403, 403], path
        assert answers[0].content == answers[1].content, path


async def test_a_record_is_named_by_an_id_that_the_app_has_without_a_scope_for_patients(world: World) -> None:
    mine, other = await two_patients(world)
    app = world.token(**DOCTOR, scope="patient/Observation.rs", patient=mine, app="Prøve")
    for path in ("/Observation?patient={}", "/Observation?subject=Patient/{}", "/Patient/{}/Observation"):
        assert await counted(world, path.format(mine), app) == 1
        assert await counted(world, path.format(other), app) == 0
    assert (await world.get(f"/Observation?patient={mine}&asOf=2026-11-23T10:00:00Z", app)).status_code == 403


async def test_what_may_be_read_of_everybody_is_searched_no_further_than_the_scopes_to_search_say(world: World) -> None:
    mine, _ = await two_patients(world)
    for scope, found in (
        ("user/Observation.r patient/Observation.rs", 1),
        ("user/*.r patient/Observation.s patient/Patient.s", 1),
        ("user/Observation.s patient/Observation.r", 2),
        ("user/Observation.r user/Observation.s", 2),
        ("user/Observation.r user/*.s patient/*.rs", 2),
    ):
        app = world.token(**DOCTOR, scope=scope, patient=mine, app="Prøve")
        assert await counted(world, "/Observation", app) == found, scope
        assert (await world.get("/Observation?_summary=count", app)).json()["total"] == found, scope


async def test_a_write_that_no_scope_covers_is_403_before_anything_is_looked_up(world: World) -> None:
    mine = await stage(world)
    known = {**result(mine), "identifier": [{"system": "urn:x", "value": "1"}]}
    there = (await world.post("/Observation", world.source(), known)).json()["id"]
    source = {"kind": "source", "sub": "gateway", "name": "gateway"}
    app = world.token(**source, scope="system/Observation.c system/Organization.c", app="Prøve")
    tested = [{"op": "test", "path": "/status", "value": "final"}]
    patch = {"resourceType": "Binary", "contentType": "application/json-patch+json"}
    entries: list[dict[str, Any]] = []
    for identifier in (there, "0" * 32):
        url = f"Observation/{identifier}"
        entries += [{"request": {"method": "DELETE", "url": url}}]
        entries += [{"request": {"method": "PUT", "url": url}, "resource": {**result(mine), "id": identifier}}]
        for ops in (tested, [{**tested[0], "value": "amended"}]):
            data = b64encode(dumps(ops)).decode()
            entries += [{"request": {"method": "PATCH", "url": url}, "resource": {**patch, "data": data}}]
    entries += [{"request": {"method": "DELETE", "url": f"Observation?identifier=urn:x|{n}"}} for n in (1, 2)]
    for entry in entries:
        answer = await world.post("", app, {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
        assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (403, "scope-missing")


async def test_a_condition_needs_a_scope_to_search(world: World) -> None:
    mine = await stage(world)
    known = {**result(mine), "identifier": [{"system": "urn:x", "value": "1"}]}
    held = {"resourceType": "Organization", "name": "Hemmelig", "identifier": known["identifier"]}
    for resource in (known, held):
        assert (await world.post(f"/{resource['resourceType']}", world.source(), resource)).status_code == 201
    source = {"kind": "source", "sub": "gateway", "name": "gateway"}
    blind = world.token(**source, scope="system/Observation.c system/Organization.c", app="Prøve")
    seeing = world.token(**source, scope="system/Observation.cs system/Organization.cs", app="Prøve")
    for resource in (known, held):
        for number, status in ((1, 200), (2, 201)):
            path, condition = f"/{resource['resourceType']}", {"If-None-Exist": f"identifier=urn:x|{number}"}
            assert (await world.post(path, blind, resource, headers=condition)).status_code == 403
            assert (await world.post(path, seeing, resource, headers=condition)).status_code == status
    through = {"If-None-Exist": "patient.name=Test"}
    assert (await world.post("/Observation", seeing, known, headers=through)).status_code == 403


async def test_a_patch_shows_no_resource_to_who_has_no_scope_to_read_it(world: World) -> None:
    mine = await stage(world)
    there = (await world.post("/Observation", world.source(), result(mine))).json()["id"]
    source = {"kind": "source", "sub": "gateway", "name": "gateway"}
    ops = dumps([{"op": "replace", "path": "/status", "value": "amended"}])
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": b64encode(ops).decode()}
    entry = {"request": {"method": "PATCH", "url": f"Observation/{there}"}, "resource": binary}
    for scope, shown in (("system/Observation.u", False), ("system/Observation.ru", True)):
        app = world.token(**source, scope=scope, app="Prøve") | {"Prefer": "return=representation"}
        patch = {**app, "Content-Type": "application/json-patch+json"}
        answer = await world.http.patch(f"/fhir/Observation/{there}", headers=patch, content=ops)
        assert (answer.status_code, "Patient/" in answer.text) == (200, shown)
        for kind in ("batch", "transaction"):
            answer = await world.post("", app, {"resourceType": "Bundle", "type": kind, "entry": [entry]})
            assert (answer.json()["entry"][0]["response"]["status"], "Patient/" in answer.text) == ("200 OK", shown)


async def test_no_way_through_the_door_is_open_to_an_app_without_its_scope(world: World) -> None:
    """What no app's scope covers, a list of work and whom somebody may block, is for people alone."""
    door, app = world.run.door, Caller("citizen", CPR, "N", reach=Reach(parse_scopes("patient/Encounter.rs"), (7,)))
    for asked in (
        door.read(app, "Patient", "x"), door.version(app, "Patient", "x", 1), door.binary(app, "x"),
        door.gather(app, "x", ("Encounter", "Patient"), "overview"), door.worklist(app, ("due",), ("Encounter",)),
        door.find(app, "s", "v"), door.log(app, "x", 1), door.circle(app, "x"), door.sealed_log(app, "x", 1, 1),
    ):  # fmt: skip
        with pytest.raises(Forbidden):
            await asked
