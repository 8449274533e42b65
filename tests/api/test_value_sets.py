"""Searches by value sets: the definitions' own, and those held here, by id and by url."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.api.test_transaction import bundle, entry

if TYPE_CHECKING:
    from tests.conftest import World

CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
BELOW = {"property": "concept", "op": "is-a", "value": "active"}


def condition(known: str, **content: Any) -> dict[str, Any]:
    subject = {"reference": "Patient/acme.p"}
    return {"resourceType": "Condition", "id": f"acme.{known}", "subject": subject, **content}


def clinical(code: str) -> dict[str, Any]:
    return {"clinicalStatus": {"coding": [{"system": CLINICAL, "code": code}]}}


def held(known: str, url: str, version: str, **include: Any) -> dict[str, Any]:
    compose = {"include": [{"system": CLINICAL, **include}]}
    return {"resourceType": "ValueSet", "id": f"acme.{known}", "status": "active", "url": url, "version": version,
            "compose": compose}  # fmt: skip


RESOURCES = [
    {"resourceType": "Patient", "id": "acme.p"},
    condition("active", **clinical("active")), condition("relapse", **clinical("relapse")),
    condition("gone", **clinical("resolved")), condition("none"),
    held("levels", "http://acme/levels", "1", filter=[BELOW]),
    held("listed", "http://acme/listed", "1", concept=[{"code": "resolved"}]),
    held("newer", "http://acme/listed", "2", concept=[{"code": "relapse"}]),
    {"resourceType": "Observation", "id": "acme.o", "status": "final", "code": {"text": "x"},
     "subject": {"reference": "Patient/acme.p"}, "focus": [{"reference": "Condition/acme.relapse"}]},
]  # fmt: skip
TABLE = [
    ("Condition?clinical-status:in=ValueSet/acme.levels", "active relapse"),
    ("Condition?clinical-status:not-in=ValueSet/acme.levels", "gone none"),
    ("Condition?clinical-status:in=http://test/fhir/ValueSet/acme.levels", "active relapse"),
    ("Condition?clinical-status:in=http://acme/levels", "active relapse"),
    ("Condition?clinical-status:in=http://acme/listed|1", "gone"),
    ("Condition?clinical-status:in=http://acme/listed|2,http://acme/listed|1", "gone relapse"),
    ("Condition?clinical-status:in=http://hl7.org/fhir/ValueSet/condition-clinical", "active relapse gone"),
    (f"Condition?clinical-status:below={CLINICAL}|active", "active relapse"),
    (f"Condition?clinical-status:above={CLINICAL}|relapse", "active relapse"),
    (f"Condition?_filter=clinical-status ss {CLINICAL}|active", "active relapse"),
    ("Observation?focus:Condition.clinical-status:in=ValueSet/acme.levels", "o"),
    ("Patient?_has:Condition:patient:clinical-status:in=http://acme/levels", "p"),
]
REFUSED = [
    "Condition?clinical-status:in=ValueSet/acme.none", "Condition?clinical-status:in=http://acme/none",
    "Condition?clinical-status:in=http://acme/listed", "Condition?clinical-status:in=http://acme/levels|2",
]  # fmt: skip


@pytest.fixture
async def written(world: World) -> World:
    entries = [entry("PUT", f"{r['resourceType']}/{r['id']}", r) for r in RESOURCES]
    answer = await world.post("", world.source("acme"), bundle(*entries))
    assert answer.status_code == 200, answer.text
    return world


async def test_value_sets_and_hierarchies_find_their_codes(written: World) -> None:
    for path, expected in TABLE:
        response = await written.get("/" + quote(path, safe="/?=&:"), written.source("acme"))
        assert response.status_code == 200, (path, response.text)
        found = {e["resource"]["id"].removeprefix("acme.") for e in response.json().get("entry", [])}
        assert found == set(expected.split()), path


async def test_a_value_set_that_is_not_known_is_refused(written: World) -> None:
    for path in REFUSED:
        response = await written.get("/" + quote(path, safe="/?=&:"), written.source("acme"))
        issue = response.json()["issue"][0]
        assert (response.status_code, issue["details"]["coding"][0]["code"]) == (400, "terminology-unknown"), path


async def test_the_next_page_asks_the_same(written: World) -> None:
    path, seen = "/Condition?clinical-status:in=ValueSet/acme.levels&_count=1", []
    while path:
        page = (await written.get(path, written.source("acme"))).json()
        seen += [e["resource"]["id"] for e in page["entry"]]
        path = {x["relation"]: x["url"] for x in page["link"]}.get("next", "").removeprefix("http://test/fhir")
    assert sorted(seen) == ["acme.active", "acme.relapse"]


DICOM = "http://dicom.nema.org/resources/ontology/DCM"
"""The largest system that comes with R4: 3156 codes."""
TOO_MUCH: list[tuple[str, dict[str, Any]]] = [
    ("includes", {"include": [{"system": CLINICAL}, *[{"system": DICOM}] * 100], "exclude": [{"system": DICOM}]}),
    ("excludes", {"include": [{"system": CLINICAL}], "exclude": [{"system": DICOM}] * 100}),
    ("filters", {"include": [{"system": DICOM, "filter": [BELOW] * 100}]}),
    ("sets", {"include": [{"valueSet": ["http://hl7.org/fhir/ValueSet/condition-clinical"] * 10_000}]}),
]


async def test_a_value_set_that_is_made_of_too_much_is_not_expanded(world: World) -> None:
    """Somebody could hold one here that kept a worker busy for minutes, whenever anybody named it."""
    made = [{**held(name, f"http://acme/{name}", "1"), "compose": compose} for name, compose in TOO_MUCH]
    coded = {**held("listed", "http://acme/l", "1"), "compose": {"include": [{"system": CLINICAL, "concept": [
        {"_code": {"extension": [{"url": "http://acme/x", "valueString": "y"}]}}]}]}}  # fmt: skip
    large = {**held("large", "http://acme/large", "1"), "description": "x" * 2_000_000}
    entries = [entry("PUT", f"ValueSet/{r['id']}", r) for r in (*made, coded, large)]
    assert (await world.post("", world.source("acme"), bundle(*entries))).status_code == 200
    for name, _ in TOO_MUCH:
        response = await world.get(f"/Condition?clinical-status:in=ValueSet/acme.{name}", world.source("acme"))
        assert (response.status_code, "terminology-unknown" in response.text) == (400, True), name
    many = ",".join(["ValueSet/acme.listed"] * 20)
    assert (await world.get(f"/Condition?clinical-status:in={many}", world.source("acme"))).status_code == 200
    response = await world.get("/Condition?clinical-status:in=http://acme/large", world.source("acme"))
    assert (response.status_code, "search-by-too-large" in response.text) == (422, True)
