"""The CapabilityStatement says what the server does: held against the running server, both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.api.routes import ROUTES
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


async def test_every_interaction_of_the_routes_is_declared_and_no_other(world: World) -> None:
    rest = (await statement(world))["rest"][0]
    declared = {i["code"] for r in rest["resource"] for i in r["interaction"]}
    declared |= {i["code"] for i in rest["interaction"]} | {f"${o['name']}" for o in rest["operation"]}
    assert declared | {"capabilities", ""} == {route.code for route in ROUTES}


async def test_every_declared_search_parameter_is_taken_and_no_other(world: World) -> None:
    rest = (await statement(world))["rest"][0]
    for resource in rest["resource"]:
        declared = {p["name"] for p in resource.get("searchParam", [])}
        assert declared == {code for code, _ in searchable(resource["type"])}
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
