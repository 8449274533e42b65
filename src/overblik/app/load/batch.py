"""One block of lines into the record: read ahead, write as the REST interface would, note it, commit.

The decisions are those of `trust/door/work.py`, unchanged: whose word a resource is, whose record it goes
to, which relations it is evidence of. Only look-ups and writes are made for many at once. A line that
is refused does not hold up its neighbours; it is kept, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import namedtuple_row

from overblik.app.load.lines import Line, Refusal, keys_of, read_line, refusal, settle_names
from overblik.app.load.names import Namespace
from overblik.app.load.refusals import refusal_name
from overblik.app.loading import take_bundle
from overblik.fhir.errors import OverblikError, Unavailable, Unprocessable
from overblik.store.body import pack
from overblik.store.copy import CopyUnit, Overtaken, ReadAhead, read_ahead
from overblik.store.keys import RandomKeys
from overblik.store.plain import DURABLE, PlainTransaction
from overblik.store.queries import sql
from overblik.trust.door.work import Work
from overblik.trust.treatment.evidence import Durations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from overblik.app.load.blocks import Block
    from overblik.app.runtime import Runtime
    from overblik.trust.callers.identity import Caller

ATTEMPTS = 8
_AGAIN = (
    Overtaken,
    psycopg.errors.UniqueViolation,
    psycopg.errors.NotNullViolation,  # another version came between, or a definition of a search parameter
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)
_UNSTORABLE = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded)


@dataclass(slots=True)
class Taken:
    """What became of a block: how many were new, changed, known already, and which were refused."""

    taken: int = 0
    changed: int = 0
    known: int = 0
    refused: list[Refusal] = field(default_factory=list)

    def add(self, other: Taken) -> None:
        """Add another's counts."""
        self.taken += other.taken
        self.changed += other.changed
        self.known += other.known
        self.refused += other.refused


class BlockWork(Work):
    """A source's writes of one block; what was read ahead answers its look-ups."""

    ahead = ReadAhead()

    async def _load(self, resource_type: str, resource_id: str) -> Any:
        key = (resource_type, resource_id)
        if key not in self.ahead.places:
            return await super()._load(resource_type, resource_id)
        row = self.ahead.places[key]
        return row if row is not None and row.via == self.caller.via else None


class Taker:
    """Takes blocks for one source, over one connection of its own."""

    def __init__(self, runtime: Runtime, caller: Caller, connection: psycopg.AsyncConnection[Any]) -> None:
        self.runtime = runtime
        self.caller = caller
        self._connection = connection
        self._space = Namespace(caller.via)
        self._index_key = runtime.keyring.key("index")

    async def take(self, block: Block) -> Taken:
        """Take a block, once: its rows and the note that it was taken commit together."""
        await self.runtime.directory.refresh()
        caller = self.caller.asking(channel="load")
        if (known := await self._known(block)) is not None:
            return known
        lines, refused = self._read(block, caller)
        before = Taken(refused=refused)
        for line in lines:
            if line.is_bundle:
                before.add(await self._bundle(caller, line))
        plain = [line for line in lines if not line.is_bundle]
        for _ in range(ATTEMPTS):
            try:
                return await self._take(block, caller, plain, before)
            except _AGAIN:
                await self.runtime.parameters.fresh()
                continue
        raise Unavailable("too-much-contention", "Too many writers at once; try again in a second.")

    def _read(self, block: Block, caller: Caller) -> tuple[list[Line], list[Refusal]]:
        lines, refused = [], []
        for number, raw in zip(block.numbers, block.lines, strict=True):
            try:
                lines.append(read_line(number, raw, self._space, caller))
            except OverblikError as error:
                refused.append(refusal(number, raw, error))
        return lines, refused

    async def _known(self, block: Block) -> Taken | None:
        """Return what a block counts that was taken whole before; None for any other."""
        key = {"via": self.caller.via, "digest": block.digest}
        rows = await PlainTransaction(self._connection).fetch(sql("read_load_block"), key)
        return Taken(known=rows[0].lines) if rows and not rows[0].refused else None

    async def _take(self, block: Block, caller: Caller, lines: list[Line], before: Taken) -> Taken:
        now = self.runtime.clock.now()
        done = Taken()
        done.add(before)
        async with self._connection.transaction():
            await self._write(block, caller, now, lines, done)
            vault = self.runtime.database.vault
            await _note(PlainTransaction(self._connection, vault), block, caller.via, now, done)
        return done

    async def _write(self, block: Block, caller: Caller, now: datetime, lines: list[Line], done: Taken) -> None:
        """Write lines, each in the first round in which its name stands once."""
        while lines:
            lines, again = _first_of_each(lines)
            await self._store(block, caller, now, lines, done)
            lines = again

    async def _store(self, block: Block, caller: Caller, now: datetime, lines: Sequence[Line], done: Taken) -> None:
        """Write lines of different names; halve them until one that cannot be stored stands alone."""
        try:
            async with self._connection.transaction():
                found = await self._round(block, caller, now, lines)
        except _UNSTORABLE:
            if len(lines) == 1:
                text = "The database cannot store this; a value may be too long to be found by."
                done.refused.append(lines[0].refused(Unprocessable("not-storable", text)))
                return
            half = len(lines) // 2
            await self._store(block, caller, now, lines[:half], done)
            await self._store(block, caller, now, lines[half:], done)
        else:
            done.add(found)

    async def _round(self, block: Block, caller: Caller, now: datetime, lines: Sequence[Line]) -> Taken:
        done = Taken()
        own, targets = keys_of(list(lines), self._space)
        persons = [person for line in lines for person in line.persons]
        vault = self.runtime.database.vault
        ahead = await read_ahead(PlainTransaction(self._connection, vault), persons, own, targets)
        known = self.runtime.parameters.current
        unit = CopyUnit(self._connection, RandomKeys(), self._index_key, now, ahead, known, vault)
        work = BlockWork(unit, caller, self.runtime.directory, Durations(), self._index_key)
        work.ahead = ahead
        for line in lines:
            try:
                settle_names(line, self._space, ahead.places, caller.via)
                await _write_line(work, line, ahead, done)
            except OverblikError as error:
                done.refused.append(line.refused(error))
        what = f"{block.file}:{block.numbers[0]}-{block.numbers[-1]}"
        await unit.flush(caller.via, caller.params(now, "load", what) | {"rule": "own delivery"})
        return done

    async def _bundle(self, caller: Caller, line: Line) -> Taken:
        """Carry out a line that is a transaction; it is known by its content, like a file of its own."""
        try:
            _, code, _ = await take_bundle(self.runtime, caller.asking(), line.raw, line.resource)
        except OverblikError as error:
            return Taken(refused=[line.refused(error)])
        return Taken(known=1) if code else Taken(taken=1)


