"""Browser sessions, kept on the server; each sign-in has its own slot.

The cookie is bound to the slot's path, so that several people can be signed in at once in one
browser. Only a hash of it is stored. Times are the machine's: a demo's moved clock signs nobody out.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.types.json import Jsonb

from overblik.fhir.errors import Unauthenticated
from overblik.store.queries import sql
from overblik.trust.tokens import caller_from

if TYPE_CHECKING:
    from overblik.store.database import Database
    from overblik.trust.identity import Caller
    from overblik.trust.organisations import Directory

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=8)


class Session(NamedTuple):
    """A browser's session: the slot in its addresses, who is signed in, and a token for its forms."""

    slot: str
    caller: Caller
    form_token: str


class Sessions:
    """Creates, finds and ends sessions."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        *,
        idle: timedelta = IDLE,
        absolute: timedelta = ABSOLUTE,
    ) -> None:
        self._database = database
        self._directory = directory
        self._idle = idle
        self._absolute = absolute

    async def create(self, caller: Caller) -> tuple[str, str]:
        """Open a session and return (slot, cookie value)."""
        slot, cookie = secrets.token_urlsafe(6), secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        params = {
            "hash": _hash(cookie),
            "slot": slot,
            "caller": Jsonb(_claims(caller)),
            "now": now,
            "expires": now + self._absolute,
        }
        await self._database.run(sql("put_session"), params)
        return slot, cookie

    async def find(self, slot: str, cookie: str) -> Session:
        """Return the session of a cookie, and note that it is in use; Unauthenticated otherwise."""
        now = datetime.now(UTC)
        params = {"hash": _hash(cookie), "slot": slot, "now": now, "idle_since": now - self._idle}
        rows = await self._database.fetch(sql("use_session"), params)
        if not rows:
            raise Unauthenticated
        await self._directory.refresh()
        caller = await caller_from(rows[0].caller, self._database, self._directory)
        return Session(slot, caller, _hash("form" + cookie).hex()[:32])

    async def end(self, slot: str, cookie: str) -> None:
        """End a session; its cookie opens nothing from now on."""
        await self._database.run(sql("end_session"), {"hash": _hash(cookie), "slot": slot})


def _hash(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()


def _claims(caller: Caller) -> dict[str, Any]:
    return {
        "kind": caller.kind,
        "sub": caller.id,
        "name": caller.name,
        "role": caller.role,
        "org": caller.org,
        "org_name": caller.org_name,
        "purpose": caller.purpose,
        "reason": caller.reason,
    }
