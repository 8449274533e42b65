"""A power cut: what was acknowledged is on the disk, and not only on its way there.

A kill leaves the operating system's memory as it was; a power cut does not. `disk.py` has the disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from overblik.fhir.errors import Unavailable
from tests.kill import disk
from tests.kill.rounds import Outcome, rounds
from tests.kill.victim import NotBackError, PoweredVictim

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(disk.missing()), reason=disk.missing() or "it is there")]

MEGABYTES = 1500


async def after_cuts(folder: Path, count: int, factory: str = "", mode: str = "demo", patience: float = 120) -> Outcome:
    """Cut the power so often, the first time soon after the very first start."""
    with disk.open_disk(MEGABYTES) as made:
        more = {"factory": factory} if factory else {}
        victim = PoweredVictim(made, mode=mode, log=folder / "server.log", **more)
        victim.patience = patience
        return await rounds(folder, ["power"] * count, victim=victim)


async def test_f04_everything_acknowledged_survives_power_cuts(folder: Path) -> None:
    outcome = await after_cuts(folder, 4)
    assert outcome.problems == []
    assert outcome.acknowledged.total() > 4 * 4


async def test_it_notices_a_database_that_does_not_wait_for_the_disk(folder: Path) -> None:
    """In mode `test` the embedded server runs with fsync=off: it may not even come back."""
    try:
        outcome = await after_cuts(folder, 1, mode="test", patience=15)
    except (NotBackError, Unavailable):  # PostgreSQL does not start on what is left
        return
    assert "lost" in {problem.fault for problem in outcome.problems}


async def test_it_notices_an_answer_before_the_commit_is_on_disk(folder: Path) -> None:
    outcome = await after_cuts(folder, 2, "tests.kill.mutants:without_barrier")
    assert "lost" in {problem.fault for problem in outcome.problems}
