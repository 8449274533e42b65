"""A treatment relation that a professional states: to be confirmed by evidence within days, or somebody is told.

No register of relations exists, and evidence comes late: the referral that is on its way, the patient who stands
here now. So a professional may say that there is a relation and why. It opens one record to one person, blocks in
force as ever, until a deadline that nothing prolongs; a contact, referral, appointment or message that gives the
unit a relation confirms it. What nothing has confirmed by then is an alert: to the unit, to the operator, and in the
citizen's log. How many somebody may have unconfirmed is bounded, and so may be the roles.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from msgspec.structs import replace

from overblik.fhir.errors import Forbidden, NotFound, OverblikError, TooMany, Unprocessable
from overblik.store.queries import sql, sql_for, sql_for_set
from overblik.trust.callers.identity import Caller, require, system_caller
from overblik.trust.treatment.break_glass import LONGEST_REASON, SHORTEST_REASON

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.store.database import Transaction
    from overblik.trust.door.access import Door

BASES = ("here", "referred", "taken-over", "appointment")
"""What a stated relation may rest on: the patient is here, a referral is on its way, another unit handed over, an
appointment is being made."""
EVERY = 10.0
"""Seconds between looks for what has been confirmed, or was not in time."""
AT_ONCE = 500
MOST_OF_UNIT = 10
"""A unit may have so many times what a person may."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rules:
    """How long a stated relation waits, how many one person may have unconfirmed, and for which roles ((): any)."""

    days: int = 7
    most: int = 5
    roles: tuple[str, ...] = ()


class _Nothing(Exception):
    """Ends a transaction in which a stated relation opens nothing; `pid` is 0 where there is no such record."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self.pid = pid


async def state_relation(
    door: Door, caller: Caller, rules: Rules, who: tuple[str, str], basis: str, reason: str
) -> datetime | None:
    """Open one person's record (`who` is system and value) on the professional's own word.

    NotFound where there is none, and where it opens nothing because of a block: the same answer, and logged. Where
    there is a relation already nothing is stated. Returns until when it opens it, None where nothing was stated.
    """
    reason = _require(caller, rules, basis, reason)
    with door.looking_up(caller):
        return await _state_one(door, caller, rules, who, basis, reason)


async def _state_one(
    door: Door, caller: Caller, rules: Rules, who: tuple[str, str], basis: str, reason: str
) -> datetime | None:
    now = door.clock.now()
    until = now + timedelta(days=rules.days)
    params = caller.params(now, "state relation")
    params |= {"reason": reason, "rule": "stated", "rid": 0, "kind": "stated", "basis": basis, "until": until}
    try:
        async with door.database.transaction() as transaction:
            stated = await _state(transaction, caller, rules, who, params)
    except _Nothing as nothing:
        await door.database.run(sql("log_refusal"), params | {"pid": nothing.pid, "rule": "none"})
        raise NotFound from None
    return until if stated else None


async def _state(
    transaction: Transaction, caller: Caller, rules: Rules, who: tuple[str, str], params: dict[str, Any]
) -> bool:
    """Write the relation, if there may be one more and it opens something; raise _Nothing where it does not.

    Return whether one was needed.
    """
    await transaction.fetch(sql("lock_key"), {"key": _key(caller.org)})
    waiting = (await transaction.fetch(sql("count_stated"), params))[0]
    if waiting.person >= rules.most or waiting.unit >= rules.most * MOST_OF_UNIT:
        raise TooMany("stated-many", "Too many stated relations wait to be confirmed; have them dealt with.")
    found = await transaction.fetch(sql("record_of_person"), {"system": who[0], "value": who[1], "source": ""})
    if not found:
        raise _Nothing(0)
    params = params | {"pid": found[0].pid, "pids": list(found[0].pids)}
    permitted = sql_for("may_consent", caller.kind)
    if await transaction.fetch(permitted, params):
        return False
    await transaction.run(sql("put_stated"), params)
    await transaction.run(sql("put_follow_up"), params)
    if not await transaction.fetch(permitted, params):
        raise _Nothing(found[0].pid)
    await transaction.run(sql("log_disclosure"), params)
    return True


def _require(caller: Caller, rules: Rules, basis: str, reason: str) -> str:
    """Refuse who may not, and what is not said; decided before any look-up. Return the reason."""
    require(caller, "read")
    allowed = not rules.roles or caller.role.casefold() in rules.roles
    if caller.kind != "professional" or not caller.org or caller.purpose != "TREAT" or caller.reach or not allowed:
        text = "Only a professional who treats, signed in at a unit, in a role that may, can state a relation."
        raise Forbidden("stated-not-for-you", text)
    reason = reason.strip()
    if basis not in BASES or not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        text = "Say what the relation rests on, and why in 10 to 1000 letters; the citizen will read it."
        raise Unprocessable("stated-reason", text)
    return reason


def _key(org: str) -> int:
    """Return the lock under which a unit's stated relations are counted."""
    return int.from_bytes(f"stated {org}".encode()[-8:].rjust(8), signed=True)


async def settle(door: Door) -> None:
    """Note which stated relations evidence has confirmed, and raise an alert for those that were not in time."""
    now = door.clock.now()
    waiting = await door.database.fetch(sql("read_waiting"), {"limit": AT_ONCE})
    if not waiting:
        return
    asked: dict[str, list[Any]] = {name: [getattr(row, name) for row in waiting] for name in ("pid", "person", "org")}
    asked |= {"orgs": [list(row.orgs) for row in waiting], "n": list(range(len(waiting))), "now": [now] * len(waiting)}
    rows = await door.database.fetch(sql_for_set("confirm_set", "professional"), asked)
    confirmed = {row.n for row in rows}
    for n, row in enumerate(waiting):
        if n in confirmed:
            await door.database.run(sql("confirm_follow_up"), {"pid": row.pid, "fid": row.fid, "now": now})
        elif row.until <= now and not row.alerted:
            await _alert(door, row)


async def _alert(door: Door, row: Any) -> None:
    """Tell, in the citizen's log and the server's own, that nothing has confirmed a stated relation in time."""
    now = door.clock.now()
    async with door.database.transaction() as transaction:
        taken = await transaction.fetch(sql("alert_follow_up"), {"pid": row.pid, "fid": row.fid, "now": now})
        if taken:
            caller = replace(system_caller(""), org=taken[0].org, org_name=taken[0].org_name)
            params = caller.params(now, "relation unconfirmed") | {"pid": row.pid, "rule": "stated"}
            await transaction.run(sql("log_disclosure"), params)
            log.warning("relation.unconfirmed", org=row.org, case=str(row.fid))


async def keep_settling(door: Door) -> None:
    """Settle again and again, until cancelled."""
    while True:
        try:
            await settle(door)
        except OverblikError as error:
            log.warning("relations.unsettled", code=error.code)
        await asyncio.sleep(EVERY)
