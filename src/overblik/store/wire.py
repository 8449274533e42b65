"""One connection to PostgreSQL that many requests share at once, by libpq's pipeline mode.

Statements are each a transaction of their own (a Sync follows each), so one that fails leaves its
neighbours alone; or they go together, one Sync for all, as the parts of a transaction do. They are
prepared once a connection and named by their text; parameters go out as text (bytes as they are),
rows come back in binary and are read by psycopg's loaders.

https://www.postgresql.org/docs/18/libpq-pipeline-mode.html
"""

from __future__ import annotations

import asyncio
import re
from collections import deque, namedtuple
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from itertools import count
from typing import TYPE_CHECKING, Any, LiteralString
from uuid import UUID

import orjson
import psycopg
from psycopg import errors, pq
from psycopg.adapt import Transformer
from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")
_BAD = {pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE, pq.ExecStatus.PIPELINE_ABORTED}
_QUOTED = re.compile(r'["\\]')
MOST_STATEMENTS = 500
GRACE = 5.0
"""Seconds beyond its bound that a statement may stay unanswered before the server counts as lost."""
DURABLY: LiteralString = "select set_config('synchronous_commit', 'on', true), pg_logical_emit_message(true, '', '')"
"""A transaction that writes nothing but a mark in the log, and waits until all before it is on disk."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement as it is prepared: numbered placeholders, and the names they stand for."""

    name: bytes
    text: bytes
    names: tuple[str, ...]


@lru_cache(maxsize=4096)
def prepared(text: LiteralString) -> Prepared:
    """Return a statement with named placeholders (`%(name)s`) as PostgreSQL prepares it."""
    names: dict[str, int] = {}
    numbered = _PLACEHOLDER.sub(lambda m: f"${names.setdefault(m[1], len(names) + 1)}", text).replace("%%", "%")
    return Prepared(f"s{next(_NUMBERS)}".encode(), numbered.encode(), tuple(names))


_NUMBERS = count()


def encode(value: Any) -> bytes | None:
    """Return a parameter in PostgreSQL's text form; bytes stay bytes, and go out in binary.

    Raises DataError for text that PostgreSQL has no place for. libpq would cut it at its first NUL and say nothing.
    """
    if value is None:
        return None
    kind = type(value)
    try:
        data = _ENCODERS.get(kind, _as_text)(value)
    except UnicodeEncodeError as error:
        raise errors.DataError("text must not hold half a surrogate pair") from error
    if b"\0" in data and kind is not bytes:
        raise errors.DataError("text must not hold a NUL")
    return data


def _as_text(value: Any) -> bytes:
    return str(value).encode()


def _as_array(values: Sequence[Any]) -> bytes:
    """Write an array; one of plain texts, as most are, is joined at once."""
    if values and type(values[0]) is str:
        try:
            joined = '","'.join(values)
        except TypeError:  # a NULL among them
            joined = "\\"
        if "\\" not in joined and joined.count('"') == 2 * (len(values) - 1):
            return ('{"' + joined + '"}').encode()
    return ("{" + ",".join(map(_element, values)) + "}").encode()


def _element(value: Any) -> str:
    kind = type(value)
    if kind is int:
        return str(value)
    if kind is UUID:
        return str(value.hex)
    if value is None:
        return "NULL"
    text = value if kind is str else (encode(value) or b"").decode()
    return '"' + (_QUOTED.sub(r"\\\g<0>", text) if _QUOTED.search(text) else text) + '"'


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    str: str.encode,
    Jsonb: lambda value: orjson.dumps(value.obj),
    bytes: bytes,
    bool: lambda value: b"t" if value else b"f",
    datetime: lambda value: value.isoformat().encode(),
    UUID: lambda value: value.hex.encode(),
    list: _as_array,
    tuple: _as_array,
}


@dataclass(slots=True)
class Command:
    """One statement on its way; its rows, its count or its error afterwards."""

    statement: Prepared
    params: Mapping[str, Any]
    rows: list[Any] = field(default_factory=list)
    count: int = 0
    error: Exception | None = None


