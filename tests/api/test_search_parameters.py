"""SearchParameter resources through HTTP: who may define, what is then found, and what becomes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from overblik.store import passes
from overblik.store.database import counting
from tests.fhir.test_definitions_of_parameters import EYES

if TYPE_CHECKING:
    import httpx

    from overblik.fhir.strict_json import Json
    from tests.conftest import World

EXTENSION = "http://x.dk/eyes"


def eyes(code: str) -> Json:
    return {"url": EXTENSION, "valueCodeableConcept": {"coding": [{"system": "urn:c", "code": code}]}}


def person(number: int, *colours: str, **more: Any) -> Json:
    identifier = {"system": "urn:own", "value": str(number)}
    return {"resourceType": "Patient", "identifier": [identifier], **more} | (
        {"extension": [eyes(colour) for colour in colours]} if colours else {}
    )


async def step(world: World, batch: int = passes.BATCH) -> int | None:
    return await passes.step(world.run.database, world.run.keyring.key("index"), batch=batch)


async def next_rows(world: World, batch: int) -> int:
    """Take steps until one has looked at rows, or nothing is left; return how many."""
    for _ in range(2_000):
        if (found := await step(world, batch)) != 0:
            return found or 0
        await asyncio.sleep(0.005)  # a transaction of another database may still be under way
    raise AssertionError("the pass waits for something that does not end")


async def index(world: World) -> int:
    """Let every row be made by the definitions; return how many were looked at."""
    total = 0
    while found := await next_rows(world, passes.BATCH):
        total += found
    return total


async def written(world: World, *resources: Json, who: dict[str, str] | None = None) -> list[str]:
    """Write resources as a source, and return their ids."""
    ids = []
    for resource in resources:
        response = await world.post(f"/{resource['resourceType']}", who or world.source(), resource)
        assert response.status_code == 201, response.text
        ids.append(response.json()["id"])
    return ids


async def define(world: World, change: Json | None = None, indexed: bool = True) -> str:
    """Define a parameter, wholly indexed or not yet; return the SearchParameter's id."""
    response = await world.post("/SearchParameter", world.system(), EYES | (change or {}))
    assert response.status_code == 201, response.text
    if indexed:
        await index(world)
    return str(response.json()["id"])


async def found(world: World, path: str, who: dict[str, str] | None = None) -> list[str]:
    """Return the ids that a search finds, in its order."""
    response = await world.get(path, who or world.source())
    assert response.status_code == 200, response.text
    return [entry["resource"]["id"] for entry in response.json().get("entry", [])]


def refused(response: httpx.Response, status: int, code: str) -> str:
    """Return the text of a refusal."""
    assert response.status_code == status, response.text
    issue = response.json()["issue"][0]
    assert issue["details"]["coding"][0]["code"] == code
    return str(issue["details"]["text"])


async def test_what_was_there_before_is_found_once_it_is_indexed_and_what_comes_after_at_once(world: World) -> None:
    blue, brown, none = await written(world, person(1, "blue"), person(2, "brown"), person(3))
    await define(world, indexed=False)
    text = refused(await world.get("/Patient?eye-colour=blue", world.source()), 503, "search-parameter-indexing")
    assert "0 %" in text
    (later,) = await written(world, person(4, "blue", "brown"))
    assert await index(world) == 4
    assert sorted(await found(world, "/Patient?eye-colour=blue")) == sorted([blue, later])
    assert sorted(await found(world, "/Patient?eye-colour=urn:c|brown")) == sorted([brown, later])
    assert await found(world, "/Patient?eye-colour:missing=true") == [none]
    assert await found(world, "/Patient?eye-colour:not=blue&eye-colour:missing=false") == [brown]
    assert await index(world) == 0


async def test_how_far_it_is_is_said_wherever_it_is_asked_for(world: World) -> None:
    await written(world, *(person(number, "blue") for number in range(10)))
    await define(world, indexed=False)
    assert await next_rows(world, 4) == 4
    response = await world.get("/Patient?eye-colour=blue", world.source(), headers={"Prefer": "handling=lenient"})
    assert "40 %" in refused(response, 503, "search-parameter-indexing")
    assert response.headers["Retry-After"]
    assert "40 %" in refused(
        await world.get("/Observation?patient.eye-colour=blue", world.source()), 503, "search-parameter-indexing"
    )
    assert len(await found(world, "/Patient?gender:missing=true")) == 10, "others are answered meanwhile"


