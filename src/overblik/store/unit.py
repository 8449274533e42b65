"""A unit of work: everything one transaction writes, collected and then sent as sets.

The number of statements does not grow with the number of resources. Resources are staged with
everything that belongs to them (index row, relations, raw bytes), and `flush` writes them with one
change row and one log entry a record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from overblik.fhir.dates import Interval
from overblik.fhir.errors import Conflict, Unprocessable
from overblik.fhir.index.catalogue import STANDARD, using
from overblik.fhir.units import Bound
from overblik.store.body import pack
from overblik.store.index_rows import NARROW, Dictionary, indexed, narrow_rows, shared_rid
from overblik.store.queries import sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from overblik.fhir.index.catalogue import Catalogue
    from overblik.fhir.strict_json import Json
    from overblik.store.database import Transaction
    from overblik.store.keys import Keys


MOST_UNITS = 4_000
"""Characters of all the UCUM codes that one transaction writes, each code once."""
NOBODY = 0
"""The pid of changes to what belongs to no patient."""


DICTIONARY = Dictionary()
"""Of the process: digests are keyed, so those of another database are other digests."""


@dataclass(frozen=True, slots=True)
class RelationRow:
    """Evidence of a treatment relation that a resource gives to an organisation."""

    org: str
    kind: str
    valid_from: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class MandateRow:
    """Somebody (by CPR) who acts for the person of a record by law, as a resource states it."""

    kind: str
    holder: str
    valid_from: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class DeathRow:
    """That a Patient says the person is dead, and until when relations without an end go on.

    Where the day is not known (`dated` false) it is when it was first said here.
    """

    since: datetime
    ends: datetime
    dated: bool


@dataclass(slots=True)
class Staged:
    """One version about to be written. `resource` is None for a deletion.

    `happened_at` dates a resource that has no date of its own, such as a message's bytes.
    """

    pid: int
    rid: int
    type: str
    id: str
    version: int
    resource: Json | None
    source: str
    via: str
    origins: list[str]
    labels: list[str] = field(default_factory=list)
    others: list[int] | None = None
    recorded_at: datetime | None = None
    happened_at: datetime | None = None
    fact_key: str | None = None
    facets: dict[str, Any] | None = None
    relations: list[RelationRow] = field(default_factory=list)
    mandates: list[MandateRow] = field(default_factory=list)
    death: DeathRow | None = None
    raw: tuple[str, bytes] | None = None


@dataclass(slots=True)
class StagedShared:
    """One version of a resource that belongs to no patient."""

    type: str
    id: str
    version: int
    resource: Json | None
    source: str
    via: str


def _letter(staged: Staged | StagedShared) -> str:
    return "d" if staged.resource is None else "c" if staged.version == 1 else "u"


def _too_many_units() -> Unprocessable:
    text = f"UCUM codes of more than {MOST_UNITS} characters stand here, each counted once; send it in parts."
    return Unprocessable("units-too-many", text, kind="too-costly")


def anything(_: str, __: str) -> None:
    """Let every write be, as a loader of the operator's does."""


