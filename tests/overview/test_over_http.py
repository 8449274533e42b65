"""The overview as it is asked for: its statements counted, news per person, and the past as it was known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.store.database import counting
from tests.conftest import NOW
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, SIBLING, UNIT, about, encounter, patient, stage, write

if TYPE_CHECKING:
    from datetime import datetime

    from tests.conftest import World


def observation(value: float, at: datetime = NOW, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Puls"},
        "subject": about(),
        "effectiveDateTime": at.isoformat(),
        "valueQuantity": {"value": value, "unit": "/min"},
        **more,
    }


async def opened(world: World) -> str:
    """Write one patient whom two units treat; return the patient's id."""
    identifier = await stage(world)
    for org in (DEPARTMENT, SIBLING):
        await write(world, encounter(org, NOW - DAY, None))
    await world.run.drain()
    return identifier


async def look(world: World, identifier: str, who: dict[str, str], **params: str) -> dict[str, Any]:
    response = await world.get(f"/Patient/{identifier}/$overview", who, params=params)
    assert response.status_code == 200, response.text
    return dict(response.json())


def readings(o: dict[str, Any]) -> list[str]:
    return [r["value"] for result in o["results"] for r in result["readings"]]


def new(o: dict[str, Any]) -> list[tuple[str, str]]:
    return [(n["kind"], n["event"]) for n in o["new"]]


# -- how many statements


@pytest.mark.parametrize("resources", [1, 40])
async def test_an_overview_is_two_statements_however_much_it_shows(world: World, resources: int) -> None:
    """The numbers do not depend on the machine; a changed one needs a reason."""
    identifier = await opened(world)
    for number in range(resources):
        await write(world, observation(60 + number))
    await world.run.directory.refresh(force=True)
    for who, fetched in ((world.professional(DEPARTMENT), 1), (world.citizen(CPR), 0)):
        with counting() as sent:
            await look(world, identifier, who)
        # where the record is; decision, versions, log and that this person looked in one; versions not seen before
        assert len(sent) == 2 + fetched
    with counting() as sent:
        await look(world, identifier, world.professional(DEPARTMENT), asOf="2026-11-23")
    assert len(sent) == 2


@pytest.mark.parametrize("patients", [1, 12])
async def test_a_worklist_is_one_statement_however_many_patients_stand_on_it(world: World, patients: int) -> None:
    await opened(world)
    for number in range(patients - 1):
        cpr = f"25124{number:02}996"
        await write(world, patient(cpr))
        await write(world, encounter(DEPARTMENT, NOW - DAY, None, cpr))
    caller = await caller_of(world, world.professional(DEPARTMENT))
    await world.run.directory.refresh(force=True)
    with counting() as sent:
        work = await world.run.overviews.worklist(caller)
    assert len(work) == patients
    assert len(sent) == 1


async def caller_of(world: World, header: dict[str, str]) -> Any:
    assert world.run.issuer is not None
    return await world.run.issuer.caller(header["Authorization"].removeprefix("Bearer "))


# -- new since I last looked


async def test_news_is_new_to_each_person_by_themselves(world: World) -> None:
    identifier = await opened(world)
    one, two = world.professional(DEPARTMENT, "ONE11"), world.professional(DEPARTMENT, "TWO22")
    elsewhere = world.professional(SIBLING, "ONE11")
    await look(world, identifier, one)
    world.clock.forward(hours=1)
    await write(world, observation(88))
    await world.run.drain()
    assert new(await look(world, identifier, one)) == [("Observation", "")]
    assert ("Encounter", "") in [(kind, "") for kind, _ in new(await look(world, identifier, two))]
    assert len(new(await look(world, identifier, elsewhere))) > 1
    assert new(await look(world, identifier, world.citizen(CPR)))


async def test_news_stays_news_through_a_visit_and_is_seen_after_it(world: World) -> None:
    identifier = await opened(world)
    who = world.professional(DEPARTMENT)
    await look(world, identifier, who)
    world.clock.forward(hours=1)
    await write(world, observation(88))
    await world.run.drain()
    for _ in range(3):
        o = await look(world, identifier, who)
        assert new(o) == [("Observation", "")]
        world.clock.forward(minutes=20)
    world.clock.forward(minutes=40)
    o = await look(world, identifier, who)
    assert new(o) == []
    assert o["before"] is not None


async def test_the_first_look_tells_the_last_fourteen_days(world: World) -> None:
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    await write(world, observation(60))
    await world.run.drain()
    world.clock.forward(days=13, hours=23)
    await write(world, observation(70))
    await world.run.drain()
    o = await look(world, identifier, world.professional(DEPARTMENT, "EARLY"))
    assert [kind for kind, _ in new(o)].count("Observation") == 2
    assert o["before"] is None
    world.clock.forward(hours=2)
    o = await look(world, identifier, world.professional(DEPARTMENT, "LATER"))
    assert [kind for kind, _ in new(o)] == ["Observation"]


async def test_what_comes_late_is_new_when_it_comes_and_says_so(world: World) -> None:
    identifier = await opened(world)
    who = world.professional(DEPARTMENT)
    await look(world, identifier, who)
    world.clock.forward(hours=1)
    await write(world, observation(88, NOW - 400 * DAY))
    await world.run.drain()
    (item,) = (await look(world, identifier, who))["new"]
    assert item["late"]
    assert item["clinical"] < item["received"]


