"""Sealing what was stored before bodies were sealed, and wrapping keys anew, while the server runs.

Both go in small transactions and can be stopped at will: what is done is known by how it is stored, so the same
command goes on with the rest.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg

from overblik.store.queries import sql
from overblik.store.vault import context_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from overblik.store.database import Database, Transaction
    from overblik.store.vault import Vault

RECORDS = 20
"""Records of a step."""
ROWS = 500
"""Rows of a transaction."""


async def seal_stored(database: Database, vault: Vault) -> AsyncIterator[int]:
    """Seal every plain body and message; yield how many, step by step."""
    after = 0
    while pids := [row.pid for row in await database.fetch(sql("next_records"), {"after": after, "limit": RECORDS})]:
        after = pids[-1]
        while done := await database.retrying(partial(_seal_records, vault=vault, pids=pids)):
            yield done
    for name in ("inbox", "refusals"):
        while done := await database.retrying(partial(_seal_loose, vault=vault, what=name)):
            yield done


async def _seal_records(transaction: Transaction, vault: Vault, pids: list[int]) -> int:
    """Seal some rows of these records, as their one writer."""
    await transaction.run(sql("lock_block_records"), {"pids": pids})
    found = await transaction.fetch(sql("read_plain"), {"pids": pids, "limit": ROWS})
    rows = [row._asdict() for row in found]
    await vault.seal(transaction, rows)
    tables: tuple[tuple[str, LiteralString], ...] = (
        ("resource", sql("seal_resource")),
        ("history", sql("seal_history")),
        ("raw", sql("seal_raw")),
    )
    for table, statement in tables:
        await transaction.run_many(statement, [row for row in rows if row["kept"] == table])
    return len(rows)


async def _seal_loose(transaction: Transaction, vault: Vault, what: str) -> int:
    """Seal some of what has no patient, a key for each."""
    rows = await transaction.fetch(sql("read_plain_" + what), {"limit": ROWS})
    sealed: list[dict[str, Any]] = []
    for row in rows:
        made = await vault.seal_loose(transaction, {row.name: bytes(row.raw)})
        sealed.append(row._asdict() | {"raw": made[row.name]})
    await transaction.run_many(sql("seal_" + what), sealed)
    return len(rows)


async def wrap_anew(database: Database, vault: Vault) -> AsyncIterator[int]:
    """Have every key wrapped by the master key in force, in place of those before; yield how many, step by step."""
    while done := await database.retrying(partial(_wrap, vault=vault)):
        yield done


async def _wrap(transaction: Transaction, vault: Vault) -> int:
    current = {"master": await vault.masters.current(), "limit": ROWS}
    rows = []
    for row in await transaction.fetch(sql("read_wrapped"), current):
        context = context_of(row.pid, row.kid)
        key = await vault.masters.unwrap(row.master, bytes(row.wrapped), context)
        master, wrapped = await vault.masters.wrap(key, context)
        rows.append({"pid": row.pid, "kid": row.kid, "master": master, "wrapped": wrapped})
    await transaction.run_many(sql("put_wrapped"), rows)
    return len(rows)


async def rewrite(database: Database) -> None:
    """Write the tables of bodies anew, so that nothing of what was replaced in them is left in their files.

    Each is locked meanwhile, and takes its room twice. Needs the role that owns them.
    """
    async with await psycopg.AsyncConnection.connect(database.conninfo, autocommit=True) as connection:
        for table in _TABLES:
            await connection.execute(f"vacuum full {table}".encode())


_TABLES = ("resource", "history", "raw", "inbox", "load_refusal", "record_key")
