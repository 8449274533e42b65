"""A source's name: its ids begin with it and a dot, so no other name may lie inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from overblik.fhir.errors import Unprocessable
from overblik.trust.sources import register, registered
from tests.conftest import NOW

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
