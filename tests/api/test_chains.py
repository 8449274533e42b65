"""Chains and `_has` through the door: what the caller may not see leads nowhere, and no step leaves the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.errors import NotFound
from tests.api.test_hidden import plain
from tests.conftest import NOW
from tests.trust.consents import CPR_SYSTEM, consent, of_type, verified
from tests.trust.stage import (
    CPR,
    DAY,
    DEPARTMENT,
    OTHER,
    SIBLING,
    about,
    caller,
    deny,
    encounter,
    patient,
    stage,
    write,
)

if TYPE_CHECKING:
    from tests.conftest import World

WAYS = (
    "Encounter?diagnosis:Condition.code={code}",
    "Encounter?diagnosis:Condition.code:not={other}",
    "Encounter?diagnosis:Condition.code:text=Bru",
    "Encounter?diagnosis:Condition._id={id}",
    "Encounter?diagnosis:Condition._lastUpdated=ge2020",
    "Encounter?diagnosis:Condition.date:missing=true",
    "Encounter?patient._has:Condition:patient:code={code}",
    "Encounter?_has:Condition:encounter:code={code}",
    "Encounter?_has:Condition:encounter:code:not={other}",
    "Encounter?_has:Condition:encounter:_id={id}",
    "Patient?_has:Condition:patient:code={code}",
    "Patient?_has:Condition:patient:_has:Encounter:diagnosis:status=finished",
    "Patient?_has:Encounter:patient:diagnosis:Condition.code={code}",
)


async def told(world: World) -> dict[str, str]:
    """Write an Encounter with a Condition that refers to it, of a patient that a department treats."""
    patient_id = await stage(world)
    condition: dict[str, Any] = {
        "resourceType": "Condition", "subject": about(),
        "code": {"coding": [{"system": "s", "code": "X", "display": "Brud"}]},
    }  # fmt: skip
    condition_id = await write(world, condition)
    visit = encounter(DEPARTMENT, NOW - DAY, NOW) | {
        "diagnosis": [{"condition": {"reference": f"Condition/{condition_id}"}}]
    }
    visit_id = await write(world, visit)
    changed = condition | {"id": condition_id, "encounter": {"reference": f"Encounter/{visit_id}"}}
    sent = await world.put(f"/Condition/{condition_id}", world.source(), changed, **{"If-Match": 'W/"1"'})
    assert sent.status_code == 200, sent.text
    await world.run.drain()
    return {"patient": patient_id, "id": condition_id, "code": "X", "other": "Y"}


async def found(world: World, path: str, who: dict[str, str]) -> int:
    response = await world.get(f"/{path}", who)
    assert response.status_code == 200, (path, response.text)
    return len(response.json().get("entry", []))


async def test_a_hidden_step_makes_no_match_and_reads_like_none(world: World) -> None:
    names = await told(world)
    nurse, absent = world.professional(DEPARTMENT), names | {"id": "0" * 32, "code": "Z", "other": "W"}
    for path in WAYS:
        assert await found(world, path.format(**names), nurse) == 1, path
        assert await found(world, path.format(**names), world.citizen(CPR)) == 1, path
        assert await found(world, path.format(**names), world.professional(SIBLING)) == 0, path
        assert await found(world, path.format(**names), world.citizen(OTHER)) == 0, path
    await deny(world, names["patient"], type="Condition")
    for path in WAYS:
        got = [plain(await world.get("/" + path.format(**n), nurse), n) for n in (names, absent)]
        assert got[0] == got[1], path
        assert got[0][0] == 200
        assert await found(world, path.format(**names), nurse) == 0, path


async def test_a_hidden_patient_leads_to_nothing(world: World) -> None:
    """What is known of a Patient leads to the rest of the record for those who see the Patient only."""
    patient_id = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, NOW))
    paths = (
        "Encounter?patient.name=Test", f"Encounter?patient.identifier={CPR_SYSTEM}|{CPR}",
        "Encounter?patient._id=" + patient_id,
    )  # fmt: skip
    nurse = world.professional(DEPARTMENT)
    door, named = world.run.door, await caller(world, nurse)
    assert [await found(world, path, nurse) for path in paths] == [1, 1, 1]
    assert await door.find(named, CPR_SYSTEM, CPR) == patient_id
    said = consent({"type": "deny", **of_type("Condition")}, **verified())
    assert (await world.post("/Consent", nurse, said)).status_code == 201
    await deny(world, patient_id, type="Patient")
    assert await found(world, "Encounter", nurse) == 1
    assert [await found(world, path, nurse) for path in paths] == [0, 0, 0]
    with pytest.raises(NotFound):
        await door.find(named, CPR_SYSTEM, CPR)
    assert (await world.post("/Consent", nurse, said)).status_code == 404


async def test_a_step_does_not_leave_the_record(world: World) -> None:
    """A visit that is part of another patient's is not found by what is told of that one."""
    await stage(world)
    await world.post("/Patient", world.source(), patient(OTHER))
    first = await write(world, encounter(DEPARTMENT, NOW - DAY, NOW, OTHER))
    part = encounter(DEPARTMENT, NOW - DAY, None) | {"partOf": {"reference": f"Encounter/{first}"}}
    await write(world, part)
    for who in (world.source(), world.professional(DEPARTMENT), world.system()):
        assert await found(world, f"Encounter?part-of=Encounter/{first}", who) == 1
        assert await found(world, "Encounter?part-of:Encounter.status=finished", who) == 0
        assert await found(world, "Encounter?_has:Encounter:part-of:status=in-progress", who) == 0


async def test_u02_each_patient_shown_by_a_chain_has_an_entry(world: World) -> None:
    names = await told(world)
    await found(world, WAYS[0].format(**names), world.professional(DEPARTMENT))
    rows = await world.run.database.fetch(
        "select pid, query, cardinality(rids) as shown from access_log where action = 'search' order by at desc"
    )
    assert [(row.pid > 0, row.shown) for row in rows if "diagnosis" in row.query] == [(True, 1)]