KINDS: list[tuple[str, Json, list[str], list[str]]] = [
    ("token", {"expression": "Patient.extension('http://x.dk/eyes').value.ofType(CodeableConcept)"},
     ["p=blue", "p=urn:c|", "p:not=brown"], ["p=brown", "p=|blue"]),
    ("string", {"expression": "Patient.contact.name"},
     ["p=aage", "p:exact=Ågesen", "p:contains=gese", "_sort=p"], ["p=bo", "p:exact=aagesen"]),
    ("date", {"expression": "Patient.contact.period"},
     ["p=2026-03", "p=ge2026", "p=lt2026-06", "p:missing=false", "_sort=-p"], ["p=2027", "p=gt2026-03-31"]),
    ("number", {"expression": "Patient.multipleBirth.ofType(integer)"},
     ["p=2", "p=gt1", "_sort=p", "_sort=-p,_id"], ["p=3", "p=lt2"]),
    ("quantity", {"expression": "Patient.extension('http://x.dk/height').value.ofType(Quantity)"},
     ["p=180", "p=180||cm", "p=ge1.7|http://unitsofmeasure.org|m", "_sort=p"], ["p=179", "p=180||m"]),
    ("uri", {"expression": "Patient.photo.url"}, ["p=http://x/a/b", "p:below=http://x/a", "_sort=-p"], ["p=http://x/a"]),
    ("reference", {"expression": "Patient.contact.organization", "target": ["Organization"]},
     ["p=Organization/{org}", "p={org}", "p:Organization={org}", "p.name=%C3%86r%C3%B8", "p:Organization.name=aeroe",
      "_include=Patient:p"], ["p=Organization/other", "p.name=x"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "hits", "misses"), KINDS, ids=[row[0] for row in KINDS])
async def test_a_parameter_of_each_type_can_be_asked_for_in_every_way_its_type_has(
    world: World, kind: str, change: Json, hits: list[str], misses: list[str]
) -> None:
    (org,) = await written(world, {"resourceType": "Organization", "name": "Ærø Sygehus"})
    contact = {
        "name": {"family": "Ågesen"},
        "period": {"start": "2026-03-01", "end": "2026-03-31"},
        "organization": {"reference": f"Organization/{org}"},
    }
    tall = {"value": 180, "unit": "cm", "system": "http://unitsofmeasure.org", "code": "cm"}
    height = {"url": "http://x.dk/height", "valueQuantity": tall}
    full = person(1, contact=[contact], multipleBirthInteger=2, photo=[{"url": "http://x/a/b"}])
    (who,) = await written(world, full | {"extension": [eyes("blue"), height]})
    await define(world, {"code": "p", "type": kind, **change})
    (also,) = await written(world, full | person(2) | {"extension": [eyes("blue"), height]})
    for asked in hits:
        got = await found(world, f"/Patient?{asked.replace('{org}', org)}")
        assert {who, also} <= set(got), asked
        assert set(got) <= {who, also, org}
    for asked in misses:
        assert await found(world, f"/Patient?{asked}") == [], asked


async def test_a_value_set_is_asked_for_of_whatever_kind_the_codes_are(world: World) -> None:
    """Mere codes and codings in an extension, of which no path of JSON tells the kind."""
    coding = {"system": "http://hl7.org/fhir/administrative-gender", "code": "female"}
    said: list[Json] = [
        {"valueCode": "female"},
        {"valueCoding": coding},
        {"valueCoding": coding | {"system": "urn:other"}},
    ]
    ids = await written(world, *(person(n, extension=[{"url": EXTENSION, **one}]) for n, one in enumerate(said)))
    path = "Patient.extension('http://x.dk/eyes').value"
    await define(world, {"code": "mere", "expression": f"{path}.ofType(code)", "modifier": ["in", "not-in"]})
    await define(world, {"code": "coded", "expression": f"{path}.ofType(Coding)"})
    every = "http://hl7.org/fhir/ValueSet/administrative-gender"
    assert await found(world, f"/Patient?mere:in={every}") == [ids[0]]
    assert await found(world, f"/Patient?coded:in={every}") == [ids[1]]


async def test_links_of_a_parameter_lead_both_ways(world: World) -> None:
    (org,) = await written(world, {"resourceType": "Organization", "name": "Ærø Sygehus"})
    contact = {"organization": {"reference": f"Organization/{org}"}}
    (who,) = await written(world, person(1, "blue", contact=[contact]))
    about = {"status": "final", "code": {"text": "x"}, "subject": {"reference": f"Patient/{who}"}}
    (seen,) = await written(world, {"resourceType": "Observation", **about})
    await define(world)
    await define(world, {"code": "works-at", "type": "reference", "expression": "Patient.contact.organization"})
    for path, wanted in {
        "/Observation?subject:Patient.eye-colour=blue": [seen],
        "/Observation?patient.eye-colour=green": [],
        "/Patient?_include=Patient:works-at": [who, org],
        "/Patient?_include=*": [who, org],
        "/Organization?_revinclude=Patient:works-at": [org, who],
        "/Organization?_revinclude=*": [org, who],
        "/Patient?works-at:Organization.name=aeroe": [who],
        f"/Patient?_filter=eye-colour eq blue and works-at re Organization/{org}": [who],
        f"/Patient/{who}/Observation?patient.eye-colour=blue": [seen],
        "/?_type=Patient&eye-colour=blue": [who],
    }.items():
        assert await found(world, path) == wanted, path


async def test_a_composite_joins_what_one_element_has(world: World) -> None:
    (who,) = await written(world, person(1))
    link = {"subject": {"reference": f"Patient/{who}"}, "status": "final", "code": {"text": "x"}}

    def component(code: str, value: int) -> Json:
        return {"code": {"coding": [{"code": code}]}, "valueQuantity": {"value": value, "unit": "mm"}}

    observation = {"resourceType": "Observation", **link, "component": [component("a", 1), component("b", 2)]}
    (seen,) = await written(world, observation)
    parts = [
        {"definition": "http://hl7.org/fhir/SearchParameter/clinical-code", "expression": "code"},
        {
            "definition": "http://hl7.org/fhir/SearchParameter/Observation-value-quantity",
            "expression": "value.as(Quantity)",
        },
    ]
    stated = {"code": "part", "type": "composite", "expression": "Observation.component", "component": parts}
    await define(world, {"base": ["Observation"], **stated})
    assert await found(world, "/Observation?part=a$1") == [seen]
    assert await found(world, "/Observation?part=b$gt1") == [seen]
    assert await found(world, "/Observation?part=a$2") == []


async def test_what_belongs_to_no_patient_can_be_searched_so_too(world: World) -> None:
    names = [
        {"resourceType": "Organization", "name": f"O{n}", "contact": [{"name": {"family": f"F{n}"}}]} for n in "ab"
    ]
    first, second = await written(world, *names)
    await define(world, {"code": "asks", "base": ["Organization"], "type": "string",
                         "expression": "Organization.contact.name"})  # fmt: skip
    assert await found(world, "/Organization?asks=fb") == [second]
    assert await found(world, "/Organization?asks:missing=false&_sort=-asks") == [second, first]


async def test_a_parameter_answers_for_the_past_as_others_do(world: World) -> None:
    (who,) = await written(world, person(1, "blue"))
    await define(world)
    before = world.clock.now()
    await world.run.drain()
    world.clock.forward(hours=1)
    stands = (await world.get(f"/Patient/{who}", world.source())).json()
    changed = await world.replace(f"/Patient/{who}", world.source(), stands | {"extension": [eyes("brown")]})
    assert changed.status_code == 200, changed.text
    await world.run.drain()
    at = before.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert await found(world, f"/Patient?_id={who}&eye-colour=blue&asOf={at}") == [who]
    assert await found(world, f"/Patient?_id={who}&eye-colour=brown&asOf={at}") == []
    assert await found(world, f"/Patient?_id={who}&eye-colour=brown") == [who]


# -- who may, and what becomes of a definition


async def test_p10_only_the_system_defines(world: World) -> None:
    defined = await define(world)
    whole: Json = EYES | {"id": defined, "code": "other"}
    for who in (world.source(), world.citizen("2512489996"), world.professional("99900016001")):
        assert (await world.post("/SearchParameter", who, EYES | {"code": "mine"})).status_code == 403
        assert (
            await world.post("/SearchParameter", who, EYES | {"code": "mine", "status": "draft"})
        ).status_code == 403
        assert (await world.put(f"/SearchParameter/{defined}", who, whole)).status_code in {403, 404}
        assert (await world.http.delete(f"/fhir/SearchParameter/{defined}", headers=who)).status_code in {403, 404}
    own = "gateway.mine"
    named = await world.put(f"/SearchParameter/{own}", world.source(), EYES | {"id": own, "code": "mine"})
    refused(named, 403, "not-for-this-caller")
    assert await found(world, "/Patient?eye-colour=blue") == []


@pytest.mark.parametrize(
    ("status", "works"), [("draft", False), ("retired", False), ("unknown", False), ("active", True)]
)
async def test_only_an_active_definition_defines(world: World, status: str, works: bool) -> None:
    await define(world, {"status": status})
    response = await world.get("/Patient?eye-colour=blue", world.source())
    assert response.status_code == (200 if works else 400)


async def test_a_draft_may_say_what_it_likes(world: World) -> None:
    await define(world, {"status": "draft", "code": "gender", "expression": "nothing.(yet"})


async def test_a_definition_that_cannot_work_is_refused_whole(world: World) -> None:
    response = await world.post("/SearchParameter", world.system(), EYES | {"expression": "Patient.gendre"})
    assert "gendre" in refused(response, 422, "search-parameter-invalid")
    assert response.json()["issue"][0]["expression"] == ["SearchParameter.expression"]
    assert await found(world, "/SearchParameter") == []


async def test_a_code_is_defined_once_in_a_type(world: World) -> None:
    await define(world)
    again = {"base": ["Practitioner", "Patient"], "expression": "Patient.gender | Practitioner.gender"}
    response = await world.post("/SearchParameter", world.system(), EYES | again)
    assert "SearchParameter/" in refused(response, 422, "search-parameter-taken")
    await define(world, {"base": ["Practitioner"], "expression": "Practitioner.gender"})


@pytest.mark.parametrize("way", ["retired", "deleted", "other code", "other base"])
async def test_what_is_withdrawn_is_no_parameter_any_more(world: World, way: str) -> None:
    await written(world, person(1, "blue"))
    identifier = await define(world)
    path = f"/SearchParameter/{identifier}"
    elsewhere = {"base": ["Practitioner"], "expression": "Practitioner.gender"}
    change: dict[str, Json] = {
        "retired": {"status": "retired"},
        "other code": {"code": "iris"},
        "other base": elsewhere,
    }
    if way == "deleted":
        response = await world.http.delete(f"/fhir{path}", headers=world.system())
    else:
        response = await world.put(path, world.system(), EYES | {"id": identifier} | change[way])
    assert response.status_code in {200, 204}, response.text
    gone = await world.get("/Patient?eye-colour=blue", world.source())
    refused(gone, 400, "search-parameter-unknown")
    await index(world)
    rows = await world.run.database.fetch("select type, place, indexed from search_place")
    assert all(row.indexed for row in rows)
    assert len(rows) == (0 if way in {"retired", "deleted"} else 1), "its place is free again"


async def test_another_meaning_is_another_parameter_and_finds_nothing_of_the_old_one(world: World) -> None:
    blue, brown = await written(world, person(1, "blue"), person(2, gender="male"))
    identifier = await define(world)
    told = EYES | {"id": identifier, "description": "Says more."}
    assert (await world.put(f"/SearchParameter/{identifier}", world.system(), told)).status_code == 200
    assert await found(world, "/Patient?eye-colour=blue") == [blue], "the same meaning needs no indexing"
    meant = EYES | {"id": identifier, "expression": "Patient.gender"}
    assert (await world.put(f"/SearchParameter/{identifier}", world.system(), meant)).status_code == 200
    refused(await world.get("/Patient?eye-colour=blue", world.source()), 503, "search-parameter-indexing")
    await index(world)
    assert await found(world, "/Patient?eye-colour=blue") == []
    assert await found(world, "/Patient?eye-colour=male") == [brown]


async def test_a_type_has_room_for_so_many_and_what_is_withdrawn_makes_room(world: World) -> None:
    ids = [await define(world, {"code": f"p{n}", "expression": "Patient.gender"}, indexed=False) for n in range(12)]
    one_more = EYES | {"code": "p12"}
    refused(await world.post("/SearchParameter", world.system(), one_more), 422, "search-parameter-limit")
    await world.http.delete(f"/fhir/SearchParameter/{ids[3]}", headers=world.system())
    refused(await world.post("/SearchParameter", world.system(), one_more), 422, "search-parameter-limit")
    await index(world)
    assert (await world.post("/SearchParameter", world.system(), one_more)).status_code == 201
    (who,) = await written(world, person(1, gender="male"))
    await index(world)
    for n in {*range(12)} - {3}:
        assert await found(world, f"/Patient?p{n}=male&p{n}:missing=false") == [who]


async def test_a_bundle_defines_and_writes_in_one_transaction(world: World) -> None:
    def entry(resource: Json) -> Json:
        return {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}

    entries = [entry(person(1, "blue")), entry(EYES), entry(person(2, "blue"))]
    body = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    response = await world.post("", world.system(), body)
    assert response.status_code == 200, response.text
    await index(world)
    assert len(await found(world, "/Patient?eye-colour=blue", world.system())) == 2


async def test_the_statement_lists_what_can_be_asked_for_now(world: World) -> None:
    async def stated() -> dict[str, Json]:
        rest = (await world.http.get("/fhir/metadata")).json()["rest"][0]["resource"]
        params = next(r for r in rest if r["type"] == "Patient")["searchParam"]
        return {param["name"]: param for param in params}

    assert "eye-colour" not in await stated()
    await define(world, indexed=False)
    assert "eye-colour" not in await stated()
    await index(world)
    assert (await stated())["eye-colour"] == {"name": "eye-colour", "type": "token", "definition": EYES["url"]}


async def test_many_who_ask_for_the_statement_at_once_read_the_definitions_once(world: World) -> None:
    """It is open to everyone: no crowd takes the connections that others need."""
    with counting() as sent:
        await asyncio.gather(*(world.http.get("/fhir/metadata") for _ in range(20)))
    assert len(sent) == 1


async def test_how_far_each_is_can_be_asked(world: World) -> None:
    async def told() -> list[dict[str, Any]]:
        response = await world.get("/SearchParameter/$indexing", world.system())
        assert response.status_code == 200, response.text
        parts = [{p["name"]: p for p in one["part"]} for one in response.json().get("parameter", [])]
        return [{name: next(v for k, v in p.items() if k != "name") for name, p in one.items()} for one in parts]

    assert await told() == []
    await written(world, *(person(number, "blue") for number in range(4)))
    base = {"base": ["Practitioner", "Patient"], "expression": "Patient.gender | Practitioner.gender"}
    await define(world, base, indexed=False)
    await next_rows(world, 3)
    shared = {"code": "eye-colour", "definition": EYES["url"]}
    assert await told() == [
        {"base": "Patient", "percent": 75, "searchable": False, **shared},
        {"base": "Practitioner", "percent": 0, "searchable": False, **shared},
    ]
    await index(world)
    assert [one["searchable"] for one in await told()] == [True, True]
    assert (await world.get("/SearchParameter/$indexing", world.citizen("2512489996"))).status_code == 403


async def test_a_condition_can_ask_by_it(world: World) -> None:
    await define(world)
    (who,) = await written(world, person(1, "blue"))
    again = await world.post(
        "/Patient", world.source(), person(2, "blue"), headers={"If-None-Exist": "eye-colour=blue"}
    )
    assert (again.status_code, again.json()["id"]) == (200, who)
    await define(world, {"code": "iris"}, indexed=False)
    changed = await world.post("/Patient", world.source(), person(3), headers={"If-None-Exist": "eye-colour=green"})
    refused(changed, 503, "search-parameter-indexing")


async def test_hidden_is_as_absent(world: World) -> None:
    """Another source's patient with the value, and none at all: the same bytes."""
    await define(world)
    paths = ["/Patient?eye-colour=blue", "/Patient?eye-colour=blue&_summary=count", "/Patient?eye-colour:missing=true",
             "/Observation?patient.eye-colour=blue", "/Patient?_sort=birthdate&eye-colour:not=green"]  # fmt: skip
    absent = [(await world.get(path, world.source("one"))).content for path in paths]
    await written(world, person(1, "blue"), who=world.source("other"))
    hidden = [(await world.get(path, world.source("one"))).content for path in paths]
    assert hidden == absent
    assert len(await found(world, paths[0], world.source("other"))) == 1
