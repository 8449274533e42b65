"""What left equals what was logged, for every kind of answer."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from overblik.demo.cast import NURSE, ORTHOPAEDICS
from overblik.demo.people import make_person
from overblik.demo.story import Story
from tests.conftest import NOW
from tests.journeys.tell import set_the_stage, tell
from tests.journeys.wire import Recorder

if TYPE_CHECKING:
    from tests.conftest import World

PERSON = make_person(Random("wire"), NOW.date())
TYPES = ("Patient", "Encounter", "CarePlan", "Observation", "MedicationRequest", "Communication", "Appointment")


async def test_what_left_is_what_was_logged(world: World) -> None:
    await set_the_stage(world)
    story = Story(PERSON, NOW.date())
    await tell(world, [d for step in story.steps()[:6] for d in step.deliveries])
    world.clock.set(story.steps()[5].until)
    recorder = Recorder(world)
    patient = await world.patient_id(PERSON.cpr)
    ids = {
        kind: [e["resource"]["id"] for e in (await world.get(f"/{kind}", world.system())).json().get("entry", [])]
        for kind in TYPES
    }
    callers = [
        world.citizen(PERSON.cpr),
        world.professional(NURSE.unit.sor, NURSE.id),
        world.professional(ORTHOPAEDICS.sor, "DEM04"),
        world.professional("99900000016041"),
        world.citizen("0101010101"),
        world.token(kind="source", sub=ORTHOPAEDICS.slug, name="x"),
    ]
    for who in callers:
        for kind, values in ids.items():
            await world.get(f"/{kind}?_count=3", who)
            for identifier in [*values[:4], "0" * 32]:
                await world.get(f"/{kind}/{identifier}", who)
                await world.get(f"/{kind}/{identifier}/_history", who)
                await world.get(f"/{kind}/{identifier}/_history/1", who)
        await world.get(f"/Patient/{patient}/$overview", who)
        await world.get(f"/Patient/{patient}/$overview?asOf=2026-11-21", who)
        await world.get("/Observation?code=NPU02319", who)
    assert len(recorder.exchanges) > 300
    assert sum(len(e.disclosed) for e in recorder.exchanges) > 200
    assert await recorder.differences() == []


async def test_the_recorder_sees_a_missing_entry(world: World) -> None:
    """With one log entry gone the comparison fails: the recorder can fail."""
    await set_the_stage(world)
    await tell(world, Story(PERSON, NOW.date()).background().deliveries)
    recorder = Recorder(world)
    patient = await world.patient_id(PERSON.cpr, world.citizen(PERSON.cpr))
    await world.get(f"/Patient/{patient}", world.citizen(PERSON.cpr))
    assert await recorder.differences() == []
    database = world.run.database
    await database.run("alter table access_log disable trigger all")
    await database.run(
        "delete from access_log where request = %(request)s", {"request": recorder.exchanges[-1].request}
    )
    assert len(await recorder.differences()) == 1
