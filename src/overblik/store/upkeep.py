"""What the index needs while the server runs: its pending list flushed, its common tokens known."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from overblik.fhir.errors import OverblikError
from overblik.store.queries import sql
from overblik.store.search.common import COMMON

if TYPE_CHECKING:
    from overblik.store.database import Database

EVERY = 2.0
ROUNDS = 150
"""The common tokens are read again after so many rounds: some five minutes."""
log = structlog.get_logger()


async def flush_pending(database: Database) -> int:
    """Move what was written lately into the GIN index; return the pages moved."""
    return int((await database.fetch(sql("flush_pending")))[0].pages)


async def learn_common(database: Database) -> None:
    """Learn in how many rows the most common tokens stand, and how many rows and records there are."""
    rows = await database.fetch(sql("common_tokens"))
    (known,) = await database.fetch(sql("count_rows"))
    COMMON.learn({row.token: int(row.share * known.rows) for row in rows}, int(known.rows), int(known.records))


async def keep_index(database: Database) -> None:
    """Keep at it until cancelled; a fault is noted and tried again."""
    number = 0
    while True:
        try:
            if number % ROUNDS == 0:
                await learn_common(database)
            await flush_pending(database)
        except OverblikError as error:
            log.warning("index.waiting", code=error.code)
        number += 1
        await asyncio.sleep(EVERY)