class Unit:
    """Collects one transaction's writes; `flush` sends them, indexed by `catalogue`, which must be in force.

    `may` is told of each write (its type; `c`, `u` or `d`) and raises where the caller may not.
    """

    def __init__(
        self, transaction: Transaction, keys: Keys, index_key: bytes, now: datetime, catalogue: Catalogue = STANDARD,
        may: Callable[[str, str], None] = anything,
    ) -> None:  # fmt: skip
        self._may = may
        self.transaction = transaction
        self.keys = keys
        self.now = now
        self.catalogue = catalogue
        self._index_key = index_key
        self._staged: dict[tuple[int, int], Staged] = {}
        self._shared: dict[tuple[str, str], StagedShared] = {}
        self._touched: list[Staged] = []
        self._locked: set[int] = set()
        self._units = Bound(MOST_UNITS, _too_many_units())

    async def lock(self, *pids: int) -> None:
        """Become the one writer of these records; those of one call always in the same order."""
        wanted = sorted(set(pids) - self._locked)
        if len(wanted) == 1:
            await self.transaction.run_many(sql("lock_record"), [{"pid": wanted[0]}])
        elif wanted:
            await self.transaction.run_many(sql("lock_records"), [{"pids": wanted}])
        self._locked.update(wanted)

    async def find_person(self, system: str, value: str, source: str = "") -> int | None:
        """Return the record an identifier belongs to."""
        params = {"system": system, "value": value, "source": source}
        rows = await self.transaction.fetch(sql("find_person"), params)
        return int(rows[0].pid) if rows else None

    async def claim_person(self, system: str, value: str, source: str, pid: int) -> bool:
        """Tie an identifier to a record; False where another record has it."""
        params = {"system": system, "value": value, "source": source, "pid": pid}
        return bool(await self.transaction.fetch(sql("claim_person"), params))

    async def open_record(self, kind: str) -> int:
        """Open a new record and return its key."""
        pid = self.keys.number()
        await self.transaction.run(sql("open_record"), {"pid": pid, "kind": kind, "now": self.now})
        return pid

    async def rows(self, pid: int, *, rids: tuple[int, ...] = (), facts: tuple[str, ...] = ()) -> list[Any]:
        """Return current rows of a record, by row key or fact key."""
        params = {"pid": pid, "rids": list(rids), "facts": list(facts)}
        return await self.transaction.fetch(sql("load_rows"), params)

    async def own_patient(self, pid: int, source: str, via: str) -> Any:
        """Return the Patient that a source keeps of a record by plain FHIR, or None."""
        params = {"pid": pid, "source": source, "via": via}
        rows = await self.transaction.fetch(sql("load_own_patient"), params)
        return rows[0] if rows else None

    async def rows_like(self, pid: int, prefix: str) -> list[Any]:
        """Return the rows of a record whose fact key begins with `prefix`."""
        return await self.transaction.fetch(sql("load_facts_like"), {"pid": pid, "prefix": prefix})

    def stage(self, staged: Staged) -> None:
        """Add one version; a second one of the same resource in the same unit replaces the first."""
        self._may(staged.type, _letter(staged))
        self._staged[staged.pid, staged.rid] = staged

    def stage_shared(self, staged: StagedShared) -> None:
        """Add one version of a resource that belongs to no patient."""
        self._may(staged.type, _letter(staged))
        self._shared[staged.type, staged.id] = staged

    def touch(self, staged: Staged) -> None:
        """Remember that a resource was stated again, without a new version."""
        self._touched.append(staged)

    async def flush(self, via: str, entry: Mapping[str, Any]) -> None:
        """Write everything staged, a change for each record. `entry` is the log entry's common part.

        Nothing of it waits for an answer, unless the index meets new words: it goes out with the commit.
        """
        staged = list(self._staged.values())
        await self._flush_shared(via)
        touched = [self._row(s, 0) for s in self._touched]
        await self.transaction.run_many(sql("touch_resource"), touched)
        await self.transaction.run_many(sql("touch_relations"), [{"pid": s.pid, "rid": s.rid} for s in self._touched])
        self._touched = []
        written: list[dict[str, Any]] = []
        for pid in dict.fromkeys(s.pid for s in staged):
            await self.transaction.run_many(sql("insert_change"), [{"pid": pid, "now": self.now, "via": via}])
            of_record = [s for s in staged if s.pid == pid]
            rows = [self._row(s, None) for s in of_record]
            await self._seal(rows)
            await self._write(of_record, rows)
            written += rows
        await self.transaction.run_many(sql("log_write"), self._entries(staged, entry))
        await DICTIONARY.note(self.transaction, written)
        self._staged = {}

    async def _seal(self, rows: list[dict[str, Any]]) -> None:
        """Seal the bodies of rows, where bodies are sealed; their records are locked by now."""
        if self.transaction.vault is not None:
            await self.transaction.vault.seal(self.transaction, rows)

    async def _write(self, staged: list[Staged], rows: list[dict[str, Any]]) -> None:
        keys = [{"pid": s.pid, "rid": s.rid, "type": s.type, "id": s.id} for s in staged]
        new = [k for k, s in zip(keys, staged, strict=True) if s.version == 1]
        old = [k for k, s in zip(keys, staged, strict=True) if s.version > 1]
        many = self.transaction.run_many
        await many(sql("put_locator"), new)
        await many(sql("supersede"), old)
        await many(sql("put_resource"), rows)
        await self._index(old, rows)
        await many(sql("clear_relations"), old)
        await many(sql("put_relation"), [r for s in staged for r in _relations(s)])
        await self._put_mandates(staged)
        await self._put_deaths(staged)
        await many(
            sql("put_raw"),
            [
                {"pid": s.pid, "rid": s.rid, "content_type": s.raw[0], "body": row["raw"]}
                for s, row in zip(staged, rows, strict=True)
                if s.raw
            ],
        )
        memberships = [
            {"pid": other, "home_pid": s.pid, "rid": s.rid, "type": s.type, "role": "about"}
            for s in staged
            for other in s.others or ()
        ]
        await many(sql("put_membership"), memberships)

    async def _put_mandates(self, staged: Iterable[Staged]) -> None:
        """Write who acts by law, in place of what the same resource said before."""
        related = [s for s in staged if s.type == "RelatedPerson"]
        await self.transaction.run_many(sql("clear_mandates"), [{"pid": s.pid, "rid": s.rid} for s in related])
        rows = [
            {"pid": s.pid, "rid": s.rid, "mid": self.keys.number(), "kind": m.kind, "holder": m.holder,
             "valid_from": m.valid_from, "valid_until": m.valid_until}
            for s in related for m in s.mandates
        ]  # fmt: skip
        await self.transaction.run_many(sql("put_mandate_by_law"), rows)

    async def _put_deaths(self, staged: Iterable[Staged]) -> None:
        """Write which Patients say that the person is dead, and no longer which said so."""
        said = [s for s in staged if s.type == "Patient" and (s.death or s.version > 1)]
        gone = [{"pid": s.pid, "rid": s.rid} for s in said if s.death is None]
        await self.transaction.run_many(sql("clear_death"), gone)
        rows = [
            {"pid": s.pid, "rid": s.rid, "since": s.death.since, "ends": s.death.ends, "dated": s.death.dated}
            for s in said if s.death is not None
        ]  # fmt: skip
        await self.transaction.run_many(sql("put_death"), rows)

    async def _index(self, old: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
        """Write what the index keeps outside the rows themselves."""
        await self.transaction.run_many(sql("clear_index"), old)
        for table in NARROW:
            await self.transaction.run_many(sql("put_" + table), narrow_rows(rows, table))

    def _row(self, staged: Staged, cid: int | None) -> dict[str, Any]:
        with using(self.catalogue), self._units:
            index = indexed(staged.resource, self._index_key, staged.pid, staged.rid)
        clinical = index.pop("clinical")
        if clinical is None and staged.happened_at is not None:
            clinical = Interval(staged.happened_at, staged.happened_at)
            index["sort_at"] = staged.happened_at
        return {
            "pid": staged.pid,
            "rid": staged.rid,
            "type": staged.type,
            "id": staged.id,
            "version": staged.version,
            "body": pack(staged.resource) if staged.resource else None,
            "raw": staged.raw[1] if staged.raw else None,
            "deleted": staged.resource is None,
            "source": staged.source,
            "via": staged.via,
            "origins": sorted({staged.source, *staged.origins}),
            "labels": sorted(staged.labels),
            "others": staged.others,
            "clinical_from": clinical.start if clinical else None,
            "clinical_to": clinical.end if clinical else None,
            "recorded_at": staged.recorded_at,
            "received_at": self.now,
            "cid": cid,
            "fact_key": staged.fact_key,
            "facets": Jsonb(staged.facets) if staged.facets is not None else None,
            **index,
        }

    def _entries(self, staged: list[Staged], entry: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return one log entry a record written; above a hundred resources only their number."""
        by_pid: dict[int, list[Staged]] = {}
        for item in staged:
            by_pid.setdefault(item.pid, []).append(item)
        entries = []
        for pid, items in by_pid.items():
            few = len(items) <= 100
            entries.append(
                {
                    **entry,
                    "pid": pid,
                    "rids": [s.rid for s in items] if few else [],
                    "versions": [s.version for s in items] if few else [],
                    "query": entry["query"] if few else f"{entry['query']} #{len(items)}",
                }
            )
        return entries

    async def _flush_shared(self, via: str) -> None:
        staged = list(self._shared.values())
        if not staged:
            return
        change = {"pid": NOBODY, "now": self.now, "via": via}
        cid = (await self.transaction.fetch(sql("insert_change"), change))[0].cid
        many = self.transaction.run_many
        await many(sql("supersede_shared"), [{"type": s.type, "id": s.id} for s in staged if s.version > 1])
        rows = [self._shared_row(s, cid) for s in staged]
        if await self.transaction.run_all(sql("put_shared"), rows) != len(rows):
            raise Conflict("changed-meanwhile", "Somebody else changed it meanwhile; read it again.")
        await self._index([{"pid": NOBODY, "rid": row["rid"]} for row in rows if row["version"] > 1], rows)
        await DICTIONARY.note(self.transaction, rows)
        self._shared = {}

    def _shared_row(self, staged: StagedShared, cid: int) -> dict[str, Any]:
        rid = shared_rid(staged.type, staged.id)
        with using(self.catalogue), self._units:
            index = indexed(staged.resource, self._index_key, NOBODY, rid)
        return {
            "rid": rid,
            "type": staged.type,
            "id": staged.id,
            "version": staged.version,
            "body": pack(staged.resource) if staged.resource else None,
            "deleted": staged.resource is None,
            "source": staged.source,
            "via": staged.via,
            "received_at": self.now,
            "cid": cid,
            **index,
        }


def _relations(staged: Staged) -> list[dict[str, Any]]:
    return [
        {
            "pid": staged.pid,
            "rid": staged.rid,
            "org": relation.org,
            "kind": relation.kind,
            "valid_from": relation.valid_from,
            "valid_until": relation.valid_until,
        }
        for relation in staged.relations
    ]
