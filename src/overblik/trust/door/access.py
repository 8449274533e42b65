"""The door: every access to patient data passes here.

    decide (who, for whom, why) -> lower to SQL -> fetch -> log -> answer

The decision is a condition in the same statement that fetches and logs, so there is no moment
between them, and the log entry is committed before anything is returned. Hidden and absent give
the same answer. What cannot be decided or logged is Unavailable, and nothing is disclosed.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from overblik.fhir.compartment import is_shared
from overblik.fhir.errors import Gone, NotFound
from overblik.fhir.index import token_digest
from overblik.store.body import head, splice, unpack
from overblik.store.queries import sql, sql_for, sql_for_set
from overblik.trust.callers.identity import require
from overblik.trust.callers.tries import Tries
from overblik.trust.door.entries import Kept, entry_of
from overblik.trust.door.protected import shielded
from overblik.trust.live import seen
from overblik.trust.withheld import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from overblik.clock import Clock
    from overblik.fhir.strict_json import Json
    from overblik.store.database import Database
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.cursors import Cursors
    from overblik.trust.door.entries import Entry

MOST_WORK = 200
MOST_TOLD = 200
"""Characters of a path that the entry of a refusal keeps."""


class Disclosed(Struct, frozen=True):
    """One version of a resource that the caller may see; `body` as in store/body.py."""

    type: str
    id: str
    version: int
    updated: datetime
    body: bytes | None

    @property
    def deleted(self) -> bool:
        """A deleted version has no body."""
        return self.body is None

    def sent(self) -> bytes:
        """Return the resource as it is sent."""
        return splice(self.type, self.id, self.version, self.updated, self.body or b"}}")

    def json(self) -> Json:
        """Return the resource parsed."""
        return unpack(self.type, self.id, self.version, self.updated, self.body or b"}}")


@dataclass(frozen=True, slots=True)
class Record:
    """What one caller may see of one record, and the rule that permitted it.

    `seqs` numbers the changes in the order in which they became known; one that the sequencer has not
    come to yet (two seconds at most) has None. `before` is when a viewer looked the last time, and
    `baseline` the number of the last change that was no news then.
    """

    patient_id: str
    rule: str
    entries: tuple[Entry, ...]
    seqs: Mapping[int, int | None] = field(default_factory=dict)
    baseline: int = 0
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search; `cursor` is "" on the last one, `total` None where nothing was counted.

    `included` is what its links lead to.
    """

    entries: tuple[Disclosed, ...]
    cursor: str
    total: int | None = None
    included: tuple[Disclosed, ...] = ()


