"""Acknowledged is durable; and the test that says so can fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from overblik.fhir.errors import Unavailable
from overblik.store.database import Database
from tests.kill.rounds import rounds
from tests.kill.victim import Victim

if TYPE_CHECKING:
    from pathlib import Path

    from overblik.store.embedded import EmbeddedPostgres

pytestmark = pytest.mark.long


async def test_everything_acknowledged_survives_twenty_kills(folder: Path) -> None:
    outcome = await rounds(folder, 20)
    assert outcome.problems == []
    assert outcome.acknowledged > 20 * 20


@pytest.mark.parametrize("mutant", ["without_barrier", "with_late_log"])
async def test_the_kill_test_notices_a_broken_promise(folder: Path, mutant: str) -> None:
    outcome = await rounds(folder, 4, factory=f"tests.kill.mutants:{mutant}")
    assert outcome.problems
    if mutant == "without_barrier":
        assert any("lost" in p or "kept" in p or "404" in p for p in outcome.problems)
    else:
        assert any("entry" in p for p in outcome.problems)


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
