"""The real messages and documents in any order, with repeats, again, at once, and each alone: the same end.

Where two of them carry one id and other content, the first to come is taken and the other held. Which one
that is depends on the order, so the end state is a function of which were taken, and of nothing else.
"""

from __future__ import annotations

import hashlib
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import needs_shared, open_world
from tests.exchange.real import NANCY, content, one
from tests.exchange.state import State, files, state_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Clones, FixedClock, World

pytestmark = [needs_shared, pytest.mark.long]

ORDERS = 20
REPEATS = 15
PLANS = "DK-CPD_Care_Plan_GGOP_specialiseret_Example_2019-01-22"
RIVALS = (
    (f"cda/{PLANS}.xml", f"cda/{PLANS}-with-obs.xml"),
    ("cda/PDC20_Example-1_2019-08-17_text.xml", "cda/PDC20_Example-2_2019-08-20.xml"),
)
"""Files with one document id and other content: whichever comes first is taken, the other held."""


def shuffled(seed: int) -> list[Path]:
    """Return the files in an order of their own, some of them several times."""
    random = Random(seed)
    order = [*files(), *random.choices(files(), k=REPEATS)]
    random.shuffle(order)
    return order


def digest(path: Path) -> str:
    return hashlib.sha256(content(path)).hexdigest()


async def deliver(world: World, paths: list[Path]) -> None:
    """Deliver files one after another."""
    for path in paths:
        assert (await world.message(content(path))).status_code == 200, path.name


async def end_of(conninfo: str, folder: Path, clock: FixedClock, order: list[Path]) -> State:
    """Return the end state of a store of its own that files came to in this order."""
    folder.mkdir()  # noqa: ASYNC240 - nothing else runs
    async with open_world(conninfo, folder, clock) as world:
        await deliver(world, order)
        return await state_of(world)


def winners(state: State) -> tuple[str, ...]:
    """Return which of each pair of rivals was taken, and see that the other was held."""
    taken = []
    for pair in RIVALS:
        by_state = {min(state.states_of(digest(one(name)))): name for name in pair}
        assert set(by_state) == {("applied", ""), ("held", "same-id-other-content")}
        taken.append(by_state["applied", ""])
    return tuple(taken)


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Return where two values differ, each as one short line."""
    if one == other:
        return []
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys())
        return [line for k in keys for line in differences(one.get(k), other.get(k), f"{where}.{k}")]
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for n, (p, q) in pairs for line in differences(p, q, f"{where}[{n}]")]
    return [f"{where}: {str(one)[:300]} | {str(other)[:300]}"]


async def test_m09_f14_any_order_with_any_repeats_has_the_same_end(
    clones: Clones, tmp_path: Path, clock: FixedClock
) -> None:
    assert len(files()) == 52
    ends = [await end_of(clones.make(), tmp_path / str(seed), clock, shuffled(seed)) for seed in range(ORDERS)]
    first = {winners(end): end for end in reversed(ends)}
    assert len(first) == 4  # each pair of rivals was won by either, so that both ways were compared
    for seed, end in enumerate(ends):
        like = first[winners(end)]
        assert differences(like.resources, end.resources, f"order {seed}") == []
        assert differences(like.overviews, end.overviews, f"order {seed}") == []
        assert {(m.digest, min(m.states)) for m in end.messages} == {(m.digest, min(m.states)) for m in like.messages}
    # Who wins touches nobody but the patient of the rivals.
    others = [{who: o for who, o in end.overviews.items() if NANCY not in who} for end in ends]
    assert len(others[0]) >= 5
    assert [differences(others[0], other) for other in others] == [[]] * ORDERS


async def test_what_became_of_a_content_is_one_answer_and_copies_of_it(
    clones: Clones, tmp_path: Path, clock: FixedClock
) -> None:
    end = await end_of(clones.make(), tmp_path / "one", clock, shuffled(0))
    for message in end.messages:
        assert message.states - {("applied", "duplicate")} == {min(message.states)}, message
    copies = sum(("applied", "duplicate") in message.states for message in end.messages)
    assert copies >= 5
