"""Searches share round trips while they are quick; who is slow runs alone, and nobody suffers for another."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from overblik.fhir.errors import Unavailable, Unprocessable
from overblik.store.database import Database, counting
from overblik.store.quick import Quick
from overblik.store.wire import Command, Wire, prepared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Clones

SLEEP = "select pg_sleep(%(seconds)s::float)::text || 'slept' as found"
DIVIDE = "select 100 / %(by)s::int as found"
WRITE = """with wrote as (insert into mark values (%(name)s) returning name)
           select name || pg_sleep(%(seconds)s::float)::text as found from wrote"""


@pytest.fixture
async def database(clones: Clones) -> AsyncIterator[Database]:
    made = Database(clones.make(), size=2)
    await made.run("create table mark (name text)")
    yield made
    await made.close()


async def found(database: Database, text: Any, **params: Any) -> Any:
    """Return the first value found, or the name of the error."""
    try:
        return (await database.fetch_quick(text, params))[0].found
    except (psycopg.Error, Unavailable, Unprocessable) as error:
        return type(error).__name__


async def test_one_that_is_slow_and_one_that_fails_leave_their_neighbours_alone(database: Database) -> None:
    asked = [found(database, DIVIDE, by=by) for by in (1, 0, 2)]
    asked += [found(database, SLEEP, seconds=0.5), *(found(database, DIVIDE, by=n) for n in (4, 5, 10))]
    asked.append(found(database, "select found from missing"))
    assert await asyncio.gather(*asked) == [100, "Unprocessable", 50, "slept", 25, 20, 10, "UndefinedTable"]


async def test_what_was_slow_is_not_tried_again_beside_others_for_a_while(
    clones: Clones, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = Quick(clones.make(), "test", most_ms=50)
    assert await quick.fetch(SLEEP, {"seconds": 0.2}) is None
    assert await quick.fetch(SLEEP, {"seconds": 0}) is None, "whoever asks the same next is told at once"
    assert (await quick.fetch(DIVIDE, {"by": 1}) or [])[0].found == 100
    monkeypatch.setattr("overblik.store.quick.MOST_KNOWN", 1)
    assert await quick.fetch(f"{SLEEP} -- another", {"seconds": 0.2}) is None
    assert (await quick.fetch(SLEEP, {"seconds": 0}) or [])[0].found == "slept", "not everything is remembered"
    monkeypatch.setattr("overblik.store.quick.KNOWN_FOR", 0)
    assert await quick.fetch(SLEEP, {"seconds": 0.2}) is None
    assert (await quick.fetch(SLEEP, {"seconds": 0}) or [])[0].found == "slept", "nor for ever"
    await quick.close()


async def test_what_was_stopped_has_written_nothing_and_writes_once(database: Database) -> None:
    with counting() as sent:
        assert await found(database, WRITE, name="late", seconds=0.4) == "late"
    assert len(sent) == 1
    assert [row.n for row in await database.fetch("select count(*) as n from mark")] == [1]


async def test_a_bound_that_passes_while_rows_are_sent_undoes_the_statement_and_nothing_else(clones: Clones) -> None:
    """PostgreSQL tells of it when it reads the Sync: the rows have come by then, and the log entry is rolled back."""
    conninfo = clones.make()
    with psycopg.connect(conninfo, autocommit=True) as admin:
        admin.execute("create table mark (name text)")
        wire = await Wire.open(conninfo, durable=True, most_ms=100, name="test")
        large: Any = (
            "with m as (insert into mark values ('lost') returning 1) select repeat('x', 3000000) as found from m"
        )
        commands = [Command(prepared(large), {}), Command(prepared("select 'kept' as found"), {})]
        sending = asyncio.create_task(wire.exchange(commands))
        await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251 - the whole process is busy, and reads nothing
        await sending
        assert [(command.rows and command.rows[0].found, type(command.error)) for command in commands] == [
            ([], psycopg.errors.QueryCanceled),
            ("kept", type(None)),
        ]
        assert wire.idle
        assert admin.execute("select count(*) from mark").fetchone() == (0,)
        await wire.close()


async def test_it_is_on_disk_before_it_is_answered(clones: Clones, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overblik.store.wire.DURABLY", "select 1 / 0")
    database = Database(clones.make(), size=2)
    assert await found(database, DIVIDE, by=1) == "Unavailable"
    await database.close()


async def test_what_goes_out_together_is_few(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch answers no sooner than its last, so there are never many in one."""
    sizes: list[int] = []
    exchange = Wire.exchange

    async def watched(self: Wire, commands: list[Command], **options: Any) -> None:
        sizes.append(len(commands))
        await exchange(self, commands, **options)

    monkeypatch.setattr(Wire, "exchange", watched)
    assert set(await asyncio.gather(*(found(database, DIVIDE, by=1) for _ in range(60)))) == {100}
    assert sum(sizes) == 60
    assert 1 < max(sizes) <= 6
