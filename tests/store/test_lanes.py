"""Lanes and the pool: shared round trips in which nobody suffers for another, within bounds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overblik.fhir.errors import TooMany, Unavailable, Unprocessable
from overblik.store.database import Database
from overblik.store.lanes import Lane
from overblik.store.pool import Pool
from overblik.store.wire import Command, Wire, encode, prepared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Clones

DIVIDE = "select 100 / %(by)s::int as found"
DIVIDE_ALL = """select u.n, 100 / u.by as found from unnest(%(n)s::int[], %(by)s::int[]) as u(n, by)"""
BACKEND = "select pg_backend_pid() as pid"


@pytest.fixture
async def lane(clones: Clones) -> AsyncIterator[Lane]:
    made = Lane(clones.make(), "test", queue=50)
    yield made
    await made.close()


async def outcome(lane: Lane, text: Any, params: dict[str, Any], *, of_set: bool = False) -> Any:
    """Return the first value found, or the name of the error."""
    try:
        rows = await (lane.fetch_of_set if of_set else lane.fetch)(text, params)
    except (psycopg.Error, Unavailable, TooMany) as error:
        return type(error).__name__
    return rows[0][-1]


@pytest.mark.parametrize("of_set", [False, True])
async def test_a_failing_request_leaves_its_neighbours_alone(lane: Lane, of_set: bool) -> None:
    text = DIVIDE_ALL if of_set else DIVIDE
    found = await asyncio.gather(*(outcome(lane, text, {"by": by}, of_set=of_set) for by in (1, 0, 2, 0, 4)))
    assert found == [100, "DivisionByZero", 50, "DivisionByZero", 25]


async def test_a_set_answers_each_request_with_its_own_rows(lane: Lane) -> None:
    text = """select u.n, u.word || s.x as found from unnest(%(n)s::int[], %(word)s::text[], %(times)s::int[])
              as u(n, word, times), generate_series(1, u.times) s(x) order by s.x"""
    asked = [(chr(97 + i % 26), i % 4) for i in range(40)]
    found = await asyncio.gather(*(lane.fetch_of_set(text, {"word": w, "times": n}) for w, n in asked))
    assert [[row.found for row in rows] for rows in found] == [[f"{w}{x + 1}" for x in range(n)] for w, n in asked]


async def test_a_slow_request_delays_none_that_come_after_it(lane: Lane) -> None:
    """It holds one connection and whoever left with it; all others are answered by the next connection."""
    order: list[str] = []

    async def ask(name: str, text: Any, params: dict[str, Any]) -> None:
        await lane.fetch(text, params)
        order.append(name)

    slow = asyncio.create_task(ask("slow", "select pg_sleep(2)::text as x", {}))
    await asyncio.sleep(0)  # it has left, alone
    await asyncio.gather(*(ask("fast", DIVIDE, {"by": 1}) for _ in range(20)))
    for _ in range(3):  # one after the other, too
        await ask("fast", DIVIDE, {"by": 2})
    await slow
    assert order == ["fast"] * 23 + ["slow"]


async def test_o19_a_full_queue_is_refused_before_memory_grows(lane: Lane) -> None:
    found = await asyncio.gather(*(outcome(lane, DIVIDE, {"by": 1}) for _ in range(200)))
    assert set(found) == {100, "TooMany"}
    assert found.count(100) >= 50
    assert await outcome(lane, DIVIDE, {"by": 4}) == 25


async def test_a_client_that_leaves_cancels_nothing(lane: Lane) -> None:
    leaving = [asyncio.create_task(lane.fetch(DIVIDE, {"by": 1})) for _ in range(10)]
    staying = [asyncio.create_task(lane.fetch(DIVIDE, {"by": 2})) for _ in range(10)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    assert [(await task)[0].found for task in staying] == [50] * 10
    assert await outcome(lane, DIVIDE, {"by": 4}) == 25


async def test_a_lost_connection_is_said_and_replaced(lane: Lane, clones: Clones) -> None:
    (first,) = await lane.fetch(BACKEND, {})
    with psycopg.connect(clones.admin(), autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(%s, 5000)", [first.pid])
    found = [await outcome(lane, DIVIDE, {"by": 1}) for _ in range(4)]
    assert found[-1] == 100
    assert set(found) <= {100, "Unavailable"}


async def test_a_closed_lane_refuses_who_still_waits(clones: Clones) -> None:
    lane = Lane(clones.make(), "test")
    waiting = [asyncio.create_task(outcome(lane, "select pg_sleep(0.05)::text as x", {})) for _ in range(20)]
    await asyncio.sleep(0.02)
    await lane.close()
    assert set(await asyncio.gather(*waiting)) <= {"", "Unavailable"}


async def test_without_a_barrier_on_disk_nothing_is_answered(clones: Clones, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overblik.store.wire.DURABLY", "select 1 / 0")
    lane = Lane(clones.make(), "test")
    assert await outcome(lane, DIVIDE, {"by": 1}) == "Unavailable"
    await lane.close()


async def test_a_failed_transaction_leaves_nothing_and_its_connection_is_used_again(clones: Clones) -> None:
    database = Database(clones.make(), size=1)
    await database.run("create table t (x int primary key)")
    (before,) = await database.fetch(BACKEND)

    async def twice_the_same() -> None:
        async with database.transaction() as transaction:
            await transaction.run_many("insert into t values (%(x)s)", [{"x": 1}, {"x": 2}, {"x": 1}])

    async def given_up() -> None:
        async with database.transaction() as transaction:
            await transaction.run("insert into t values (%(x)s)", {"x": 3})
            raise ZeroDivisionError

    with pytest.raises(psycopg.errors.UniqueViolation):
        await twice_the_same()
    with pytest.raises(ZeroDivisionError):
        await given_up()
    async with database.transaction() as transaction:
        assert await transaction.run_all("insert into t values (%(x)s)", [{"x": 5}, {"x": 6}]) == 2
    assert [row.x for row in await database.fetch("select x from t order by x")] == [5, 6]
    assert (await database.fetch(BACKEND)) == [before]
    await database.close()


async def test_a_transaction_cut_off_in_the_middle_is_not_lent_to_another(clones: Clones) -> None:
    pool = Pool(clones.make(), 1, "test")

    async def slow() -> None:
        async with pool.wire() as wire:
            await wire.exchange([Command(prepared("select pg_sleep(5)"), {})])

    task = asyncio.create_task(slow())
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with pool.wire() as wire:
        command = Command(prepared("select 7 as x"), {})
        await wire.exchange([command])
        assert command.rows[0].x == 7
    await pool.close()


async def test_what_is_lent_when_the_pool_closes_is_closed_when_it_comes_back(clones: Clones) -> None:
    pool = Pool(clones.make(), 2, "test")
    async with pool.wire() as lent:
        async with pool.wire() as free:
            pass
        await pool.close()
        assert free.broken
        command = Command(prepared("select 7 as x"), {})
        await lent.exchange([command])
        assert command.rows[0].x == 7
    assert lent.broken


async def test_a_connection_worn_by_many_statements_is_replaced(clones: Clones) -> None:
    database = Database(clones.make(), size=1)
    (before,) = await database.fetch(BACKEND)
    for number in range(520):
        await database.fetch(f"select {number} as x")
    assert (await database.fetch(BACKEND)) != [before]
    await database.close()


texts = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=20)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
SENT: list[tuple[str, Any]] = [
    ("text", texts),
    ("text[]", st.lists(st.none() | texts, max_size=5)),
    ("bigint", st.integers(-(2**63), 2**63 - 1)),
    ("bigint[]", st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5)),
    ("boolean", st.booleans()),
    ("bytea", st.binary(max_size=50)),
    ("timestamptz", moments),
    ("timestamptz[]", st.lists(moments, max_size=3)),
    ("uuid", st.uuids()),
    ("uuid[]", st.lists(st.uuids(), max_size=3)),
]


@pytest.fixture
async def wire(clones: Clones) -> AsyncIterator[Wire]:
    made = await Wire.open(clones.make(), durable=False, most_ms=5000, name="test")
    yield made
    await made.close()


@pytest.mark.parametrize(("kind", "values"), SENT, ids=[k for k, _ in SENT])
async def test_what_is_sent_comes_back(wire: Wire, kind: str, values: st.SearchStrategy[Any]) -> None:
    sent: list[Any] = []

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(values)
    def collect(value: Any) -> None:
        sent.append(value)

    collect()
    text: Any = f"select %(value)s::{kind} as value"
    commands = [Command(prepared(text), {"value": value}) for value in [*sent, None]]
    await wire.exchange(commands)
    assert [c.error for c in commands if c.error] == []
    assert [c.rows[0].value for c in commands] == [*sent, None]


UNSENDABLE = ["\x00", "a\x00b", ["a", "b\x00"], ["\x00", None], ("\x00",), "\ud800", ["\udfff"]]


@pytest.mark.parametrize("value", UNSENDABLE, ids=ascii)
def test_text_that_cannot_be_sent_is_not_cut(value: Any) -> None:
    with pytest.raises(psycopg.DataError):
        encode(value)


async def test_what_cannot_be_sent_leaves_its_neighbours_alone(wire: Wire) -> None:
    say = prepared("select %(x)s::text as x")
    commands = [Command(say, {"x": x}) for x in ("a", "b\x00c", "d", "\ud800")]
    await wire.exchange(commands, barrier=True)
    assert [type(c.error).__name__ for c in commands] == ["NoneType", "DataError", "NoneType", "DataError"]
    assert [row.x for c in commands for row in c.rows] == ["a", "d"]
    alone = Command(say, {"x": "\x00"})
    await wire.exchange([alone])
    assert isinstance(alone.error, psycopg.DataError)
    assert wire.idle


@pytest.mark.parametrize("of_set", [False, True])
async def test_a_request_that_cannot_be_sent_is_the_only_one_refused(lane: Lane, of_set: bool) -> None:
    text: Any = "select %(x)s::text as x"
    if of_set:
        text = "select u.n, u.x from unnest(%(n)s::int[], %(x)s::text[]) as u(n, x)"
    found = await asyncio.gather(*(outcome(lane, text, {"x": x}, of_set=of_set) for x in ("a", "b\x00c", "d")))
    assert found == ["a", "DataError", "d"]


async def test_a_transaction_with_what_cannot_be_sent_leaves_nothing(clones: Clones) -> None:
    database = Database(clones.make(), size=1)
    await database.run("create table t (x text)")
    (before,) = await database.fetch(BACKEND)
    put: Any = "insert into t values (%(x)s)"

    async def as_a_set() -> None:
        async with database.transaction() as transaction:
            await transaction.run(put, {"x": "a"})
            await transaction.run_many(put, [{"x": "b"}, {"x": "c\x00d"}])

    async def caught_in_between() -> None:
        async with database.transaction() as transaction:
            with pytest.raises(psycopg.DataError):
                await transaction.run(put, {"x": "\x00"})
            await transaction.run(put, {"x": "e"})

    for work in (as_a_set, caught_in_between):
        with pytest.raises(Unprocessable):
            await work()
    assert await database.fetch("select x from t") == []
    assert (await database.fetch(BACKEND)) == [before]
    await database.close()


def test_a_parameter_is_encoded_by_its_own_type() -> None:
    assert encode(True) == b"t"
    assert encode([1, None, 'a"b\\']) == b'{1,NULL,"a\\"b\\\\"}'
    number = uuid4()
    assert encode(number) == UUID(str(number)).hex.encode()