async def test_a_correction_and_a_withdrawal_are_new_and_the_page_changes_at_once(world: World) -> None:
    identifier = await opened(world)
    wrong = observation(190)
    made = await write(world, wrong)
    await world.run.drain()
    who = world.professional(DEPARTMENT)
    assert readings(await look(world, identifier, who)) == ["190"]
    world.clock.forward(hours=1)
    right = {**observation(90), "id": made, "status": "corrected"}
    await world.replace(f"/Observation/{made}", world.source(), right)
    await world.run.drain()
    o = await look(world, identifier, who)
    assert readings(o) == ["90"]
    assert new(o) == [("Observation", "corrected")]
    world.clock.forward(hours=1)
    await world.http.delete(f"/fhir/Observation/{made}", headers=world.source())
    await world.run.drain()
    o = await look(world, identifier, who)
    assert readings(o) == []
    assert new(o) == [("Observation", "withdrawn")]


async def test_a_withdrawal_is_no_news_to_whoever_never_saw_it(world: World) -> None:
    identifier = await opened(world)
    who = world.professional(DEPARTMENT)
    await look(world, identifier, who)
    world.clock.forward(hours=1)
    made = await write(world, observation(190))
    await world.http.delete(f"/fhir/Observation/{made}", headers=world.source())
    await world.run.drain()
    assert new(await look(world, identifier, who)) == []


async def test_entered_in_error_leaves_the_overview_at_once(world: World) -> None:
    identifier = await opened(world)
    made = await write(world, observation(190))
    await world.replace(
        f"/Observation/{made}", world.source(), {**observation(190), "id": made, "status": "entered-in-error"}
    )
    assert readings(await look(world, identifier, world.professional(DEPARTMENT))) == []


# -- the past


async def test_the_past_is_what_was_known_then_and_not_what_happened_by_then(world: World) -> None:
    identifier = await opened(world)
    made = await write(world, observation(190, NOW - DAY))
    await world.run.drain()
    first = world.clock.forward(hours=1)
    world.clock.forward(hours=1)
    await write(world, observation(60, NOW - 300 * DAY))
    await world.run.drain()
    second = world.clock.forward(hours=1)
    world.clock.forward(hours=1)
    await world.replace(f"/Observation/{made}", world.source(), {**observation(90, NOW - DAY), "id": made})
    await world.run.drain()
    third = world.clock.forward(hours=1)
    world.clock.forward(hours=1)
    await world.http.delete(f"/fhir/Observation/{made}", headers=world.source())
    await world.run.drain()
    world.clock.forward(hours=1)
    told = []
    for moment in (first, second, third):
        o = await look(world, identifier, world.professional(DEPARTMENT), asOf=moment.isoformat())
        told.append(readings(o))
        assert o["asOf"] is not None
        assert o["new"] == []
    assert told == [["190"], ["190", "60"], ["90", "60"]]
    assert readings(await look(world, identifier, world.professional(DEPARTMENT))) == ["60"]
    before = {"asOf": (NOW - DAY).isoformat()}
    unknown = await world.get(f"/Patient/{identifier}/$overview", world.professional(DEPARTMENT), params=before)
    assert unknown.status_code == 404


async def test_the_past_is_shown_by_todays_rules(world: World) -> None:
    identifier = await stage(world)
    made = await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    await write(world, observation(60))
    await world.run.drain()
    then = world.clock.forward(hours=1).isoformat()
    who = world.professional(DEPARTMENT)
    assert readings(await look(world, identifier, who, asOf=then)) == ["60"]
    gone = {**encounter(DEPARTMENT, NOW - DAY, None), "id": made, "status": "entered-in-error"}
    await world.replace(f"/Encounter/{made}", world.source(), gone)
    answer = await world.get(f"/Patient/{identifier}/$overview", who, params={"asOf": then})
    assert answer.status_code == 404


async def test_looking_at_the_past_is_not_a_look_at_the_news(world: World) -> None:
    identifier = await opened(world)
    who = world.professional(DEPARTMENT)
    await look(world, identifier, who)
    world.clock.forward(hours=2)
    await write(world, observation(88))
    await world.run.drain()
    await look(world, identifier, who, asOf=NOW.isoformat())
    assert new(await look(world, identifier, who)) == [("Observation", "")]


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-11-23T25:00:00Z", "20261123", "<script>"])
async def test_an_instant_that_cannot_be_read_is_refused(world: World, text: str) -> None:
    identifier = await opened(world)
    answer = await world.get(f"/Patient/{identifier}/$overview", world.professional(DEPARTMENT), params={"asOf": text})
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "as-of-invalid"


async def test_a_record_of_nobody_and_anothers_record_answer_alike(world: World) -> None:
    identifier = await opened(world)
    answers = [
        await world.get(f"/Patient/{target}/$overview", who)
        for target, who in ((identifier, world.professional(UNIT)), ("0" * 32, world.professional(UNIT)))
    ]
    assert answers[0].status_code == answers[1].status_code == 404
    assert answers[0].content == answers[1].content
    assert (await world.get(f"/Patient/{identifier}/$overview", world.citizen(OTHER))).status_code == 404
