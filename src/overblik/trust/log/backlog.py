"""How far the log's numbering is behind: what is written but has no place in the tree yet could still be taken out.

Entries are numbered within two seconds (store/sequencer.py). A minute behind is told in the server's own log; a
quarter of an hour behind nothing more is disclosed until it has caught up.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from overblik.fhir.errors import OverblikError, Unavailable
from overblik.store.queries import sql

if TYPE_CHECKING:
    from overblik.clock import Clock
    from overblik.store.database import Database

EVERY = 5.0
ALARM = timedelta(seconds=60)
STOP = timedelta(minutes=15)
log = structlog.get_logger()


class Backlog:
    """What a process knows of the entries that wait for a number."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._before = timedelta(0)
        self.behind = timedelta(0)
        """By how much the log was behind at the last two looks: the lesser, for a clock may be set meanwhile."""

    async def look(self) -> None:
        """Look how long the oldest entry without a number has waited, and tell where that is too long."""
        oldest = (await self._database.fetch(sql("log_oldest")))[0].oldest
        age = timedelta(0) if oldest is None else max(self._clock.now() - oldest, timedelta(0))
        self.behind, self._before = min(age, self._before), age
        if self.behind > ALARM:
            log.error("log.behind", seconds=int(self.behind.total_seconds()), stopped=self.behind > STOP)

    @property
    def refusal(self) -> Unavailable | None:
        """Why nothing is disclosed now; None where the log keeps up."""
        if self.behind <= STOP:
            return None
        return Unavailable(
            "log-behind", "The log of who sees what has fallen behind; nothing is shown until it is not."
        )


async def keep_watching(backlog: Backlog) -> None:
    """Look every few seconds until cancelled; where the database is away, requests are refused for that."""
    while True:
        try:
            await backlog.look()
        except OverblikError as error:
            log.warning("log.unseen", code=error.code)
        await asyncio.sleep(EVERY)
