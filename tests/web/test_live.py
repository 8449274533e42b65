"""Open pages: what is taken from a viewer calls the page; what is hidden from them, and what is new, says nothing."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from overblik.demo.cast import INGER, NURSE, SURGEON
from overblik.trust.keys.seal import Seal
from overblik.trust.live.seen import opened
from tests.trust.consents import consent, deny, of_type, unit
from tests.web.browse import Tab, document, sign_in, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from overblik.trust.live.watching import Watched
    from tests.conftest import World


def mark_of(page: httpx.Response) -> str:
    """Return the mark that a page was rendered with."""
    address = str(document(page).xpath("string(//meta[@name='live']/@content)"))
    return address.partition("?mark=")[2]


@contextmanager
def watching(world: World, page: httpx.Response, session: Any) -> Iterator[Watched]:
    """Watch a page of a tab as its stream does."""
    seen = opened(Seal(world.run.keyring.key("seen")), mark_of(page), session.caller)
    assert seen is not None
    with world.run.watcher.watching(session, seen) as watched:
        yield watched


async def session_of(world: World, tab: Tab) -> Any:
    cookie = {c.path: c.value for c in world.http.cookies.jar}[tab.base + "/"]
    assert cookie
    return await world.run.sessions.peek(tab.base.removeprefix("/s/"), cookie)


async def called(world: World, watched: Watched) -> bool:
    await world.run.watcher.look()
    return watched.again


async def block(world: World, who: str = NURSE.unit.sor, *parts: dict[str, Any]) -> None:
    said = await world.post("/Consent", world.citizen(INGER.cpr), consent(deny(unit(who), *parts), INGER.cpr))
    assert said.status_code == 201, said.text


PAGES = ["patient", "/", "/relations", "raw", "block"]


async def open_page(tab: Tab, name: str) -> httpx.Response:
    if name.startswith("/"):
        return await tab.get(name)
    page = await tab.open(INGER.cpr)
    if name == "block":
        return await tab.get(str(page.url.path).removeprefix(tab.base) + "/block")
    if name == "raw":
        link = document(page).xpath("//a[contains(@href, '/raw/')]/@href")[0]
        return await tab.get(str(link).removeprefix(tab.base))
    return page


async def test_z36_what_is_taken_calls_every_page_that_shows_it_and_no_other(world: World) -> None:
    await told(world)
    nurse, surgeon = await sign_in(world, NURSE.claims()), await sign_in(world, SURGEON.claims())
    session = await session_of(world, nurse)
    with ExitStack() as stack:
        mine = {n: stack.enter_context(watching(world, await open_page(nurse, n), session)) for n in PAGES}
        other = await surgeon.open(INGER.cpr)
        beside = stack.enter_context(watching(world, other, await session_of(world, surgeon)))
        await world.run.watcher.look()
        assert not [name for name, page in mine.items() if page.again]
        await block(world)
        await world.run.watcher.look()
        assert [name for name, page in mine.items() if page.again] == PAGES
        assert not beside.again


async def test_z36_a_message_that_is_blocked_by_itself_calls_the_page_that_shows_it(world: World) -> None:
    await told(world)
    nurse = await sign_in(world, NURSE.claims())
    session = await session_of(world, nurse)
    page = await open_page(nurse, "raw")
    with watching(world, page, session) as raw:
        assert not await called(world, raw)
        await block(world, NURSE.unit.sor, of_type("CarePlan"))
        assert await called(world, raw)


async def test_the_stream_says_again_and_nothing_else(world: World) -> None:
    """It ends with what it says, does not keep a session in use, and closes when the person signs out."""
    await told(world)
    nurse = await sign_in(world, NURSE.claims())
    mark = mark_of(await nurse.open(INGER.cpr))
    await world.run.database.run("update session set seen_at = seen_at - interval '20 minutes'")
    stream = asyncio.create_task(nurse.get("/live", params={"mark": mark}))
    async with asyncio.timeout(60):
        while not world.run.watcher.pages:  # noqa: ASYNC110 - the stream is the server's own; it tells nobody
            await asyncio.sleep(0)
    await world.run.watcher.look()
    await block(world)
    await world.run.watcher.look()
    answer = await stream
    assert answer.text == "retry: 1000\n: watching\n\ndata: again\n\n"
    assert answer.headers["cache-control"] == "no-store, private"
    assert world.run.watcher.pages == 0
    rows = await world.run.database.fetch("select now() - seen_at > interval '19 minutes' as unused from session")
    assert [row.unused for row in rows] == [True]
