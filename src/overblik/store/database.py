"""The connections to PostgreSQL: lanes that requests share, and a pool for those that need one alone.

Every answer waits for a synchronous commit, so that what is acknowledged is on disk. The statements
of a request are counted (`counting`), because a number of statements does not depend on the machine.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from overblik.fhir.errors import TooMany, Unavailable
from overblik.store.lanes import Lane
from overblik.store.server import require_usable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping

T = TypeVar("T")
Params = "Mapping[str, Any]"
DURABLE = "-c synchronous_commit=on"
"""Sent with every connection; a kill test shows that acknowledged writes are lost without it."""
RETRIES = 5
_statements: ContextVar[list[str] | None] = ContextVar("statements", default=None)


@contextmanager
def counting() -> Iterator[list[str]]:
    """Collect the statements sent inside the block."""
    sent: list[str] = []
    token = _statements.set(sent)
    try:
        yield sent
    finally:
        _statements.reset(token)


def _count(text: str) -> None:
    sent = _statements.get()
    if sent is not None:
        sent.append(text)


class Transaction:
    """One transaction on one connection; commits when its block ends without an error."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    async def fetch(self, text: LiteralString, params: Mapping[str, Any] | None = None) -> list[Any]:
        """Run one statement and return its rows as named tuples."""
        _count(text)
        cursor = await self._connection.execute(text, params)
        return await cursor.fetchall() if cursor.description else []

    async def run(self, text: LiteralString, params: Mapping[str, Any] | None = None) -> int:
        """Run one statement and return how many rows it touched."""
        _count(text)
        cursor = await self._connection.execute(text, params)
        return cursor.rowcount

    async def script(self, text: LiteralString) -> None:
        """Run a script of several statements, as a migration is."""
        _count(text)
        await self._connection.execute(text, prepare=False)

    async def run_many(self, text: LiteralString, rows: Iterable[Mapping[str, Any]]) -> int:
        """Run one statement for many rows in one pipeline; return how many rows were touched."""
        listed = list(rows)
        if not listed:
            return 0
        _count(text)
        async with self._connection.cursor() as cursor:
            await cursor.executemany(text, listed)
            return cursor.rowcount


class Database:
    """Everything that one process has open to one PostgreSQL server."""

    def __init__(self, conninfo: str, *, size: int = 10, name: str = "overblik") -> None:
        self._conninfo = conninfo
        self._reads = Lane(conninfo, f"{name}-reads")
        self._lookups = Lane(conninfo, f"{name}-lookups", wires=1, barrier=False)
        self._pool = AsyncConnectionPool(
            conninfo,
            min_size=min(2, size),
            max_size=size,
            max_waiting=2000,
            timeout=10,
            open=False,
            kwargs={
                "autocommit": True,
                "row_factory": namedtuple_row,
                "prepare_threshold": 0,
                "options": DURABLE,
                "application_name": name,
                "connect_timeout": 10,
            },
        )

    async def open(self, *, allow_unsafe: bool = False) -> None:
        """Connect, and refuse a server that can lose what it has acknowledged."""
        await require_usable(self._conninfo, allow_unsafe=allow_unsafe)
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._reads.close()
        await self._lookups.close()
        await self._pool.close()

    async def share(self, text: LiteralString, params: Mapping[str, Any]) -> list[Any]:
        """Run one short statement beside those of other requests; return its rows once it is durable."""
        _count(text)
        return await self._reads.fetch(text, params)

    async def look_up(self, text: LiteralString, params: Mapping[str, Any]) -> list[Any]:
        """Run one short statement that writes nothing and discloses nothing."""
        _count(text)
        return await self._lookups.fetch(text, params)

    async def fetch(self, text: LiteralString, params: Mapping[str, Any] | None = None) -> list[Any]:
        """Run one statement in a transaction of its own and return its rows."""
        async with self._connection() as connection:
            return await Transaction(connection).fetch(text, params)

    async def run(self, text: LiteralString, params: Mapping[str, Any] | None = None) -> int:
        """Run one statement in a transaction of its own; return the rows it touched."""
        async with self._connection() as connection:
            return await Transaction(connection).run(text, params)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction; it commits, durably, when the block ends."""
        async with self._connection() as connection, connection.transaction():
            yield Transaction(connection)

    async def retrying(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in a transaction, again when PostgreSQL resolved a deadlock against it."""
        for attempt in range(RETRIES):
            try:
                async with self.transaction() as transaction:
                    return await work(transaction)
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                await asyncio.sleep(0.01 * 2**attempt)
        raise Unavailable("too-much-contention", "Too many writers at once; try again in a second.")

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Transaction]:
        """Hold one connection outside a transaction, for session locks."""
        async with self._connection() as connection:
            yield Transaction(connection)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        try:
            async with self._pool.connection() as connection:
                yield connection
        except TooManyRequests:
            raise TooMany("queue-full", "Too many requests are waiting; try again in a second.") from None
        except (PoolTimeout, psycopg.OperationalError) as error:
            if isinstance(error, (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)):
                raise
            await self._drop_broken()
            raise Unavailable("database-down", "The database cannot be reached; try again shortly.") from error

    async def _drop_broken(self) -> None:
        """Replace connections that the server has closed, so that the next request finds a good one."""
        try:
            await asyncio.wait_for(self._pool.check(), 2)
        except (TimeoutError, psycopg.Error, OSError):
            return
