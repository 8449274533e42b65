"""An OpenID provider for demo and test: whoever opens its page signs in as any of its test persons.

It speaks the same protocol as a real one (discovery, authorization code with PKCE S256, signed id_token,
userinfo), so that signing in is tried as it will be used; and it refuses to exist anywhere else.

https://openid.net/specs/openid-connect-core-1_0.html
"""

from __future__ import annotations

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from joserfc import jwt
from msgspec import Struct
from psycopg.types.json import Jsonb

from overblik.fhir.errors import Forbidden, Malformed, Unauthenticated
from overblik.store.queries import sql
from overblik.trust.callers.tokens import LIFETIME, TEST_MODES
from overblik.trust.keys.seal import Seal
from overblik.trust.keys.signing import ALGORITHM, signing_key
from overblik.trust.oidc.login import CALLBACK
from overblik.trust.oidc.providers import built_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overblik.store.database import Database
    from overblik.trust.keys.keyring import Keyring

CODE_SECONDS, TOKEN_SECONDS = 60, 300
LEVEL = "substantial"
_CODE, _TOKEN = "code", "access"


class Person(NamedTuple):
    """A test person: the name to be chosen by, the claims, and what is worth noticing."""

    id: str
    claims: dict[str, Any]
    notice: str


class Asked(Struct, frozen=True):
    """An authorization request that can be answered."""

    state: str
    nonce: str
    challenge: str
    hint: str
    again: bool


class TestProvider:
    """Signs in test persons; they stand in the database, so that a demo can add its own."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    def __init__(self, mode: str, address: str, keyring: Keyring, database: Database) -> None:
        if mode not in TEST_MODES:
            raise Forbidden("test-provider-refused", "The built-in test provider runs in demo and test only.")
        self._client = built_in(address)
        self.issuer = self._client.issuer
        self._redirect = address + CALLBACK
        self._key = signing_key(keyring, "test-provider")
        self._seal = Seal(keyring.key("test-provider-note"))
        self._database = database

    def metadata(self) -> dict[str, Any]:
        """Return the provider's description (Discovery 1.0 § 3)."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "profile"],
            "claims_supported": ["sub", *sorted(self._client.claims)],
            "authorization_response_iss_parameter_supported": True,
        }

    def jwks(self) -> dict[str, Any]:
        """Return the key that id_tokens are signed with."""
        return {"keys": [self._key.as_dict(private=False)]}

    async def add(self, claims: dict[str, Any], *, name: str = "", notice: str = "") -> str:
        """Add a test person and return the name to be chosen by; one that is named stands on the page, and stays."""
        known = name or secrets.token_urlsafe(12)
        expires = None if name else datetime.now(UTC) + timedelta(seconds=LIFETIME)
        params = {"id": known, "claims": Jsonb(claims), "notice": notice, "listed": bool(name), "expires": expires}
        await self._database.run(sql("put_test_person"), params)
        return known

    async def listed(self) -> list[Person]:
        """Return the persons that stand on the page."""
        rows = await self._database.fetch(sql("read_test_persons"))
        return [Person(row.id, dict(row.claims), row.notice) for row in rows]

    async def person(self, name: str) -> Person | None:
        """Return a person by name, listed or not."""
        rows = await self._database.fetch(sql("read_test_person"), {"id": name[:100], "now": datetime.now(UTC)})
        return Person(rows[0].id, dict(rows[0].claims), rows[0].notice) if rows else None

    def asked(self, query: Mapping[str, str]) -> Asked:
        """Return an authorization request; Malformed for one that is not ours or not whole."""
        wanted = {"client_id": self._client.client_id, "redirect_uri": self._redirect, "response_type": "code"}
        wanted |= {"code_challenge_method": "S256"}
        if any(query.get(name, "") != value for name, value in wanted.items()):
            raise _invalid()
        if "openid" not in query.get("scope", "").split() or not query.get("code_challenge"):
            raise _invalid()
        again = "login" in query.get("prompt", "").split()
        hint, challenge = query.get("login_hint", ""), query["code_challenge"]
        return Asked(query.get("state", ""), query.get("nonce", ""), challenge, hint, again)

    def answer(self, asked: Asked, person: Person) -> dict[str, str]:
        """Return what goes back to the client in the address: a code for one person."""
        note = {"person": person.id, "nonce": asked.nonce, "challenge": asked.challenge, "at": int(time.time())}
        return {"code": self._seal.seal(note, _CODE, CODE_SECONDS), "state": asked.state, "iss": self.issuer}

    def refusal(self, asked: Asked) -> dict[str, str]:
        """Return what goes back where nobody was chosen."""
        return {"error": "access_denied", "state": asked.state, "iss": self.issuer}

    def back(self, answer: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Return where an answer goes: the one address that is registered."""
        return self._redirect, answer

    async def token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Return the tokens for a code; Malformed where code, verifier or address is another's."""
        note = self._seal.open(form.get("code", ""), _CODE)
        proof = urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        if form.get("grant_type") != "authorization_code" or form.get("redirect_uri") != self._redirect:
            raise _invalid()
        if note is None or form.get("client_id") != self._client.client_id or proof != note["challenge"]:
            raise _invalid()
        if (person := await self.person(note["person"])) is None:
            raise _invalid()
        now = int(time.time())
        claims = self._claims(person) | {"iss": self.issuer, "aud": self._client.client_id, "iat": now}
        claims |= {"exp": now + TOKEN_SECONDS, "auth_time": note["at"], "nonce": note["nonce"]}
        header = {"alg": ALGORITHM, "kid": self._key.kid}
        return {
            "access_token": self._seal.seal({"person": person.id}, _TOKEN, TOKEN_SECONDS),
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "id_token": jwt.encode(header, claims, self._key, algorithms=[ALGORITHM]),
        }

    async def userinfo(self, token: str) -> dict[str, Any]:
        """Return the claims of the person an access token was given for."""
        note = self._seal.open(token, _TOKEN)
        person = await self.person(note["person"]) if note else None
        if person is None:
            raise Unauthenticated
        return self._claims(person)

    def _claims(self, person: Person) -> dict[str, Any]:
        """Return a test person as a provider tells of them."""
        told = person.claims
        found = {"sub": hashlib.sha256(person.id.encode()).hexdigest()[:32], "name": told.get("name", "")}
        found |= {"level": told.get("level", LEVEL)}
        if told.get("kind") == "citizen":
            return found | {"cpr": told.get("sub", "")}
        if told.get("kind") == "professional":
            found |= {"authorisation": told.get("sub", ""), "role": told.get("role", "")}
            return found | {"organisation": told.get("org", ""), "organisation_name": told.get("org_name", "")}
        return found


def _invalid() -> Malformed:
    return Malformed("test-provider-request", "This is no request that the test provider can answer.")
