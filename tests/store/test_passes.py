"""Rows made by new definitions while others write: nobody's row is missed, whoever is killed, whenever they began."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from overblik.fhir.errors import Unavailable
from overblik.store import passes
from overblik.store.database import counting
from overblik.trust.callers.identity import Caller
from tests.api.test_search_parameters import define, found, index, next_rows, person, refused, step, written
from tests.app.loads import block, patient, taker
from tests.conftest import open_world
from tests.fhir.test_definitions_of_parameters import EYES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from overblik.trust.door.work import Stored, Work
    from tests.conftest import Clones, FixedClock, World

GATEWAY = Caller("source", "gateway", "gateway", organisations=None)


@pytest.fixture
async def workers(clones: Clones, tmp_path: Path, clock: FixedClock) -> AsyncIterator[tuple[World, World]]:
    """Return two processes' worth of server on one database."""
    conninfo = clones.make()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_world(conninfo, tmp_path, clock))
        yield one, await stack.enter_async_context(open_world(conninfo, tmp_path, clock))


async def colours(world: World, code: str = "blue") -> list[str]:
    return sorted(await found(world, f"/Patient?eye-colour={code}&_count=1000"))


async def test_o12_a_worker_that_was_told_nothing_writes_and_searches_by_a_new_definition(
    workers: tuple[World, World],
) -> None:
    one, other = workers
    before = await written(other, person(1, "blue"))
    identifier = await define(one)
    assert other.run.parameters.current.generation == 0
    after = await written(other, person(2, "blue"))
    assert await colours(other) == await colours(one) == sorted(before + after)
    withdrawn = EYES | {"id": identifier, "status": "retired"}
    assert (await one.put(f"/SearchParameter/{identifier}", one.system(), withdrawn)).status_code == 200
    refused(await other.get("/Patient?eye-colour=blue", other.source()), 400, "search-parameter-unknown")


async def test_a_condition_that_a_worker_read_by_old_definitions_is_not_asked(workers: tuple[World, World]) -> None:
    one, other = workers
    identifier = await define(one, {"expression": "Patient.gender"})
    await other.run.parameters.fresh()
    await define(one, {"code": "iris"})
    changed = EYES | {"id": identifier, "expression": "Patient.maritalStatus"}
    assert (await one.put(f"/SearchParameter/{identifier}", one.system(), changed)).status_code == 200
    headers = {"If-None-Exist": "eye-colour=male"}
    response = await other.post("/Patient", other.source(), person(1), headers=headers)
    refused(response, 503, "search-parameter-indexing")
    await index(one)
    response = await other.post("/Patient", other.source(), person(1), headers=headers)
    refused(response, 503, "search-parameter-indexing")
    await other.run.parameters.learn(-1)  # as keep_indexing does every second
    response = await other.post("/Patient", other.source(), person(1), headers=headers)
    assert response.status_code == 201, response.text


async def test_a_write_that_began_by_the_old_definitions_is_done_again_by_the_new(workers: tuple[World, World]) -> None:
    one, other = workers
    tries = 0

    async def work(work: Work) -> Stored:
        nonlocal tries
        tries += 1
        stored = await work.create(person(1, "blue"))
        if tries == 1:
            await define(one, indexed=False)
        return stored

    stored = await other.run.writer.write(GATEWAY, "create", "Patient", work)
    assert tries == 2
    assert await index(one) == 1
    assert await colours(one) == [stored.id]


async def test_a_pass_waits_for_what_was_being_written_when_it_began(workers: tuple[World, World]) -> None:
    one, other = workers
    steps: list[int | None] = []

    async def work(work: Work) -> Stored:
        stored = await work.create(person(1, "blue"))
        await work.flush()  # its row is written by the old definitions, and not committed
        await define(one, indexed=False)
        steps.extend([await step(one) for _ in range(5)])
        return stored

    stored = await other.run.writer.write(GATEWAY, "create", "Patient", work)
    assert steps == [0] * 5
    refused(await one.get("/Patient?eye-colour=blue", one.source()), 503, "search-parameter-indexing")
    assert await index(one) == 1
    assert await colours(one) == [stored.id]


