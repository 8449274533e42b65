"""Authorization requests that clients send ahead, behind the browser's back (RFC 9126).

The client gets a `request_uri` for one; the browser comes with that alone, once. What the rest of the way goes by (to
the provider, back, the page that asks) is another random name, which ends when the person has answered.

https://www.rfc-editor.org/rfc/rfc9126
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from overblik.fhir.errors import Malformed, TooMany
from overblik.store.queries import sql

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overblik.store.database import Database

PREFIX = "urn:ietf:params:oauth:request_uri:"
LASTS = timedelta(seconds=60)
"""How long a browser may take to come with a `request_uri`."""
PERSON = timedelta(minutes=20)
"""How long a person may take to sign in and answer."""
MOST = 10_000
"""Requests of one client that may be waiting at once."""


class Pushed:
    """Keeps requests in the database, so that each counts once in every worker."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def push(self, client: str, asked: Mapping[str, str]) -> str:
        """Keep a request that was found good; return its `request_uri`. TooMany where too many of its client wait."""
        text, now = secrets.token_urlsafe(32), datetime.now(UTC)
        params = {"hash": _hash(text), "client": client, "asked": Jsonb(dict(asked)), "now": now, "most": MOST}
        if not await self._database.fetch(sql("push_request"), params | {"expires": now + LASTS}):
            raise TooMany("requests-waiting", "Too many requests of this client wait; try again in a minute.", after=60)
        return PREFIX + text

    async def begin(self, client: str, request_uri: str) -> str:
        """Use a `request_uri` up; return the name by which the request goes from here."""
        text, now = secrets.token_urlsafe(32), datetime.now(UTC)
        params = {"hash": _hash(request_uri.removeprefix(PREFIX)), "new": _hash(text), "client": client, "now": now}
        if not await self._database.fetch(sql("begin_request"), params | {"expires": now + PERSON}):
            raise _not_good()
        return text

    async def asked(self, client: str, name: str) -> dict[str, str]:
        """Return the parameters of a request that a browser has come with."""
        rows = await self._database.fetch(sql("read_request"), self._params(client, name))
        if not rows:
            raise _not_good()
        return dict(rows[0].asked)

    async def end(self, client: str, name: str) -> None:
        """Use a request up, which the person has answered: once."""
        if not await self._database.fetch(sql("end_request"), self._params(client, name)):
            raise _not_good()

    @staticmethod
    def _params(client: str, name: str) -> dict[str, object]:
        return {"hash": _hash(name), "client": client, "now": datetime.now(UTC)}


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _not_good() -> Malformed:
    text = "The app's request is not good, or no longer: it was used, is too old, or another app's; begin again."
    return Malformed("app-request-invalid", text)
