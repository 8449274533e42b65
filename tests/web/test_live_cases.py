"""Open pages, one after another: how a session, a relation, a mandate and a row may end, and what must say nothing."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from overblik.demo.cast import INGER, STRANGER, SURGEON
from overblik.store.database import counting
from overblik.trust.live.watching import MOST_OF_SESSION
from tests.trust.consents import of_type
from tests.web.browse import CITIZEN, FOUR, document, sign_in, told
from tests.web.test_live import block, called, mark_of, session_of, watching
from tests.web.test_proxies import DAUGHTER, HERSELF, act

if TYPE_CHECKING:
    from tests.conftest import World


async def test_what_is_hidden_and_what_is_new_says_nothing(world: World) -> None:
    """S16: a page is not called by what its viewer cannot see, before, during or after; nor by what came since."""
    await told(world)
    await block(world, SURGEON.unit.sor, of_type("Appointment"))
    surgeon = await sign_in(world, SURGEON.claims())
    page = await surgeon.open(INGER.cpr)
    with watching(world, page, await session_of(world, surgeon)) as watched:
        assert not await called(world, watched)
        await told(world, "acceptance", after="discharge")
        assert not await called(world, watched)
        await block(world, STRANGER.unit.sor)
        assert not await called(world, watched)


ENDS: list[tuple[str, str]] = [
    ("signed out", "/sign-out"),
    ("signed out everywhere", "/sign-out everywhere"),
    ("idle", "seen_at"),
    ("eight hours", "expires_at"),
]


@pytest.mark.parametrize(("what", "how"), ENDS, ids=[row[0] for row in ENDS])
async def test_a_session_that_ends_calls_its_pages(world: World, what: str, how: str) -> None:
    await told(world, "background")
    tab = await sign_in(world, CITIZEN)
    page, session = await tab.get(), await session_of(world, tab)
    with watching(world, page, session) as watched:
        assert not await called(world, watched), what
        if how.startswith("/"):
            path, _, everywhere = how.partition(" ")
            await tab.post(path, {"everywhere": everywhere})
        else:
            past = {"seen_at": "update session set seen_at = '2000-01-01'"}
            past["expires_at"] = "update session set expires_at = '2000-01-01'"
            await world.run.database.run(past[how])
        assert await called(world, watched)
    assert (await tab.get("/live")).status_code == 401


async def test_a_relation_that_ends_by_the_clock_calls_the_page(world: World) -> None:
    await told(world)
    stranger = await sign_in(world, STRANGER.claims())
    await stranger.post("/break-glass", {"cpr": INGER.cpr, "reason": "Bevidstløs i modtagelsen"})
    page = await stranger.open(INGER.cpr)
    with watching(world, page, await session_of(world, stranger)) as watched:
        assert not await called(world, watched)
        world.clock.forward(minutes=59)
        assert not await called(world, watched)
        world.clock.forward(minutes=1)
        assert await called(world, watched)


async def test_the_past_is_watched_by_todays_rules(world: World) -> None:
    await told(world)
    await world.run.drain()
    surgeon = await sign_in(world, SURGEON.claims())
    page = await surgeon.open(INGER.cpr)
    world.clock.forward(hours=1)
    past = await world.http.get(page.url.path, params={"asOf": world.clock.now().date().isoformat()})
    with watching(world, past, await session_of(world, surgeon)) as watched:
        assert not await called(world, watched)
        await block(world, SURGEON.unit.sor, of_type("CarePlan"))
        assert await called(world, watched)


async def test_a_mandate_taken_back_calls_the_pages_of_who_held_it(world: World) -> None:
    await told(world, "background")
    citizen = await sign_in(world, CITIZEN)
    given = await citizen.post("/proxies/grant", {"cpr": DAUGHTER, "name": "Kirsten", "how": "whole"})
    tab = await act(await sign_in(world, HERSELF))
    session = await session_of(world, tab)
    pages = [await tab.get(path) for path in ("/", "/log")]
    with watching(world, pages[0], session) as watched, watching(world, pages[1], session) as log:
        assert not await called(world, watched)
        assert not log.again
        identifier = document(given).xpath("string(//section[@id='given']//input[@name='id']/@value)")
        await citizen.post("/blocks/end", {"id": str(identifier), "page": "proxies"})
        assert await called(world, watched)
        assert log.again


async def test_a_look_is_one_statement_and_one_more_where_something_was_written(world: World) -> None:
    await told(world)
    tabs = [await sign_in(world, who) for who in FOUR.values()]
    pages = [await tab.get() for tab in tabs]
    sessions = [await session_of(world, tab) for tab in tabs]
    with ExitStack() as stack:
        for page, session in zip(pages * 5, sessions * 5, strict=True):
            stack.enter_context(watching(world, page, session))
        await world.run.watcher.look()
        with counting() as sent:
            await world.run.watcher.look()
        assert len(sent) == 1
        await block(world)
        with counting() as sent:
            await world.run.watcher.look()
        assert len(sent) == 3  # of citizens, and of professionals


async def test_a_mark_is_its_viewers_own_and_a_session_has_so_many_pages(world: World) -> None:
    await told(world, "background")
    citizen, surgeon = await sign_in(world, CITIZEN), await sign_in(world, SURGEON.claims())
    mark = mark_of(await citizen.get())
    for text in (mark, mark[:-2], "x" * 5000):
        assert (await surgeon.get("/live", params={"mark": text})).status_code == 400
    session = await session_of(world, surgeon)
    with ExitStack() as stack:
        for _ in range(MOST_OF_SESSION):
            stack.enter_context(world.run.watcher.watching(session, ()))
        assert (await surgeon.get("/live")).status_code == 429
    assert (await world.http.head(surgeon.base + "/live")).headers["content-type"] == "text/event-stream"
