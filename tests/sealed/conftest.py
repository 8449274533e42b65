"""Every test of this folder runs on a server that seals bodies; those of other folders run here again."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import pytest

from overblik.trust.keys.masters import FileMasters
from tests.conftest import Clones, FixedClock, World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from overblik.store.database import Database


@pytest.fixture
def body_keys(tmp_path: Path) -> Path:
    """Return a file with one master key."""
    path = tmp_path / "master.keys"
    FileMasters(path).add()
    return path


@pytest.fixture
async def world(clones: Clones, tmp_path: Path, clock: FixedClock, body_keys: Path) -> AsyncIterator[World]:
    """Return a server that seals bodies, with an empty database; none of it may be left plain."""
    conninfo = clones.make()
    async with open_world(conninfo, tmp_path, clock, body_keys=body_keys) as opened:
        yield opened
        await all_sealed(opened)


PLAIN: LiteralString = """
select 'resource' as what, count(*) from resource where body is not null and substring(body from 1 for 1) <> '\\x01'
union all select 'history', count(*) from history where body is not null and substring(body from 1 for 1) <> '\\x01'
union all select 'raw', count(*) from raw where substring(body from 1 for 1) <> '\\x01'
union all select 'inbox', count(*) from inbox where raw is not null and substring(raw from 1 for 1) <> '\\x01'
union all select 'load_refusal', count(*) from load_refusal where substring(raw from 1 for 1) <> '\\x01'"""


async def plain(database: Database) -> dict[str, int]:
    """Return how many bodies and messages of patients are not sealed, by table."""
    return {row.what: row.count for row in await database.fetch(PLAIN)}


async def all_sealed(world: World) -> None:
    """Require that every body and message of a patient is sealed."""
    counts = await plain(world.run.database)
    assert not any(counts.values()), counts
