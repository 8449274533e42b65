"""A source's name: its ids begin with it and a dot, so no other name may lie inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from overblik.fhir.errors import Unprocessable
from overblik.trust.callers.sources import register, registered
from tests.conftest import NOW
from tests.trust.stage import DAY, DEPARTMENT, HOSPITAL, MUNICIPALITY, encounter, organisation, sees, stage, write

if TYPE_CHECKING:
    from tests.conftest import World


@pytest.mark.parametrize("name", ["", "a.b", "hospital.lab", "."])
async def test_a_name_with_a_dot_is_no_source(world: World, name: str) -> None:
    with pytest.raises(Unprocessable, match="no dot"):
        await register(world.run.database, name, ["99900000016020"], NOW)
    assert await registered(world.run.database, name) is None
    response = await world.get("/Observation/x", world.token(kind="source", sub=name, name=name))
    assert response.status_code == 422
    assert response.json()["issue"][0]["details"]["coding"][0]["code"] == "source-name"


async def test_a_source_cannot_write_into_the_namespace_of_another(world: World) -> None:
    await register(world.run.database, "hospital", ["99900000016020"], NOW)
    resource = {"resourceType": "Organization", "id": "hospital.lab.1", "name": "Lab"}
    assert (await world.put("/Organization/hospital.lab.1", world.source("lab"), resource)).status_code == 404


async def test_a_source_puts_no_unit_under_anothers_and_describes_none_but_its_own(world: World) -> None:
    """Relations hold for sub-units: who could stand below a hospital by their own word would see its patients."""
    patient_id = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    clinic, ward = "99900001600999", "99900001600998"
    await register(world.run.database, "clinic", [clinic, ward], NOW)
    gln = {"system": "https://www.gs1.org/gln", "value": "5790000000001"}
    named = organisation(HOSPITAL)
    assert await world.post("/Organization", world.system(), named | {"identifier": [*named["identifier"], gln]})
    also_own = [*organisation(DEPARTMENT)["identifier"], {"system": "urn:x", "value": clinic}]
    tried = {
        "below a department": organisation(clinic, DEPARTMENT),
        "another's row": organisation(DEPARTMENT, clinic) | {"identifier": also_own},
        "another's number": organisation(clinic) | {"identifier": [*organisation(clinic)["identifier"], gln]},
    }
    for what, body in tried.items():
        answer = await world.post("/Organization", world.source("clinic"), body)
        assert (answer.status_code, "not-your-organisation" in answer.text) == (409, True), what
    for body in (organisation(clinic), organisation(ward, clinic)):
        assert (await world.post("/Organization", world.source("clinic"), body)).status_code == 201
    await world.post("/Organization", world.system(), organisation(clinic, MUNICIPALITY))
    assert (await world.post("/Organization", world.source("clinic"), organisation(clinic, MUNICIPALITY))).is_success
    await world.run.directory.refresh(force=True)
    assert world.run.directory.path(ward) == (ward, clinic, MUNICIPALITY)
    assert not await sees(world, patient_id, ward)
    assert await sees(world, patient_id, DEPARTMENT)
