"""The writing side of the door: one transaction's work, for one caller.

A source writes only its own: it may change what it delivered, put new data in records that it
names by CPR or by a Patient of its own, and nothing else. What it may not see reads as absent.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overblik.fhir.compartment import is_shared
from overblik.fhir.errors import Gone, Malformed, NotFound, PreconditionFailed, Unprocessable
from overblik.fhir.identifiers import PERSON_SYSTEMS, Identifier, canonical, person_identifier_problem
from overblik.fhir.index import patient_references
from overblik.fhir.references import parse_reference
from overblik.store.body import pack, unpack
from overblik.store.queries import sql
from overblik.store.search import compile_search, compile_shared
from overblik.store.unit import Staged, StagedShared
from overblik.trust.callers.sources import source_of
from overblik.trust.consent.by_law import mandates_by_law
from overblik.trust.door import shared
from overblik.trust.door.access import is_versioned
from overblik.trust.door.rows import Row, as_row, unregistered
from overblik.trust.door.search_parameters import require_current
from overblik.trust.treatment.evidence import Durations, death, relations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from overblik.fhir.query import Query
    from overblik.fhir.strict_json import Json
    from overblik.store.unit import Unit
    from overblik.trust.callers.identity import Caller
    from overblik.trust.organisations import Directory

ERRORS = {
    "cpr-impossible": "The CPR number has no such date; check its digits.",
    "cpr-contradicts-birth-date": "The CPR number and the birth date contradict each other.",
    "ecpr-impossible": "The replacement CPR number is not of the form its system prescribes.",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """What a write left behind."""

    type: str
    id: str
    version: int
    updated: datetime
    resource: Json | None
    created: bool = False


class Work:
    """Writes of one caller in one transaction; nothing is sent before the unit is flushed."""

    def __init__(
        self,
        unit: Unit,
        caller: Caller,
        directory: Directory,
        durations: Durations,
        index_key: bytes,
        entry: dict[str, Any] | None = None,
    ) -> None:
        self.unit = unit
        self.caller = caller
        self.directory = directory
        self.durations = durations
        self._index_key = index_key
        self.entry = entry or {}
        self._new: dict[tuple[str, str], Staged] = {}
        self._read: dict[tuple[str, str], Any] = {}
        self._persons: dict[tuple[Identifier, str], int] = {}

    @property
    def now(self) -> datetime:
        """The instant of this transaction."""
        return self.unit.now

    async def flush(self) -> None:
        """Send what is staged, so that a condition asked afterwards finds it; still the same transaction."""
        await self.unit.flush(self.caller.via, self.entry)

    async def preload(self, named: Iterable[tuple[str, str]], resources: Iterable[Json]) -> None:
        """Lock and read what will be written or referred to, many with as few statements as one.

        Persons and records are taken in one order for all transactions, so that two never wait for each other.
        """
        opened = [await self.person(list(identifiers), "") for identifiers in _persons_of(resources)]
        known = self._read.keys() | self._new.keys()
        wanted = [name for name in dict.fromkeys(named) if name not in known and "\x00" not in name[1]]
        fetch = self.unit.transaction.fetch
        if nobodys := [name for name in wanted if is_shared(name[0])]:
            rows = await fetch(sql("load_shared_many"), _named(nobodys))
            self._keep(nobodys, {(row.type, row.id): row for row in rows})
        own = [name for name in wanted if not is_shared(name[0])]
        places = await fetch(sql("locate_own"), self._owned(own)) if own else []
        keys = {"pids": [p.pid for p in places], "rids": [p.rid for p in places]}
        await self.unit.lock(*opened, *keys["pids"])
        if own:
            rows = await fetch(sql("load_places"), keys) if places else []
            self._keep(own, {(row.type, row.id): row for row in rows})

    def _keep(self, names: list[tuple[str, str]], rows: dict[tuple[str, str], Any]) -> None:
        for name in names:
            self._read[name] = self._if_own(rows.get(name))

    # -- resources, as the REST interface writes them

    async def create(self, resource: Json, *, new_id: str = "") -> Stored:
        """Store a new resource under a random id (or one of the caller's own namespace)."""
        resource_type, resource_id = resource["resourceType"], new_id or self.unit.keys.id()
        resource = {**resource, "id": resource_id}
        source = source_of(self.caller, resource)
        if is_shared(resource_type):
            return await self._put_shared(resource, 1, source)
        pid, others = await self._home(resource, source)
        await self.unit.lock(pid)
        staged = Staged(
            pid=pid, rid=self.unit.keys.number(), type=resource_type, id=resource_id, version=1,
            resource=resource, source=source, via=self.caller.via, origins=[source], others=others or None,
        )  # fmt: skip
        return self._stage(staged, created=True)

    async def update(
        self, resource_type: str, resource_id: str, resource: Json, *, if_match: int | None = None, new: bool = False
    ) -> Stored:
        """Replace the caller's own resource; a new id is taken only in the caller's namespace.

        `new` asks for a resource that must not be there yet (If-None-Match: *). Who replaces clinical content under
        an id of ours says which version, by If-Match or by the body's own versionId: a change that the writer
        has not seen is never overwritten.
        """
        if resource.get("resourceType") != resource_type or resource.get("id") != resource_id:
            text = "The resource's type and id must be those of the address."
            raise Unprocessable("id-mismatch", text, expression=f"{resource_type}.id")
        row = await self._own_row(resource_type, resource_id)
        if row is None:
            if if_match is None and resource_id.startswith(f"{self.caller.via}."):
                return await self.create(resource, new_id=resource_id)
            raise NotFound
        if new and not row.deleted:
            raise PreconditionFailed("exists", "The resource is there already.", expression="http.If-None-Match")
        _require_version(row, self._replaced(row, resource) if if_match is None else if_match)
        source = source_of(self.caller, resource)
        if is_shared(resource_type):
            return await self._put_shared(resource, row.version + 1, source)
        pid, others = await self._home(resource, source, existing=row.pid)
        if pid != row.pid:
            raise Unprocessable("patient-changed", "A resource cannot be moved to another patient by an update.")
        staged = Staged(
            pid=pid, rid=row.rid, type=resource_type, id=resource_id, version=row.version + 1,
            resource=resource, source=source, via=self.caller.via, origins=[source], others=others or None,
            fact_key=row.fact_key, facets=unregistered(row.facets),
        )  # fmt: skip
        return self._stage(staged, created=row.deleted)

    def _replaced(self, row: Any, resource: Json) -> int | None:
        """Return the version that a body without If-Match replaces; Malformed where it must say so and does not."""
        kind, own = resource["resourceType"], resource["id"].startswith(f"{self.caller.via}.")
        if row.deleted or own or not is_versioned(kind):
            return None
        stated = str(resource.get("meta", {}).get("versionId", ""))
        if not stated.isascii() or not stated.isdigit():
            text = "Say which version this replaces: If-Match, or meta.versionId as you read it."
            raise Malformed("version-needed", text, expression="http.If-Match", kind="required")
        return int(stated)

    async def patch(
        self, resource_type: str, resource_id: str, change: Callable[[Json], Json], *, if_match: int | None = None
    ) -> Stored:
        """Replace the caller's own resource by what `change` makes of its current version."""
        row = await self._own_row(resource_type, resource_id)
        if row is None:
            raise NotFound
        _require_version(row, if_match)
        if row.deleted:
            raise Gone("deleted", "This resource was deleted.")
        current = unpack(resource_type, resource_id, row.version, row.received_at, row.body)
        return await self.update(resource_type, resource_id, change(current), if_match=row.version)

    async def delete(self, resource_type: str, resource_id: str, *, if_match: int | None = None) -> Stored:
        """Mark the caller's own resource as deleted; every version stays."""
        row = await self._own_row(resource_type, resource_id)
        if row is None:
            raise NotFound
        _require_version(row, if_match)
        if row.deleted:
            return Stored(resource_type, resource_id, row.version, row.received_at, None)
        if is_shared(resource_type):
            gone = StagedShared(resource_type, resource_id, row.version + 1, None, row.source, self.caller.via)
            await shared.stage(self.unit, self.caller, gone)
            return Stored(resource_type, resource_id, row.version + 1, self.now, None)
        staged = Staged(
            pid=row.pid, rid=row.rid, type=resource_type, id=resource_id, version=row.version + 1,
            resource=None, source=row.source, via=self.caller.via, origins=list(row.origins),
            fact_key=row.fact_key, facets=row.facets,
        )  # fmt: skip
        return self._stage(staged, created=False)

    async def current(self, resource_type: str, resource_id: str) -> Stored:
        """Return the version that stands, as the answer to a condition that found it."""
        row = await self._own_row(resource_type, resource_id)
        if row is None:
            raise NotFound
        resource = unpack(resource_type, resource_id, row.version, row.received_at, row.body or b"}}")
        return Stored(resource_type, resource_id, row.version, row.received_at, resource)

    async def match(self, query: Query) -> list[tuple[str, str]]:
        """Return (type, id) of what a condition finds with the caller's rights, two at the most."""
        digest = hashlib.blake2b(f"{self.caller.via}|{query.type}|{query.applied}".encode(), digest_size=8).digest()
        lock = {"key": int.from_bytes(digest, "big", signed=True)}
        await self.unit.transaction.fetch(sql("lock_key"), lock)
        await require_current(self.unit.transaction, self.caller, query)
        if is_shared(query.type):
            compiled = compile_shared(query, self._index_key)
            params = compiled.params
        else:
            compiled = compile_search(query, self.caller.kind, self._index_key)
            params = self.caller.params(self.now, "condition", f"{query.type}?…") | compiled.params
        rows = await self.unit.transaction.fetch(compiled.text, params | {"limit": 2})
        return [(row.type, row.id) for row in rows]

    # -- records

    async def person(self, identifiers: list[Identifier], source: str, birth_date: str = "") -> int:
        """Return the record of a person, opened if nobody has it; its identifiers are tied to it.

        National identifiers stand for one person everywhere, any other only for its source.
        """
        national = [i for i in identifiers if i.system in PERSON_SYSTEMS]
        for identifier in national:
            if problem := person_identifier_problem(identifier, birth_date):
                raise Unprocessable(problem, ERRORS[problem], expression="Patient.identifier")
        scoped = [(i, "") for i in national] or [(i, source) for i in identifiers if i.value]
        for identifier, scope in scoped:
            pid = self._persons.get((identifier, scope))
            if pid is None:
                pid = await self.unit.find_person(identifier.system, identifier.value, scope)
            if pid is not None:
                self._persons[identifier, scope] = pid
                return pid
        return await self._open(scoped)

    async def _open(self, scoped: list[tuple[Identifier, str]]) -> int:
        """Open a record for identifiers nobody has; whoever claims the first one first, wins."""
        pid = await self.unit.open_record("person")
        for number, (identifier, scope) in enumerate(scoped):
            claimed = await self.unit.claim_person(identifier.system, identifier.value, scope, pid)
            if not claimed and number == 0:
                found = await self.unit.find_person(identifier.system, identifier.value, scope)
                return found if found is not None else pid
            self._persons[identifier, scope] = pid
        return pid

    async def _home(self, resource: Json, source: str, *, existing: int | None = None) -> tuple[int, list[int]]:
        """Return the record a resource belongs to and the other records it is also about."""
        pids = [await self._subject(reference) for reference in patient_references(resource)]
        found = list(dict.fromkeys(pid for pid in pids if pid is not None))
        if resource["resourceType"] == "Patient":
            identifiers = [
                canonical(str(i.get("system", "")), str(i.get("value", ""))) for i in resource.get("identifier", ())
            ]
            if existing is None or any(i.system in PERSON_SYSTEMS for i in identifiers):
                existing = await self.person(identifiers, source, str(resource.get("birthDate", "")))
            found = [existing, *found]
        if found:
            home = existing if existing in found else found[0]
            return home, [pid for pid in found if pid != home]
        return existing if existing is not None else await self.unit.open_record("unattached"), []

    async def _subject(self, reference: Json) -> int | None:
        """Return the record of a Patient reference; None where it names something else.

        A Patient that the caller may not see is answered like one that does not exist.
        """
        identifier = reference.get("identifier", {})
        target = parse_reference(str(reference.get("reference", "")))
        if target is not None and target.type != "Patient":
            return None
        if target is None or target.base:  # a Patient of another server is named here by identifier only
            named = canonical(str(identifier.get("system", "")), str(identifier.get("value", "")))
            if named.system in PERSON_SYSTEMS:
                return await self.person([named], "")
            if not reference.get("reference") or reference.get("type") not in {None, "Patient"}:
                return None
            raise _unknown_subject()
        row = await self._own_row("Patient", target.id)
        if row is None or row.deleted:
            raise _unknown_subject()
        return int(row.pid)

    def place_of(self, reference: str) -> tuple[int, int] | None:
        """Return (record, row) of a resource written in this unit, by `Type/id`."""
        resource_type, _, resource_id = reference.partition("/")
        staged = self._new.get((resource_type, resource_id))
        return (staged.pid, staged.rid) if staged else None

    async def _own_row(self, resource_type: str, resource_id: str) -> Any:
        """Return the current row of a resource the caller delivered (the system: any); else None."""
        if (staged := self._new.get((resource_type, resource_id))) is not None:
            return as_row(staged, self.now)
        if (resource_type, resource_id) not in self._read:
            self._read[resource_type, resource_id] = await self._load(resource_type, resource_id)
        return self._read[resource_type, resource_id]

    async def _load(self, resource_type: str, resource_id: str) -> Any:
        if "\x00" in resource_id:
            return None
        transaction = self.unit.transaction
        if is_shared(resource_type):
            rows = await transaction.fetch(sql("load_shared"), {"type": resource_type, "id": resource_id})
        else:
            place = await transaction.fetch(sql("locate_own"), self._owned([(resource_type, resource_id)]))
            if not place:
                return None
            await self.unit.lock(place[0].pid)
            rows = await self.unit.rows(place[0].pid, rids=(place[0].rid,))
        return self._if_own(rows[0] if rows else None)

    def _owned(self, names: list[tuple[str, str]]) -> dict[str, Any]:
        return {**_named(names), "via": self.caller.via, "everyones": self.caller.kind == "system"}

    def _if_own(self, row: Any) -> Any:
        return row if row is not None and (self.caller.kind == "system" or row.via == self.caller.via) else None

    # -- staging

    def _stage(self, staged: Staged, *, created: bool) -> Stored:
        self.stage(staged, registered=False)
        return Stored(staged.type, staged.id, staged.version, self.now, staged.resource, created)

    def stage(self, staged: Staged, *, registered: bool) -> None:
        """Stage one version with the relations it is evidence of."""
        if staged.resource is not None:
            found = relations(staged.resource, self.now, self.directory.token, self.durations, registered=registered)
            staged.death = death(staged.resource, self.now, self.durations)
            staged.relations = [
                type(r)(unit, r.kind, r.valid_from, r.valid_until)
                for r in found
                for unit in (self.directory.route(r.org, staged.type) if r.kind == "addressed" else [r.org])
            ]
            if staged.type == "RelatedPerson" and self.caller.kind == "system":
                staged.mandates = mandates_by_law(staged.resource)
        self._new[staged.type, staged.id] = staged
        self.unit.stage(staged)

    async def _put_shared(self, resource: Json, version: int, source: str) -> Stored:
        staged = StagedShared(resource["resourceType"], resource["id"], version, resource, source, self.caller.via)
        await shared.stage(self.unit, self.caller, staged)
        self._read[staged.type, staged.id] = Row(
            0, 0, version, False, staged.via, source, [], None, None, self.now, pack(resource),
        )  # fmt: skip
        return Stored(staged.type, staged.id, version, self.now, resource, version == 1)


def _persons_of(resources: Iterable[Json]) -> list[tuple[Identifier, ...]]:
    """Return the national identifiers that name persons: those of each Patient together, then the others.

    What can be nobody's is left out; whoever writes it is told so.
    """
    patients: set[tuple[Identifier, ...]] = set()
    others: set[tuple[Identifier, ...]] = set()
    for resource in resources:
        if resource["resourceType"] == "Patient":
            patients.add(tuple(_national(resource.get("identifier", ()))))
        else:
            named = (r.get("identifier", {}) for r in patient_references(resource) if "reference" not in r)
            others |= {(identifier,) for identifier in _national(named)}
    return [group for group in (*sorted(patients), *sorted(others)) if group]


def _national(stated: Iterable[Json]) -> Iterator[Identifier]:
    for item in stated:
        identifier = canonical(str(item.get("system", "")), str(item.get("value", "")))
        if identifier.system in PERSON_SYSTEMS and not person_identifier_problem(identifier, ""):
            yield identifier


def _named(names: list[tuple[str, str]]) -> dict[str, list[str]]:
    return {"types": [kind for kind, _ in names], "ids": [name for _, name in names]}


def _require_version(row: Any, if_match: int | None) -> None:
    if if_match is not None and row.version != if_match:
        text = "The version has changed; read it again."
        raise PreconditionFailed("version-changed", text, expression="http.If-Match")


def _unknown_subject() -> Unprocessable:
    text = "The patient is not known to you: send the Patient first, or name the patient by CPR in subject.identifier."
    return Unprocessable("patient-unknown", text)