def _encoded(commands: Sequence[Command], *, together: bool) -> list[tuple[Command, list[bytes | None]]]:
    """Return what can be sent, each with its parameters; before any of it is, so that an error leaves no half."""
    ready = []
    for command in commands:
        try:
            ready.append((command, [encode(command.params[name]) for name in command.statement.names]))
        except psycopg.DataError as error:
            if together:
                raise
            command.error = error
    return ready


class Wire:
    """One pipelined connection. One exchange at a time; the lane sees to that."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], silence: float = 60) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._socket = self._pg.socket  # kept: libpq forgets it when it loses the server, the loop must not
        self._loop = asyncio.get_running_loop()
        self._silence = silence
        self._heard = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._known: set[bytes] = set()
        self._expected: deque[tuple[Command, bool] | None] = deque()
        self._last: Command | None = None
        self._answered = False
        self._done: asyncio.Future[None] | None = None
        self._transformer = Transformer(connection)
        self._rows: dict[bytes, Callable[[Sequence[Any]], Any]] = {}
        self.broken = False
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._loop.add_reader(self._socket, self._readable)

    @classmethod
    async def open(cls, conninfo: str, *, durable: bool, most_ms: int, name: str, by_key: bool = False) -> Wire:
        """Connect. `most_ms` bounds one statement, in the server and, should it fall silent, a little later here.

        Without `durable` only a barrier makes commits durable.

        `by_key` is for statements that fetch few rows by key, whatever a young table's statistics say.
        """
        options = f"-c synchronous_commit={'on' if durable else 'off'} -c statement_timeout={most_ms}"
        options += " -c plan_cache_mode=force_generic_plan -c random_page_cost=1.1"
        if by_key:
            options += " -c enable_hashjoin=off -c enable_mergejoin=off -c enable_seqscan=off"
        connection = await psycopg.AsyncConnection.connect(
            conninfo, autocommit=True, options=options, application_name=name, connect_timeout=10
        )
        return cls(connection, most_ms / 1000 + GRACE)

    @property
    def quiet(self) -> bool:
        """Whether it is whole and nothing is on its way."""
        return not self._expected and not self.broken

    @property
    def idle(self) -> bool:
        """Whether it can serve another: quiet, outside a transaction, not worn by many statements."""
        outside = self._pg.transaction_status == pq.TransactionStatus.IDLE
        return self.quiet and outside and len(self._known) < MOST_STATEMENTS

    async def close(self) -> None:
        """Leave the connection; whoever waits is told that it broke."""
        self._fail(errors.ConnectionDoesNotExist("the connection was closed"))
        await self._connection.close()

    def script(self, text: LiteralString) -> None:
        """Run several statements at once, blocking: for migrations, before anybody is served."""
        self._pg.exit_pipeline_mode()
        self._pg.nonblocking = 0
        result = self._pg.exec_(text.encode())
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        if result.status in _BAD:
            raise errors.error_from_result(result)

    async def exchange(self, commands: Sequence[Command], *, together: bool = False, barrier: bool = False) -> None:
        """Send all and wait for all; with a barrier, until they are on disk.

        Each is its own transaction, or all are `together` in the one that is open: then an error ends it
        for those after, too. A statement's own error stands in its command; one that cannot be encoded is not
        sent. Raises OperationalError when the connection is lost or the barrier failed: then nothing of it may
        be answered. Raises DataError, with nothing sent, where one of those `together` cannot be encoded.
        """
        if self.broken:
            raise errors.ConnectionDoesNotExist("the connection is broken")
        ready = _encoded(commands, together=together)
        last = Command(prepared(DURABLY), {}) if barrier else None
        if last is not None:
            ready.append((last, []))
        elif not ready:
            return
        self._done = self._loop.create_future()
        try:
            for command, values in ready:
                self._send(command, values)
                if not together:
                    self._sync()
            if together:
                self._sync()
            self._flush()
        except psycopg.Error as error:
            self._fail(error)
        self._heard = self._loop.time()
        self._watch()
        try:
            await asyncio.shield(self._done)
        finally:
            self._watch(stop=True)
        if last is not None and last.error is not None:
            raise errors.OperationalError("the commit could not be made durable") from last.error

    def _send(self, command: Command, values: list[bytes | None]) -> None:
        statement = command.statement
        if statement.name not in self._known:
            self._pg.send_prepare(statement.name, statement.text)
            self._expected.append((command, False))
            self._known.add(statement.name)
        formats = [int(type(command.params[name]) is bytes) for name in statement.names]
        self._pg.send_query_prepared(statement.name, values, formats, 1)
        self._expected.append((command, True))

    def _sync(self) -> None:
        self._pg.pipeline_sync()
        self._expected.append(None)

    def _flush(self) -> None:
        if self._pg.flush():
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        try:
            if not self._pg.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.Error as error:
            self._fail(error)

    def _readable(self) -> None:
        self._heard = self._loop.time()
        try:
            self._pg.consume_input()
            while self._expected:
                if self._pg.is_busy():
                    self._pg.consume_input()  # uvloop tells of a lost socket once only, perhaps behind data
                    if self._pg.is_busy():
                        break
                self._take(self._pg.get_result())
        except (psycopg.Error, ValueError) as error:
            self._fail(error)
        if not self._expected:
            if self._done is not None and not self._done.done():
                self._done.set_result(None)
            elif self._pg.status != pq.ConnStatus.OK:
                self._fail(errors.ConnectionDoesNotExist("the connection was closed by the server"))

    def _take(self, result: pq.abc.PGresult | None) -> None:
        """Take what answers the first of what is expected: results and then None of a command, its own of a Sync.

        Raises OperationalError where nothing answers it: libpq says None for ever once the server is gone.
        """
        head = self._expected[0]
        if result is None:
            if not self._answered:
                raise errors.ConnectionDoesNotExist("the server ended without an answer")
            self._answered = False
            if head is not None:  # what an error at a Sync ends with is not yet the Sync
                self._last = head[0]
                self._expected.popleft()
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            self._answered = False
            self._expected.popleft()
        else:
            self._answered = True
            self._keep(head, result)

    def _keep(self, head: tuple[Command, bool] | None, result: pq.abc.PGresult) -> None:
        if head is None:
            self._undone(result)
            return
        command, runs = head
        if result.status in _BAD:
            if not runs:
                self._known.discard(command.statement.name)
            if command.error is None:
                command.error = errors.error_from_result(result)
        elif runs:
            command.count = result.command_tuples or 0
            if result.status == pq.ExecStatus.TUPLES_OK:
                command.rows = self._load(command.statement, result)

    def _undone(self, result: pq.abc.PGresult) -> None:
        """Take an error that answers a Sync: a bound that passed while rows were sent is told there; none is kept."""
        if result.status not in _BAD or self._last is None:
            raise errors.OperationalError("the server answered more than was asked")
        self._last.rows = []
        self._last.error = errors.error_from_result(result)

    def _load(self, statement: Prepared, result: pq.abc.PGresult) -> list[Any]:
        make = self._rows.get(statement.name)
        if make is None:
            names = [(result.fname(i) or b"").decode() for i in range(result.nfields)]
            row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc] # noqa: PYI024 - the statement's columns
            make = self._rows[statement.name] = partial(tuple.__new__, row)  # what row._make does, without a call
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, make)

    def _watch(self, *, stop: bool = False) -> None:
        """Give a server up that says nothing: a machine that is gone closes no connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left = self._heard + self._silence - self._loop.time()
        if not stop and left > 0:
            self._timer = self._loop.call_later(left, self._watch)
        elif not stop:
            self._fail(errors.ConnectionFailure(f"the server said nothing for {self._silence:g} seconds"))

    def _fail(self, error: Exception) -> None:
        if not self.broken:
            self.broken = True
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        self._expected.clear()
        if self._done is not None and not self._done.done():
            lost = error if isinstance(error, psycopg.OperationalError) else errors.OperationalError(str(error))
            self._done.set_exception(lost)
            self._done.exception()  # whoever waited may have gone; nobody else has to be told that nobody asked
