"""Break-glass (værdispring): one person, one record, at most an hour, on a stated reason.

The same door stands on every professional's page, whoever the patient is. It gives a relation of
its own kind, which sets blocks aside for that person, and it stands in the citizen's log and at the top of
their overview at once. As long as it lasts, what that person sees of the record is logged under it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from overblik.fhir.errors import Forbidden, NotFound, Unprocessable
from overblik.store.queries import sql
from overblik.trust.callers.identity import require

if TYPE_CHECKING:
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.access import Door

LASTS = timedelta(minutes=60)
SHORTEST_REASON, LONGEST_REASON = 10, 1000
PROVED = timedelta(minutes=15)
"""How long ago somebody may have shown who they are, to break the glass."""


async def break_glass(
    door: Door, caller: Caller, system: str, value: str, reason: str, *, proved_at: datetime | None = None
) -> datetime:
    """Open one person's record to one professional, and return until when; NotFound, and logged, where there is none.

    Whatever is or is not hidden in the record, the answer is the same. `proved_at` (by the machine's clock) is when
    the professional last showed who they are, where their session knows; otherwise their token says so.
    """
    require(caller, "read")
    if caller.kind != "professional" or not caller.org or caller.purpose != "TREAT":
        raise Forbidden("break-glass-not-for-you", "Only a professional who treats, signed in at a unit, can do this.")
    proved_at = proved_at or caller.proved_at
    if proved_at is None or datetime.now(UTC) - proved_at > PROVED:
        raise Forbidden("proof-needed", "Show once more who you are; then break the glass.")
    reason = reason.strip()
    legible = sum(letter.isalnum() for letter in reason)  # blanks can be of no width at all
    if len(reason) > LONGEST_REASON or len(reason) < SHORTEST_REASON or legible < SHORTEST_REASON // 2:
        raise Unprocessable(
            "break-glass-reason", "Say why in a sentence of 10 to 1000 letters; the citizen will read it."
        )
    with door.looking_up(caller):
        return await _break(door, caller, system, value, reason)


async def _break(door: Door, caller: Caller, system: str, value: str, reason: str) -> datetime:
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
            after = {"pid": pid, "kind": "break-glass", "basis": "", "until": now + LASTS}
            await transaction.run(sql("put_follow_up"), shared | after)
    if not found:
        raise NotFound
    return now + LASTS
