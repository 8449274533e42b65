"""Everything the sources deliver is taken, whatever the day; and the flaws made on purpose can be seen."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from overblik.demo.calendar import at
from overblik.demo.cast import CONNECTIONS, GP, INGER, NURSE, STRANGER
from overblik.demo.client import refusal
from overblik.demo.links import LINKS
from overblik.demo.population import SITUATIONS, residents
from overblik.overview.service import GROUPS
from overblik.trust.callers.tokens import caller_from
from tests.demo.test_population import DAYS
from tests.journeys.tell import set_the_stage, tell

if TYPE_CHECKING:
    from datetime import date

    from tests.conftest import World


async def populate(world: World, count: int, today: date) -> None:
    """Fill a server as `overblik demo` does."""
    now = at(today, "09:00")
    world.clock.set(now)
    await set_the_stage(world)
    await tell(world, [d for r in residents(count, today) for d in r.deliveries(now)])
    world.clock.set(now)


async def groups(world: World, claims: dict[str, Any]) -> Counter[str]:
    """Return how many patients stand in each group of a professional's worklist."""
    caller = await caller_from(claims, world.run.database, world.run.directory)
    work = await world.run.overviews.worklist(caller)
    return Counter(group for item in work for group in item.groups)


@pytest.mark.long
@pytest.mark.parametrize("today", [DAYS[n] for n in (0, 2, 4, 5, 7, 9)])
async def test_every_delivery_is_taken(world: World, today: date) -> None:
    await populate(world, len(SITUATIONS) + 1, today)
    counts = {row.state: row.count for row in await world.run.inbox.intake.counts()}
    assert set(counts) == {"applied"}


async def test_the_worklists_look_like_a_working_day(world: World) -> None:
    await populate(world, 2 * len(SITUATIONS) + 1, at_monday())
    nurse = await groups(world, NURSE.claims())
    assert set(nurse) >= {"overdue", "new-plan", "discharged", "admitted", "underway"}
    assert set(nurse) <= set(GROUPS)
    assert sum(nurse.values()) < 3 * 2 * len(SITUATIONS)
    assert await groups(world, GP.claims())
    stranger = await groups(world, STRANGER.claims())
    assert stranger
    assert sum(stranger.values()) < sum(nurse.values())


async def test_the_flaws_made_on_purpose_are_seen(world: World) -> None:
    """The GP sees that sources differ, that a result was corrected, a training cancelled, a source silent."""
    await set_the_stage(world)
    story = residents(1, at_monday())[0].story
    steps = {s.code: s for s in story.steps()}
    told = list(steps)[: list(steps).index("report") + 1]
    await tell(world, [d for code in told for d in steps[code].deliveries])
    world.clock.set(steps["report"].until)
    seen = await world.overview(INGER.cpr, world.professional(GP.unit.sor, GP.id))
    disputed = [m for m in seen["medication"] if m["disagreement"]]
    assert [m["name"] for m in disputed] == ["Amlodipin 10 mg, tabletter / Amlodipin 5 mg, tabletter"]
    assert [r["corrected"] for result in seen["results"] for r in result["readings"]].count(True) == 1
    assert [a["status"] for a in seen["appointments"]].count("cancelled") == 1
    assert [s["name"] for s in seen["sources"] if s["state"] == "silent"] == [
        name for name, _, state, _ in CONNECTIONS if state == "silent"
    ]
    assert [a["substance"] for a in seen["allergies"]] == ["Penicillin"]


async def test_a_discharge_letter_that_came_late_is_seen_to_be_late(world: World) -> None:
    """One of the flaws made on purpose: the GP reads two days after the discharge what was written that day."""
    today = at_monday()
    number = next(n for n, situation in enumerate(SITUATIONS, 1) if situation.late_letter)
    resident = residents(number + 1, today)[number]
    now = at(today, "09:00")
    await set_the_stage(world)
    await tell(world, resident.deliveries(now))
    world.clock.set(now)
    seen = await world.overview(resident.person.cpr, world.professional(GP.unit.sor, GP.id))
    discharged = resident.story.days.discharged
    (letter,) = [item for item in seen["new"] if item["late"]]
    assert letter["kind"] == "Communication"
    assert datetime.fromisoformat(letter["clinical"]).date() == discharged
    assert datetime.fromisoformat(letter["received"]).date() == discharged + timedelta(days=2)


@pytest.mark.parametrize(("name", "who", "claims", "notice"), LINKS, ids=[name for name, *_ in LINKS])
async def test_each_link_signs_in_and_opens_a_page(
    world: World, name: str, who: str, claims: dict[str, Any], notice: str
) -> None:
    await populate(world, 1, at_monday())
    assert world.run.provider is not None
    await world.run.provider.add(claims, name=name, notice=notice)
    page = await world.http.get(f"/sign-in?hint={name}", follow_redirects=True)
    assert page.status_code == 200, who
    assert INGER.name in page.text
    assert "SYNTETISKE DATA" in page.text
    assert notice.endswith(".")


def at_monday() -> date:
    return cast("date", DAYS[0].values[0])


def acknowledgement(code: str, *texts: str) -> bytes:
    header = {"resourceType": "MessageHeader", "response": {"code": code}}
    issues = [{"details": {"text": text}} for text in texts]
    outcome = {"resourceType": "OperationOutcome", "issue": issues}
    return json.dumps({"entry": [{"resource": header}, *([{"resource": outcome}] if texts else [])]}).encode()


ANSWERS = [
    ("ok", acknowledgement("ok"), ""),
    ("refused", acknowledgement("fatal-error", "No sender.", "No patient."), "No sender.; No patient."),
    ("refused without words", acknowledgement("transient-error"), "transient-error"),
    ("a transaction's answer", b'{"resourceType": "Bundle", "entry": [{}]}', ""),
]


@pytest.mark.parametrize(("what", "answer", "told"), ANSWERS, ids=[a[0] for a in ANSWERS])
def test_a_source_is_told_why_its_delivery_was_not_taken(what: str, answer: bytes, told: str) -> None:
    assert refusal(answer) == told, what
