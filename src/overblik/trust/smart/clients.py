"""The apps and services that are registered, and the keys by which they say who they are."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from msgspec import Struct
from psycopg.types.json import Jsonb

from overblik.fhir.errors import Unprocessable
from overblik.store.queries import sql
from overblik.trust.callers.scopes import Scopes, parse_scopes
from overblik.trust.callers.sources import require_name

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.store.database import Database

Kind = Literal["public", "confidential", "backend"]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,99}")
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
SYSTEM = "system"
LEAST_BITS = 2048


class Client(Struct, frozen=True):
    """One registered client.

    `redirects` are the exact addresses codes may go to; `scopes` the most it may ask for. One that is
    `confidential` or a `backend` has keys, stated (`jwks`) or at an https address (`jwks_uri`). A backend
    service comes as a source by its name, or as `system`. One that is `pushed` sends every authorization request
    ahead (RFC 9126: `require_pushed_authorization_requests`).
    """

    id: str
    name: str
    kind: Kind
    scopes: Scopes
    redirects: tuple[str, ...] = ()
    launch_url: str = ""
    jwks: dict[str, Any] | None = None
    jwks_uri: str = ""
    acts_as: str = ""
    pushed: bool = False


class Clients:
    """Registers and finds clients. Nothing is kept: one that is disabled is so at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, client: Client, now: datetime, *, allow_local: bool) -> None:
        """Register a client, or change it; Unprocessable says what is wrong with it."""
        require_sound(client, allow_local=allow_local)
        params = {
            "id": client.id, "name": client.name, "kind": client.kind, "redirects": list(client.redirects),
            "launch_url": client.launch_url, "scopes": client.scopes.text,
            "jwks": Jsonb(client.jwks) if client.jwks else None, "jwks_uri": client.jwks_uri,
            "acts_as": client.acts_as, "pushed": client.pushed, "now": now,
        }  # fmt: skip
        await self._database.run(sql("put_client"), params)

    async def disable(self, identifier: str, now: datetime) -> bool:
        """Let a client do nothing more, from now on; say whether it was there."""
        return bool(await self._database.run(sql("disable_client"), {"id": identifier, "now": now}))

    async def find(self, identifier: str) -> Client | None:
        """Return a client by its id."""
        if not _ID.fullmatch(identifier):
            return None
        rows = await self._database.fetch(sql("read_clients"), {"id": identifier})
        return _client(rows[0]) if rows else None

    async def listed(self) -> list[Client]:
        """Return every client, by name."""
        return [_client(row) for row in await self._database.fetch(sql("read_clients"), {"id": None})]


def _client(row: Any) -> Client:
    return Client(
        row.id, row.name, row.kind, parse_scopes(row.scopes), tuple(row.redirects), row.launch_url,
        dict(row.jwks) if row.jwks else None, row.jwks_uri, row.acts_as, row.pushed,
    )  # fmt: skip


def require_sound(client: Client, *, allow_local: bool) -> None:
    """Refuse a client that could not work, or not safely."""
    if not _ID.fullmatch(client.id) or not client.name.strip() or len(client.name) > 100:
        raise _wrong("its id is letters, digits and . _ ~ -, its name at most 100 characters")
    addresses = [*client.redirects, *([client.launch_url] if client.launch_url else [])]
    if client.kind == "backend":
        if addresses or client.pushed or not client.acts_as:
            raise _wrong("a backend service has no addresses and no authorization requests, and says as whom it comes")
        if client.acts_as != SYSTEM:
            require_name(client.acts_as)
        if any(scope.level != "system" for scope in client.scopes.resources) or client.scopes.context:
            raise _wrong("a backend service has scopes that begin with system/, and no others")
    elif not client.redirects or client.acts_as:
        raise _wrong("an app has at least one redirect address, and comes as whoever signs in")
    elif any(scope.level == "system" for scope in client.scopes.resources):
        raise _wrong("an app has no scopes that begin with system/")
    if not all(_is_address(address, allow_local=allow_local) for address in addresses):
        raise _wrong("its addresses are https, or a native app's own scheme with a dot, without # and *")
    _require_keys(client, allow_local=allow_local)


def _is_address(address: str, *, allow_local: bool) -> bool:
    parts = urlsplit(address)
    if "#" in address or "*" in address or parts.username or not address.isascii() or len(address) > 500:
        return False
    if parts.scheme == "https":
        return bool(parts.hostname)
    if parts.scheme == "http":  # RFC 8252 § 7.3: a native app listens on the loopback interface
        return parts.hostname in _LOCAL if allow_local else parts.hostname in {"127.0.0.1", "::1"}
    return "." in parts.scheme


def _require_keys(client: Client, *, allow_local: bool) -> None:
    if client.kind == "public":
        if client.jwks or client.jwks_uri:
            raise _wrong("a public app has no keys")
        return
    if bool(client.jwks) == bool(client.jwks_uri):
        raise _wrong("it says who it is by its keys: give them, or the https address where they are, one of both")
    if client.jwks_uri and not _is_address(client.jwks_uri, allow_local=allow_local):
        raise _wrong("its keys are at an https address")
    if client.jwks:
        keys_of(client.jwks)


def keys_of(jwks: dict[str, Any]) -> KeySet:
    """Return the public keys of a key set; Unprocessable where it has none, private ones, or one too short."""
    listed = jwks.get("keys")
    if not isinstance(listed, list) or not all(isinstance(key, dict) for key in listed):
        raise _wrong("its keys are a JSON Web Key Set (RFC 7517)")
    if not listed:
        raise _wrong("its key set is empty")
    if any(key.get("kty") not in {"RSA", "EC", "OKP"} or "d" in key for key in listed):
        raise _wrong("its key set has public keys only")
    try:
        if any(key["kty"] == "RSA" and _bits(key["n"]) < LEAST_BITS for key in listed):
            raise _wrong(f"an RSA key has at least {LEAST_BITS} bits")
        return KeySet.import_key_set(jwks)  # type: ignore[arg-type]  # checked by it
    except (JoseError, ValueError, KeyError, TypeError):
        raise _wrong("its keys are a JSON Web Key Set (RFC 7517)") from None


def _bits(number: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(number + "=" * (-len(number) % 4))).bit_length()


def _wrong(text: str) -> Unprocessable:
    return Unprocessable("client-invalid", f"This client cannot be registered: {text}.")
