"""Each real file alone in an empty store, beside all of them in one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.conftest import needs_shared, open_world
from tests.exchange.real import content
from tests.exchange.state import State, files, state_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Clones, FixedClock

HELD = ("held", "same-id-other-content")
pytestmark = [needs_shared, pytest.mark.long]


async def end_of(clones: Clones, folder: Path, clock: FixedClock, paths: list[Path]) -> State:
    """Return the end state of an empty store that these files came to."""
    async with open_world(clones.make(), folder, clock) as world:
        for path in paths:
            await world.message(content(path))
        return await state_of(world)


def resources_of(state: State) -> dict[str, str]:
    """Return {name: resource}, where a stay is called the same whatever period it has come to have."""
    return {re.sub(r"\{.*?\}>", ">", name): re.sub(r"\|(IMP|EMER)\{.*?\}>", r"|\1>", told)
            for name, told in state.resources.items()}  # fmt: skip


RESTATED = ("|Patient|patient>", "|Encounter|stay|", "|Binary|attachment|")
"""What a later message may say anew: of these only that they are there."""


async def test_all_together_hold_what_each_gives_alone_and_nothing_else(
    clones: Clones, tmp_path: Path, clock: FixedClock
) -> None:
    together = await end_of(clones, tmp_path, clock, files())
    whole = resources_of(together)
    told: set[str] = set()
    held_together = []
    for path in files():
        alone = await end_of(clones, tmp_path, clock, [path])
        (message,) = alone.messages
        given = resources_of(alone)
        (state,) = message.states
        assert bool(given) == (state[0] == "applied"), path.name
        if message.states != together.states_of(message.digest):
            assert (state, together.states_of(message.digest)) == (("applied", ""), frozenset({HELD})), path.name
            held_together.append(path.name)
            continue
        told |= given.keys()
        assert given.keys() <= whole.keys(), path.name
        own = [name for name in given if not any(kind in name for kind in RESTATED)]
        assert not given or own, path.name
        assert [name for name in own if given[name] != whole[name]] == [], path.name
    assert told == whole.keys()
    # By name, the second of each two with one document id.
    assert held_together == [
        "PDC20_Example-2_2019-08-20.xml",
        "DK-CPD_Care_Plan_GGOP_specialiseret_Example_2019-01-22.xml",
    ]
