"""Lanes: requests that share round trips to the database, fairly and within bounds.

A lane has few connections. What has gathered while they were busy goes out together on the next one
that is free, never on a timer: one transaction a request, and, where the lane logs, one commit at
the end that makes all of them durable before any is answered. A full queue answers TooMany before
memory grows; a client that leaves never cancels what others wait for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg

from overblik.fhir.errors import OverblikError, TooMany, Unavailable
from overblik.store.room import full
from overblik.store.wire import Command, Wire, prepared

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST = 64
QUEUE = 1024
TIMEOUT_MS = 10_000


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that waits. Those of a set with the same statement go out as one, each an item of its arrays."""

    text: LiteralString
    params: Mapping[str, Any]
    future: asyncio.Future[list[Any]]
    of_set: bool


class Lane:
    """Connections that many requests share. Opened when first used; belongs to one event loop."""

    def __init__(
        self, conninfo: str, name: str, *, wires: int = 2, barrier: bool = True, queue: int = QUEUE, most: int = MOST,
        most_ms: int = TIMEOUT_MS, by_key: bool = True,
    ) -> None:  # fmt: skip
        self._wires = wires
        self._barrier = barrier
        self._most_waiting = queue
        self._most = most
        self._open = partial(Wire.open, conninfo, durable=False, most_ms=most_ms, name=name, by_key=by_key)
        self._waiting: deque[Waiting] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._workers: list[asyncio.Task[None]] = []

    async def fetch(self, text: LiteralString, params: Mapping[str, Any]) -> list[Any]:
        """Run one statement in a transaction of its own; return its rows once it is durable."""
        return await self._wait(text, params, of_set=False)

    async def fetch_of_set(self, text: LiteralString, params: Mapping[str, Any]) -> list[Any]:
        """Return the rows of one request of a statement that answers many (its rows are numbered by `n`)."""
        return await self._wait(text, params, of_set=True)

    async def _wait(self, text: LiteralString, params: Mapping[str, Any], *, of_set: bool) -> list[Any]:
        if len(self._waiting) >= self._most_waiting:
            raise TooMany("queue-full", "Too many requests are waiting; try again in a second.")
        loop = asyncio.get_running_loop()
        if not self._workers:
            self._workers = [loop.create_task(self._work()) for _ in range(self._wires)]
        future: asyncio.Future[list[Any]] = loop.create_future()
        self._waiting.append(Waiting(text, params, future, of_set))
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
                batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                if batch:
                    wire = await self._serve(wire, batch)
        finally:
            if wire is not None:
                await wire.close()

    async def _serve(self, wire: Wire | None, batch: list[Waiting]) -> Wire | None:
        """Answer one batch; return the connection if it is still good."""
        groups = _groups(batch)
        try:
            if wire is None or not wire.idle:
                wire = await self._open()
            await wire.exchange([command for command, _ in groups], barrier=self._barrier)
            again = [[item] for command, items in groups if command.error and len(items) > 1 for item in items]
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
        for command, items in groups:
            if command.error is None or len(items) == 1:
                _answer(command, items)
        for alone in again:  # one request of a set was at fault: the others are not to suffer for it
            wire = await self._serve(wire, alone)
        return wire


def _groups(batch: list[Waiting]) -> list[tuple[Command, list[Waiting]]]:
    """Return the commands of a batch, each with the requests it answers."""
    groups = [(Command(prepared(item.text), item.params), [item]) for item in batch if not item.of_set]
    sets: dict[str, list[Waiting]] = {}
    for item in batch:
        if item.of_set:
            sets.setdefault(item.text, []).append(item)
    for items in sets.values():
        statement = prepared(items[0].text)
        arrays: dict[str, list[Any]] = {
            name: [item.params[name] for item in items] for name in statement.names if name != "n"
        }
        groups.append((Command(statement, arrays | {"n": list(range(len(items)))}), items))
    return groups


def _answer(command: Command, items: list[Waiting]) -> None:
    rows: list[list[Any]] = [command.rows]
    if items[0].of_set:
        rows = [[] for _ in items]
        for row in command.rows:
            rows[row.n].append(row)
    for item, found in zip(items, rows, strict=True):
        if item.future.done():
            continue
        if command.error is None:
            item.future.set_result(found)
        elif isinstance(command.error, psycopg.errors.DiskFull):
            item.future.set_exception(full())
        elif isinstance(command.error, psycopg.OperationalError):
            slow = Unavailable("database-busy", "The database did not answer in time; try again shortly.")
            slow.__cause__ = command.error
            item.future.set_exception(slow)
        else:
            item.future.set_exception(command.error)


def _refuse(batch: Iterable[Waiting], error: OverblikError) -> None:
    for item in batch:
        if not item.future.done():
            item.future.set_exception(error)
