"""A unit of work for many patients at once: look-ups are read ahead, new rows go in by COPY.

It stages what a `Unit` stages and makes the rows as a `Unit` makes them, so that a loaded resource
is what the REST interface would have written; only the way into the tables differs. Rows are sorted
by record, so that those of one patient lie together.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, LiteralString
from uuid import UUID

from overblik.fhir.index.catalogue import STANDARD
from overblik.store.copy_format import encode
from overblik.store.index_rows import NARROW, narrow_rows
from overblik.store.plain import PlainTransaction
from overblik.store.queries import sql
from overblik.store.unit import DICTIONARY, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    import psycopg

    from overblik.fhir.index.catalogue import Catalogue
    from overblik.store.database import Transaction
    from overblik.store.keys import Keys
    from overblik.store.unit import Staged
    from overblik.store.vault import Vault

Person = tuple[str, str, str]
"""(system, value, source) of a person's identifier, as in person_key."""
Named = tuple[str, str]
"""(type, id) of a resource."""
Columns = dict[str, str]

RESOURCE: Columns = {
    "pid": "int8", "rid": "int8", "type": "text", "id": "text", "version": "int4", "body": "bytea", "deleted": "bool",
    "source": "text", "via": "text", "origins": "text[]", "labels": "text[]", "others": "int8[]",
    "clinical_from": "timestamptz", "clinical_to": "timestamptz", "recorded_at": "timestamptz",
    "received_at": "timestamptz", "created_cid": "int8", "cid": "int8", "fact_key": "text", "facets": "jsonb",
    "tokens": "int8[]", "headline": "int8", "sort_at": "timestamptz", "sort_to": "timestamptz", "index_version": "int2",
    "link": "int8", "present": "int8",
}  # fmt: skip
LOCATOR: Columns = {"id": "text", "type": "text", "pid": "int8", "rid": "int8"}
RELATION: Columns = {
    "pid": "int8", "org": "text", "kind": "text", "rid": "int8", "type": "text", "source": "text", "origins": "text[]",
    "clinical_from": "timestamptz", "clinical_to": "timestamptz", "valid_from": "timestamptz",
    "valid_until": "timestamptz",
}  # fmt: skip
MEMBERSHIP: Columns = {"pid": "int8", "home_pid": "int8", "rid": "int8", "type": "text", "role": "text"}
RECORD: Columns = {"pid": "int8", "kind": "text", "opened_at": "timestamptz"}
CHANGE: Columns = {"pid": "int8", "cid": "int8", "at": "timestamptz", "via": "text"}
LOG: Columns = {
    "pid": "int8", "lid": "uuid", "salt": "bytea", "at": "timestamptz", "request": "uuid", "channel": "text",
    "action": "text", "outcome": "text", "rule": "text", "actor_kind": "text", "actor": "text", "actor_name": "text",
    "actor_role": "text", "org": "text", "org_name": "text", "on_behalf": "text", "purpose": "text", "reason": "text",
    "query": "text", "rids": "int8[]", "versions": "int4[]",
}  # fmt: skip

LOG_QUEUE: Columns = {"pid": "int8", "at": "timestamptz", "lid": "uuid"}


class Overtaken(Exception):
    """Somebody tied an identifier to a record, or defined a search parameter, while a block was prepared: again."""


@dataclass(slots=True)
class ReadAhead:
    """What the database has of the persons and resources that a block names; None for what it has not."""

    persons: dict[Person, int | None] = field(default_factory=dict)
    places: dict[Named, Any] = field(default_factory=dict)


async def read_ahead(
    transaction: Transaction, persons: Iterable[Person], whole: Iterable[Named], targets: Iterable[Named]
) -> ReadAhead:
    """Read the records of identifiers and the rows of resources; of `targets`, all but the body."""
    wanted = dict.fromkeys(persons)
    named = dict.fromkeys(targets, False) | dict.fromkeys(whole, True)
    found = ReadAhead(dict(wanted), dict.fromkeys(named))
    if wanted:
        systems, values, sources = (list(part) for part in zip(*wanted, strict=True))
        params = {"systems": systems, "values": values, "sources": sources}
        rows = await transaction.fetch(sql("read_persons"), params)
        found.persons |= {(row.system, row.value, row.source): row.pid for row in rows}
    if named:
        types, ids = (list(part) for part in zip(*named, strict=True))
        rows = await transaction.fetch(sql("read_places"), {"types": types, "ids": ids, "whole": list(named.values())})
        rows += await transaction.fetch(sql("read_shared_places"), {"types": types, "ids": ids})
        found.places |= {(row.type, row.id): row for row in rows}
    return found


