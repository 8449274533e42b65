"""O13: whoever reads very many people's records within an hour is told of, once an hour, and refused nothing."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from overblik.trust.treatment.bulk_reading import HOUR, Limits, Reader, Readers, ReadingWatch
from overblik.trust.treatment.follow_up import close, follow_ups, waiting
from tests.conftest import DRAWN, NOW
from tests.trust.stage import DAY, DEPARTMENT, MUNICIPALITY, encounter, patient, stage, write
from tests.trust.test_stated import doctor
from tests.web.browse import section, sign_in

if TYPE_CHECKING:
    from tests.conftest import World

CPRS = ("2512489996", "0905489998", "1010489993", "0905489971", "0101010101")


def watch(world: World, limits: Limits) -> ReadingWatch:
    return ReadingWatch(world.run.database, world.clock, limits)


async def looked(world: World, *watches: ReadingWatch) -> list[dict[str, Any]]:
    """Return what is told of after everything so far is in the log's tree."""
    await world.run.drain()
    with capture_logs() as logs:
        for one in watches:
            await one.look()
    return [{k: line[k] for k in ("of", "patients")} for line in logs if line["event"] == "reading.many"]


async def test_o13_many_patients_within_an_hour_are_told_of_once_and_followed_up(world: World) -> None:
    await stage(world)
    names = []
    for cpr in CPRS:
        names += [await write(world, patient(cpr))] if cpr != CPRS[0] else []
        await write(world, encounter(DEPARTMENT, NOW - DAY, None, cpr))
    counting, other = watch(world, Limits(person=3, unit=4, app=2)), watch(world, Limits())
    one, two = world.professional(DEPARTMENT), world.professional(DEPARTMENT, "TEST2")
    app = world.token(kind="professional", sub="TEST3", name="T", role="læge", org=DEPARTMENT, app="Appen",
                      scope="user/*.rs")  # fmt: skip

    async def read(who: dict[str, str], *which: int) -> list[dict[str, Any]]:
        for n in which:
            assert (await world.get(f"/Patient/{names[n]}", who)).status_code == 200
        return await looked(world, counting, other)

    assert await read(one, 0, 1, 0, 1, 0) == []
    refused = world.professional(MUNICIPALITY)
    assert {(await world.get(f"/Patient/{name}", refused)).status_code for name in names} == {404}
    assert await read(world.source(), 0, 1, 2, 3) == [], "what a source delivered, refusals"
    assert await read(one, 2) == [{"of": "person", "patients": 3}]
    assert await read(one, 2, 1) == [], "once an hour"
    assert await read(two, 3) == [{"of": "unit", "patients": 4}]
    world.clock.forward(minutes=59)
    assert await read(app, 0) == []
    world.clock.forward(minutes=2)
    assert await read(app, 0, 1) == [{"of": "app", "patients": 2}]
    assert await read(one, 0, 1) == [], "of the last hour"
    assert await read(one, 3) == [{"of": "person", "patients": 3}]
    again = watch(world, Limits(person=3, unit=4, app=2))
    await world.run.database.run("update reading_watch set until = '-infinity'")
    assert await looked(world, again, counting) == [], "another process: told already"
    cases = await follow_ups(world.run.door, doctor())
    assert sorted((c.basis, c.person, c.many) for c in cases) == [
        ("person", "TEST1", 3), ("person", "TEST1", 3), ("unit", "", 4)
    ]  # fmt: skip
    for case in cases:
        assert case.patient_id is None
        await close(world.run.door, doctor(id="TEST4"), str(case.fid), "Gennemgik ventelisten")
    assert [(c.basis, c.org_name) for c in await waiting(world.run.database, world.clock.now())] == [("app", "Appen")]
    assert await waiting(world.run.database, world.clock.now() + 31 * DAY) == []


@pytest.mark.long
async def test_o13_it_stands_on_the_page_of_the_unit(world: World) -> None:
    name = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    await world.get(f"/Patient/{name}", world.professional(DEPARTMENT))
    await looked(world, watch(world, Limits(person=1, unit=1)))
    tab = await sign_in(world, {"kind": "professional", "sub": "TEST2", "name": "T", "role": "læge", "org": DEPARTMENT})
    told = section(await tab.get("/relations"), "follow-up")
    assert told.count("Mange journaler på en time") == 2
    assert told.count("1 borger") == 2
    assert told.count("hele enheden") == told.count("Test Person, læge") == 1


ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6), st.integers(0, 40)), max_size=60)


@settings(DRAWN, max_examples=60)
@given(rows=ROWS, limit=st.integers(1, 5))
def test_o13_the_window_counts_what_a_count_of_everything_counts(rows: list[tuple[str, int, int]], limit: int) -> None:
    """Against counting all rows anew; and what is remembered stays within its bound."""
    readers = Readers(Limits(limit, 0, 0), most=12)
    plain, now = Readers(Limits(limit, 0, 0)), NOW
    told: list[tuple[str, int, Any]] = []
    for who, pid, minutes in rows:
        now += timedelta(minutes=minutes)
        row = SimpleNamespace(actor=who, actor_kind="professional", org="", channel="api", pids=[pid], at=now)
        told.append((who, pid, now))
        last = {p for w, p, at in told if w == who and at > now - HOUR}
        assert list(plain.add(row)) == ([(Reader("person", who), limit)] if len(last) >= limit else [])
        list(readers.add(row))
        assert sum(map(len, readers._seen.values())) <= 12 + limit  # noqa: SLF001 - how much is kept
