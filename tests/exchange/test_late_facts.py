"""What is said again, or comes late, changes no version; who may see it is as if it had come in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import needs_shared
from tests.exchange.documents import PARTS, apd
from tests.exchange.notifications import TOWN, Told, new_cpr, seeded, write_all
from tests.exchange.real import NANCY, answer_of, one, take

if TYPE_CHECKING:
    from tests.conftest import World

ADMITTED = Told("admit-inpatient", 0)
DISCHARGED = Told("discharge-inpatient-home", 4, status="finished", ends=4)


async def encounters(world: World, cpr: str) -> int:
    """Return how many stays the receiving municipality sees."""
    who = world.professional(TOWN.sor)
    found = await world.get(f"/Encounter?patient={await world.patient_id(cpr)}", who)
    return len(found.json().get("entry", []))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in-time", "late"])
async def test_a_block_judges_a_stay_by_everything_said_of_it_in_whatever_order(
    world: World, order: tuple[int, int]
) -> None:
    cpr = new_cpr(seeded(1))
    story = write_all((ADMITTED, DISCHARGED), cpr)
    for number in order:
        assert answer_of(await world.message(story[number])).code == "ok"
    assert await encounters(world, cpr) == 1
    await world.run.database.run(
        "insert into deny (pid, did, data_from) select pid, 1, '2026-11-20' from person_key where value = %(cpr)s",
        {"cpr": cpr},
    )
    # The admission said that the stay was open: data from the 20th on, as far as anybody then knew.
    assert await encounters(world, cpr) == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in-time", "late"])
async def test_the_same_said_again_is_recorded_when_it_was_said_last(world: World, order: tuple[int, int]) -> None:
    cpr = new_cpr(seeded(2))
    story = write_all((ADMITTED, Told("revise-admit-inpatient", 1)), cpr)
    for number in order:
        assert answer_of(await world.message(story[number])).code == "ok"
    rows = await world.run.database.fetch("select version, recorded_at from resource where type = 'Encounter'")
    assert [(row.version, row.recorded_at.day) for row in rows] == [(1, 3)]


@needs_shared
async def test_the_registers_gp_stays_registered_when_its_sender_states_less_of_the_patient_later(world: World) -> None:
    await take(world, one("cda/PDC20_Example-1_2019-08-17.xml"))
    query = "select org from relation where kind = 'gp'"
    (before,) = await world.run.database.fetch(query)
    letter = apd(NANCY, born='<birthTime value="19481225"/>', organisation="<name>Sundhedsdatastyrelsen</name>")
    letter = letter.replace(PARTS["author"].encode(), b"")
    assert answer_of(await world.message(letter)).code == "ok"
    rows = await world.run.database.fetch("select version from resource where type = 'Patient'")
    assert [row.version for row in rows] == [2]
    assert await world.run.database.fetch(query) == [before]
