"""The organisation directory: units, what they belong to, and how messages are routed.

Made from Organization resources (written by the operator or by the source they belong to) and held
in memory, because every decision about a professional asks it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overblik.fhir.errors import Conflict
from overblik.fhir.identifiers import GLN, SOR, YDER, canonical, org_token
from overblik.store.queries import sql

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from overblik.fhir.strict_json import Json
    from overblik.store.database import Database, Transaction
    from overblik.trust.callers.identity import Caller

FRESH_FOR = 2.0
"""Seconds a copy is used; an organisation that changes is known everywhere within this."""


@dataclass(frozen=True, slots=True)
class Organisation:
    """One unit. `kind` is one of hospital, department, municipality, unit, gp, region, register."""

    sor: str
    name: str
    parent: str = ""
    kind: str = ""
    gln: str = ""
    yder: str = ""
    phone: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """A system that delivers, or should: its state is the operator's word, the same for every patient.

    `state` is connected, silent or absent; `since` the day it has been so.
    """

    name: str
    kind: str
    state: str
    since: date | None


class Directory:
    """The units known to this server, by SOR, GLN and ydernummer.

    `units` has them by key; it is another object when, and only when, one of them is another.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read_at = float("-inf")
        self.units: Mapping[str, Organisation] = {}
        self._by_id: dict[str, str] = {}
        self._routes: dict[tuple[str, str], list[str]] = {}
        self.connections: list[Connection] = []

    async def refresh(self, *, force: bool = False) -> None:
        """Read the directory again unless the copy is fresh."""
        if not force and time.monotonic() - self._read_at < FRESH_FOR:
            return
        rows = await self._database.fetch(sql("read_organisations"))
        by_token: dict[str, Organisation] = {}
        for row in rows:
            unit = Organisation(
                row.sor,
                row.name,
                row.parent or "",
                row.kind,
                row.gln or "",
                row.yder or "",
                row.phone,
                row.address,
            )
            for token in tokens_of(unit):
                by_token[token] = unit
        routes: dict[tuple[str, str], list[str]] = {}
        for row in await self._database.fetch(sql("read_routing")):
            routes.setdefault((row.org, row.message), []).append(row.unit)
        self.connections = [
            Connection(row.name, row.kind, row.state, row.since)
            for row in await self._database.fetch(sql("read_connections"))
        ]
        if by_token != self.units:
            self.units = by_token
        self._routes = routes
        self._by_id = {row.id: row.sor for row in rows if row.id}
        self._read_at = time.monotonic()

    @property
    def read_at(self) -> float:
        """When this copy was read (monotonic): what was derived from it is good as long as this stands."""
        return self._read_at

    def find(self, token: str) -> Organisation | None:
        """Return a unit by its key: a SOR code, `gln:…` or `yder:…`."""
        return self.units.get(token)

    def path(self, sor: str) -> tuple[str, ...]:
        """Return the keys of a unit and of every unit above it; an unknown unit is only itself."""
        found: list[str] = []
        seen: set[str] = set()
        while sor and sor not in seen:
            seen.add(sor)
            unit = self.units.get(sor)
            found += tokens_of(unit) if unit else [sor]
            sor = unit.parent if unit else ""
        return tuple(found)

    def token(self, reference: Json) -> str:
        """Return the key of the organisation a Reference names, "" where it names none."""
        if token := org_token(reference.get("identifier", {})):
            unit = self.units.get(token)
            return unit.sor if unit else token
        target = str(reference.get("reference", ""))
        return self._by_id.get(target.removeprefix("Organization/"), "")

    def route(self, token: str, message: str) -> list[str]:
        """Return whom a message to an organisation reaches: the routed units, else itself."""
        return self._routes.get((token, message)) or self._routes.get((token, "*")) or [token]


def tokens_of(unit: Organisation) -> list[str]:
    """Return every key a unit is known by."""
    return [
        unit.sor,
        *([f"gln:{unit.gln}"] if unit.gln else []),
        *([f"yder:{unit.yder}"] if unit.yder else []),
    ]


async def store_organisation(transaction: Transaction, caller: Caller, resource: Json) -> None:
    """Write the directory row of an Organization resource, in the transaction that stores it.

    Conflict where a registered source describes an organisation that it does not speak for, or would change what
    others are: relations hold for sub-units, so under whom a unit stands decides who its staff may see.
    """
    ids = {canonical(str(i.get("system", "")), str(i.get("value", ""))) for i in resource.get("identifier", ())}
    by_system = {identifier.system: identifier.value for identifier in ids}
    own = None if caller.kind == "system" or caller.organisations is None else set(caller.organisations)
    described = {by_system[SOR]} if SOR in by_system else {identifier.value for identifier in ids}
    if own is not None and not described & own:
        raise Conflict("not-your-organisation", "A source describes only its own organisations.")
    if SOR not in by_system:
        return
    parent = resource.get("partOf", {}).get("identifier", {})
    kinds: list[Any] = [c for t in resource.get("type", ()) for c in t.get("coding", ())]
    phones = [t.get("value", "") for t in resource.get("telecom", ()) if t.get("system") == "phone"]
    address = (resource.get("address") or [{}])[0]
    lines = [*address.get("line", ()), f"{address.get('postalCode', '')} {address.get('city', '')}".strip()]
    params = {
        "sor": by_system[SOR],
        "parent": org_token(parent) or None,
        "name": resource.get("name", ""),
        "kind": kinds[0].get("code", "") if kinds else "",
        "gln": by_system.get(GLN),
        "yder": by_system.get(YDER),
        "phone": phones[0] if phones else "",
        "address": ", ".join(line for line in lines if line),
        "id": resource.get("id"),
    }
    if own is not None:
        await _require_own_place(transaction, own, params)
    await transaction.run(sql("put_organisation"), params)


async def _require_own_place(transaction: Transaction, own: set[str], row: dict[str, Any]) -> None:
    """Refuse a unit that its source would put under another's, or give the number of another's."""
    known = {found.sor: found for found in await transaction.fetch(sql("organisations_like"), row)}
    above = known[row["sor"]].parent if row["sor"] in known else None
    if row["parent"] and row["parent"] not in {*own, above}:
        text = "A source puts its organisations under its own; what else they belong to is the operator's word."
        raise Conflict("not-your-organisation", text)
    if known.keys() - own:
        raise Conflict("not-your-organisation", "Another organisation has this GLN or ydernummer.")


async def set_route(database: Database, org: str, units: list[str], message: str = "*") -> None:
    """Let what is sent to an organisation reach these units; `message` is a resource type or `*`."""
    for unit in units:
        await database.run(sql("put_route"), {"org": org, "message": message, "unit": unit})


async def set_connection(database: Database, connection: Connection, place: int) -> None:
    """State whether a system delivers; the operator's word, shown alike for every patient."""
    params = {"name": connection.name, "kind": connection.kind, "state": connection.state}
    await database.run(sql("put_connection"), {**params, "since": connection.since, "place": place})
