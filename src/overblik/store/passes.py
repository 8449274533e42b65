"""Rows made by new definitions, while the server runs: one pass over a type, step by step.

A pass begins after the definition is in force, so that whoever writes from then on writes by it, and goes on
only when every transaction that may have begun before is over. So it needs to come by each row once. How far it
is stands in the database and moves with the rows: after a kill it goes on where it was. When it is through,
what the definitions find is complete, and the bits of those that ended are free.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog
from psycopg import errors

from overblik.fhir.compartment import is_shared
from overblik.fhir.errors import OverblikError
from overblik.fhir.index import INDEX_VERSION
from overblik.fhir.index.catalogue import using
from overblik.store.definitions import read_catalogue
from overblik.store.queries import sql
from overblik.store.reindex import made_records, made_shared, put_records, put_shared
from overblik.store.unit import DICTIONARY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from overblik.store.database import Database, Transaction

BATCH = 100
"""Rows of a step; not more, for the bound stands in `read_pass_places`."""
EVERY, SOON = 1.0, 0.02
REST = 2.0
"""How long a server rests after each batch, in times of what the batch took."""
log = structlog.get_logger()


async def step(database: Database, key: bytes, *, batch: int = BATCH) -> int | None:
    """Take one step; return how many rows were looked at, 0 where others are waited for, None where nothing is left."""
    if not (await database.fetch(sql("read_generation")))[0].unmade:
        return None
    try:
        return await database.retrying(lambda transaction: _step(transaction, key, batch))
    except errors.NotNullViolation:  # the definitions changed meanwhile: nothing of the batch was written
        return 0


async def going(database: Database) -> Any:
    """Return the pass that is going on (its type, how many rows of how many are done), None where there is none."""
    return next(iter(await database.fetch(sql("read_pass"))), None)


async def _step(transaction: Transaction, key: bytes, batch: int) -> int:
    if not (await transaction.fetch(sql("try_indexer")))[0].mine:
        return 0
    going = await transaction.fetch(sql("read_pass"))
    if not going:
        await transaction.fetch(sql("begin_pass"))
        return 0
    (at,) = going
    if not at.clear:
        return 0
    rows, place = await _rows(transaction, at, batch)
    if not rows:
        await transaction.run(sql("end_pass"), {"type": at.type, "generation": at.generation})
        await transaction.run(sql("clear_definitions"))
        return 0
    with using(await read_catalogue(transaction)):
        await _make(transaction, rows, key, shared=is_shared(at.type))
    await transaction.run_many(sql("move_pass"), [place | {"type": at.type, "count": len(rows)}])
    return len(rows)


async def _rows(transaction: Transaction, at: Any, batch: int) -> tuple[list[Any], dict[str, Any]]:
    """Return the next rows of a pass, and the place that it is at after them."""
    place = {"sort_at": at.sort_at, "rid": at.rid, "id": at.id}
    wanted = place | {"type": at.type, "limit": batch}
    if is_shared(at.type):
        rows = await transaction.fetch(sql("read_pass_shared"), wanted)
        return rows, place | ({"id": rows[-1].id} if rows else {})
    places = await transaction.fetch(sql("read_pass_places"), wanted)
    if not places:
        return [], place
    keys = {"pids": [row.pid for row in places], "rids": [row.rid for row in places]}
    rows = await transaction.fetch(sql("read_pass_rows"), keys)
    return rows, place | {"sort_at": places[-1].sort_at, "rid": places[-1].rid}


async def _make(transaction: Transaction, rows: list[Any], key: bytes, *, shared: bool) -> None:
    """Write the rows that come out otherwise than they stand; most have nothing that a new definition finds."""
    made = made_shared(rows, key) if shared else made_records(rows, key)
    changed = [new for row, new in zip(rows, made, strict=True) if _differs(row, new)]
    await (put_shared if shared else put_records)(transaction, DICTIONARY, changed)


def _differs(row: Any, new: dict[str, Any]) -> bool:
    stands = (row.index_version, row.present, row.tokens)
    return stands != (INDEX_VERSION, new["present"], new["tokens"])


async def keep_indexing(database: Database, key: bytes, learned: Callable[[int], Awaitable[None]]) -> None:
    """Take steps until cancelled, with rests between them; `learned` hears which generation is in force."""
    while True:
        began, found = monotonic(), None
        try:
            await learned((await database.fetch(sql("read_generation")))[0].generation)
            found = await step(database, key)
        except OverblikError as error:
            log.warning("definitions.waiting", code=error.code)
        except Exception:
            log.exception("definitions.fault")
        await asyncio.sleep(EVERY if found is None else SOON + REST * (monotonic() - began))
