"""F11: a clock that steps, back or on. Order is what became known when, and never the clock's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.dates import instant
from tests.trust.stage import patient, write

if TYPE_CHECKING:
    from tests.conftest import World

STEPS = {
    "an hour on": timedelta(hours=1),
    "an hour back": timedelta(hours=-1),
    "a year back": timedelta(days=-365),
    "1970": datetime(1970, 1, 1) - datetime(2026, 11, 23, 9),
}


async def texts(world: World, path: str) -> list[Any]:
    """Return what a history has, newest first: the text of each version."""
    bundle = (await world.get(path, world.source())).json()
    return [entry["resource"]["name"][0]["text"] for entry in bundle.get("entry", [])]


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
async def test_f11_order_is_the_same_whatever_the_clock_does(world: World, step: timedelta) -> None:
    who, body = world.source(), {**patient(), "name": [{"text": "1"}]}
    identifier = await write(world, body)
    await world.run.drain()
    since = instant(world.clock.now())  # what a client was told last
    known = world.clock.forward(seconds=10)
    moments = [known + step, known + step, known]
    for number, moment in enumerate(moments, 2):
        world.clock.set(moment)
        changed = {**body, "id": identifier, "name": [{"text": str(number)}]}
        response = await world.put(f"/Patient/{identifier}", who, changed, **{"If-Match": f'W/"{number - 1}"'})
        assert (response.status_code, response.headers["ETag"]) == (200, f'W/"{number}"')
        await world.run.drain()
    every = ["4", "3", "2", "1"]
    for path in (f"/Patient/{identifier}/_history", "/Patient/_history", "/_history"):
        assert await texts(world, path) == every, path
        assert await texts(world, f"{path}?_since={since}") == every, path
    assert await texts(world, f"/Patient?_lastUpdated=ge{instant(known - timedelta(seconds=5))}") == ["4"]
    rows = await world.run.database.fetch(
        """select l.seq, a.versions, c.instant from access_log a join log_leaf l using (lid)
           join change c on c.pid = a.pid and c.seq is not null and a.versions = array[
             (select version from (select version, cid from resource union all select version, cid from history) v
              where v.cid = c.cid)]
           where a.action in ('create', 'update') order by l.seq"""
    )
    assert [row.versions for row in rows] == [[1], [2], [3], [4]]
    instants = [row.instant for row in rows]
    assert instants == sorted(instants)


@pytest.mark.parametrize("step", [step for step in STEPS.values() if step < timedelta()])
async def test_f11_a_token_is_not_revived_and_a_sign_in_does_not_last_longer(world: World, step: timedelta) -> None:
    """A token is judged by the machine's time, which this clock is not; what it says it may do has not changed."""
    identifier = await write(world, patient())
    stranger = world.professional("265161000016000")
    before = await world.get(f"/Patient/{identifier}", stranger)
    world.clock.forward(seconds=step.total_seconds())
    after = await world.get(f"/Patient/{identifier}", stranger)
    assert (before.status_code, before.content) == (after.status_code, after.content)
    assert before.status_code == 404
