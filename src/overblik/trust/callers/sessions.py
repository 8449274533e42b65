"""Browser sessions, kept on the server; each sign-in has its own slot, and a new cookie when it is proved again.

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
from overblik.trust.callers.tokens import caller_from

if TYPE_CHECKING:
    from overblik.store.database import Database
    from overblik.trust.callers.identity import Caller
    from overblik.trust.organisations import Directory

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=8)
NOTED = 30
"""How often within the idle time a session's use is written: once a minute, so that a page is mostly a look-up."""


class Session(NamedTuple):
    """A browser's session: the slot in its addresses, who is signed in, and a token for its forms.

    `proved_at` is when the person last showed their provider who they are: at sign-in, or when asked again.
    """

    slot: str
    caller: Caller
    form_token: str
    proved_at: datetime
    expires: datetime
    provider: str = ""
    hash: bytes = b""


class Open(NamedTuple):
    """One of a person's open sessions, as they are told of it."""

    slot: str
    provider: str
    created: datetime
    seen: datetime


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

    async def caller(self, claims: dict[str, Any]) -> Caller:
        """Return the caller that a sign-in's claims describe."""
        await self._directory.refresh()
        return await caller_from(claims, self._database, self._directory)

    async def create(self, caller: Caller, provider: str = "", of: Session | None = None) -> tuple[str, str]:
        """Open a session and return (slot, cookie value); those that open nothing any more are cleared away.

        With `of` it is opened out of another session, and lasts no longer; nothing is proved by it.
        """
        slot, cookie = secrets.token_urlsafe(6), secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        params = {
            "hash": _hash(cookie),
            "slot": slot,
            "caller": Jsonb(claims_of(caller)),
            "person": person_digest(caller),
            "provider": provider,
            "now": now,
            "proved": of.proved_at if of else now,
            "idle_since": now - self._idle,
            "expires": of.expires if of else now + self._absolute,
        }
        await self._database.run(sql("sweep_sessions"), params)
        await self._database.run(sql("put_session"), params)
        return slot, cookie

    async def find(self, slot: str, cookie: str) -> Session:
        """Return the session of a cookie, and note now and then that it is in use; Unauthenticated otherwise."""
        return await self._session(slot, cookie, using=True)

    async def _session(self, slot: str, cookie: str, *, using: bool) -> Session:
        instants = self._now()
        params = instants | {"hash": _hash(cookie), "slot": slot}
        rows = await self._database.look_up(sql("read_session"), params)
        if rows and using and rows[0].seen_at < instants["now"] - self._idle / NOTED:
            rows = await self._database.fetch_quick(sql("use_session"), params)
        if not rows:
            raise Unauthenticated
        await self._directory.refresh()
        caller = await caller_from(rows[0].caller, self._database, self._directory)
        token = _hash("form" + cookie).hex()[:32]
        return Session(slot, caller, token, rows[0].proved_at, rows[0].expires_at, rows[0].provider, _hash(cookie))

    async def peek(self, slot: str, cookie: str) -> Session:
        """Return the session of a cookie as `find` does, without keeping it in use."""
        return await self._session(slot, cookie, using=False)

    def open_since(self) -> dict[str, datetime]:
        """Return by what a session is open: the machine's instant, and since when it must have been used."""
        found = self._now()
        return {"machine": found["now"], "idle_since": found["idle_since"]}

    async def prove(self, slot: str, cookie: str, person: bytes) -> str:
        """Note that the person of a session has proved again who they are; return the slot's new cookie.

        Unauthenticated where it was another person, or the session is over.
        """
        new = secrets.token_urlsafe(32)
        params = self._now() | {"hash": _hash(cookie), "slot": slot, "person": person, "new": _hash(new)}
        if not await self._database.fetch(sql("prove_session"), params):
            raise Unauthenticated
        return new

    async def of_person(self, caller: Caller) -> list[Open]:
        """Return the person's open sessions, the latest first."""
        params = self._now() | {"person": person_digest(caller)}
        rows = await self._database.fetch(sql("read_sessions"), params)
        return [Open(row.slot, row.provider, row.created_at, row.seen_at) for row in rows]

    async def end_all(self, caller: Caller) -> None:
        """End every session of a person, in whatever browser, and everything they have let apps do."""
        params = self._now() | {"person": person_digest(caller)}
        async with self._database.transaction() as transaction:
            await transaction.run(sql("end_sessions"), params)
            await transaction.run(sql("end_grants_of_person"), params)

    async def end(self, slot: str, cookie: str, caller: Caller) -> None:
        """End a session, and what apps may do as long as it lasts; its cookie opens nothing from now on."""
        params = self._now() | {"hash": _hash(cookie), "slot": slot, "person": person_digest(caller)}
        async with self._database.transaction() as transaction:
            await transaction.run(sql("end_session"), params)
            await transaction.run(sql("end_grants_of_slot"), params)

    def _now(self) -> dict[str, datetime]:
        now = datetime.now(UTC)
        return {"now": now, "idle_since": now - self._idle}


def person_digest(caller: Caller) -> bytes:
    """Return under what all sessions of a person are found, at whatever unit."""
    return hashlib.sha256(f"{'citizen' if caller.is_citizen else caller.kind}|{caller.id}".encode()).digest()


def _hash(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()


def claims_of(caller: Caller) -> dict[str, Any]:
    """Return what is kept of a caller, to be the same again."""
    return {
        "kind": caller.kind,
        "sub": caller.id,
        "name": caller.name,
        "role": caller.role,
        "org": caller.org,
        "org_name": caller.org_name,
        "purpose": caller.purpose,
        "reason": caller.reason,
        **({"on_behalf": caller.on_behalf} if caller.on_behalf else {}),
    }
