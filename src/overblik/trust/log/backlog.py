"""How far the log's numbering is behind: what is written but has no place in the tree yet could still be taken out.

Entries are numbered within two seconds (store/sequencer.py). A minute behind is told in the server's own log; a
quarter of an hour behind nothing more is disclosed until it has caught up.
"""

from __future__ import annotations

import asyncio
from collections import deque
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
LOOKS = 12
"""The looks of a minute."""
log = structlog.get_logger()


class Backlog:
    """What a process knows of the entries that wait for a number."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._ages: deque[timedelta] = deque(maxlen=LOOKS)

    async def look(self) -> None:
        """Look how long the oldest entry without a number has waited, and tell where that is too long."""
        oldest = (await self._database.fetch(sql("log_oldest")))[0].oldest
        age = timedelta(0) if oldest is None else max(self._clock.now() - oldest, timedelta(0))
        self._ages.append(age)
        if len(self._ages) > 1 and min(self._ages[-1], self._ages[-2]) > ALARM:
            log.error("log.behind", seconds=int(age.total_seconds()), stopped=self.refusal is not None)

    @property
    def refusal(self) -> Unavailable | None:
        """Why nothing is disclosed now; None where the log keeps up.

        Every look of a minute must say so: a clock may be set, and after a start what was left is numbered first.
        """
        if len(self._ages) < LOOKS or min(self._ages) <= STOP:
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
