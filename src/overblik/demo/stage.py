"""Sets the stage: organisations, staff, routes and connections, before anybody delivers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from overblik.demo.cast import CONNECTIONS, ROUTES, STAFF, UNITS
from overblik.fhir.strict_json import dumps
from overblik.trust.organisations import Connection, set_connection, set_route

if TYPE_CHECKING:
    from datetime import date

    from overblik.trust.door.access import Door


def directory_bundle() -> bytes:
    """Return the transaction that writes organisations and staff."""
    resources = [*(unit.resource() for unit in UNITS), *(staff.resource() for staff in STAFF)]
    entries = [{"resource": r, "request": {"method": "POST", "url": r["resourceType"]}} for r in resources]
    return dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


async def set_stage(door: Door, today: date) -> None:
    """Write what no source delivers: how messages are routed, and which systems are connected."""
    for municipality, units in ROUTES:
        await set_route(door.database, municipality.sor, [unit.sor for unit in units])
    for place, (name, kind, state, silent) in enumerate(CONNECTIONS):
        since = today - timedelta(days=silent) if silent else None
        await set_connection(door.database, Connection(name, kind, state, since), place)
