"""Break-glass (værdispring): one person, one record, at most an hour, on a stated reason.

The same door stands on every professional's page, whoever the patient is. It gives a relation of
its own kind, which sets blocks aside for that person, and it stands in the citizen's log.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from overblik.fhir.errors import Forbidden, NotFound, Unprocessable
from overblik.store.queries import sql

if TYPE_CHECKING:
    from overblik.trust.access import Door
    from overblik.trust.identity import Caller

LASTS = timedelta(minutes=60)
SHORTEST_REASON = 10


async def break_glass(door: Door, caller: Caller, system: str, value: str, reason: str) -> None:
    """Open one person's record to one professional; NotFound, and logged, where there is none."""
    if caller.kind != "professional" or not caller.org:
        raise Forbidden("break-glass-not-for-you", "Only a professional signed in at a unit can do this.")
    reason = reason.strip()
    if len(reason) < SHORTEST_REASON:
        raise Unprocessable("break-glass-reason", "Say why in a sentence; the citizen will read it.")
    now = door.clock.now()
    async with door.database.transaction() as transaction:
        found = await transaction.fetch(sql("find_person"), {"system": system, "value": value, "source": ""})
        shared = caller.params(now, "break glass") | {
            "purpose": "BTG",
            "reason": reason,
            "rule": "break-glass",
        }
        pid = found[0].pid if found else 0
        name = "log_disclosure" if found else "log_refusal"
        await transaction.run(sql(name), shared | {"pid": pid})
        if found:
            params = {"pid": pid, "org": caller.org, "person": caller.id, "now": now, "until": now + LASTS}
            await transaction.run(sql("break_glass"), params)
    if not found:
        raise NotFound
