"""A server that is lost in the middle of an exchange: whoever waits is told, and the next one finds it again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import uvloop

from overblik.fhir.errors import Unavailable
from overblik.store import wire as wires
from overblik.store.lanes import Lane
from overblik.store.pool import Pool
from overblik.store.server import require_usable
from overblik.store.wire import Command, Wire, prepared
from tests.folders import open_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.conftest import Clones

    Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
SLOW = "select pg_sleep(20)::text as x"


class Between:
    """Stands between a client and PostgreSQL, and cuts them off as a fault does."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._ends: list[asyncio.StreamWriter] = []
        self._pumps: list[asyncio.Task[None]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass everything on, both ways."""
        there, on = await asyncio.open_unix_connection(self._target)
        self._ends += [writer, on]
        self._pumps += [asyncio.create_task(_pump(reader, on)), asyncio.create_task(_pump(there, writer))]

    def fall_silent(self) -> None:
        """Pass nothing on any more, and close nothing."""
        for pump in self._pumps:
            pump.cancel()
        for end in self._ends:
            end.transport.pause_reading()  # type: ignore[attr-defined]

    def close(self) -> None:
        """Close every connection without a word; of what fell silent before, something was never read."""
        for end in self._ends:
            end.close()
        self._ends.clear()

    async def end(self) -> None:
        """Close everything, and wait for it."""
        ends = list(self._ends)
        self.fall_silent()
        self.close()
        await asyncio.gather(*self._pumps, *(end.wait_closed() for end in ends), return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def between(conninfo: str, answer: Answer | None = None) -> AsyncIterator[tuple[Between, str]]:
    """Give what stands between, and how to connect through it; `answer` may take its place."""
    folder = conninfo.split("host=")[1].split(maxsplit=1)[0]
    with open_folder("between") as here:
        made = Between(f"{folder}/.s.PGSQL.5432")
        server = await asyncio.start_unix_server(answer or made, here / ".s.PGSQL.5432")
        try:
            yield made, conninfo.replace(folder, str(here))
        finally:
            await made.end()
            server.close()


async def in_loop(loop: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run work in a loop of its own, in a thread: the server's loop is uvloop's, the tests' is not."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await work()

    def run() -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(bounded())

    await asyncio.to_thread(run)


@pytest.mark.parametrize("unread", [False, True])
@pytest.mark.parametrize("loop", LOOPS)
async def test_who_waits_is_told_and_the_next_is_served(clones: Clones, loop: str, unread: bool) -> None:
    """With something unread, the socket is not only closed but in error, which uvloop tells otherwise."""

    async def work() -> None:
        async with between(clones.make()) as (link, conninfo):
            lane, pool = Lane(conninfo, "test"), Pool(conninfo, 2, "test")
            for _ in range(3):  # more than once: the next connection gets the number of the lost socket
                waiting = [asyncio.create_task(lane.fetch(SLOW, {})) for _ in range(4)]
                transaction = asyncio.create_task(alone(pool, SLOW))
                await asyncio.sleep(0.3)
                if unread:
                    link.fall_silent()
                    waiting += [asyncio.create_task(lane.fetch(SLOW, {})) for _ in range(2)]
                    await asyncio.sleep(0.1)
                link.close()
                found = await asyncio.gather(*waiting, transaction, return_exceptions=True)
                assert [type(error) for error in found] == [Unavailable] * len(waiting) + [psycopg.OperationalError]
                assert (await lane.fetch("select 7 as x", {}))[0].x == 7
                assert await alone(pool, "select 7 as x") == 7
            await lane.close()
            await pool.close()

    await in_loop(loop, work)


async def alone(pool: Pool, text: str) -> object:
    """Run one statement on a connection of its own."""
    async with pool.wire() as wire:
        command = Command(prepared(text), {})
        await wire.exchange([command])
        return command.rows[0].x


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_server_that_falls_silent_is_given_up(
    clones: Clones, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that lost its power closes no connection."""
    monkeypatch.setattr(wires, "GRACE", 0.2)

    async def work() -> None:
        async with between(clones.make()) as (link, conninfo):
            wire = await Wire.open(conninfo, durable=False, most_ms=300, name="test")
            await wire.exchange([Command(prepared("select pg_sleep(0.2)"), {}) for _ in range(5)])
            assert wire.idle, "longer than the bound in all, but never silent"
            link.fall_silent()
            with pytest.raises(psycopg.OperationalError, match="said nothing"):
                await wire.exchange([Command(prepared("select 1"), {})])
            assert wire.broken
            await wire.close()

    await in_loop(loop, work)


async def test_a_server_that_starts_is_waited_for(clones: Clones) -> None:
    conninfo = clones.make()
    asked = 0

    async def starting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked > 3:
            await link(reader, writer)
            return
        fields = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        writer.close()
        await writer.wait_closed()

    async with between(conninfo, starting) as (link, through):
        with pytest.raises(Unavailable) as refused:
            await require_usable(through, allow_unsafe=True, patience=0)
        assert refused.value.code == "database-starting"
        await require_usable(through, allow_unsafe=True)
    assert asked == 4


class Gone:
    """What libpq says when the server is lost after so many answers, wherever that is: nothing any more, for ever."""

    def __init__(self, real: Any, answers: int) -> None:
        self._real = real
        self._left = answers
        self.asked_in_vain = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get_result(self) -> Any:
        """Give an answer, while there is one."""
        if self._left:
            self._left -= 1
            return self._real.get_result()
        self._real.finish()
        self.asked_in_vain += 1
        assert self.asked_in_vain < 100, "it asks for ever"
        return None


@pytest.mark.parametrize("together", [False, True])
async def test_who_is_lost_between_an_answer_and_what_ends_it_is_not_asked_for_ever(
    clones: Clones, together: bool
) -> None:
    """An exchange of two statements has a dozen answers (what is prepared, what is run, their ends, the Syncs)."""
    lost, database = 0, clones.make()
    for answers in range(20):
        wire = await Wire.open(database, durable=True, most_ms=1000, name="gone")
        wire._pg = gone = Gone(wire._pg, answers)  # type: ignore[assignment] # noqa: SLF001 - a fault of libpq's side
        commands = [Command(prepared("select 1 as x"), {}), Command(prepared("select 2 as x"), {})]
        (outcome,) = await asyncio.gather(wire.exchange(commands, together=together), return_exceptions=True)
        if outcome is None:
            assert [command.rows[0].x for command in commands] == [1, 2]
        else:
            assert isinstance(outcome, psycopg.OperationalError)
            assert "ended without an answer" in str(outcome)
            assert wire.broken
            assert gone.asked_in_vain <= 2  # once for the end of what had been answered
            lost += 1
        await wire.close()
    assert 8 <= lost < 20