def _first_of_each(lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """Part lines into those whose name comes first, and those that say the same name again."""
    first: dict[tuple[str, str], Line] = {}
    again = [line for line in lines if first.setdefault(line.given, line) is not line]
    return list(first.values()), again


async def _write_line(work: BlockWork, line: Line, ahead: ReadAhead, done: Taken) -> None:
    """Stage a line as an update of its name, unless that is what already stands there."""
    row = ahead.places.get(line.key)
    if row is not None and row.via == work.caller.via and not row.deleted and row.body == pack(line.resource):
        done.known += 1
        return
    stored = await work.update(*line.key, line.resource)
    if stored.created:
        done.taken += 1
    else:
        done.changed += 1


async def _note(transaction: PlainTransaction, block: Block, via: str, now: datetime, done: Taken) -> None:
    """Note what became of a block, and keep what was refused of it."""
    key = {"via": via, "digest": block.digest}
    counts = {"taken": done.taken, "changed": done.changed, "known": done.known, "refused": len(done.refused)}
    place = {"file": block.file, "first_line": block.numbers[0], "lines": len(block.numbers), "now": now}
    await transaction.run(sql("put_load_block"), key | counts | place)
    if transaction.vault is not None:
        await transaction.run(sql("destroy_refusal_keys"), key)
    await transaction.run(sql("clear_refusals"), key)
    rows = [key | place | {"line": r.line, "code": r.code, "reason": r.reason, "raw": r.raw} for r in done.refused]
    if transaction.vault is not None:
        names = [refusal_name(via, r.line, block.digest) for r in done.refused]
        sealed = await transaction.vault.seal_loose(
            transaction, {name: r.raw for name, r in zip(names, done.refused, strict=True)}
        )
        rows = [row | {"raw": sealed[name]} for row, name in zip(rows, names, strict=True)]
    await transaction.run_many(sql("put_refusal"), rows)


async def connect(conninfo: str) -> psycopg.AsyncConnection[Any]:
    """Open the loader's own connection: COPY cannot share one."""
    return await psycopg.AsyncConnection.connect(
        conninfo, autocommit=True, row_factory=namedtuple_row, prepare_threshold=0, options=DURABLE,
        application_name="overblik-load", connect_timeout=10,
    )  # fmt: skip
