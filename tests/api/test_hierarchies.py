"""`:above` and `:below` of references (https://hl7.org/fhir/R4/search.html#recursive), level by level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overblik.store.database import counting
from overblik.trust.door import hierarchies
from tests.conftest import NOW
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, SIBLING, about, deny, encounter, stage, write

if TYPE_CHECKING:
    import pytest

    from tests.conftest import World


async def visits(world: World) -> dict[str, str]:
    """Write a stay with a part that has a part, an Observation at each, and another stay; return ids by name."""
    names = {"patient": await stage(world)}
    above = ""
    for name in ("stay", "part", "hour"):
        body = encounter(DEPARTMENT, NOW - DAY, NOW)
        names[name] = await write(world, body | ({"partOf": {"reference": f"Encounter/{above}"}} if above else {}))
        above = names[name]
        await write(world, measured(name, above))
    await write(world, measured("other", await write(world, encounter(DEPARTMENT, NOW - DAY, NOW))))
    await world.run.drain()
    return names


def measured(name: str, visit: str) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "subject": about(), "code": {"text": name},
            "encounter": {"reference": f"Encounter/{visit}"}}  # fmt: skip


async def found(world: World, path: str, who: dict[str, str]) -> list[str]:
    response = await world.get(f"/{path}", who)
    assert response.status_code == 200, (path, response.text)
    entries = response.json().get("entry", [])
    return sorted(e["resource"].get("code", {}).get("text", e["resource"]["id"]) for e in entries)


async def code_of(world: World, path: str) -> tuple[int, str]:
    response = await world.get(f"/{path}", world.source())
    return response.status_code, response.json()["issue"][0]["details"]["coding"][0]["code"]


async def test_what_is_hidden_links_nothing(world: World) -> None:
    names = await visits(world)
    nurse, citizen = world.professional(DEPARTMENT), world.citizen(CPR)
    ways = {
        "Observation?encounter:below={stay}": ["hour", "part", "stay"],
        "Observation?encounter:below=Encounter/{part}": ["hour", "part"],
        "Observation?encounter:above={hour}": ["hour", "part", "stay"],
        "Observation?encounter:above={part}": ["part", "stay"],
        "Observation?encounter:below={hour}": ["hour"],
        "Observation?encounter:below={hour},{part}": ["hour", "part"],
        "Encounter?part-of:below={stay}&_has:Observation:encounter:status=final": [names["hour"], names["part"]],
        "Patient?_has:Observation:subject:encounter:below={stay}": [names["patient"]],
        "Observation?encounter.part-of:above={part}": ["hour", "part"],
        "Observation?encounter:below=none": [],
    }
    for path, expected in ways.items():
        for who in (nurse, citizen, world.source(), world.system()):
            assert await found(world, path.format(**names), who) == sorted(expected), path
        for stranger in (world.professional(SIBLING), world.citizen(OTHER)):
            assert await found(world, path.format(**names), stranger) == [], path
    place = await world.run.door.locate("Encounter", names["part"])
    await deny(world, names["patient"], rid=place.rid)
    assert await found(world, f"Observation?encounter:below={names['stay']}", nurse) == ["stay"]
    assert await found(world, f"Observation?encounter:above={names['hour']}", nurse) == ["hour"]
    assert await found(world, f"Observation?encounter:below={names['stay']}", citizen) == ["hour", "part", "stay"]


async def test_each_level_is_a_statement_and_has_a_log_entry(world: World) -> None:
    names = await visits(world)
    nurse, path = world.professional(DEPARTMENT), f"/Observation?encounter:below={names['stay']}"
    await world.get(path, nurse)
    with counting() as sent:
        answer = await world.get(path, nurse)
    assert len([text for text in sent if "from resource" in text]) == 4  # three levels, the last empty; the search
    text = "select query, cardinality(rids) as shown from access_log where request = %(request)s"
    rows = await world.run.database.fetch(text, {"request": answer.headers["x-request-id"]})
    told = sorted((row.query.partition("?")[0], row.shown) for row in rows)
    assert told == [("Encounter", 0), ("Encounter", 1), ("Encounter", 1), ("Observation", 3)]


async def test_what_cannot_be_followed_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    names = await visits(world)
    unreadable = (400, "search-value-invalid")
    for path, expected in {
        "Observation?performer:above=Practitioner/1": unreadable,
        "Observation?encounter:below=Observation/1": unreadable,
        "Observation?encounter:below=http://elsewhere/fhir/Encounter/1": (200, ""),
        "Observation?encounter:above=http://elsewhere/fhir/Encounter/1": unreadable,
        "Observation?derived-from:above=1": (400, "search-parameter-unknown"),
        "CarePlan?replaces:above=1": (400, "search-parameter-unknown"),
        f"Observation?encounter:below={','.join('abcdefghijklmnopqrstu')}": (400, "search-too-long"),
        f"Observation?patient={names['patient']}&asOf=2026-11-01&encounter:below=1": (400, "as-of-of-whom"),
    }.items():
        if expected[0] == 200:
            assert await found(world, path, world.source()) == []
        else:
            assert await code_of(world, path) == expected, path
    written = await world.post("/Observation", world.source(), measured("x", names["stay"]),
                               headers={"If-None-Exist": f"encounter:below={names['stay']}"})  # fmt: skip
    assert (written.status_code, "name the resources" in written.text) == (400, True)
    monkeypatch.setattr(hierarchies, "MOST_NODES", 2)
    assert await code_of(world, f"Observation?encounter:below={names['stay']}") == (422, "hierarchy-too-large")
    assert await code_of(world, f"Observation?encounter:above={names['hour']}") == (422, "hierarchy-too-large")


async def test_a_circle_ends(world: World) -> None:
    for name, above in (("a", "b"), ("b", "a"), ("c", "a")):
        body = {"resourceType": "Location", "id": f"acme.{name}", "partOf": {"reference": f"Location/acme.{above}"}}
        assert (await world.put(f"/Location/acme.{name}", world.source("acme"), body)).is_success
    below = await found(world, "Location?partof:below=acme.a", world.source("acme"))
    assert below == ["acme.a", "acme.b", "acme.c"]
    assert await found(world, "Location?partof:above=acme.c", world.source("acme")) == below[:2] + below[2:]
