"""Blocks of lines for tests of loading, and the state of a database with its random keys named."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from overblik.app.load.batch import Taken, Taker, connect
from overblik.app.load.blocks import Block
from overblik.app.load.pool import source_caller
from overblik.fhir.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import World

CPR = "urn:oid:1.2.208.176.1.2"
SOR = "urn:oid:1.2.208.176.1.1"
KEYS = {"pid", "home_pid", "rid", "cid", "created_cid", "others", "rids", "evidence"}
DRAWN = {"lid", "salt", "request", "snapshot", "ground", "since", "until"}
"""Columns whose values are random, or of a transaction: the first are given names, the others left out."""
_ALL = "select to_jsonb(t) as row from {} t"


def patient(number: int, **more: Any) -> dict[str, Any]:
    """Return a Patient as a file has it; every number is another person."""
    cpr = f"{number % 28 + 1:02}0266{1000 + number}"
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "identifier": [{"system": CPR, "value": cpr}],
        "name": [{"family": "Bæk", "given": [f"Nr. {number}"]}],
        **more,
    }


def observation(number: int, of: int, **more: Any) -> dict[str, Any]:
    """Return an Observation of one of these patients."""
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://npu-terminology.org", "code": "NPU02319"}]},
        "subject": {"reference": f"Patient/p{of}"},
        "effectiveDateTime": f"2026-03-{number % 28 + 1:02}T08:00:00+01:00",
        **more,
    }


def block(*lines: dict[str, Any] | bytes, file: str = "test.ndjson") -> Block:
    """Return a block of resources (or bytes as they are)."""
    return Block(
        file,
        list(range(1, len(lines) + 1)),
        [line if isinstance(line, bytes) else dumps(line) for line in lines],
    )


@asynccontextmanager
async def taker(world: World, source: str = "gateway") -> AsyncIterator[Taker]:
    """Give what takes blocks for a source, on a connection of its own."""
    conninfo = world.run.database.conninfo
    connection = await connect(str(conninfo))
    try:
        yield Taker(world.run, await source_caller(world.run, source), connection)
    finally:
        await connection.close()


async def take(world: World, *lines: dict[str, Any] | bytes, source: str = "gateway") -> Taken:
    """Take one block."""
    async with taker(world, source) as made:
        return await made.take(block(*lines))


def state(conninfo: str, leave_out: frozenset[str] = frozenset()) -> dict[str, list[str]]:
    """Return every table's rows as sorted text, random keys replaced by the names of what they stand for."""
    with psycopg.connect(conninfo, row_factory=dict_row) as connection:
        tables = [
            row["table_name"]
            for row in connection.execute(
                "select table_name from information_schema.tables where table_schema = 'public' order by 1"
            )
        ]
        names = _names(connection)
        return {
            table: sorted(_row(row["row"], names) for row in connection.execute(_ALL.format(table).encode()))
            for table in tables
            if table not in leave_out
        }


def _names(connection: psycopg.Connection[dict[str, Any]]) -> dict[int, str]:
    """Return what each random key stands for; a record is known by its first resource."""
    names: dict[int, str] = {0: "nobody"}
    for row in connection.execute("select pid, rid, type, id from resource order by type <> 'Patient', type, id"):
        names.setdefault(row["pid"], f"record of {row['type']}/{row['id']}")
        names[row["rid"]] = f"{row['type']}/{row['id']}"
    for row in connection.execute("select pid, cid, at from change order by at, cid"):
        names[row["cid"]] = f"change of {names[row['pid']]} at {row['at']}"
    return names


def _row(row: dict[str, Any], names: dict[int, str]) -> str:
    def named(value: Any) -> Any:
        return sorted(named(v) for v in value) if isinstance(value, list) else names.get(value, value)

    return repr({k: named(v) if k in KEYS else v for k, v in sorted(row.items()) if k not in DRAWN})
