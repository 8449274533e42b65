"""Whom somebody may act for, and how they begin to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from overblik.fhir.errors import Forbidden
from overblik.fhir.identifiers import CPR
from overblik.store.queries import sql

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.access import Door

MOST = 50


@dataclass(frozen=True, slots=True)
class Held:
    """One mandate that somebody holds: for whom (CPR), by what kind, for which types (None: all), until when."""

    cpr: str
    kind: str
    types: tuple[str, ...] | None
    until: datetime | None


async def held(door: Door, caller: Caller) -> list[Held]:
    """Return the mandates that a citizen holds now."""
    if caller.kind != "citizen":
        raise Forbidden("not-for-this-caller", "Your sign-in does not cover this interaction.")
    params = {"holder": caller.id, "system": CPR, "now": door.clock.now(), "limit": MOST}
    rows = await door.database.fetch(sql("mandates_of_holder"), params)
    return [Held(row.value, row.kind, tuple(row.types) if row.types else None, row.until) for row in rows]


async def act_for(door: Door, caller: Caller, cpr: str) -> Caller:
    """Return the caller who acts for somebody; NotFound, and logged, without a mandate.

    Every request asks for the mandate again: one that is taken back opens nothing from the next on.
    """
    if caller.kind != "citizen":
        raise Forbidden("not-for-this-caller", "Your sign-in does not cover this interaction.")
    proxy = replace(caller, kind="proxy", on_behalf=cpr, purpose="FAMRQT")
    await door.find(proxy, CPR, cpr)
    return proxy
