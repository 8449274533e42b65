"""The sequencer: numbers what has been committed, in the order in which it became known.

A change or log entry has no number when it is written; within two seconds one process gives it
one. Only committed rows are seen, so a row that commits later gets a later number, whatever its
key. `asOf`, *new since* and history follow these numbers and never `lastUpdated`.

With its number an entry of the log becomes a leaf of the log's tree and the next link of its record's
chain (docs/log.md); the statement that numbers them also hashes them, so that this process hashes but
one node in 256.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from overblik.fhir.errors import OverblikError
from overblik.store.queries import sql
from overblik.store.tree import TreeDamaged, complete

if TYPE_CHECKING:
    from overblik.clock import Clock
    from overblik.store.database import Database, Transaction

BATCH = 5000
EVERY = 0.2
AFTER_A_FAULT = 10.0
log = structlog.get_logger()


async def drain(database: Database, clock: Clock, *, wait: bool = True) -> int:
    """Number everything committed so far; return how many rows were numbered.

    With `wait=False`, return at once when another process is numbering.
    """
    total: int = 0
    while True:
        async with database.transaction() as transaction:
            if wait:
                await transaction.fetch(sql("be_sequencer"))
            elif not (await transaction.fetch(sql("try_sequencer")))[0].mine:
                return total
            params = {"now": clock.now(), "limit": BATCH}
            changes: int = (await transaction.fetch(sql("sequence_changes"), params))[0].numbered
            sealed = (await transaction.fetch(sql("sequence_log"), params))[0]
            await _complete(transaction, sealed.before, sealed.after)
        entries: int = sealed.numbered
        total += changes + entries
        if changes < BATCH and entries < BATCH:
            return total


async def _complete(transaction: Transaction, before: int, after: int) -> None:
    """Keep full subtrees; where leaves were taken away numbers go on, and no head is signed any more."""
    try:
        await complete(transaction, before, after)
    except TreeDamaged as error:
        log.error("log.damaged", where=str(error))  # noqa: TRY400 - where says it all


async def keep_numbering(database: Database, clock: Clock) -> None:
    """Drain five times a second until cancelled; a fault is noted and tried again."""
    while True:
        await asyncio.sleep(EVERY)
        try:
            await drain(database, clock, wait=False)
        except OverblikError as error:
            log.warning("sequencer.waiting", code=error.code)
            await asyncio.sleep(1)
        except Exception:
            log.exception("sequencer.fault")  # such as a right that the role lacks: given, it goes on
            await asyncio.sleep(AFTER_A_FAULT)
