"""A psycopg connection in place of a wire, for what needs one of its own: COPY, savepoints, bulk loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from overblik.store.database import Transaction, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg

    from overblik.store.vault import Vault

DURABLE = "-c synchronous_commit=on"
"""Sent with a connection of one's own: what it commits is on disk."""


class PlainTransaction(Transaction):
    """The statements of a transaction that its caller begins and ends."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], vault: Vault | None = None) -> None:
        self._connection = connection
        self.vault = vault

    async def fetch(self, text: LiteralString, params: Mapping[str, Any] | None = None) -> list[Any]:
        """Run one statement and return its rows as the connection's row factory makes them."""
        counted(text)
        cursor = await self._connection.execute(text, params)
        rows = await cursor.fetchall() if cursor.description else []
        return rows if self.vault is None else await self.vault.open(rows)

    async def run(self, text: LiteralString, params: Mapping[str, Any] | None = None) -> int:
        """Run one statement and return how many rows it touched."""
        counted(text)
        cursor = await self._connection.execute(text, params)
        return cursor.rowcount

    async def run_many(self, text: LiteralString, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run one statement for many rows."""
        await self.run_all(text, rows)

    async def run_all(self, text: LiteralString, rows: Iterable[Mapping[str, Any]]) -> int:
        """Run one statement for many rows in one pipeline; return how many rows were touched."""
        listed = list(rows)
        if not listed:
            return 0
        counted(text)
        async with self._connection.cursor() as cursor:
            await cursor.executemany(text, listed)
            return cursor.rowcount
