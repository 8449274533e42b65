"""A log that falls behind is told of, and ends what it should tell of; nothing else needs a person to notice."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from overblik.trust.log.backlog import ALARM, LOOKS, STOP

if TYPE_CHECKING:
    from tests.conftest import World

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("waited", "told", "stopped"),
    [(ALARM, False, False), (ALARM + SECOND, True, False), (STOP, True, False), (STOP + SECOND, True, True)],
    ids=["a minute", "over a minute", "a quarter of an hour", "over a quarter"],
)
async def test_an_old_entry_without_a_number_is_told_of_and_then_ends_disclosure(
    world: World, waited: timedelta, told: bool, stopped: bool
) -> None:
    created = (await world.post("/Patient", world.source(), {"resourceType": "Patient"})).json()
    await world.run.drain()
    await world.get(f"/Patient/{created['id']}", world.source())
    world.clock.set(world.clock.now() + waited)
    with capture_logs() as logs:
        for _ in range(LOOKS):
            await world.run.backlog.look()
    assert [line["event"] for line in logs] == ["log.behind"] * (LOOKS - 1) * told
    assert [line["stopped"] for line in logs][-1:] == [stopped] * told
    answer = await world.get(f"/Patient/{created['id']}", world.source())
    assert answer.status_code == (503 if stopped else 200)
    if stopped:
        assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "log-behind"
        assert answer.headers["retry-after"]
        assert (await world.http.get("/")).status_code == 503
        assert (await world.http.get("/livez")).status_code == 200
        await world.run.drain()
        await world.run.backlog.look()
        assert (await world.get(f"/Patient/{created['id']}", world.source())).status_code == 200


async def test_a_clock_that_was_set_and_what_a_stop_has_left_end_nothing(world: World) -> None:
    await world.post("/Patient", world.source(), {"resourceType": "Patient"})
    world.clock.set(world.clock.now() + timedelta(days=1))
    for _ in range(LOOKS - 1):
        await world.run.backlog.look()
    assert world.run.backlog.refusal is None
    await world.run.drain()
    await world.run.backlog.look()
    assert world.run.backlog.refusal is None


async def test_what_is_refused_is_as_if_it_was_never_asked(world: World) -> None:
    await world.post("/Patient", world.source(), {"resourceType": "Patient"})
    world.clock.set(world.clock.now() + STOP + SECOND)
    for _ in range(LOOKS):
        await world.run.backlog.look()
    waiting = "select count(*) as n from access_log"
    before = (await world.run.database.fetch(waiting))[0].n
    assert (await world.get("/Patient", world.source())).status_code == 503
    assert (await world.run.database.fetch(waiting))[0].n == before
