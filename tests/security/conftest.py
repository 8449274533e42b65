"""One server for all of these tests: two patients of a unit's, of whom the unit may see one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import NOW, Clones, FixedClock, World, open_world
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, about, encounter, patient, stage, write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Copies

SECRET = "hemmeligt-6f1d2c"
"""A word that stands in everything that is hidden, and nowhere else."""


@dataclass
class Scene:
    """The patient whom the unit treats, another one, and what each has; `hidden` is never to be seen by `doctor`."""

    world: World
    mine: str
    other: str
    seen: str
    hidden: str

    @property
    def doctor(self) -> dict[str, str]:
        """A professional of the unit that treats the one patient."""
        return self.world.professional(DEPARTMENT)

    @property
    def citizen(self) -> dict[str, str]:
        """The patient whom the unit treats."""
        return self.world.citizen(CPR)

    @property
    def source(self) -> dict[str, str]:
        """The source that delivered everything."""
        return self.world.source()


def observation(cpr: str = CPR, **more: Any) -> dict[str, Any]:
    """Return an Observation about somebody."""
    body = {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "X"}]}}
    return {**body, "subject": about(cpr), **more}


async def set_scene(world: World) -> Scene:
    """Write the patients and what they have."""
    mine = await stage(world)
    other = await write(world, patient(OTHER) | {"name": [{"family": SECRET}], "birthDate": "1948-05-09"})
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    value: dict[str, Any] = {"valueQuantity": {"value": 41.5}, "effectiveDateTime": "2026-11-20"}
    seen = await write(world, observation(note=[{"text": "synligt"}], **value))
    hidden = await write(world, observation(OTHER, note=[{"text": SECRET}], **value))
    await world.run.drain()
    return Scene(world, mine, other, seen, hidden)


@asynccontextmanager
async def opened_scene(copies: Copies, folder: Any) -> AsyncIterator[Scene]:
    """Open a server with the scene set."""
    clones = Clones(copies)
    async with open_world(clones.make(), folder, FixedClock()) as world:
        yield await set_scene(world)
    clones.drop()


@pytest.fixture(scope="session")
async def scene(copies: Copies, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Return the server that these tests share; each leaves what the others look at as it was."""
    async with opened_scene(copies, tmp_path_factory.mktemp("scene")) as made:
        yield made
