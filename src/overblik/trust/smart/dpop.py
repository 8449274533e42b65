"""Tokens that are worth nothing without a key: DPoP (https://www.rfc-editor.org/rfc/rfc9449).

A client shows with every request that it has the key its tokens are bound to; a token that was stolen
from a log or a page is then no token.
"""

from __future__ import annotations

import hashlib
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError

from overblik.fhir.errors import OverblikError
from overblik.store.queries import sql
from overblik.trust.smart.clients import keys_of
from overblik.trust.smart.refusal import Refusal

if TYPE_CHECKING:
    from overblik.store.database import Database

ALGORITHMS = ("ES256", "ES384", "ES512", "PS256", "PS384", "RS256", "RS384", "Ed25519")
OLDEST, LEEWAY = 60, 10
"""Seconds since a proof was made, and by how much a client's clock may be ahead."""
LONGEST, MOST_JTI = 4_000, 200


class Proof(NamedTuple):
    """A proof as it came: the JWT, and the method and address it came with."""

    text: str
    method: str
    url: str


class Proofs:
    """Checks proofs; each is taken once, in every worker."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def key_of(self, proof: Proof, token: str = "") -> str:
        """Return the thumbprint (RFC 7638) of the key a proof is made with; Refusal where it proves nothing."""
        header = _header(proof.text)
        listed = {"keys": [header.get("jwk")]}
        try:
            keys = keys_of(listed)
            claims: dict[str, Any] = dict(jwt.decode(proof.text, keys.keys[0], algorithms=list(ALGORITHMS)).claims)
        except (JoseError, ValueError, TypeError, OverblikError):  # a header's values can be of any kind
            raise _invalid() from None
        now, made, jti = time.time(), claims.get("iat"), claims.get("jti")
        good = (
            header.get("typ") == "dpop+jwt"
            and claims.get("htm") == proof.method
            and claims.get("htu") == proof.url
            and isinstance(made, (int, float))
            and now - OLDEST <= made <= now + LEEWAY
            and isinstance(jti, str)
            and 0 < len(jti) <= MOST_JTI
            and "\x00" not in jti
            and (not token or claims.get("ath") == _digest(token))
        )
        if not good:
            raise _invalid()
        key = keys.keys[0].thumbprint()
        until = datetime.fromtimestamp(now + OLDEST + LEEWAY, UTC)
        params = {"client": f"dpop {key}", "jti": jti, "expires": until, "now": datetime.now(UTC)}
        if not await self._database.fetch(sql("use_assertion"), params):
            raise _invalid()
        return key


def _header(text: str) -> dict[str, Any]:
    """Return the header of a proof, which brings its own key along."""
    part = text.partition(".")[0]
    try:
        found = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))) if len(text) <= LONGEST else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _invalid()
    return found


def _digest(token: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip("=")


def _invalid() -> Refusal:
    return Refusal("invalid_dpop_proof", "The DPoP proof does not hold for this request.")
