"""Making stored index rows anew, while the server runs.

A row carries the version of the index that made it. Every row of another version is read, extracted
again and written back in small transactions, in the order of the keys; an interrupted run goes on
where it stopped, for what is done is of the newest version. Writers are never blocked for longer
than a batch, and what they write meanwhile is of the newest version already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import errors

from overblik.fhir.index import INDEX_VERSION
from overblik.fhir.index.catalogue import using
from overblik.store.body import unpack
from overblik.store.definitions import read_catalogue
from overblik.store.index_rows import NARROW, NEVER, NOBODY, Dictionary, indexed, narrow_rows, shared_rid
from overblik.store.queries import sql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from overblik.store.database import Database, Transaction

BATCH = 500
_FIRST: dict[str, Any] = {"pid": -1, "rid": 0}
_FIRST_SHARED: dict[str, Any] = {"id": "", "type": ""}


async def stale(database: Database) -> int:
    """Return how many rows an older version of the index made."""
    return int((await database.fetch(sql("count_stale"), {"version": INDEX_VERSION}))[0].stale)


async def reindex(database: Database, key: bytes, *, batch: int = BATCH) -> AsyncIterator[int]:
    """Make every stale row anew; yield how many were made, batch by batch."""
    dictionary = Dictionary()
    wanted = {"version": INDEX_VERSION, "limit": batch}
    for name, work, beginning in (("read_stale", _records, _FIRST), ("read_stale_shared", _shared, _FIRST_SHARED)):
        place = beginning
        while True:
            try:
                async with database.transaction() as transaction:
                    rows = await transaction.fetch(sql(name), place | wanted)
                    with using(await read_catalogue(transaction)):
                        await work(transaction, dictionary, rows, key)
            except errors.NotNullViolation:  # search parameters were defined meanwhile: the batch again, by them
                continue
            if not rows:
                break
            place = {column: getattr(rows[-1], column) for column in beginning}
            yield len(rows)


async def _records(transaction: Transaction, dictionary: Dictionary, rows: list[Any], key: bytes) -> None:
    await put_records(transaction, dictionary, made_records(rows, key))


async def _shared(transaction: Transaction, dictionary: Dictionary, rows: list[Any], key: bytes) -> None:
    await put_shared(transaction, dictionary, made_shared(rows, key))


def made_records(rows: list[Any], key: bytes) -> list[dict[str, Any]]:
    """Return the index rows of patients' resources, by the context's catalogue."""
    made = []
    for row in rows:
        index = indexed(_resource(row), key, row.pid, row.rid)
        clinical = index["clinical"]
        if index["sort_at"] == NEVER and row.type in {"Binary", "Bundle"} and row.clinical_from is not None:
            index["sort_at"] = row.clinical_from  # the instant of the message it is the bytes of
        span = {
            "clinical_from": clinical.start if clinical else None,
            "clinical_to": clinical.end if clinical else None,
        }
        made.append(index | span | {"pid": row.pid, "rid": row.rid})
    return made


def made_shared(rows: list[Any], key: bytes) -> list[dict[str, Any]]:
    """Return the index rows of resources that belong to no patient, by the context's catalogue."""
    made = []
    for row in rows:
        rid = shared_rid(row.type, row.id)
        index = indexed(_resource(row), key, NOBODY, rid)
        made.append(index | {"pid": NOBODY, "rid": rid, "type": row.type, "id": row.id})
    return made


async def put_records(transaction: Transaction, dictionary: Dictionary, made: list[dict[str, Any]]) -> None:
    """Write the index rows of patients' resources in place of those there are."""
    await transaction.run_many(sql("put_index"), made)
    await _narrow(transaction, dictionary, made)


async def put_shared(transaction: Transaction, dictionary: Dictionary, made: list[dict[str, Any]]) -> None:
    """Write the index rows of what belongs to no patient in place of those there are."""
    await transaction.run_many(sql("put_shared_index"), made)
    await _narrow(transaction, dictionary, made)


async def _narrow(transaction: Transaction, dictionary: Dictionary, made: list[dict[str, Any]]) -> None:
    await dictionary.note(transaction, made)
    await transaction.run_many(sql("clear_index"), made)
    for table in NARROW:
        await transaction.run_many(sql("put_" + table), narrow_rows(made, table))


def _resource(row: Any) -> dict[str, Any] | None:
    return unpack(row.type, row.id, row.version, row.received_at, row.body) if row.body is not None else None
