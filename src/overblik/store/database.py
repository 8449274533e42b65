"""What one process has open to PostgreSQL: lanes that requests share, and connections lent to one at a time.

Every answer waits for a synchronous commit, so that what is acknowledged is on disk. The statements
of a request are counted (`counting`), because a number of statements does not depend on the machine.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, LiteralString, NoReturn, TypeVar

from psycopg import OperationalError, errors

from overblik.fhir.errors import Unavailable, Unprocessable
from overblik.store.lanes import Lane
from overblik.store.pool import Pool
from overblik.store.quick import Quick
from overblik.store.room import Room, full
from overblik.store.server import require_usable
from overblik.store.wire import Command, prepared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping

    from overblik.store.vault import Vault
    from overblik.store.wire import Wire

T = TypeVar("T")
RETRIES = 5
AGAIN = (errors.DeadlockDetected, errors.SerializationFailure)
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


def counted(text: str) -> None:
    """Count one statement, where somebody counts."""
    sent = _statements.get()
    if sent is not None:
        sent.append(text)


class Transaction:
    """One transaction on one connection; commits when its block ends without an error.

    What needs no answer is queued, and goes out with the next statement that does or with the commit.
    With a `vault`, what is written is sealed by it and what is read comes opened (store/vault.py).
    """

    def __init__(self, wire: Wire, vault: Vault | None = None) -> None:
        self._wire = wire
        self.vault = vault
        self._queue = [Command(prepared("begin"), {})]

    async def fetch(self, text: LiteralString, params: Mapping[str, Any] | None = None) -> list[Any]:
        """Run one statement and return its rows as named tuples."""
        rows = (await self._run(text, params)).rows
        return rows if self.vault is None else await self.vault.open(rows)

    async def run(self, text: LiteralString, params: Mapping[str, Any] | None = None) -> int:
        """Run one statement and return how many rows it touched."""
        return (await self._run(text, params)).count

    async def script(self, text: LiteralString) -> None:
        """Run a script of several statements, as a migration is."""
        counted(text)
        await self.send()
        self._wire.script(text)

    async def run_many(self, text: LiteralString, rows: Iterable[Mapping[str, Any]]) -> None:
        """Queue one statement for many rows; it is sent with the next that needs an answer."""
        self._add(text, rows)

    async def run_all(self, text: LiteralString, rows: Iterable[Mapping[str, Any]]) -> int:
        """Run one statement for many rows; return how many rows were touched."""
        commands = self._add(text, rows)
        await self.send()
        return sum(command.count for command in commands)

    async def send(self, *last: Command) -> None:
        """Send what is queued; raise the first error there is."""
        self._queue += last
        if commands := self._queue:
            await self._wire.exchange(commands, together=True)
            self._queue = []  # one that cannot be encoded stays: nothing after it may run without it
            for command in commands:
                if command.error is not None:
                    raise command.error

    def _add(self, text: LiteralString, rows: Iterable[Mapping[str, Any]]) -> list[Command]:
        statement = prepared(text)
        commands = [Command(statement, row) for row in rows]
        if commands:
            counted(text)
        self._queue += commands
        return commands

    async def _run(self, text: LiteralString, params: Mapping[str, Any] | None) -> Command:
        counted(text)
        command = Command(prepared(text), params or {})
        await self.send(command)
        return command


class Database:
    """Everything that one process has open to one PostgreSQL server."""

    def __init__(self, conninfo: str, *, size: int = 10, name: str = "overblik", room: Room | None = None) -> None:
        self.conninfo = conninfo
        self.room = room or Room()
        self.vault: Vault | None = None
        self._reads = Lane(conninfo, f"{name}-reads")
        self._lookups = Lane(conninfo, f"{name}-lookups", wires=1, barrier=False)
        self._quick = Quick(conninfo, f"{name}-searches")
        self._pool = Pool(conninfo, size, name)

    async def open(self, *, allow_unsafe: bool = False) -> None:
        """Connect, and refuse a server that can lose what it has acknowledged."""
        await require_usable(self.conninfo, allow_unsafe=allow_unsafe)

    async def close(self) -> None:
        """Close every connection."""
        await self._reads.close()
        await self._lookups.close()
        await self._quick.close()
        await self._pool.close()

    async def share(self, text: LiteralString, params: Mapping[str, Any]) -> list[Any]:
        """Run one short statement beside those of other requests; return its rows once it is durable."""
        counted(text)
        rows = await self._reads.fetch(text, params)
        return rows if self.vault is None else await self.vault.open(rows)

    async def share_set(self, text: LiteralString, params: Mapping[str, Any]) -> list[Any]:
        """Run one request of a statement that answers many of its kind at once; durable like the others."""
        counted(text)
        rows = await self._reads.fetch_of_set(text, params)
        return rows if self.vault is None else await self.vault.open(rows)

    async def fetch_quick(self, text: LiteralString, params: Mapping[str, Any]) -> list[Any]:
        """Run one statement that is mostly quick, beside others; on a connection of its own where it is not."""
        counted(text)
        try:
            rows = await self._quick.fetch(text, params)
        except _REFUSED as error:
            _refuse(error)
        if rows is None:
            rows = (await self._alone(text, params)).rows
        return rows if self.vault is None else await self.vault.open(rows)

    async def look_up(self, text: LiteralString, params: Mapping[str, Any]) -> list[Any]:
        """Run one short statement that writes nothing and discloses nothing."""
        counted(text)
        return await self._lookups.fetch(text, params)

    async def fetch(self, text: LiteralString, params: Mapping[str, Any] | None = None) -> list[Any]:
        """Run one statement in a transaction of its own and return its rows."""
        counted(text)
        rows = (await self._alone(text, params)).rows
        return rows if self.vault is None else await self.vault.open(rows)

    async def run(self, text: LiteralString, params: Mapping[str, Any] | None = None) -> int:
        """Run one statement in a transaction of its own; return the rows it touched."""
        counted(text)
        return (await self._alone(text, params)).count

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction; it commits, durably, when the block ends."""
        async with self._wire() as wire:
            transaction = Transaction(wire, self.vault)
            try:
                yield transaction
                await transaction.send(Command(prepared("commit"), {}))
            except BaseException:
                if wire.quiet:
                    await wire.exchange([Command(prepared("rollback"), {})])
                raise

    async def retrying(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in a transaction, again when PostgreSQL resolved a deadlock against it."""
        for attempt in range(RETRIES):
            try:
                async with self.transaction() as transaction:
                    return await work(transaction)
            except AGAIN:
                await asyncio.sleep(0.01 * 2**attempt)
        raise Unavailable("too-much-contention", "Too many writers at once; try again in a second.")

    async def _alone(self, text: LiteralString, params: Mapping[str, Any] | None) -> Command:
        command = Command(prepared(text), params or {})
        try:  # without the context managers, which take as long as the exchange
            wire = await self._pool.take()
            try:
                await wire.exchange([command])
            finally:
                await self._pool.give_back(wire)
            if command.error is not None:
                raise command.error
        except _REFUSED as error:
            _refuse(error)
        return command

    @asynccontextmanager
    async def _wire(self) -> AsyncIterator[Wire]:
        try:
            async with self._pool.wire() as wire:
                yield wire
        except _REFUSED as error:
            _refuse(error)


_NOT_STORABLE = (errors.DataError, errors.ProgramLimitExceeded)
_REFUSED = (*_NOT_STORABLE, OperationalError)


def _refuse(error: Exception) -> NoReturn:
    """Raise what an error of PostgreSQL means here; one that asks for the whole to be tried again stays itself."""
    if isinstance(error, _NOT_STORABLE):
        text = "The database cannot store this; a value may be too long to be found by."
        raise Unprocessable("not-storable", text) from None
    if isinstance(error, AGAIN):
        raise error
    if isinstance(error, errors.DiskFull):
        raise full() from error
    raise Unavailable("database-down", "The database cannot be reached; try again shortly.") from error
