"""Connections lent out one at a time, for transactions of several statements and for searches.

https://www.postgresql.org/docs/18/libpq-pipeline-mode.html: what a transaction queues goes out in one
round trip with the statement that needs an answer, or with its commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psycopg

from overblik.fhir.errors import TooMany, Unavailable
from overblik.store.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOST_WAITING = 2000
WAIT_SECONDS = 10
MOST_MS = 60_000


class Pool:
    """At most `size` connections, opened when they are needed; broken ones are replaced."""

    def __init__(self, conninfo: str, size: int, name: str, *, durable: bool = True) -> None:
        self._conninfo = conninfo
        self._size = size
        self._name = name
        self._durable = durable
        self._free: list[Wire] = []
        self._lent = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        """Lend a connection; one that is left in the middle of something is not lent again."""
        wire = await self.take()
        try:
            yield wire
        finally:
            await self.give_back(wire)

    async def take(self) -> Wire:
        """Lend a connection that must be given back."""
        await self._turn()
        try:
            return await self._open()
        except BaseException:
            self._lent -= 1
            self._next()
            raise

    async def give_back(self, wire: Wire) -> None:
        """Take back what was lent; the next in turn has it."""
        self._lent -= 1
        if wire.idle and self._size:
            self._free.append(wire)
            self._next()
            return
        try:
            await wire.close()
        finally:
            self._next()

    async def close(self) -> None:
        """Close what is free; what is lent closes when it comes back."""
        self._size = 0
        while self._free:
            await self._free.pop().close()

    async def _turn(self) -> None:
        """Wait until one more may be lent."""
        if self._lent < self._size and not self._waiting:
            self._lent += 1
            return
        if len(self._waiting) >= MOST_WAITING:
            raise TooMany("queue-full", "Too many requests are waiting; try again in a second.")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await asyncio.wait_for(turn, WAIT_SECONDS)
        except TimeoutError:
            raise Unavailable("database-busy", "The database did not answer in time; try again shortly.") from None
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._lent -= 1
                self._next()
            raise

    def _next(self) -> None:
        while self._waiting and self._lent < self._size:
            turn = self._waiting.popleft()
            if not turn.done():
                self._lent += 1
                turn.set_result(None)

    async def _open(self) -> Wire:
        while self._free:
            wire = self._free.pop()
            if wire.idle:
                return wire
            await wire.close()
        try:
            return await Wire.open(self._conninfo, durable=self._durable, most_ms=MOST_MS, name=self._name)
        except (psycopg.Error, OSError) as error:
            raise Unavailable("database-down", "The database cannot be reached; try again shortly.") from error
