"""Counted searches: what is counted is what the caller may see, and whoever is counted has an entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.store.database import counting
from tests.api.test_search import BO, BOS, INGE, OBSERVATIONS, TABLE, found, write

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World

OWN = OBSERVATIONS.keys() - BOS


async def entries(world: World, response: httpx.Response) -> list[Any]:
    """Return the log entries of one request."""
    text = "select pid, action, outcome, rule, query, rids from access_log where request = %(request)s order by pid"
    return await world.run.database.fetch(text, {"request": response.headers["x-request-id"]})


async def test_every_way_to_count_gives_the_number_of_what_is_found(world: World) -> None:
    names = await write(world)
    for path, expected in TABLE:
        mark = "&" if "?" in path else "?"
        wanted = len(expected.split())
        for asked in ("_summary=count", "_count=0", "_count=1&_total=accurate", "_count=1&_total=estimate"):
            bundle = (await world.get(f"/{path}{mark}{asked}", world.source())).json()
            assert bundle["total"] == wanted, (path, asked)
            assert len(bundle.get("entry", [])) == (min(1, wanted) if "_total" in asked else 0)
        one = (await world.get(f"/{path}{mark}_total=none", world.source())).json()
        assert "total" not in one
        assert sorted(await found(world, names, f"{path}{mark}_count=2&_total=accurate")) == expected.split()


@pytest.mark.parametrize(("cpr", "own"), [(INGE, OWN), (BO, BOS), ("0101010101", set())])
async def test_s01_a_total_counts_only_what_may_be_seen(world: World, cpr: str, own: set[str]) -> None:
    await write(world)
    for path, expected in TABLE:
        if path.startswith("Observation"):
            mark = "&" if "?" in path else "?"
            wanted = len(own & set(expected.split()))
            for asked in ("_summary=count", "_total=accurate"):
                bundle = (await world.get(f"/{path}{mark}{asked}", world.citizen(cpr))).json()
                assert bundle["total"] == wanted, (path, asked)


async def test_the_total_stands_on_the_first_page_and_links_say_so(world: World) -> None:
    await write(world)
    first = (await world.get("/Observation?_count=2&_total=accurate", world.source())).json()
    self, following = (link["url"].removeprefix("http://test/fhir") for link in first["link"])
    assert self == "/Observation?_count=2&_total=accurate"
    assert "_total" not in following
    assert "total" not in (await world.get(following, world.source())).json()
    full = (await world.get("/Observation?status=final&_count=5&_total=accurate", world.source())).json()
    assert (full["total"], [link["relation"] for link in full["link"]]) == (5, ["self"])
    again = (await world.get(f"{following}&_total=accurate", world.source())).json()
    assert "total" not in again


async def test_a_count_is_logged_for_every_patient_it_counts_and_names_no_resource(world: World) -> None:
    await write(world)
    for asked in ("_summary=count", "_count=0"):
        logged = await entries(world, await world.get(f"/Observation?{asked}&code=W,L", world.source()))
        assert [(e.action, e.outcome, e.rule, e.rids) for e in logged] == [("count", "permit", "own delivery", [])] * 2
        assert sorted(e.query for e in logged) == ["Observation?code=W%2CL #2", "Observation?code=W%2CL #2"]
    (none,) = await entries(world, await world.get("/Observation?_summary=count&code=absent", world.source()))
    assert (none.pid, none.rule, none.query) == (0, "no match", "Observation?code=absent #0")


async def test_a_search_that_finds_nothing_is_logged_once_and_one_of_nobody_never(world: World) -> None:
    await write(world)
    found = [
        await world.get(path, world.source()) for path in ("/Observation?code=absent", "/Organization?name=absent")
    ]
    (none,) = await entries(world, found[0])
    assert (none.pid, none.action, none.rule, none.query) == (0, "search", "no match", "Observation?code=absent")
    assert await entries(world, found[1]) == []
    assert [row.action for row in await entries(world, await world.get("/Observation?code=W", world.source()))] == [
        "search"
    ] * 2


async def test_a_total_beside_a_page_is_logged_for_those_who_are_not_on_the_page_too(world: World) -> None:
    await write(world)
    page = await world.get("/Observation?_count=1&_total=accurate", world.source())
    logged = await entries(world, page)
    assert sorted(len(e.rids) for e in logged) == [0, 1]
    assert {e.query for e in logged} == {"Observation?_total=accurate"}
    plain = await entries(world, await world.get("/Observation?_count=1", world.source()))
    assert [len(e.rids) for e in plain] == [1]


async def test_beyond_the_limit_nothing_is_told_and_nobody_is_logged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(world)
    for name in ("MOST_COUNTED", "MOST_ESTIMATED"):
        monkeypatch.setattr(f"overblik.trust.door.searching.{name}", 5)
    for asked in ("_summary=count", "_total=accurate&_count=1"):
        refused = await world.get(f"/Observation?{asked}", world.source())
        assert refused.status_code == 422
        assert refused.json()["issue"][0]["details"]["coding"][0]["code"] == "count-too-large"
        assert sum(not e.rids for e in await entries(world, refused)) == 0
    rough = await world.get("/Observation?_total=estimate&_count=1", world.source())
    assert (rough.status_code, "total" in rough.json()) == (200, False)
    assert len(await entries(world, rough)) == 1
    for asked in ("_total=estimate", "_total=accurate", "_summary=count"):
        assert (await world.get(f"/Observation?{asked}&status=final", world.source())).json()["total"] == 5


async def test_a_count_is_one_statement(world: World) -> None:
    await write(world)
    for path in ("/Observation?_summary=count", "/Observation?_total=accurate", "/Organization?_summary=count"):
        await world.get(path, world.source())
        with counting() as sent:
            assert (await world.get(path, world.source())).status_code == 200
        assert len([text for text in sent if "resource" in text]) == len(sent) - 1 == 1, path  # one names the source
