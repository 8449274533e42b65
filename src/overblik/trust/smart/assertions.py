"""Clients that say who they are by a signed assertion (RFC 7523, SMART App Launch 2.2: client-confidential-asymmetric).

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html
"""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError

from overblik.fhir.errors import OverblikError
from overblik.store.queries import sql
from overblik.trust.smart.clients import keys_of
from overblik.trust.smart.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from joserfc.jwk import KeySet

    from overblik.store.database import Database
    from overblik.trust.oidc.login import Login
    from overblik.trust.smart.clients import Client, Clients

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("RS384", "ES384", "ES256", "RS256", "PS256", "PS384", "ES512", "RS512", "PS512")
FURTHEST = 300
"""Seconds an assertion may last at most."""
LEEWAY = 10
MOST_JTI = 200


class Authenticator:
    """Says which client speaks; one that has keys must show that it has them, each time anew."""

    def __init__(self, database: Database, clients: Clients, login: Login) -> None:
        self._database = database
        self._clients = clients
        self._login = login

    async def client(self, form: Mapping[str, str], *endpoints: str) -> Client:
        """Return the client that sends a form to an endpoint; `invalid_client` is one answer to every cause.

        `endpoints` are the names that an assertion may address this endpoint by, each alone.
        """
        if form.get("client_assertion_type") or form.get("client_assertion"):
            return await self._by_assertion(form, endpoints)
        client = await self._clients.find(form.get("client_id", ""))
        if client is None or client.kind != "public":
            raise _unknown()
        return client

    async def _by_assertion(self, form: Mapping[str, str], endpoints: tuple[str, ...]) -> Client:
        text = form.get("client_assertion", "")
        if form.get("client_assertion_type") != ASSERTION or not text or len(text) > 8_000:
            raise _unknown()
        stated = _unchecked(text)
        client = await self._clients.find(str(stated.get("iss", "")))
        if client is None or client.kind == "public" or form.get("client_id", client.id) != client.id:
            raise _unknown()
        claims = await self._verified(client, text)
        now = time.time()
        expires, jti = claims.get("exp"), claims.get("jti")
        good = (
            claims.get("iss") == claims.get("sub") == client.id
            and claims.get("aud") in (*endpoints, *([endpoint] for endpoint in endpoints))
            and _is_number(expires)
            and now - LEEWAY < float(str(expires)) <= now + FURTHEST + LEEWAY
            and all(
                _is_number(claims[name]) and claims[name] <= now + LEEWAY for name in ("iat", "nbf") if name in claims
            )
            and isinstance(jti, str)
            and 0 < len(jti) <= MOST_JTI
        )
        if not good or "\x00" in str(jti):
            raise _unknown()
        until = datetime.fromtimestamp(float(str(expires)), UTC)
        params = {"client": client.id, "jti": jti, "expires": until, "now": datetime.now(UTC)}
        if not await self._database.fetch(sql("use_assertion"), params):
            raise _unknown()
        return client

    async def _verified(self, client: Client, text: str) -> dict[str, Any]:
        """Return the claims of an assertion whose signature holds; keys that are not known are fetched once more."""
        for fresh in (False, True) if client.jwks_uri else (False,):
            try:
                keys = await self._keys(client, fresh=fresh)
                token = jwt.decode(text, keys, algorithms=list(ALGORITHMS))
            except (JoseError, ValueError, TypeError, OverblikError):  # a header's values can be of any kind
                continue
            if not token.header.get("kid") or token.header.get("jku", client.jwks_uri) != client.jwks_uri:
                raise _unknown()
            return dict(token.claims)
        raise _unknown()

    async def _keys(self, client: Client, *, fresh: bool) -> KeySet:
        if client.jwks:
            return keys_of(client.jwks)
        return keys_of(await self._login.back.fetched(client.jwks_uri, fresh=fresh))


def _unchecked(text: str) -> dict[str, Any]:
    """Return what an assertion says before anybody has checked it: only whose keys to check it with."""
    try:
        part = text.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, IndexError):
        raise _unknown() from None
    return found if isinstance(found, dict) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _unknown() -> Refusal:
    return Refusal("invalid_client", "The client is not known here, or has not shown that it is that client.")
