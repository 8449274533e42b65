"""Servers that break a promise on purpose, to show that the kill test notices."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, LiteralString

from overblik.app.server import create
from overblik.store import database, wire
from overblik.store.queries import sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import ASGIApp

LATE = 0.4
"""Seconds after the answer at which the late log is written."""


def without_barrier() -> ASGIApp:
    """Answer before the commit is on disk."""
    opening = wire.Wire.open.__func__  # type: ignore[attr-defined]

    async def open_(cls: type[wire.Wire], /, conninfo: str, **given: Any) -> wire.Wire:
        found: wire.Wire = await opening(cls, conninfo, **given | {"durable": False})
        return found

    wire.DURABLY = "select 1"
    wire.Wire.open = classmethod(open_)  # type: ignore[assignment]  # a mutant does
    return create()


def with_late_log() -> ASGIApp:
    """Write the log of a write after its answer, in a transaction of its own."""
    opened: list[database.Database] = []
    pending: set[asyncio.Task[None]] = set()
    open_, run_many = database.Database.open, database.Transaction.run_many

    async def opening(self: database.Database, *, allow_unsafe: bool = False) -> None:
        opened.append(self)
        await open_(self, allow_unsafe=allow_unsafe)

    async def later(text: LiteralString, rows: list[Mapping[str, Any]]) -> None:
        await asyncio.sleep(LATE)
        async with opened[0].transaction() as transaction:
            await run_many(transaction, text, rows)

    async def running(self: database.Transaction, text: LiteralString, rows: Iterable[Mapping[str, Any]]) -> None:
        if text != sql("log_write"):
            await run_many(self, text, rows)
            return
        task = asyncio.create_task(later(text, list(rows)))
        pending.add(task)
        task.add_done_callback(pending.discard)

    database.Database.open = opening  # type: ignore[method-assign]
    database.Transaction.run_many = running  # type: ignore[method-assign]
    return create()