async def test_a_block_of_the_loader_is_taken_by_the_definitions_in_force(workers: tuple[World, World]) -> None:
    one, other = workers
    lines = [patient(number, gender="male") for number in range(3)]
    async with taker(other) as made:
        await made.take(block(*lines[:2]))
        await define(one, {"expression": "Patient.gender"})
        changed = patient(0, gender="male", active=True)
        taken = await made.take(block(changed, lines[2]))
    assert (taken.taken, taken.changed, taken.refused) == (1, 1, [])
    assert len(await colours(one, "male")) == 3


async def test_a_row_that_moves_in_the_order_while_it_is_passed_is_not_missed(world: World) -> None:
    ids = await written(world, *(person(number, "blue", birthDate=f"19{50 + number}-01-01") for number in range(6)))
    await define(world, indexed=False)
    assert await next_rows(world, 2) == 2
    for identifier, year in zip(ids, (1990, 1991, 1992, 1901, 1902, 1903), strict=True):
        stands = (await world.get(f"/Patient/{identifier}", world.source())).json()
        moved = await world.replace(f"/Patient/{identifier}", world.source(), stands | {"birthDate": f"{year}-01-01"})
        assert moved.status_code == 200, moved.text
    await index(world)
    assert await colours(world) == sorted(ids)


async def test_rows_in_which_nothing_is_found_are_not_written(world: World) -> None:
    await written(world, person(1, "blue"), *(person(number) for number in range(2, 30)))
    await define(world, indexed=False)
    mark = (await world.run.database.fetch("select pg_current_xact_id()::text::xid8::text as mark"))[0].mark
    await index(world)
    changed = "select count(*) from resource where xmin::text::bigint >= %(mark)s::bigint"
    assert (await world.run.database.fetch(changed, {"mark": mark}))[0].count == 1


async def test_a_batch_is_few_statements_whatever_its_size(world: World) -> None:
    await written(world, *(person(number, "blue") for number in range(40)))
    await define(world, indexed=False)
    assert await next_rows(world, 1) == 1
    numbers = []
    for batch in (4, 30):
        with counting() as sent:
            assert await step(world, batch) == batch
        numbers.append(len(sent))
    sent_each = "what is left, lock, pass, places, rows, definitions, two of the dictionary, rows and place written"
    assert numbers == [10, 10], sent_each


async def test_a_definition_that_comes_during_a_pass_has_the_next_one(world: World) -> None:
    ids = await written(world, *(person(number, "blue", gender="male") for number in range(6)))
    await define(world, indexed=False)
    assert await next_rows(world, 3) == 3
    await define(world, {"code": "iris", "expression": "Patient.gender"}, indexed=False)
    while (response := await world.get("/Patient?eye-colour=blue", world.source())).status_code == 503:
        await next_rows(world, 3)
    assert len(response.json()["entry"]) == len(ids)
    refused(await world.get("/Patient?iris=male", world.source()), 503, "search-parameter-indexing")
    await index(world)
    assert sorted(await found(world, "/Patient?iris=male")) == sorted(ids)


async def test_a_pass_goes_on_in_a_copy_of_the_database_on_another_server(world: World) -> None:
    """pg_dump carries the fence along, and numbers of transactions begin anew there."""
    (who,) = await written(world, person(1, "blue"))
    await define(world, indexed=False)
    assert await step(world) == 0
    await world.run.database.run("update search_pass set fence = '4000000000000'::xid8")
    assert await index(world) == 1
    assert await colours(world) == [who]


async def test_two_processes_share_a_pass(workers: tuple[World, World]) -> None:
    one, other = workers
    ids = await written(one, *(person(number, "blue") for number in range(30)))
    await define(one, indexed=False)

    async def work(world: World) -> int:
        total = 0
        for _ in range(2_000):
            looked = await step(world, 5)
            if looked is None:
                return total
            total += looked
            await asyncio.sleep(0.002)
        raise AssertionError("the pass does not end")

    assert sum(await asyncio.gather(work(one), work(other))) == 30
    assert await colours(one) == sorted(ids)


