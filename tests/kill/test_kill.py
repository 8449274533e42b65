"""Acknowledged is durable; and the test that says so can fail."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from overblik.fhir.errors import Unavailable
from overblik.store.database import Database
from tests.folders import open_folder
from tests.kill.rounds import plan, rounds
from tests.kill.victim import KINDS, Victim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from overblik.store.embedded import EmbeddedPostgres

pytestmark = pytest.mark.long


@pytest.fixture
def memory() -> Iterator[Path]:
    with open_folder("kill", in_memory=True) as made:
        yield made


async def test_f01_u11_everything_acknowledged_survives_twenty_kills(memory: Path) -> None:
    kinds = ["backend"] * 11 + ["postmaster"] * 5 + ["worker"] * 3 + ["everything"]
    Random(1).shuffle(kinds)
    outcome = await rounds(memory, kinds)
    assert outcome.problems == []
    assert outcome.acknowledged.total() > 20 * 5


async def test_the_kill_test_notices_an_answer_before_the_commit_is_written(memory: Path) -> None:
    outcome = await rounds(memory, ["backend"] * 4, victim=Victim(memory, "tests.kill.mutants:without_barrier"))
    assert "lost" in {problem.fault for problem in outcome.problems}


async def test_the_kill_test_notices_a_log_that_comes_after_the_answer(memory: Path) -> None:
    outcome = await rounds(
        memory, ["worker", "backend", "worker"], victim=Victim(memory, "tests.kill.mutants:with_late_log")
    )
    assert {problem.fault for problem in outcome.problems} == {"log"}


def test_a_plan_has_every_kind_of_kill_in_its_share() -> None:
    assert Counter(plan(1000, Random(1))) == {kind: 10 * share for kind, share in KINDS.items()}


def test_the_served_database_waits_for_the_disk(folder: Path) -> None:
    """A kill cannot show whether the disk was waited for; the server's settings can."""
    victim = Victim(folder)
    victim.start()
    try:
        with victim.connect() as connection:
            for name in ("fsync", "full_page_writes"):
                assert connection.execute(f"show {name}").fetchone() == ("on",)
    finally:
        victim.stop()


async def test_a_connection_waits_for_the_disk_whatever_the_role_says(postgres: EmbeddedPostgres) -> None:
    database = Database(postgres.conninfo, size=2)
    await database.open(allow_unsafe=True)
    try:
        assert (await database.fetch("show synchronous_commit"))[0].synchronous_commit == "on"
    finally:
        await database.close()


async def test_a_server_that_can_lose_what_it_acknowledged_is_refused(postgres: EmbeddedPostgres) -> None:
    database = Database(postgres.conninfo, size=2)
    with pytest.raises(Unavailable, match="fsync"):
        await database.open()
    await database.close()
