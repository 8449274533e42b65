"""Merged records: blocks count for every part, and what is about another person too stays hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.identifiers import CPR as CPR_SYSTEM
from overblik.trust.treatment.break_glass import break_glass
from tests.conftest import NOW
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, deny, encounter, patient, stage, write

if TYPE_CHECKING:
    from typing import LiteralString

    from tests.conftest import World

TWIN = "0905489971"


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
    twin = await write(world, patient(TWIN))
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


def observation(patient_id: str) -> dict[str, Any]:
    subject = {"reference": f"Patient/{patient_id}"}
    code = {"coding": [{"code": "X"}]}
    return {"resourceType": "Observation", "status": "final", "code": code, "subject": subject}


CHANNELS = (
    "/Observation/{seen}",
    "/Observation/{seen}/_history",
    "/Observation?code=X",
    "/Observation?patient={mine}",
    "/Observation?patient={twin}&_total=accurate",
    "/Observation?patient={twin}&asOf=2026-11-23",
    "/Patient/{mine}/Observation",
    "/Patient/{twin}/$everything",
    "/Patient/{mine}/$overview",
    "/Observation/$lastn?patient={twin}",
    "/Patient?_id={mine},{twin}&_revinclude=Observation:subject",
    "/Observation/_history",
)


@pytest.mark.parametrize("part", ["mine", "twin"])
async def test_z30_a_block_counts_for_every_part_of_a_merged_record(world: World, part: str) -> None:
    """Wherever in a merged record a block stands, and wherever what it hides: hidden in every channel."""
    names = {"mine": await stage(world), "twin": await write(world, patient(TWIN))}
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    names["seen"] = await write(world, observation(names["twin" if part == "mine" else "mine"]))
    await merge(world, names["mine"], names["twin"])
    await world.run.drain()
    who = world.professional(DEPARTMENT)
    before = {path: await world.get(path.format(**names), who) for path in CHANNELS}
    assert [p for p, answer in before.items() if names["seen"] not in answer.text] == []
    await deny(world, names[part], type="Observation")
    for path in CHANNELS:
        answer = await world.get(path.format(**names), who)
        assert names["seen"] not in answer.text, path
        assert '"X"' not in answer.text, path
        assert (await world.get(path.format(**names), world.citizen(CPR))).status_code == 200, path


async def test_z30_blocked_evidence_of_one_part_opens_no_other(world: World) -> None:
    mine, twin = await stage(world), await write(world, patient(TWIN))
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    await merge(world, mine, twin)
    who = world.professional(DEPARTMENT)
    assert (await world.get(f"/Patient/{twin}", who)).status_code == 200
    await deny(world, twin, type="Encounter")
    assert (await world.get(f"/Patient/{twin}", who)).status_code == 404
    assert (await world.get(f"/Patient/{mine}", who)).status_code == 404


async def test_broken_glass_sets_blocks_aside_in_every_part(world: World) -> None:
    mine, twin = await stage(world), await write(world, patient(TWIN))
    seen = await write(world, observation(twin))
    await merge(world, mine, twin)
    await deny(world, mine)
    caller = await world.run.issuer.caller(world.professional(DEPARTMENT)["Authorization"].split()[1])  # type: ignore[union-attr]  # tests have an issuer
    await break_glass(world.run.door, caller, CPR_SYSTEM, CPR, "Bevidstløs i modtagelsen")
    assert (await world.get(f"/Observation/{seen}", world.professional(DEPARTMENT))).status_code == 200
    assert (await world.get(f"/Observation/{seen}", world.professional(DEPARTMENT, "TEST2"))).status_code == 404


async def test_z30_the_block_of_each_whom_a_thing_is_about_hides_it(world: World) -> None:
    mine, other = await stage(world), await write(world, patient(OTHER))
    for cpr in (CPR, OTHER):
        await write(world, encounter(DEPARTMENT, NOW - DAY, None, cpr))
    participants = [{"actor": {"reference": f"Patient/{one}"}, "status": "accepted"} for one in (mine, other)]
    shared = await write(world, {"resourceType": "Appointment", "status": "booked", "participant": participants})
    who = world.professional(DEPARTMENT)
    assert (await world.get(f"/Appointment/{shared}", who)).status_code == 200
    await deny(world, other, type="Appointment")
    assert (await world.get(f"/Appointment/{shared}", who)).status_code == 404


async def test_the_parts_of_a_record_follow_every_merge_and_parting(world: World) -> None:
    run = world.run.database.run
    for pid, root in ((1, 1), (2, 1), (3, 1), (5, 5), (6, 5)):
        await run(
            "insert into record_alias (pid, root, reason, since) values (%(pid)s, %(root)s, '', now())",
            {"pid": pid, "root": root},
        )
    steps: list[tuple[LiteralString, dict[int, list[int]]]] = [
        ("select", {1: [1, 2, 3], 2: [1, 2, 3], 3: [1, 2, 3], 5: [5, 6], 6: [5, 6]}),
        (
            "update record_alias set root = 5 where pid = 3",
            {1: [1, 2], 2: [1, 2], 3: [3, 5, 6], 5: [3, 5, 6], 6: [3, 5, 6]},
        ),
        ("delete from record_alias where pid in (1, 6)", {2: [2], 3: [3, 5], 5: [3, 5]}),
        ("delete from record_alias", {}),
    ]
    for statement, parts in steps:
        await run(statement)
        rows = await world.run.database.fetch("select pid, parts from record_alias")
        assert {row.pid: list(row.parts) for row in rows} == parts