class CopyUnit(Unit):
    """Collects the writes of one block; `flush` sends them."""

    def __init__(
        self, connection: psycopg.AsyncConnection[Any], keys: Keys, index_key: bytes, now: datetime, ahead: ReadAhead,
        catalogue: Catalogue = STANDARD, vault: Vault | None = None,
    ) -> None:  # fmt: skip
        super().__init__(PlainTransaction(connection, vault), keys, index_key, now, catalogue)
        self._connection = connection
        self._ahead = ahead
        self._opened: dict[int, str] = {}
        self._claims: dict[Person, int] = {}

    async def lock(self, *pids: int) -> None:
        """Remember which records are written; they are locked together, before anything is."""
        self._locked.update(pids)

    async def find_person(self, system: str, value: str, source: str = "") -> int | None:
        """Return the record an identifier belongs to, as it was read ahead."""
        if (system, value, source) in self._ahead.persons:
            return self._ahead.persons[system, value, source]
        return await super().find_person(system, value, source)

    async def claim_person(self, system: str, value: str, source: str, pid: int) -> bool:
        """Remember to tie an identifier to a record."""
        return self._claims.setdefault((system, value, source), pid) == pid

    async def open_record(self, kind: str) -> int:
        """Remember to open a record, and return its key."""
        pid = self.keys.number()
        self._opened[pid] = kind
        return pid

    async def flush(self, via: str, entry: Mapping[str, Any]) -> None:
        """Write everything staged, a change for each record. `entry` is the log entry's common part."""
        staged = sorted(self._staged.values(), key=lambda s: (s.pid, s.rid))
        await self._flush_shared(via)
        if not staged:
            return
        await self._flush_records(staged)
        changes = await self._flush_changes(list(dict.fromkeys(s.pid for s in staged)), via)
        rows = {(s.pid, s.rid): self._row(s, changes[s.pid]) for s in staged}
        await self._seal(list(rows.values()))
        old = [s for s in staged if s.version > 1]
        replaced = [rows[s.pid, s.rid] for s in old]
        await self._write(old, replaced)
        await DICTIONARY.note(self.transaction, replaced)
        await self._copy_new([s for s in staged if s.version == 1], rows)
        entries = [_drawn(e) for e in self._entries(staged, entry)]
        await self._copy("access_log", LOG, entries)
        await self._copy("log_queue", LOG_QUEUE, entries)
        self._staged = {}

    async def _flush_records(self, staged: list[Staged]) -> None:
        """Lock the records there are; open the new ones that something was staged for, with their identifiers."""
        used = {pid for s in staged for pid in (s.pid, *(s.others or ()))}
        known = sorted(self._locked & used - self._opened.keys())
        if known:
            await self.transaction.fetch(sql("lock_block_records"), {"pids": known})
        opened = [
            {"pid": pid, "kind": kind, "opened_at": self.now} for pid, kind in self._opened.items() if pid in used
        ]
        claims = [(person, pid) for person, pid in self._claims.items() if pid in used]
        if claims:
            systems, values, sources = (list(part) for part in zip(*(person for person, _ in claims), strict=True))
            params = {"systems": systems, "values": values, "sources": sources, "pids": [pid for _, pid in claims]}
            if len(await self.transaction.fetch(sql("claim_persons"), params)) != len(claims):
                raise Overtaken
        await self._copy("record", RECORD, opened)

    async def _flush_changes(self, pids: list[int], via: str) -> dict[int, int]:
        drawn = await self.transaction.fetch(sql("draw_cids"), {"count": len(pids)})
        changes = {pid: int(row.cid) for pid, row in zip(pids, drawn, strict=True)}
        rows = [{"pid": pid, "cid": cid, "at": self.now, "via": via} for pid, cid in changes.items()]
        await self._copy("change", CHANGE, rows)
        return changes

    async def _copy_new(self, new: list[Staged], rows: Mapping[tuple[int, int], dict[str, Any]]) -> None:
        await self._require_catalogue()
        made = [rows[s.pid, s.rid] for s in new]
        for row in made:
            row["created_cid"] = row["cid"]
        await self._copy("locator", LOCATOR, sorted(made, key=lambda row: row["id"]))
        await self._copy("resource", RESOURCE, made)
        await DICTIONARY.note(self.transaction, made)
        for table, columns in NARROW.items():
            await self._copy(table, columns, narrow_rows(made, table))
        await self._copy("relation", RELATION, [r for s in new for r in _relations(s, rows[s.pid, s.rid])])
        await self._put_mandates(new)
        await self._put_deaths(new)
        await self._copy("membership", MEMBERSHIP, [m for s in new for m in _memberships(s)])

    async def _require_catalogue(self) -> None:
        """COPY asks nothing: what put_resource refuses is looked up here, after something was written as there."""
        found = await self.transaction.fetch(sql("read_generation"))
        if found[0].generation != self.catalogue.generation:
            raise Overtaken

    async def _copy(self, table: LiteralString, columns: Columns, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        statement = f"copy {table} ({', '.join(columns)}) from stdin (format binary)"
        async with self._connection.cursor().copy(statement.encode()) as copy:
            await copy.write(encode(columns, rows))


def _drawn(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a log entry with what the database draws for it elsewhere: its number and its salt."""
    entry |= {"lid": UUID(bytes=secrets.token_bytes(16), version=4), "salt": secrets.token_bytes(16)}
    return entry | {"at": entry["now"], "outcome": "permit"}


def _relations(staged: Staged, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the evidence a resource gives, judged as the resource is."""
    return [
        row | {"org": r.org, "kind": r.kind, "valid_from": r.valid_from, "valid_until": r.valid_until}
        for r in staged.relations
    ]


def _memberships(staged: Staged) -> list[dict[str, Any]]:
    shared = {"home_pid": staged.pid, "rid": staged.rid, "type": staged.type, "role": "about"}
    return [shared | {"pid": other} for other in staged.others or ()]
