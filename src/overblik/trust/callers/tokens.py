"""The test issuer: signed access tokens for demo and test, and what claims make of a caller.

It gives a token for the asking, and refuses to exist anywhere else.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from overblik.fhir.errors import Forbidden, Unauthenticated
from overblik.fhir.identifiers import CPR, authorisation_id, canonical
from overblik.store.queries import sql
from overblik.trust.callers.identity import PURPOSES, Caller, Kind, Purpose
from overblik.trust.callers.scopes import Reach, parse_scopes
from overblik.trust.callers.sources import registered, require_name

if TYPE_CHECKING:
    from overblik.store.database import Database
    from overblik.trust.keys.keyring import Keyring
    from overblik.trust.organisations import Directory

ISSUER = "urn:overblik:test-issuer"
AUDIENCE = "urn:overblik"
LIFETIME = 12 * 3600
MOST_KNOWN = 10_000
_FAR = 2**33
TEST_MODES = frozenset({"demo", "test"})


class TestIssuer:
    """Issues and checks test tokens. Times are the machine's, never a demo's moved clock."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    def __init__(self, mode: str, keyring: Keyring, database: Database, directory: Directory) -> None:
        if mode not in TEST_MODES:
            raise Forbidden("test-issuer-refused", "The test issuer runs in demo and test only.")
        self._signing = OctKey.import_key(keyring.key("token"))
        self._database = database
        self._directory = directory
        self._known: dict[str, tuple[int, Caller]] = {}
        self._known_at = 0.0

    def token(self, claims: dict[str, Any]) -> str:
        """Return a signed token (JWT, HS256) for these claims."""
        return jwt.encode({"alg": "HS256"}, self._stamped(claims), self._signing, algorithms=["HS256"])

    async def caller(self, token: str) -> Caller:
        """Return whom a token stands for; Unauthenticated for every other text.

        What a token stood for is remembered as long as the directory's copy it was read with.
        """
        await self._directory.refresh()
        if self._known_at != self._directory.read_at or len(self._known) >= MOST_KNOWN:
            self._known, self._known_at = {}, self._directory.read_at
        expires, caller = self._known.get(token, (0, None))
        if caller is None or expires <= time.time():
            try:
                decoded = jwt.decode(token, self._signing, algorithms=["HS256"])
            except (JoseError, ValueError, TypeError):  # a header's values can be of any kind
                raise Unauthenticated from None
            caller = await self._caller(decoded.claims)
            self._known[token] = decoded.claims["exp"], caller
        return caller

    def _stamped(self, claims: dict[str, Any]) -> dict[str, Any]:
        now = int(time.time())
        stamp = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + LIFETIME,
            "jti": secrets.token_hex(8),
        }
        return {"auth_time": now, **claims, **stamp}

    async def _caller(self, claims: dict[str, Any]) -> Caller:
        now = int(time.time())
        if claims.get("iss") != ISSUER or claims.get("aud") != AUDIENCE:
            raise Unauthenticated
        if not isinstance(claims.get("exp"), int) or claims["exp"] <= now:
            raise Unauthenticated
        return await caller_from(claims, self._database, self._directory)


async def caller_from(claims: dict[str, Any], database: Database, directory: Directory) -> Caller:
    """Return the caller that checked claims describe; the organisation's place is looked up now."""
    kind = cast("Kind", claims.get("kind"))
    subject = str(claims.get("sub", ""))
    org = str(claims.get("org", ""))
    unit = directory.find(org) if org else None
    organisations: tuple[str, ...] | None = ()
    if kind in {"citizen", "proxy"}:
        subject = canonical(CPR, subject).value
    elif kind == "professional":
        subject = authorisation_id(subject)
    elif kind == "source":
        require_name(subject)
        organisations = await registered(database, subject)
    elif kind == "system":
        organisations = None
    purpose = claims.get("purpose")
    usual: dict[str, Purpose] = {"citizen": "PATRQT", "proxy": "FAMRQT", "system": "HSYSADMIN"}
    return Caller(
        kind=kind,
        id=subject,
        name=str(claims.get("name", "")),
        role=str(claims.get("role", "")),
        org=unit.sor if unit else org,
        org_name=unit.name if unit else str(claims.get("org_name", "")),
        orgs=directory.path(org) if org else (),
        purpose=cast("Purpose", purpose) if purpose in PURPOSES else usual.get(kind, "TREAT"),
        reason=str(claims.get("reason", "")),
        on_behalf=canonical(CPR, str(claims.get("on_behalf", ""))).value if kind == "proxy" else "",
        organisations=organisations,
        app=str(claims.get("app", "")),
        reach=await _reach(claims, database),
        proved_at=_proved(claims.get("auth_time")),
    )


def _proved(stated: object) -> datetime | None:
    """Return when a token says that its person showed who they are."""
    return datetime.fromtimestamp(stated, UTC) if isinstance(stated, int) and 0 < stated < _FAR else None


async def _reach(claims: dict[str, Any], database: Database) -> Reach | None:
    """Return how far claims with scopes reach: the whole record of the patient in context, whichever Patient it was."""
    if "scope" not in claims:
        return None
    params = {"types": ["Patient"], "ids": [str(claims.get("patient", ""))]}
    rows = await database.look_up(sql("locate"), params)
    return Reach(parse_scopes(str(claims["scope"])), tuple(rows[0].pids) if rows else ())
