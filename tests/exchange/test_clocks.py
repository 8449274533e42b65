"""M21: a sender whose clock is off: what it sends is taken with both times, and flagged where it is kept and shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from overblik.fhir.clocks import clock_fault
from overblik.overview.context import Origin, Source
from overblik.web.language import chosen
from overblik.web.site import _functions
from tests.conftest import NOW
from tests.exchange.notifications import START, Told, new_cpr, seeded, write_all
from tests.exchange.real import answer_of

if TYPE_CHECKING:
    from tests.conftest import World

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FAULTS = [
    (2 * HOUR, False, "clock-ahead"), (2 * HOUR, True, "clock-ahead"), (timedelta(minutes=9), False, ""),
    (timedelta(0), False, ""), (-40 * DAY, False, ""), (-365 * DAY, False, "clock-behind"), (-365 * DAY, True, ""),
]  # fmt: skip
"""How far from ours the sender's clock is, whether it is a document, and what is said of it."""


@pytest.mark.parametrize(("off", "aged", "code"), FAULTS)
def test_m21_how_far_off_a_clock_is(off: timedelta, aged: bool, code: str) -> None:
    assert clock_fault(NOW + off, NOW, aged=aged) == code


@pytest.mark.parametrize(("off", "code"), [(2 * HOUR, "clock-ahead"), (-365 * DAY, "clock-behind"), (HOUR / 60, "")])
async def test_m21_it_is_taken_with_both_times_and_flagged(world: World, off: timedelta, code: str) -> None:
    cpr = new_cpr(seeded("clocks"))
    world.clock.set(START.astimezone(UTC) - off)
    [message] = write_all((Told("admit-inpatient", 0),), cpr)
    with capture_logs() as logs:
        answer = answer_of(await world.message(message))
    assert answer.code == "ok"
    told = [line["code"] for line in logs if line["event"] == "inbox.clock"]
    assert told == ([code] if code else [])
    listed = await world.run.inbox.intake.listed(["applied"], code=code)
    assert [(row.state, row.code, bool(row.reason)) for row in listed] == [("applied", code, bool(code))]
    assert await world.run.inbox.intake.listed(["applied"], code="other") == []
    found = (await world.get("/Provenance", world.system())).json()["entry"]
    [provenance] = [e["resource"] for e in found]
    assert [tag["code"] for tag in provenance["meta"].get("tag", ())] == ([code] if code else [])
    assert datetime.fromisoformat(provenance["recorded"]) == START
    assert datetime.fromisoformat(provenance["meta"]["lastUpdated"]) == world.clock.now()


def origin(off: timedelta) -> Origin:
    return Origin("Observation/1", Source("1", "Sygehuset"), None, NOW + off, NOW)


def test_m21_a_page_says_that_a_time_is_still_to_come(world: World) -> None:
    times = _functions(chosen("en"), NOW, world.run.directory)["origin_times"]
    assert "clock, which is ahead" in times(origin(2 * HOUR))
    assert "ahead" not in times(origin(HOUR / 60))
