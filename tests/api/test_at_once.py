"""A thousand writers at once: one If-Match has one winner, one condition makes one resource."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from overblik.trust.callers.identity import Caller
from tests.api.test_transaction import bundle, entry
from tests.trust.stage import CPR, OTHER, patient, write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from overblik.trust.door.work import Stored, Work
    from tests.conftest import World

BY_CPR = f"identifier=urn:oid:1.2.208.176.1.2|{CPR}"
MANY = 1000


async def at_once(number: int, call: Callable[[int], Awaitable[httpx.Response]]) -> Counter[int]:
    """Make so many calls at once, each again while it is told to come back (429, 503); return the statuses."""

    async def one(which: int) -> int:
        while (response := await call(which)).status_code in {429, 503}:
            assert response.headers["Retry-After"]
            await asyncio.sleep(float(response.headers["Retry-After"]))
        return response.status_code

    return Counter(await asyncio.gather(*(one(which) for which in range(number))))


@pytest.mark.long
async def test_f19_of_a_thousand_updates_with_one_if_match_one_wins(world: World) -> None:
    identifier = await write(world, patient())
    who = world.source()

    async def update(which: int) -> httpx.Response:
        body = {**patient(), "id": identifier, "name": [{"text": str(which)}]}
        return await world.put(f"/Patient/{identifier}", who, body, **{"If-Match": 'W/"1"'})

    assert await at_once(MANY, update) == {200: 1, 412: MANY - 1}
    history = (await world.get(f"/Patient/{identifier}/_history", who)).json()
    assert [e["response"]["etag"] for e in history["entry"]] == ['W/"2"', 'W/"1"']


@pytest.mark.long
@pytest.mark.parametrize("form", ["If-None-Exist", "PUT by condition", "ifNoneExist"])
async def test_a_thousand_creates_on_one_condition_make_one_resource(world: World, form: str) -> None:
    who = world.source()
    in_bundle = bundle(entry("POST", "Patient", patient(), ifNoneExist=BY_CPR))

    async def create(_: int) -> httpx.Response:
        if form == "If-None-Exist":
            return await world.post("/Patient", who, patient(), headers={"If-None-Exist": BY_CPR})
        if form == "PUT by condition":
            return await world.put(f"/Patient?{BY_CPR}", who, patient())
        return await world.post("", who, in_bundle)

    statuses = await at_once(MANY, create)
    assert statuses == ({200: MANY} if form == "ifNoneExist" else {201: 1, 200: MANY - 1})
    assert len((await world.get("/Patient?_count=9", who)).json()["entry"]) == 1


@pytest.mark.long
async def test_f20_writers_in_a_retry_loop_lose_nothing(world: World) -> None:
    """Each reads, changes what it read and tries again when somebody was faster."""
    identifier = await write(world, patient())
    who = world.source()
    number = 25

    async def append(which: int) -> httpx.Response:
        while True:
            now = await world.get(f"/Patient/{identifier}", who)
            body: dict[str, Any] = now.json()
            body["name"] = [*body["name"], {"text": str(which)}]
            sent = await world.put(f"/Patient/{identifier}", who, body, **{"If-Match": now.headers["ETag"]})
            if sent.status_code != 412:
                return sent

    assert await at_once(number, append) == {200: number}
    found = (await world.get(f"/Patient/{identifier}", who)).json()
    assert sorted(n["text"] for n in found["name"] if "text" in n) == sorted(map(str, range(number)))
    assert found["meta"]["versionId"] == str(number + 1)


async def test_new_persons_named_in_opposite_orders_are_each_opened_once(world: World) -> None:
    who = world.source()
    both = [patient(CPR), patient(OTHER)]

    async def claim(which: int) -> httpx.Response:
        listed = both if which % 2 else list(reversed(both))
        return await world.post("", who, bundle(*(entry("POST", "Patient", body) for body in listed)))

    assert await at_once(8, claim) == {200: 8}
    rows = await world.run.database.fetch("select count(distinct pid) as persons, count(*) as keys from person_key")
    assert (rows[0].persons, rows[0].keys) == (2, 2)


async def test_a_deadlock_is_tried_again_and_never_surfaces(world: World) -> None:
    """Two writers each hold a record that the other wants; PostgreSQL ends one of them, and it runs again."""
    caller = Caller("source", "gateway", "gateway", organisations=None)
    holding = asyncio.Barrier(2)
    runs: list[int] = []

    async def write_both(first: int, second: int) -> Stored:
        async def work(work: Work) -> Stored:
            runs.append(first)
            await work.unit.lock(first)
            await work.unit.transaction.send()
            if len(runs) <= 2:
                await holding.wait()
            await work.unit.lock(second)
            return await work.create(patient())

        return await world.run.writer.write(caller, "create", "both", work)

    stored = await asyncio.gather(write_both(1, 2), write_both(2, 1))
    assert [s.version for s in stored] == [1, 1]
    assert len(runs) == 3
    assert len((await world.get("/Patient", world.source())).json()["entry"]) == 2
