"""The CapabilityStatement says what the server does: held against the running server, both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.api.interactions import audit
from overblik.api.matching import MADE
from overblik.api.routes import ROUTES
from overblik.fhir.definitions import r4
from overblik.fhir.query import searchable

if TYPE_CHECKING:
    from tests.conftest import World


async def statement(world: World) -> dict[str, Any]:
    response = await world.http.get("/fhir/metadata")
    assert response.status_code == 200
    return dict(response.json())


async def test_it_is_open_to_everyone_and_names_the_version(world: World) -> None:
    found = await statement(world)
    assert found["resourceType"] == "CapabilityStatement"
    assert found["fhirVersion"] == "4.0.1"
    assert found["rest"][0]["mode"] == "server"


EXAMPLES: dict[str, dict[str, Any]] = {
    "Patient": {"identifier": [{"system": "urn:oid:1.2.208.176.1.2", "value": "2512489996"}]},
    "Observation": {"status": "final", "code": {"text": "x"}, "identifier": [{"value": "i"}]},
    "Organization": {"identifier": [{"value": "i"}], "name": "x"},
}
ADDED = [{"op": "add", "path": "/language", "value": "da"}]


def calls(base: str, body: dict[str, Any], condition: str) -> dict[str, tuple[str, str, Any]]:
    """Return (method, path, body) of each interaction with one resource, by its code in the statement."""
    kind, own = body["resourceType"], f"/{body['resourceType']}/{body['id']}"
    return {
        "read": ("GET", own, None),
        "vread": ("GET", f"{own}/_history/1", None),
        "history-instance": ("GET", f"{own}/_history", None),
        "history-type": ("GET", f"/{kind}/_history", None),
        "search-type": ("GET", f"/{kind}?_id={body['id']}", None),
        "update": ("PUT", own, body),
        "patch": ("PATCH", own, ADDED),
        "conditionalUpdate": ("PUT", f"/{kind}?{condition}", body),
        "conditionalPatch": ("PATCH", f"/{kind}?{condition}", ADDED),
        "$meta": ("GET", f"{own}/$meta", None),
        "$everything": ("GET", f"{own}/$everything", None),
        "$overview": ("GET", f"{own}/$overview", None),
        "$log": ("GET", f"{own}/$log", None),
        "$break-glass": ("POST", f"/{kind}/$break-glass", GLASS),
        "$relations": ("GET", f"/{kind}/$relations", None),
        "$state-relation": ("POST", f"/{kind}/$state-relation", STATED),
        "$follow-ups": ("GET", f"/{kind}/$follow-ups", None),
        "$follow-up": ("POST", f"/{kind}/$follow-up", None),
        "$lastn": ("GET", f"/{kind}/$lastn?patient={base}", None),
        "create": ("POST", f"/{kind}", {k: v for k, v in body.items() if k != "id"}),
        "delete": ("DELETE", own, None),
        "conditionalDelete": ("DELETE", f"/{kind}?{condition}", None),
    }


STATED = {"resourceType": "Parameters", "parameter": [
    {"name": "identifier", "valueIdentifier": {"system": "urn:oid:1.2.208.176.1.2", "value": "2512489996"}},
    {"name": "basis", "valueCode": "here"}, {"name": "reason", "valueString": "Står her i skranken"},
]}  # fmt: skip
OF_PROFESSIONALS = {"$break-glass", "$relations", "$state-relation", "$follow-ups", "$follow-up"}
GLASS = {"resourceType": "Parameters", "parameter": [
    {"name": "identifier", "valueIdentifier": {"system": "urn:oid:1.2.208.176.1.2", "value": "2512489996"}},
    {"name": "reason", "valueString": "Bevidstløs i modtagelsen"},
]}  # fmt: skip


async def closing(world: World) -> dict[str, Any]:
    """Return what closes a case of the unit's, as a colleague sends it."""
    cases = (await world.get("/Patient/$follow-ups", world.professional("99900016001"))).json()["parameter"]
    glass = next(c for c in cases if {"name": "kind", "valueCode": "break-glass"} in c["part"])
    note = {"name": "note", "valueString": "Talt igennem på konference"}
    return {"resourceType": "Parameters", "parameter": [{**glass["part"][0], "name": "case"}, note]}


def stated(resource: dict[str, Any]) -> set[str]:
    """Return everything that the statement says can be done with a type."""
    found = {i["code"] for i in resource["interaction"]} | {f"${o['name']}" for o in resource.get("operation", [])}
    if resource["conditionalUpdate"]:
        found |= {"conditionalUpdate", "conditionalPatch"}  # R4 has no word of its own for the second
    return found | ({"conditionalDelete"} if resource["conditionalDelete"] == "single" else set())


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
async def test_everything_stated_works_and_everything_that_works_is_stated(world: World, kind: str) -> None:
    resource = next(r for r in (await statement(world))["rest"][0]["resource"] if r["type"] == kind)
    patient = await world.post("/Patient", world.system(), {"resourceType": "Patient", **EXAMPLES["Patient"]})
    example = {"resourceType": kind, **EXAMPLES[kind]}
    works = set()
    await world.run.drain()
    await world.run.heads.sign()
    for code in calls("", {"resourceType": kind, "id": "x"}, "x"):
        body = (await world.post(f"/{kind}", world.system(), example)).json()
        method, path, content = calls(patient.json()["id"], body, f"_id={body['id']}")[code]
        media = {"Content-Type": "application/json-patch+json"} if method == "PATCH" else {}
        if code == "$follow-up":
            content = await closing(world) if kind == "Patient" else {}
        who = world.professional("99900016001", code) if code in OF_PROFESSIONALS else world.system()
        who = world.citizen("2512489996") if code == "$log" else who
        response = await world.http.request(method, f"/fhir{path}", headers=who | media, json=content)
        works |= {code} if response.status_code < 300 else set()
    assert works == stated(resource)


