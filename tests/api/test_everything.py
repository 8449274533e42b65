"""$everything, $lastn and $meta: the whole of a record, its newest results, and what is said about a resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import NOW
from tests.trust.stage import (
    CPR,
    DAY,
    DEPARTMENT,
    OTHER,
    SIBLING,
    about,
    deny,
    encounter,
    patient,
    stage,
    write,
)

if TYPE_CHECKING:
    from tests.conftest import World

NPU = "http://npu-terminology.org"


def observation(code: str, when: str, *more: tuple[str, str], **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": NPU, "code": code}, *({"system": s, "code": c} for s, c in more)]},
        "subject": about(),
        "effectiveDateTime": when,
        **rest,
    }


async def record(world: World) -> tuple[str, dict[str, str]]:
    """Write one record of four resources and another patient's; return the Patient's id and the ids by name."""
    identifier = await stage(world)
    unit = (await world.get(f"/Organization?identifier={DEPARTMENT}", world.system())).json()["entry"][0]["resource"]
    early = encounter(DEPARTMENT, NOW - 30 * DAY, NOW - 29 * DAY)
    ids = {
        "patient": identifier,
        "early": await write(world, early | {"serviceProvider": {"reference": f"Organization/{unit['id']}"}}),
        "contact": await write(world, encounter(DEPARTMENT, NOW - DAY, None)),
        "unit": unit["id"],
    }
    await world.run.drain()
    world.clock.forward(hours=1)
    ids["result"] = await write(world, observation("NPU02319", "2026-11-20"))
    undated = {"resourceType": "AllergyIntolerance", "patient": about()}
    ids["allergy"] = await write(world, undated)
    await write(world, patient(OTHER))
    await world.run.drain()
    return identifier, ids


def names(answer: dict[str, Any], ids: dict[str, str], mode: str = "match") -> set[str]:
    by_id = {identifier: name for name, identifier in ids.items()}
    return {by_id[e["resource"]["id"]] for e in answer.get("entry", []) if e["search"]["mode"] == mode}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "patient early contact result allergy"),
        ("?_type=Encounter", "early contact"),
        ("?_type=Encounter,Patient", "patient early contact"),
        ("?_since=2026-11-23T09:30:00Z", "result allergy"),
        ("?start=2026-11-01", "patient contact result allergy"),
        ("?end=2026-11-01", "patient early allergy"),
        ("?start=2026-11-20&end=2026-11-20", "patient result allergy"),
        ("?_type=Goal", ""),
    ],
)
async def test_everything_gives_the_part_asked_for(world: World, query: str, expected: str) -> None:
    identifier, ids = await record(world)
    response = await world.get(f"/Patient/{identifier}/$everything{query}", world.source())
    assert response.status_code == 200, response.text
    assert names(response.json(), ids) == set(expected.split())
    parameters = [
        {"name": name, "valueString": value}
        for name, _, value in (pair.partition("=") for pair in query[1:].split("&") if pair)
    ]
    body = {"resourceType": "Parameters", **({"parameter": parameters} if parameters else {})}
    posted = await world.post(f"/Patient/{identifier}/$everything", world.source(), body)
    assert names(posted.json(), ids) == set(expected.split())


async def test_everything_comes_in_pages_with_the_patient_first_and_what_it_refers_to(world: World) -> None:
    identifier, ids = await record(world)
    link = f"/Patient/{identifier}/$everything?_count=2"
    found: list[str] = []
    referred: set[str] = set()
    while link:
        page = (await world.get(link, world.source())).json()
        found += [e["resource"]["id"] for e in page["entry"] if e["search"]["mode"] == "match"]
        referred |= names(page, ids, "include")
        following = [item["url"] for item in page["link"] if item["relation"] == "next"]
        link = following[0].removeprefix("http://test/fhir") if following else ""
    assert found[0] == identifier
    assert len(found) == len(set(found)) == 5
    assert referred == {"unit"}


async def test_everything_is_what_the_caller_may_see(world: World) -> None:
    identifier, ids = await record(world)
    await deny(world, identifier, type="Observation")
    seen = await world.get(f"/Patient/{identifier}/$everything", world.professional(DEPARTMENT))
    assert names(seen.json(), ids) == {"patient", "early", "contact", "allergy"}
    own = await world.get(f"/Patient/{identifier}/$everything", world.citizen(CPR))
    assert "result" in names(own.json(), ids)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("_type=Nonsense", "resource-type-unknown"),
        ("_since=x", "date-invalid"),
        ("_count=x", "search-value-invalid"),
        ("nonsense=1", "parameter-unknown"),
        ("_cursor=x", "cursor-invalid"),
    ],
)
async def test_everything_refuses_what_it_does_not_understand(world: World, query: str, code: str) -> None:
    response = await world.get(f"/Patient/x/$everything?{query}", world.system())
    assert response.status_code == 400
    assert response.json()["issue"][0]["details"]["coding"][0]["code"] == code


SAME = ("http://loinc.org", "2160-0")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "e b c"),
        ("&max=2", "e d b a c"),
        ("&max=9", "e d b a c"),
        ("&code=A", "b"),
        (f"&code={NPU}|C,B", "d c"),
        ("&code=other|A", ""),
        ("&category=vital-signs", "c"),
        ("&category=laboratory", ""),
    ],
)
async def test_lastn_gives_the_newest_of_each_code(world: World, query: str, expected: str) -> None:
    identifier = await stage(world)
    category = [{"coding": [{"system": "http://x", "code": "vital-signs"}]}]
    bodies = {
        "a": observation("A", "2026-11-01"),
        "b": observation("A", "2026-11-02T10:00:00+01:00"),
        "c": observation("B", "2026-10-01", category=category),
        "d": observation("C", "2026-09-01", SAME),
        "e": observation("D", "2026-09-02", SAME),
    }
    ids = {name: await write(world, body) for name, body in bodies.items()}
    response = await world.get(f"/Observation/$lastn?patient={identifier}{query}", world.citizen(CPR))
    assert response.status_code == 200, response.text
    by_id = {identifier: name for name, identifier in ids.items()}
    assert [by_id[e["resource"]["id"]] for e in response.json().get("entry", [])] == expected.split()


async def test_lastn_logs_what_it_discloses_and_nothing_that_it_looked_through(world: World) -> None:
    identifier = await stage(world)
    ids = [await write(world, observation("A", f"2026-11-0{day}")) for day in (1, 2, 3)]
    await world.get(f"/Observation/$lastn?patient={identifier}", world.citizen(CPR))
    rows = await world.run.database.fetch(
        "select r.id from access_log a, unnest(a.rids) x(rid) join resource r on r.rid = x.rid where a.action = 'lastn'"
    )
    assert [row.id for row in rows] == ids[2:]


async def test_lastn_needs_one_patient(world: World) -> None:
    for query in ("", "?code=x", "?patient=Group/x", "?patient=a&patient=b"):
        assert (await world.get(f"/Observation/$lastn{query}", world.system())).status_code == 400


async def test_a_stranger_learns_nothing_from_an_operation(world: World) -> None:
    identifier, _ = await record(world)
    stranger = world.professional(SIBLING)
    for path in ("/Patient/{}/$everything", "/Observation/$lastn?patient={}", "/Patient/{}/$meta"):
        real, absent = [await world.get(path.format(i), stranger) for i in (identifier, "0" * 32)]
        assert (real.status_code, real.content) == (404, absent.content)


async def test_meta_is_that_of_the_resource_or_the_version(world: World) -> None:
    tag = {"system": "http://example.org", "code": "t"}
    identifier = await write(world, {**patient(), "meta": {"tag": [tag]}})
    await world.put(f"/Patient/{identifier}", world.source(), {**patient(), "id": identifier})
    now = (await world.get(f"/Patient/{identifier}/$meta", world.source())).json()
    assert now["parameter"][0]["name"] == "return"
    assert now["parameter"][0]["valueMeta"]["versionId"] == "2"
    first = (await world.get(f"/Patient/{identifier}/_history/1/$meta", world.source())).json()
    assert first["parameter"][0]["valueMeta"]["tag"] == [tag]
