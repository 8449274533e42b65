"""Numbers follow the order in which things became known; `asOf` follows the numbers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from overblik.store.sequencer import drain

if TYPE_CHECKING:
    from overblik.store.database import Transaction
    from tests.conftest import World

CHANGE = "insert into change (pid, cid, at, via) values (%(pid)s, nextval('change_cid'), now(), 'x') returning cid"


async def numbers(world: World) -> dict[int, int]:
    rows = await world.run.database.fetch("select cid, seq from change where seq is not null")
    return {row.cid: row.seq for row in rows}


async def begin(transaction: Transaction, pid: int) -> int:
    return int((await transaction.fetch(CHANGE, {"pid": pid}))[0].cid)


async def test_what_commits_later_gets_a_later_number_whatever_its_key(world: World) -> None:
    database = world.run.database
    async with database.transaction() as slow:
        first = await begin(slow, 1)
        async with database.transaction() as quick:
            second = await begin(quick, 2)
        await world.run.drain()
        assert set(await numbers(world)) == {second}
    await world.run.drain()
    found = await numbers(world)
    assert first < second
    assert found[first] > found[second]


async def test_numbers_have_no_gaps_and_no_twins(world: World) -> None:
    database = world.run.database

    async def write(pid: int) -> None:
        for _ in range(10):
            async with database.transaction() as transaction:
                await begin(transaction, pid)
            await drain(database, world.clock, wait=False)

    await asyncio.gather(*(write(pid) for pid in range(1, 5)))
    await asyncio.gather(*(world.run.drain() for _ in range(3)))
    assert sorted((await numbers(world)).values()) == list(range(1, 41))


async def test_instants_never_go_back_even_when_the_clock_does(world: World) -> None:
    start = world.clock.now()
    for minutes in (0, -30, 5):
        world.clock.set(start + timedelta(minutes=minutes))
        async with world.run.database.transaction() as transaction:
            await begin(transaction, 1)
        await world.run.drain()
    rows = await world.run.database.fetch("select instant from change order by seq")
    assert [row.instant - start for row in rows] == [timedelta(), timedelta(), timedelta(minutes=5)]


async def test_as_of_gives_each_earlier_state(world: World) -> None:
    """Created, changed, deleted: at every instant the overview is what it was."""
    cpr = "2512489996"
    source = world.source()
    identifier = [{"system": "urn:oid:1.2.208.176.1.2", "value": cpr}]
    patient = (await world.post("/Patient", source, {"resourceType": "Patient", "identifier": identifier})).json()["id"]
    body: dict[str, Any] = {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"text": "Astma"},
        "subject": {"reference": f"Patient/{patient}"},
    }
    await world.run.drain()
    instants = [world.clock.now()]
    world.clock.forward(hours=1)
    made = (await world.post("/Condition", source, body)).json()["id"]
    await world.run.drain()
    instants.append(world.clock.now())
    world.clock.forward(hours=1)
    await world.replace(f"/Condition/{made}", source, {**body, "id": made, "code": {"text": "KOL"}})
    await world.run.drain()
    instants.append(world.clock.now())
    world.clock.forward(hours=1)
    await world.http.delete(f"/fhir/Condition/{made}", headers=source)
    await world.run.drain()
    instants.append(world.clock.now())
    citizen = world.citizen(cpr)
    told = []
    for instant in instants:
        found = await world.overview(cpr, citizen, asOf=instant.isoformat())
        told.append([name for name in ("Astma", "KOL") if name in str(found["problems"])])
    assert told == [[], ["Astma"], ["KOL"], []]
