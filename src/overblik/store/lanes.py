"""Lanes: requests that share round trips to the database, fairly and within bounds.

A lane has few connections. What has gathered while they were busy goes out together on the next one
that is free, never on a timer: one transaction a request, and, where the lane logs, one commit at
the end that makes all of them durable before any is answered. A full queue answers TooMany before
memory grows; a client that leaves never cancels what others wait for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg

from overblik.fhir.errors import OverblikError, TooMany, Unavailable
from overblik.store.wire import Command, Wire, prepared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST = 64
QUEUE = 1024
TIMEOUT_MS = 10_000
Waiting = tuple[Command, "asyncio.Future[list[Any]]"]


class Lane:
    """Connections that many requests share. Opened when first used; belongs to one event loop."""

    def __init__(self, conninfo: str, name: str, *, wires: int = 2, barrier: bool = True, queue: int = QUEUE) -> None:
        self._conninfo = conninfo
        self._name = name
        self._wires = wires
        self._barrier = barrier
        self._most_waiting = queue
        self._waiting: deque[Waiting] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._workers: list[asyncio.Task[None]] = []

    async def fetch(self, text: LiteralString, params: Mapping[str, Any]) -> list[Any]:
        """Run one statement in a transaction of its own; return its rows once it is durable."""
        if len(self._waiting) >= self._most_waiting:
            raise TooMany("queue-full", "Too many requests are waiting; try again in a second.")
        loop = asyncio.get_running_loop()
        if not self._workers:
            self._workers = [loop.create_task(self._work()) for _ in range(self._wires)]
        future: asyncio.Future[list[Any]] = loop.create_future()
        self._waiting.append((Command(prepared(text), params), future))
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                break
        return await future

    async def close(self) -> None:
        """Stop, once what is on its way has been answered."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers = []
        _refuse(self._waiting, Unavailable("stopping", "The server is stopping; try again shortly."))
        self._waiting.clear()

    async def _work(self) -> None:
        wire: Wire | None = None
        try:
            while True:
                if not self._waiting:
                    idle = asyncio.get_running_loop().create_future()
                    self._idle.append(idle)
                    await idle
                batch = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
                if batch:
                    wire = await self._serve(wire, batch)
        finally:
            if wire is not None:
                await wire.close()

    async def _serve(self, wire: Wire | None, batch: list[Waiting]) -> Wire | None:
        """Answer one batch; return the connection if it is still good."""
        try:
            if wire is None or wire.broken:
                wire = await Wire.open(self._conninfo, most_ms=TIMEOUT_MS, name=self._name)
            await wire.exchange([command for command, _ in batch], barrier=self._barrier)
        except (psycopg.Error, OSError) as error:
            lost = Unavailable("database-down", "The database cannot be reached; try again shortly.")
            lost.__cause__ = error
            _refuse(batch, lost)
            if wire is not None:
                await wire.close()
            return None
        except asyncio.CancelledError:
            _refuse(batch, Unavailable("stopping", "The server is stopping; try again shortly."))
            raise
        for command, future in batch:
            if not future.done():
                _answer(command, future)
        return wire


def _answer(command: Command, future: asyncio.Future[list[Any]]) -> None:
    if command.error is None:
        future.set_result(command.rows)
    elif isinstance(command.error, psycopg.OperationalError):
        slow = Unavailable("database-busy", "The database did not answer in time; try again shortly.")
        slow.__cause__ = command.error
        future.set_exception(slow)
    else:
        future.set_exception(command.error)


def _refuse(batch: Sequence[Waiting] | deque[Waiting], error: OverblikError) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
