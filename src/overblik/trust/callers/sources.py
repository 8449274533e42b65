"""Sources: who may deliver for whom, and whose word a resource is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.fhir.errors import Forbidden, Unprocessable
from overblik.fhir.identifiers import sor_of_endpoint
from overblik.store.queries import sql
from overblik.trust.consent.rules import require_not_privacy

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.fhir.strict_json import Json
    from overblik.store.database import Database
    from overblik.trust.callers.identity import Caller


def source_of(caller: Caller, resource: Json) -> str:
    """Return whose word a resource is: the organisation in meta.source, else the caller itself.

    A registered source speaks only for its own organisations, and no system says who may look.
    """
    require_not_privacy(resource)
    stated = str(resource.get("meta", {}).get("source", "")).split("#version", 1)[0]
    organisation = sor_of_endpoint(stated) or stated.rpartition("urn:oid:1.2.208.176.1.1#")[2]
    if caller.kind == "source" and caller.organisations is not None:
        return require_sender(caller, organisation or caller.organisations[0])
    return organisation or caller.id


def require_sender(caller: Caller, sender: str) -> str:
    """Return the sender if the caller may deliver for it; Forbidden otherwise."""
    if caller.kind == "source" and caller.organisations is not None and sender not in caller.organisations:
        text = "You are registered for other organisations than this message's sender; ask the operator."
        raise Forbidden("not-your-organisation", text)
    return sender


async def register(database: Database, name: str, organisations: list[str], now: datetime) -> None:
    """Register a source, or change which organisations it speaks for."""
    require_name(name)
    params = {"name": name, "organisations": organisations, "now": now}
    await database.run(sql("put_source"), params)


def require_name(name: str) -> None:
    """Refuse a name in which another source's namespace could lie: ids begin with the name and a dot."""
    if not name or "." in name:
        text = "A source's name has no dot: its ids begin with the name and a dot, and nobody else's may."
        raise Unprocessable("source-name", text)


async def registered(database: Database, name: str) -> tuple[str, ...] | None:
    """Return a source's organisations; None for a name that is not registered."""
    rows = await database.fetch(sql("read_source"), {"name": name})
    return tuple(rows[0].organisations) if rows else None


async def listed(database: Database) -> list[tuple[str, list[str]]]:
    """Return the registered sources with their organisations, by name."""
    return [(row.name, list(row.organisations)) for row in await database.fetch(sql("read_sources"))]
