"""What a unit follows up: broken glass, stated relations that nothing confirmed in time, and who read in bulk.

Colleagues see who, when and what; whose record it is, and why, only who may see it anyway, or did it. It is closed
by another than who did it, with a note that the citizen reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from overblik.fhir.errors import Forbidden, NotFound, Unprocessable
from overblik.store.queries import sql, sql_for
from overblik.trust.callers.identity import require
from overblik.trust.treatment.break_glass import LONGEST_REASON, SHORTEST_REASON

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.store.database import Database
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.access import Door

MOST = 100


async def follow_ups(door: Door, caller: Caller) -> list[Any]:
    """Return what the professional's unit has to follow up, and what it dealt with in the last thirty days."""
    _require_unit(caller)
    params = caller.params(door.clock.now(), "follow-ups", "follow-ups") | {"limit": MOST}
    return await door.database.fetch(sql_for("follow_ups_of_unit", caller.kind), params)


async def close(door: Door, caller: Caller, case: str, note: str) -> None:
    """Note that the unit has dealt with it; NotFound for what is not there, not theirs to close, or closed."""
    _require_unit(caller)
    note = note.strip()
    if not SHORTEST_REASON <= len(note) <= LONGEST_REASON:
        raise Unprocessable("follow-up-note", "Say what came of it, in 10 to 1000 letters; the citizen will read it.")
    try:
        fid = UUID(case)
    except ValueError:
        raise NotFound from None
    params = caller.params(door.clock.now(), "follow up") | {"fid": fid, "reason": note}
    async with door.database.transaction() as transaction:
        rows = await transaction.fetch(sql("close_follow_up"), params)
        if not rows:
            raise NotFound
        await transaction.run(sql("log_disclosure"), params | {"pid": rows[0].pid, "rule": "follow-up"})


async def waiting(database: Database, now: datetime) -> list[Any]:
    """Return what units have not dealt with, for the operator: the oldest first, without whose record it is."""
    return await database.fetch(sql("follow_ups_open"), {"limit": 1000, "now": now})


def _require_unit(caller: Caller) -> None:
    require(caller, "read")
    if caller.kind != "professional" or not caller.org:
        raise Forbidden("not-for-this-caller", "Your sign-in does not cover this interaction.")