@dataclass(frozen=True, slots=True)
class Circle:
    """Around a record: units with a relation and until when, and organisations whose word it holds."""

    relations: tuple[tuple[str, datetime], ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a resource is kept; never leaves this package."""

    pid: int
    rid: int
    pids: tuple[int, ...]


NOWHERE = Place(0, 0, (0,))


class Door:
    """The reading side. One instance serves every request of a process."""

    def __init__(
        self, database: Database, clock: Clock, index_key: bytes, cursors: Cursors, tries: Tries | None = None
    ) -> None:
        self.database = database
        self.clock = clock
        self.index_key = index_key
        self.cursors = cursors
        self.tries = tries or Tries(clock, 0)
        self._kept = Kept()

    @property
    def reads_texts(self) -> bool:
        """Say whether the words of bodies can be searched: not of those that are sealed."""
        return self.database.vault is None

    async def locate(self, resource_type: str, resource_id: str) -> Place:
        """Return where a resource is kept, NOWHERE for one that does not exist or never could."""
        params = {"types": [resource_type], "ids": [storable(resource_id)]}
        rows = await self.database.look_up(sql("locate"), params)
        return Place(rows[0].pid, rows[0].rid, tuple(rows[0].pids)) if rows else NOWHERE

    async def read(self, caller: Caller, resource_type: str, resource_id: str) -> Disclosed:
        """Return the current version; NotFound for hidden and absent alike, Gone for deleted."""
        require(caller, "read", resource_type)
        if is_shared(resource_type):
            params = {"type": resource_type, "id": storable(resource_id)}
            rows = await self.database.look_up(sql("read_shared"), params)
        else:
            what = f"{resource_type}/{resource_id}".replace("\x00", "?")
            params = caller.params(self.clock.now(), "read", what)
            params |= {"type": resource_type, "id": storable(resource_id)}
            rows = await self.database.share_set(sql_for_set("read_set", caller.kind), params)
        if not rows:
            raise NotFound
        if rows[0].deleted:
            raise Gone("deleted", "This resource was deleted.")
        return (await self.shielded(caller, [disclosed(rows[0])]))[0]

    async def version(self, caller: Caller, resource_type: str, resource_id: str, number: int) -> Disclosed:
        """Return one version, a deletion too; NotFound for hidden and absent alike."""
        require(caller, "read", resource_type)
        if is_shared(resource_type):
            params = {"type": resource_type, "id": storable(resource_id), "version": number}
            rows = await self.database.fetch_quick(sql("read_shared_version"), params)
        else:
            place = await self.locate(resource_type, resource_id)
            what = f"{resource_type}/{resource_id}/_history/{number}"
            params = self._params(caller, "vread", what, place) | {"version": number}
            rows = await self.database.fetch_quick(sql_for("read_version", caller.kind), params)
        if not rows:
            raise NotFound
        return (await self.shielded(caller, [disclosed(rows[0])]))[0]

    async def shielded(self, caller: Caller, found: Iterable[Disclosed]) -> tuple[Disclosed, ...]:
        """Return what was disclosed, without protected addresses that are not for this caller."""
        return await shielded(self.database, self.index_key, caller, found)

    async def binary(self, caller: Caller, binary_id: str) -> tuple[Disclosed, str, bytes | None]:
        """Return a Binary, and content type and bytes where it stands for what was received."""
        require(caller, "read", "Binary")
        place = await self.locate("Binary", binary_id)
        params = self._params(caller, "read raw", f"Binary/{binary_id}", place)
        rows = await self.database.fetch(sql_for("read_raw", caller.kind), params)
        if not rows:
            raise NotFound
        if rows[0].deleted:
            raise Gone("deleted", "This resource was deleted.")
        seen.note(caller, {place.pid: (place.rid,)}, ("Binary",), rids=(place.rid,))
        before = disclosed(rows[0])
        after = (await self.shielded(caller, [before]))[0]
        return after, rows[0].content_type or "", rows[0].raw if after is before else None

    async def gather(
        self, caller: Caller, patient_id: str, types: Sequence[str], action: str, *, as_of: datetime | None = None,
        first: datetime | None = None,
    ) -> Record:  # fmt: skip
        """Return everything of these types in the record that a visible Patient opens.

        `as_of` gives the record as it was known at that instant, under today's rules. Withdrawn
        resources come as entries with `deleted` and no content. With `first` the caller has now looked;
        on the very first look, what came before that instant is no news.
        """
        require(caller, "read", *types, letters="rs")
        place = await self.locate("Patient", patient_id)
        what = f"Patient/{patient_id}/{action}" + (f"?asOf={as_of.isoformat()}" if as_of else "")
        params = self._params(caller, action, what, place) | {"types": list(types), "as_of": as_of}
        params |= {"viewer": caller.viewer if first else "", "old": first, **caller.reached("rs")}
        name = "gather" if as_of is None else "gather_as_of"
        row = (await self.database.fetch_quick(sql_for(name, caller.kind), params))[0]
        entries = await self._entries(place, row)
        if all(entry.deleted for entry in entries):
            raise NotFound
        shown = [r for r, e in zip(row.rids, entries, strict=False) if as_of or not e.deleted]
        last = max((e.created for e in entries), default=0)
        seen.note(caller, {place.pid: shown}, types, upto=seen.ANY if as_of else last, past=as_of)
        seqs = dict(zip(row.cids, row.seqs, strict=True))
        return Record(patient_id, row.rule, entries, seqs, row.baseline or 0, row.before)

    async def _entries(self, place: Place, row: Any) -> tuple[Entry, ...]:
        """Return the versions that a statement has permitted and logged; those not kept are fetched."""
        asked = list(zip(row.rids, row.versions, row.recorded, strict=True))
        found = [self._kept.get(*key) for key in asked]
        missing = [key[:2] for key, entry in zip(asked, found, strict=True) if entry is None]
        if self.database.vault is not None:
            await self.database.vault.require()
        if not missing:
            return tuple(entry for entry in found if entry)
        rids, versions = zip(*missing, strict=True)
        params = {"pids": list(place.pids), "rids": list(rids), "versions": list(versions)}
        new = {}
        for item in await self.database.fetch(sql("versions"), params):
            new[item.rid] = entry = entry_of(item)
            self._kept.put(item.rid, item.version, entry, len(item.body or b""))
        merged = (entry or new.get(key[0]) for key, entry in zip(asked, found, strict=True))
        return tuple(entry for entry in merged if entry is not None)

    async def worklist(self, caller: Caller, kinds: Sequence[str], types: Sequence[str]) -> list[Record]:
        """Return the records the caller's unit has work in, each opened by its first visible Patient."""
        require(caller, "read")
        params = caller.params(self.clock.now(), "worklist", f"worklist {','.join(kinds)}")
        params |= {"kinds": list(kinds), "types": list(types), "limit": MOST_WORK}
        rows = await self.database.fetch(sql_for("worklist", caller.kind), params)
        by_pid: dict[int, list[Any]] = {}
        for row in rows:
            by_pid.setdefault(row.pid, []).append(row)
        rids = {pid: [row.rid for row in found] for pid, found in by_pid.items()}
        seen.note(caller, rids, types, upto=max((row.created_cid for row in rows), default=0), alone=True)
        records = []
        for found in by_pid.values():
            patients = sorted(row.id for row in found if row.type == "Patient")
            if patients:
                entries = tuple(entry_of(row) for row in found)
                records.append(Record(patients[0], found[0].rule, entries))
        return records

    async def find(self, caller: Caller, system: str, value: str) -> str:
        """Return the id of a visible Patient with an identifier; NotFound otherwise. Both are logged."""
        with self.looking_up(caller):
            return await self._find(caller, system, value)

    def looking_up(self, caller: Caller) -> AbstractContextManager[None]:
        """Refuse who has looked up too many that are not there; NotFound inside is one more.

        Citizens find nobody but themselves, and services see only what is theirs: they are not counted.
        """
        if caller.kind not in {"proxy", "professional"}:
            return nullcontext()
        return self.tries.looking_up(f"person {caller.id}")

    async def _find(self, caller: Caller, system: str, value: str) -> str:
        require(caller, "read", "Patient", letters="s")
        token = token_digest(self.index_key, "Patient", "identifier", system, value)
        params = caller.params(self.clock.now(), "look up", "identifier") | {"token": token}
        rows = await self.database.fetch_quick(sql_for("find_patient", caller.kind), params)
        if not rows:
            pid = await self._pid_of(system, value)
            await self.database.fetch_quick(sql("log_refusal"), params | {"pid": pid, "rule": "none"})
            raise NotFound
        return str(rows[0].id)

    async def log(self, caller: Caller, patient_id: str, limit: int, *, professionals: bool = False) -> list[Any]:
        """Return the newest entries of a record's log, all of them or the looks of professionals.

        Reading it is an entry of its own.
        """
        require(caller, "read", "AuditEvent", letters="rs")
        place = await self.locate("Patient", patient_id)
        params = self._params(caller, "read log", f"Patient/{patient_id}/log", place)
        params |= {"limit": limit, "professionals": professionals}
        seen.note(caller, {place.pid: ()}, ())
        return await named(self, caller, await self.database.fetch_quick(sql_for("read_log", caller.kind), params))

    async def circle(self, caller: Caller, patient_id: str) -> Circle:
        """Return which units have or had a relation to a record, and which sources have delivered; for the citizen."""
        require(caller, "read")
        if caller.kind != "citizen":
            raise NotFound
        place = await self.locate("Patient", patient_id)
        params = self._params(caller, "blocks", f"Patient/{patient_id}/blocks", place)
        rows = await self.database.fetch(sql_for("circle", caller.kind), params)
        relations = tuple((row.name, row.until) for row in rows if row.what == "relation")
        return Circle(relations, tuple(row.name for row in rows if row.what == "source"))

    async def sealed_log(self, caller: Caller, patient_id: str, size: int, limit: int) -> list[Any]:
        """Return the newest entries of a record's log among the first `size` leaves; NotFound where refused."""
        require(caller, "read", "AuditEvent", letters="rs")
        place = await self.locate("Patient", patient_id)
        params = self._params(caller, "read log", f"Patient/{patient_id}/$log", place)
        params |= {"size": size, "limit": limit}
        rows = await self.database.fetch(sql_for("read_sealed_log", caller.kind), params)
        if not rows:
            raise NotFound
        return [row for row in rows if row.n is not None]

    async def refused(self, caller: Caller, rule: str, what: str) -> None:
        """Log a refusal that was decided before any look-up, by its code: `what` is a path, never a query."""
        told = what[:MOST_TOLD].encode("utf-8", "replace").decode().replace("\0", "?")
        params = caller.params(self.clock.now(), "refused", told) | {"pid": 0, "rule": rule}
        await self.database.fetch_quick(sql("log_refusal"), params)

    async def _pid_of(self, system: str, value: str) -> int:
        params = {"system": system, "value": value, "source": ""}
        rows = await self.database.fetch_quick(sql("find_person"), params)
        return int(rows[0].pid) if rows else 0

    def _params(self, caller: Caller, action: str, what: str, place: Place) -> dict[str, Any]:
        shared = caller.params(self.clock.now(), action, what.replace("\x00", "?"))
        return shared | {"pid": place.pid, "rid": place.rid, "pids": list(place.pids)}


def is_versioned(resource_type: str) -> bool:
    """Say whether an update must name the version it replaces: what is clinical, not who somebody is."""
    return resource_type != "Patient" and not is_shared(resource_type)


def in_one_piece(found: Iterable[Disclosed], start: str, middle: str, end: str) -> bytes:
    """Return resources as they are sent, with commas between: `start`, `Type/id`, `middle`, the resource, `end`."""
    pieces: list[bytes] = []
    before = start
    for one in found:
        place = f"{before}{one.type}/{one.id}{middle}{head(one.type, one.id, one.version, one.updated)}"
        pieces += (place.encode(), one.body or b"}}")
        before = f"{end},{start}"
    if pieces:
        pieces.append(end.encode())
    return b"".join(pieces)


def storable(resource_id: str) -> str:
    """Return an id as statements take it: "" where PostgreSQL has no text for it, and nothing is called so."""
    return "" if "\x00" in resource_id else resource_id


def disclosed(row: Any) -> Disclosed:
    """Return the version that a row of a door's statement holds."""
    return Disclosed(row.type, row.id, row.version, row.received_at, row.body)
