"""References as they are asked for: relative, absolute, of a version, canonical (with a version, and below one)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.api.test_transaction import bundle, entry

if TYPE_CHECKING:
    from tests.conftest import World

WHO = {"reference": "Patient/acme.p"}
PLAN = "http://acme.org/PlanDefinition/knee"


def observation(known: str, encounter: str) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": f"acme.{known}", "status": "final", "code": {"text": "x"},
            "subject": WHO, "encounter": {"reference": encounter}}  # fmt: skip


def request(known: str, canonical: str, **content: Any) -> dict[str, Any]:
    return {"resourceType": "ServiceRequest", "id": f"acme.{known}", "status": "active", "intent": "order",
            "subject": WHO, "instantiatesCanonical": [canonical], **content}  # fmt: skip


RESOURCES: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "acme.p"},
    {"resourceType": "Encounter", "id": "acme.e", "status": "finished", "class": {"code": "AMB"}, "subject": WHO},
    observation("plain", "Encounter/acme.e"), observation("own", "http://test/fhir/Encounter/acme.e"),
    observation("version", "Encounter/acme.e/_history/1"), observation("other", "http://other.dk/fhir/Encounter/acme.e"),
    request("none", PLAN), request("one", f"{PLAN}|1.0"), request("patch", f"{PLAN}|1.0.2"),
    request("ten", f"{PLAN}|10"), request("part", f"{PLAN}/left"), request("oid", "urn:oid:1.2|3"),
    request("profiled", "urn:oid:9", meta={"profile": ["http://acme.org/fhir/order|2.1"]}),
]  # fmt: skip
ORDER = "ServiceRequest?instantiates-canonical"
TABLE = [
    ("Observation?encounter=acme.e", "plain own version"),
    ("Observation?encounter=Encounter/acme.e", "plain own version"),
    ("Observation?encounter:Encounter=acme.e", "plain own version"),
    ("Observation?encounter=http://test/fhir/Encounter/acme.e", "plain own version"),
    ("Observation?encounter=Encounter/acme.e/_history/1", "version"),
    ("Observation?encounter=http://test/fhir/Encounter/acme.e/_history/1", "version"),
    ("Observation?encounter=Encounter/acme.e/_history/2", ""),
    ("Observation?encounter=http://other.dk/fhir/Encounter/acme.e", "other"),
    ("Observation?encounter=http://third.dk/fhir/Encounter/acme.e", ""),
    ("Observation?encounter.class=AMB", "plain own version"),
    ("Observation?patient=http://test/fhir/Patient/acme.p", "plain own version other"),
    ("Observation?patient=http://other.dk/fhir/Patient/acme.p", ""),
    ("Observation?subject:Patient=http://other.dk/fhir/Patient/acme.p", ""),
    (f"{ORDER}={PLAN}", "none one patch ten"), (f"{ORDER}={PLAN}|1.0", "one"), (f"{ORDER}={PLAN}|1", ""),
    (f"{ORDER}:below={PLAN}|1", "one patch"), (f"{ORDER}:below={PLAN}|1.0", "one patch"),
    (f"{ORDER}:below={PLAN}|10", "ten"), (f"{ORDER}:below={PLAN}", "none one patch ten part"),
    (f"{ORDER}=urn:oid:1.2", "oid"), (f"{ORDER}=urn:oid:1.2|3", "oid"), (f"{ORDER}=urn:oid:1.2|4", ""),
    ("ServiceRequest?_profile=http://acme.org/fhir/order", "profiled"),
    ("ServiceRequest?_profile=http://acme.org/fhir/order|2.1", "profiled"),
    ("ServiceRequest?_profile=http://acme.org/fhir/order|2", ""),
    ("ServiceRequest?_profile:below=http://acme.org/fhir/order|2", "profiled"),
    ("ServiceRequest?_profile:below=http://acme.org/fhir", "profiled"),
]  # fmt: skip


async def test_references_are_found_as_they_are_asked_for(world: World) -> None:
    entries = [entry("PUT", f"{r['resourceType']}/{r['id']}", r) for r in RESOURCES]
    written = await world.post("", world.source("acme"), bundle(*entries))
    assert written.status_code == 200, written.text
    for path, expected in TABLE:
        response = await world.get("/" + quote(path, safe="/?=&:"), world.source("acme"))
        assert response.status_code == 200, (path, response.text)
        found = {e["resource"]["id"].removeprefix("acme.") for e in response.json().get("entry", [])}
        assert found == set(expected.split()), path


async def test_below_of_a_reference_takes_a_canonical(world: World) -> None:
    refused = await world.get("/ServiceRequest?instantiates-canonical:below=1", world.source("acme"))
    assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (400, ["http.instantiates-canonical"])
