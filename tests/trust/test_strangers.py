"""Whoever has no relation gets the same bytes as for a patient who does not exist, whatever is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import NOW
from tests.journeys.worlds import Answer
from tests.trust.stage import (
    CPR,
    DAY,
    DEPARTMENT,
    HOSPITAL,
    OTHER,
    SIBLING,
    UNIT,
    about,
    encounter,
    patient,
    sees,
    stage,
    unit,
    write,
)

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World


def strangers(world: World) -> dict[str, dict[str, str]]:
    return {
        "a unit beside": world.professional(SIBLING),
        "the unit above": world.professional(HOSPITAL),
        "a unit whose evidence has run out": world.professional(UNIT),
        "a unit nobody knows": world.professional("99900099999"),
        "another citizen": world.citizen(OTHER),
        "another source": world.source("another"),
    }


PATHS = (
    "/Patient/{id}",
    "/Patient/{id}/_history",
    "/Patient/{id}/_history/1",
    "/Patient/{id}/$overview",
    "/Patient/{id}/$overview?asOf=2026-11-22",
    "/Patient?_id={id}",
    "/Patient?identifier={cpr}",
    "/Encounter?patient={id}",
    "/Encounter?patient:identifier={cpr}",
    "/Observation?subject=Patient/{id}&_count=1",
    "/Encounter/{encounter}",
    "/Encounter/{encounter}/_history/2",
)


@pytest.mark.parametrize(
    "who",
    [
        "a unit beside",
        "the unit above",
        "a unit whose evidence has run out",
        "a unit nobody knows",
        "another citizen",
        "another source",
    ],
)
async def test_a_stranger_gets_the_same_bytes_as_for_a_patient_who_does_not_exist(world: World, who: str) -> None:
    identifier = await stage(world)
    contact = await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    message = {"resourceType": "Communication", "status": "completed", "subject": about()}
    await write(world, {**message, "recipient": [unit(UNIT)]})
    await world.run.drain()
    world.clock.forward(days=91)
    caller = strangers(world)[who]
    real = {"id": identifier, "cpr": f"urn:oid:1.2.208.176.1.2|{CPR}", "encounter": contact}
    absent = {"id": "0" * 32, "cpr": "urn:oid:1.2.208.176.1.2|0905489971", "encounter": "1" * 32}
    for path in PATHS:
        answers = [await ask(world, path, caller, names) for names in (real, absent)]
        assert answers[0] == answers[1], path
        assert answers[0].status in {200, 404}, path
    for body in (_write_about, _update_of):
        answers = [Answer.of(await body(world, caller, names["id"]), {names["id"]: "ID"}) for names in (real, absent)]
        assert answers[0].status >= 400
        assert answers[0] == answers[1]
    assert await sees(world, identifier, DEPARTMENT)


async def ask(world: World, path: str, who: dict[str, str], names: dict[str, str]) -> Answer:
    response = await world.get(path.format(**names), who)
    quoted = {value.replace("|", "%7C").replace(":", "%3A"): key for key, value in names.items()}
    return Answer.of(response, {value: key for key, value in names.items()} | quoted)


async def _write_about(world: World, who: dict[str, str], target: str) -> httpx.Response:
    body = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{target}"},
    }
    return await world.post("/Observation", who, body)


async def _update_of(world: World, who: dict[str, str], target: str) -> httpx.Response:
    return await world.put(f"/Patient/{target}", who, {**patient(), "id": target})
