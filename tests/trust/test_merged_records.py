"""Merged records: what is about another person too stays hidden, whether or not the viewer's own record is merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import NOW
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, encounter, patient, stage, write

if TYPE_CHECKING:
    from tests.conftest import World


async def merge(world: World, *ids: str) -> None:
    """Say that the records of these Patients are one person's."""
    pids = [(await world.run.door.locate("Patient", identifier)).pid for identifier in ids]
    for pid in pids:
        await world.run.database.run(
            "insert into record_alias (pid, root, reason, since) values (%(pid)s, %(root)s, 'test', now())",
            {"pid": pid, "root": pids[0]},
        )


@pytest.mark.parametrize("who", ["citizen", "professional"])
async def test_a_merged_record_opens_nothing_about_somebody_else(world: World, who: str) -> None:
    mine = await stage(world)
    twin = await write(world, patient("0905489971"))
    other = await write(world, patient(OTHER))
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    shared = {"resourceType": "Appointment", "status": "booked", "participant": [
        {"actor": {"reference": f"Patient/{mine}"}, "status": "accepted"},
        {"actor": {"reference": f"Patient/{other}"}, "status": "accepted"},
    ]}  # fmt: skip
    alone = {**shared, "participant": shared["participant"][:1]}
    hidden, shown = await write(world, shared), await write(world, alone)
    caller = world.citizen(CPR) if who == "citizen" else world.professional(DEPARTMENT)
    for merged in ([], [mine, twin]):
        await merge(world, *merged)
        assert (await world.get(f"/Appointment/{shown}", caller)).status_code == 200
        assert (await world.get(f"/Appointment/{hidden}", caller)).status_code == 404, merged