async def test_a_restart_goes_on_where_it_was(clones: Clones, tmp_path: Path, clock: FixedClock) -> None:
    conninfo = clones.make()
    async with open_world(conninfo, tmp_path, clock) as world:
        ids = await written(world, *(person(number, "blue") for number in range(10)))
        await define(world, indexed=False)
        assert await next_rows(world, 4) == 4
    async with open_world(conninfo, tmp_path, clock) as world:
        text = refused(await world.get("/Patient?eye-colour=blue", world.source()), 503, "search-parameter-indexing")
        assert "40 %" in text
        assert await index(world) == 6
        assert await colours(world) == sorted(ids)


async def test_a_server_indexes_by_itself_whatever_fails_once_and_learns_what_others_define(
    workers: tuple[World, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = workers
    ids = await written(one, *(person(number, "blue") for number in range(5)))
    monkeypatch.setattr(passes, "EVERY", 0.01)
    taken, faults = passes.step, [Unavailable("database-down", "gone"), ValueError("a fault of ours")]

    async def failing(*arguments: Any) -> int | None:
        if faults:
            raise faults.pop()
        return await taken(*arguments)

    monkeypatch.setattr(passes, "step", failing)
    key = other.run.keyring.key("index")
    task = asyncio.create_task(passes.keep_indexing(other.run.database, key, other.run.parameters.learn))
    try:
        await define(one, indexed=False)
        for _ in range(2_000):
            if (await one.get("/Patient?eye-colour=blue", one.source())).status_code == 200:
                break
            await asyncio.sleep(0.01)
    finally:
        task.cancel()
    assert not faults
    assert await colours(one) == sorted(ids)
    assert other.run.parameters.current.find("Patient", "eye-colour") is not None


@pytest.mark.long
async def test_a_process_that_is_killed_in_the_middle_loses_one_batch(world: World, tmp_path: Path) -> None:
    ids = await written(world, *(person(number, "blue", birthDate=f"19{number:02}-01-01") for number in range(60)))
    await define(world, indexed=False)
    assert await next_rows(world, 20) == 20
    conninfo = world.run.database.conninfo
    with psycopg.connect(conninfo) as holder:
        holder.execute("select from resource where sort_at >= '1958-06-01' for update")
        process = reindexing(conninfo, tmp_path)
        try:
            await until(conninfo, "select count(*) from pg_locks where not granted and locktype = 'transactionid'", 1)
        finally:
            process.kill()
            process.communicate()
    at = await passes.going(world.run.database)
    assert (at.done, at.total) == (20, 60)
    refused(await world.get("/Patient?eye-colour=blue", world.source()), 503, "search-parameter-indexing")
    assert await index(world) == 40
    assert await colours(world) == sorted(ids)


@pytest.mark.long
async def test_the_command_ends_what_is_left_and_says_how_far_it_is(world: World, tmp_path: Path) -> None:
    ids = await written(world, *(person(number, "blue") for number in range(4)))
    await define(world, indexed=False)
    await next_rows(world, 1)
    conninfo = world.run.database.conninfo
    told = await asyncio.to_thread(reindexing(conninfo, tmp_path, "--status").communicate)
    assert told[0].splitlines() == ["Patient?eye-colour: 25 %", "0 rows of an older version"]
    done = await asyncio.to_thread(reindexing(conninfo, tmp_path).communicate)
    assert done[0].splitlines() == ["3 rows indexed"]
    assert await colours(world) == sorted(ids)


def reindexing(conninfo: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Run `overblik reindex` in a process of its own, with this test's keys."""
    environment = {
        **os.environ,
        "OVERBLIK_DATA": str(folder),
        "OVERBLIK_MODE": "test",
        "OVERBLIK_DATABASE_URL": conninfo,
    }
    command = [sys.executable, "-m", "overblik", "reindex", *arguments]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


async def until(conninfo: str, query: Any, number: int) -> None:
    """Wait until a count is so high."""
    deadline = time.monotonic() + 60
    with psycopg.connect(conninfo, autocommit=True) as watcher:
        while time.monotonic() < deadline:
            (row,) = watcher.execute(query).fetchall()
            if row[0] >= number:
                return
            await asyncio.sleep(0.05)
    raise AssertionError("it never came so far")
