"""Searches over several types, and of the compartment of a patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.test_search import BOS, CPR, INGE, OBSERVATIONS, found, write
from tests.journeys.wire import Recorder

if TYPE_CHECKING:
    from tests.conftest import World

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_one_type_after_the_other_on_pages_of_every_size(world: World) -> None:
    names = await write(world)
    who = world.source()
    recorder = Recorder(world)
    one = [*await found(world, names, "Patient"), *await found(world, names, "Observation")]
    for count in (1, 2, 3, 7, 8, 50):
        path = f"?_type=Patient,Observation&_count={count}"
        assert await found(world, names, path, who) == one, count
    other = await found(world, names, "?_type=Organization,Observation,Patient&_count=4", who)
    assert other == ["hospital", *one[2:], *one[:2]]
    for path in ("?_type=Observation", "?_type=Observation,Observation", "?_type=Observation&_type="):
        response = await world.get(f"/{path}", who)
        assert response.status_code == (400 if path.endswith("=") else 200)
    assert await recorder.differences() == []


async def test_every_criterion_is_of_every_type(world: World) -> None:
    names = await write(world)
    ids = {name: identifier for identifier, name in names.items()}
    own = sorted(OBSERVATIONS.keys() - BOS)
    for asked in (f"patient={ids['inge']}", f"_lastUpdated=ge2026&patient={ids['inge']}"):
        assert sorted(await found(world, names, f"?_type=Observation,Encounter&{asked}&_count=2")) == own
    assert (await world.get("/?_type=Observation,Patient&code=W", world.source())).status_code == 400
    lenient = await world.get(
        "/?_type=Observation,Patient&code=W", world.source(), headers={"Prefer": "handling=lenient"}
    )
    assert {e["resource"]["resourceType"] for e in lenient.json()["entry"]} == {"Observation", "Patient"}


async def test_the_numbers_are_sums(world: World) -> None:
    await write(world)
    for asked in ("_summary=count", "_count=0", "_count=1&_total=accurate"):
        bundle = (await world.get(f"/?_type=Patient,Observation&{asked}", world.source())).json()
        assert bundle["total"] == len(OBSERVATIONS) + 2
    assert (await world.get("/?_type=Patient,Observation&_summary=count", world.citizen(INGE))).json()["total"] == 5


async def test_a_posted_search_is_the_same_and_a_cpr_stays_out_of_its_links(world: World) -> None:
    names = await write(world)
    body = f"_type=Observation,Encounter&patient:identifier={CPR}|{INGE}&_count=2".encode()
    posted = await world.post("/_search", world.source(), body, headers=FORM)
    assert posted.status_code == 200
    assert INGE not in str(posted.json()["link"])
    following = posted.json()["link"][1]["url"].removeprefix("http://test/fhir/")
    seen = [names[e["resource"]["id"]] for e in posted.json()["entry"]] + await found(world, names, following)
    assert sorted(seen) == sorted(OBSERVATIONS.keys() - BOS)
    stranger = await world.get(f"/{following}", world.citizen(INGE))
    assert stranger.status_code == 400


@pytest.mark.parametrize(
    ("path", "code"),
    [("/?_type=Nothing", "resource-type-unknown"), ("/", "types-needed"), ("?_type=,", "types-needed"),
     ("/?_type=Patient&_cursor=Observation~x", "cursor-invalid"), ("/?_type=Patient&_cursor=x", "cursor-invalid"),
     ("/?_type=Patient&_cursor=Patient~x", "cursor-invalid"), ("/?_type=OperationOutcome", "resource-type-unknown")],
)  # fmt: skip
async def test_what_cannot_be_searched_is_refused(world: World, path: str, code: str) -> None:
    response = await world.get(path, world.system())
    assert response.status_code == 400
    assert response.json()["issue"][0]["details"]["coding"][0]["code"] == code


async def test_a_compartment_is_the_record_that_a_visible_patient_opens(world: World) -> None:
    names = await write(world)
    ids = {name: identifier for identifier, name in names.items()}
    own = sorted(OBSERVATIONS.keys() - BOS)
    base = f"Patient/{ids['inge']}/Observation"
    assert sorted(await found(world, names, base)) == own
    assert sorted(await found(world, names, f"{base}?_count=1")) == own
    assert await found(world, names, f"{base}?code=W") == ["weight"]
    assert await found(world, names, f"Patient/{ids['inge']}/Patient") == ["inge"]
    posted = await world.post(f"/{base}/_search", world.source(), b"code=W&_summary=count", headers=FORM)
    assert posted.json()["total"] == 1
    assert await found(world, names, f"Patient/{ids['bo']}/Observation", world.citizen(INGE)) == []
    assert await found(world, names, f"Patient/{'0' * 32}/Observation", world.citizen(INGE)) == []
    assert (await world.get(f"/Patient/{ids['inge']}/Nothing", world.source())).status_code == 404
    assert (await world.get(f"/Organization/{ids['inge']}/Observation", world.source())).status_code == 404
