"""The wire recorder: what left the server, held against what the log says left.

It sits between client and server, notes every resource version in every answer, and compares with
the log entries of the same request (the X-Request-Id is the log's).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from overblik.fhir.compartment import is_shared

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World

OVER = 100
"""Above this many the log keeps a digest instead of the list."""


@dataclass
class Exchange:
    """One request's answer, as the recorder saw it."""

    request: UUID
    path: str
    status: int
    disclosed: set[tuple[str, str, int]] = field(default_factory=set)
    named: set[str] = field(default_factory=set)


class Recorder:
    """Records the answers of one client; install it with `watch`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.exchanges: list[Exchange] = []
        world.http.event_hooks["response"].append(self._note)

    async def _note(self, response: httpx.Response) -> None:
        await response.aread()
        if "x-request-id" not in response.headers:
            return
        exchange = Exchange(
            UUID(response.headers["x-request-id"]), str(response.request.url.path), response.status_code
        )
        if response.status_code == 200 and "json" in response.headers.get("content-type", ""):
            _walk(json.loads(response.content), exchange)
        self.exchanges.append(exchange)

    async def differences(self) -> list[str]:
        """Return what left without an entry, was logged without leaving, or was refused unlogged."""
        rows = await self.world.run.database.fetch(
            "select a.request, a.outcome, a.rids, a.versions, a.query from access_log a"
        )
        places = await self.world.run.database.fetch("select l.type, l.id, l.rid from locator l")
        name = {row.rid: (row.type, row.id) for row in places}
        by_request: dict[UUID, list[Any]] = {}
        for row in rows:
            by_request.setdefault(row.request, []).append(row)
        found: list[str] = []
        for exchange in self.exchanges:
            found += _compare(exchange, by_request.get(exchange.request, []), name)
        return found


def _walk(value: Any, exchange: Exchange) -> None:
    """Collect every resource version, and every resource an overview names, in an answer."""
    if isinstance(value, dict):
        kind, identifier, meta = value.get("resourceType"), value.get("id"), value.get("meta")
        if kind and identifier and isinstance(meta, dict) and "versionId" in meta and not is_shared(kind):
            exchange.disclosed.add((kind, identifier, int(meta["versionId"])))
        reference = value.get("reference")
        if "source" in value and isinstance(reference, str) and "/" in reference and "received" in value:
            exchange.named.add(reference)
        for item in value.values():
            _walk(item, exchange)
    elif isinstance(value, list):
        for item in value:
            _walk(item, exchange)


def _compare(exchange: Exchange, entries: list[Any], name: dict[int, tuple[str, str]]) -> list[str]:
    logged = {
        (*name[rid], version)
        for entry in entries
        if entry.outcome == "permit"
        for rid, version in zip(entry.rids, entry.versions, strict=True)
        if rid in name
    }
    where = f"{exchange.path} ({exchange.status})"
    digest_only = any("#" in entry.query for entry in entries)
    problems = []
    if exchange.status == 404 and not any(e.outcome == "refuse" for e in entries):
        problems.append(f"{where}: refused without an entry")
    if not digest_only:
        unlogged = {f"{t}/{i}" for t, i, _ in exchange.disclosed - logged} | (
            exchange.named - {f"{t}/{i}" for t, i, _ in logged}
        )
        problems += [f"{where}: left without an entry: {item}" for item in sorted(unlogged)]
    if exchange.disclosed and not exchange.named:
        problems += [f"{where}: logged but never left: {item}" for item in sorted(logged - exchange.disclosed)]
    return problems