async def test_what_is_stated_of_the_whole_system_works(world: World) -> None:
    rest = (await statement(world))["rest"][0]
    assert {i["code"] for i in rest["interaction"]} == {"transaction", "batch", "search-system", "history-system"}
    assert {o["name"] for o in rest["operation"]} == {"process-message"}
    for kind in ("batch", "transaction"):
        sent = {"resourceType": "Bundle", "type": kind}
        assert (await world.post("", world.system(), sent)).status_code == 200
    assert (await world.get("/_history", world.system())).status_code == 200
    assert (await world.get("/?_type=Patient", world.system())).status_code == 200
    names = ("device", "encounter", "patient", "practitioner", "relatedPerson")
    assert rest["compartment"] == [f"http://hl7.org/fhir/CompartmentDefinition/{name}" for name in names]
    assert (await world.get("/Patient/none/Observation", world.system())).status_code == 200


async def test_every_route_is_stated(world: World) -> None:
    """A route that says nothing of itself would work without being stated."""
    rest = (await statement(world))["rest"][0]
    known = {"capabilities", "smart-configuration", "search-compartment"} | {i["code"] for i in rest["interaction"]}
    known |= {f"${o['name']}" for o in rest["operation"]}
    for resource in rest["resource"]:
        known |= stated(resource)
    assert {route.code for route in ROUTES} == known


async def test_every_type_stated_is_kept_and_no_other(world: World) -> None:
    rest = (await statement(world))["rest"][0]
    stated_types = {r["type"] for r in rest["resource"]}
    for kind in sorted(r4().resource_types | {"Nonsense", "metadata2"}):
        response = await world.get(f"/{kind}/none/_history", world.system())
        listed = await world.get(f"/{kind}?_id=none", world.citizen("0101010101") if kind in MADE else world.system())
        assert (response.status_code, listed.status_code == 200) == (404, kind in stated_types), kind


async def test_conditions_on_reads_and_creates_are_kept_as_stated(world: World) -> None:
    resources = (await statement(world))["rest"][0]["resource"]
    assert [r["type"] for r in resources if not r["conditionalCreate"]] == sorted(MADE)
    assert {r["conditionalRead"] for r in resources} == {"full-support"}
    example = {"resourceType": "Patient", **EXAMPLES["Patient"]}
    created = await world.post("/Patient", world.source(), example)
    again = await world.post("/Patient", world.source(), example, headers={"If-None-Exist": "identifier=2512489996"})
    assert (again.status_code, again.json()["id"]) == (200, created.json()["id"])
    for header in ({"If-None-Match": 'W/"1"'}, {"If-Modified-Since": created.headers["Last-Modified"]}):
        read = await world.get(f"/Patient/{created.json()['id']}", world.source(), headers=header)
        assert read.status_code == 304


async def test_every_declared_search_parameter_is_taken_and_no_other(world: World) -> None:
    rest = (await statement(world))["rest"][0]
    for resource in rest["resource"]:
        declared = {p["name"] for p in resource.get("searchParam", [])}
        known = audit.PARAMETERS if resource["type"] in MADE else {code for code, _ in searchable(resource["type"])}
        assert declared == set(known)
    patient = next(r for r in rest["resource"] if r["type"] == "Observation")
    samples = {
        "token": "x",
        "reference": "Patient/1",
        "date": "2026",
        "number": "1",
        "quantity": "1",
        "composite": "x$2026",
    }
    for parameter in patient["searchParam"]:
        value = samples.get(parameter["type"], "x")
        response = await world.get(f"/Observation?{parameter['name']}={value}", world.system())
        assert response.status_code == 200, parameter
    response = await world.get("/Observation?nonsense=1", world.system())
    assert response.status_code == 400


@pytest.mark.parametrize("path", ["/fhir/metadata", "/livez", "/readyz"])
async def test_what_is_open_needs_no_token(world: World, path: str) -> None:
    assert (await world.http.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/fhir/Patient"), ("GET", "/fhir/Patient/x"), ("GET", "/fhir/Patient/x/$overview"),
        ("POST", "/fhir"), ("POST", "/fhir/Patient"), ("PUT", "/fhir/Patient/x"), ("DELETE", "/fhir/Patient/x"),
        ("POST", "/fhir/$process-message"), ("POST", "/fhir/Patient/_search"), ("GET", "/fhir/Patient/x/_history"),
    ],
)  # fmt: skip
async def test_everything_else_does(world: World, method: str, path: str) -> None:
    response = await world.http.request(method, path, json={})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert response.json()["resourceType"] == "OperationOutcome"
