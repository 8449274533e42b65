"""Grants, and the tokens they are used by: codes and refresh tokens good once, access tokens for five minutes.

A grant is the family of its tokens: whatever ends it (signing out, revocation, a code or a refresh token that
comes twice) ends them all, in every worker within a second.

https://www.rfc-editor.org/rfc/rfc9068, https://www.rfc-editor.org/rfc/rfc9700
"""

from __future__ import annotations

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid4

from joserfc import jwt
from joserfc.errors import JoseError
from psycopg.types.json import Jsonb

from overblik.fhir.errors import Unauthenticated
from overblik.store.queries import sql
from overblik.trust.callers.scopes import Scopes, parse_scopes
from overblik.trust.callers.sessions import ABSOLUTE, claims_of, person_digest
from overblik.trust.callers.tokens import caller_from
from overblik.trust.keys.signing import ALGORITHM, signing_key
from overblik.trust.smart.dpop import Proofs
from overblik.trust.smart.refusal import Refusal

if TYPE_CHECKING:
    from overblik.store.database import Database
    from overblik.trust.callers.identity import Caller
    from overblik.trust.keys.keyring import Keyring
    from overblik.trust.organisations import Directory
    from overblik.trust.smart.clients import Client
    from overblik.trust.smart.dpop import Proof
    from overblik.trust.smart.requests import Wish

CODE = timedelta(seconds=60)
ACCESS = 300
OFFLINE = timedelta(days=90)
SERVICE = timedelta(seconds=ACCESS)
FRESH = 1.0
"""Seconds for which a grant that was found in force counts as such in this worker."""
MOST_KNOWN = 10_000
TYPE = "at+jwt"


class Given(NamedTuple):
    """A grant as its tokens are made from it."""

    id: UUID
    client: str
    scopes: Scopes
    patient: str
    fhir_user: str
    nonce: str
    person: bytes
    expires: datetime
    claims: dict[str, Any]
    name: str
    jkt: str


class Grants:
    """Makes, uses and ends grants. Times are the machine's, never a demo's moved clock."""

    def __init__(self, address: str, keyring: Keyring, database: Database, directory: Directory) -> None:
        self.issuer = address
        self.base = f"{address}/fhir"
        self.key = signing_key(keyring, "smart")
        self._database = database
        self._directory = directory
        self._subjects = keyring.key("smart-subject")
        self._proofs = Proofs(database)
        self._known: dict[str, tuple[float, Caller, str]] = {}

    async def open(self, wish: Wish, caller: Caller, slot: str, *, patient: str, fhir_user: str) -> str:
        """Keep what a person has let an app do, and return the code by which the app comes for it.

        No professional's app goes on without them: where they work is known of the hours they are signed in.
        """
        offline = "offline_access" in wish.scopes.context and caller.kind != "professional"
        grant = await self._put(
            wish.client, claims_of(caller), wish.scopes,
            slot=slot, person=person_digest(caller), patient=patient, fhir_user=fhir_user, nonce=wish.nonce,
            jkt=wish.jkt, offline=offline, lasts=OFFLINE if offline else ABSOLUTE,
        )  # fmt: skip
        return await self._credential("code", grant, CODE, redirect=wish.redirect, challenge=wish.challenge)

    async def of_service(self, client: Client, scopes: Scopes, jkt: str) -> dict[str, Any]:
        """Return the token of a backend service, which nobody has to let in but the operator."""
        kind = "system" if client.acts_as == "system" else "source"
        claims = {"kind": kind, "sub": client.acts_as, "name": client.name}
        grant = await self._put(client, claims, scopes, lasts=SERVICE)
        return self._token(await self._bound(await self._given(grant), jkt), scopes)

    async def of_code(self, client: Client, code: str, redirect: str, verifier: str, jkt: str) -> dict[str, Any]:
        """Return the tokens for a code; one that comes twice ends what the first gave (RFC 9700 § 2.1.1)."""
        used = await self._use("code", code)
        given = await self._given(used.grant_id)
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        if given.client != client.id or used.redirect != redirect or not 43 <= len(verifier) <= 128:
            raise _not_granted()
        if not secrets.compare_digest(used.challenge.encode(), challenge.encode()):
            raise _not_granted()
        given = await self._bound(given, jkt)
        answer = self._token(given, given.scopes)
        if "openid" in given.scopes.context:
            answer["id_token"] = self._id_token(given)
        return answer | await self._refresh_token(given)

    async def of_refresh(self, client: Client, token: str, wanted: str, jkt: str) -> dict[str, Any]:
        """Return new tokens for a refresh token, which is used up by it; fewer scopes may be asked for."""
        used = await self._use("refresh", token)
        given = await self._given(used.grant_id)
        if given.client != client.id:
            await self.end(given.id)
            raise _not_granted()
        given = await self._bound(given, jkt)
        scopes = parse_scopes(wanted) if wanted else given.scopes
        if not scopes.within(given.scopes):
            raise Refusal("invalid_scope", "These scopes were not granted.")
        return self._token(given, scopes) | await self._refresh_token(given)

    async def key_of(self, proof: Proof | None) -> str:
        """Return the thumbprint of the key a token request is made with, "" for none."""
        return await self._proofs.key_of(proof) if proof else ""

    async def caller(self, token: str, proof: Proof | None = None) -> Caller:
        """Return whom an access token stands for; Unauthenticated for every other text.

        One that is bound to a key needs a proof of it, and one that is not takes none.
        """
        checked, caller, jkt = self._known.get(token, (0.0, None, ""))
        if caller is None or time.monotonic() - checked >= FRESH:
            caller, jkt = await self._look(token)
        if not jkt and proof is None:
            return caller
        try:
            shown = await self._proofs.key_of(proof, token) if proof else ""
        except Refusal:
            raise Unauthenticated from None
        if not jkt or shown != jkt:
            raise Unauthenticated
        return caller

    async def _look(self, token: str) -> tuple[Caller, str]:
        """Return whom a token of ours stands for now, and the key it is bound to."""
        claims = self.read(token)
        given = await self._alive(claims["grant"])
        if given is None:
            self._known.pop(token, None)
            raise Unauthenticated(genuine=True)
        await self._directory.refresh()
        told = {**given.claims, "scope": claims["scope"], "patient": given.patient, "app": given.name}
        caller = await caller_from(told, self._database, self._directory)
        if len(self._known) >= MOST_KNOWN:
            self._known = {}
        self._known[token] = time.monotonic(), caller, given.jkt
        return caller, given.jkt

    def read(self, token: str) -> dict[str, Any]:
        """Return the claims of an access token of ours; Unauthenticated for every other text."""
        try:
            decoded = jwt.decode(token, self.key, algorithms=[ALGORITHM])
        except (JoseError, ValueError, TypeError):  # a header's values can be of any kind
            raise Unauthenticated from None
        claims, now = decoded.claims, time.time()
        if decoded.header.get("typ") != TYPE or claims.get("iss") != self.issuer or claims.get("aud") != self.base:
            raise Unauthenticated
        if not isinstance(claims.get("exp"), int) or claims["exp"] <= now:
            raise Unauthenticated(genuine=True)
        return dict(claims)

    async def introspected(self, client: Client, token: str) -> dict[str, Any]:
        """Return what a token is good for (RFC 7662), to the client it was given to; to others none is."""
        try:
            claims = self.read(token)
        except Unauthenticated:
            return {"active": False}
        given = await self._alive(claims["grant"])
        if given is None or given.client != client.id:
            return {"active": False}
        told = {name: claims[name] for name in ("scope", "client_id", "exp", "iat", "iss", "aud", "sub")}
        told |= {"cnf": {"jkt": given.jkt}} if given.jkt else {}
        return {"active": True, "token_type": "DPoP" if given.jkt else "Bearer", **told, **self._context(given)}

    async def revoke(self, client: Client, token: str) -> None:
        """End the grant of a token, if it is this client's (RFC 7009); any other text is no fault."""
        try:
            identifier: str | None = self.read(token)["grant"]
        except Unauthenticated:
            rows = await self._database.fetch(sql("read_credential"), {"hash": _hash(token)})
            identifier = str(rows[0].grant_id) if rows else None
        given = await self._alive(identifier) if identifier else None
        if given is not None and given.client == client.id:
            await self.end(given.id)

    async def client_of(self, refresh_token: str) -> str:
        """Return the client a refresh token was given to, "" for any other text."""
        rows = await self._database.fetch(sql("read_credential"), {"hash": _hash(refresh_token)})
        return str(rows[0].client) if rows else ""

    async def end(self, grant: UUID, person: bytes | None = None) -> None:
        """End a grant and all its tokens; with `person`, only one of theirs."""
        params = {"id": grant, "person": person, "now": datetime.now(UTC)}
        await self._database.run(sql("end_grant"), params)
        self._known = {}

    async def of_person(self, caller: Caller) -> list[Any]:
        """Return what a person has let apps do: rows of id, client, name, scope, times."""
        params = {"person": person_digest(caller), "now": datetime.now(UTC)}
        return await self._database.fetch(sql("read_grants"), params)

    async def _put(
        self, client: Client, claims: dict[str, Any], scopes: Scopes, *, lasts: timedelta, slot: str = "",
        person: bytes = b"", patient: str = "", fhir_user: str = "", nonce: str = "", jkt: str = "",
        offline: bool = False,
    ) -> UUID:  # fmt: skip
        now, identifier = datetime.now(UTC), uuid4()
        await self._database.run(sql("sweep_grants"), {"now": now})
        params = {
            "id": identifier, "client": client.id, "slot": slot, "person": person, "claims": Jsonb(claims),
            "scope": scopes.text, "patient": patient, "fhir_user": fhir_user, "nonce": nonce, "jkt": jkt,
            "offline": offline, "now": now, "expires": now + lasts,
        }  # fmt: skip
        await self._database.run(sql("put_grant"), params)
        return identifier

    async def _credential(
        self, use: str, grant: UUID, lasts: timedelta, *, redirect: str = "", challenge: str = ""
    ) -> str:
        text = secrets.token_urlsafe(32)
        params = {"hash": _hash(text), "use": use, "grant": grant, "redirect": redirect, "challenge": challenge}
        await self._database.run(sql("put_credential"), params | {"expires": datetime.now(UTC) + lasts})
        return text

    async def _use(self, use: str, text: str) -> Any:
        """Use a code or refresh token up; one that comes twice is in two hands, and its grant ends."""
        now = datetime.now(UTC)
        rows = await self._database.fetch(sql("use_credential"), {"hash": _hash(text), "use": use, "now": now})
        if not rows:
            raise _not_granted()
        if rows[0].before is not None:
            await self.end(rows[0].grant_id)
            raise _not_granted()
        if rows[0].expires_at <= now:
            raise _not_granted()
        return rows[0]

    async def _refresh_token(self, given: Given) -> dict[str, str]:
        if not {"offline_access", "online_access"} & set(given.scopes.context):
            return {}
        lasts = given.expires - datetime.now(UTC)
        return {"refresh_token": await self._credential("refresh", given.id, lasts)}

    async def _alive(self, identifier: object) -> Given | None:
        """Return a grant that is in force."""
        params = {"id": UUID(str(identifier)), "now": datetime.now(UTC)}
        rows = await self._database.fetch(sql("read_grant"), params)
        if not rows or not parse_scopes(rows[0].scope).within(parse_scopes(rows[0].registered)):
            return None  # what the client is registered for may have become less
        row = rows[0]
        return Given(
            row.id, row.client, parse_scopes(row.scope), row.patient, row.fhir_user, row.nonce, bytes(row.person),
            row.expires_at, dict(row.claims), row.name, row.jkt,
        )  # fmt: skip

    async def _bound(self, given: Given, jkt: str) -> Given:
        """Return a grant bound to the key of this request; one that is bound to another ends, as stolen."""
        if not given.jkt and not jkt:
            return given
        if not jkt or not await self._database.fetch(sql("bind_grant"), {"id": given.id, "jkt": jkt}):
            await self.end(given.id)
            raise _not_granted()
        return given._replace(jkt=jkt)

    async def _given(self, identifier: UUID) -> Given:
        if (given := await self._alive(identifier)) is None:
            raise _not_granted()
        return given

    def _token(self, given: Given, scopes: Scopes) -> dict[str, Any]:
        """Return the answer with an access token; what it says of the person is a name for this client only."""
        now = int(time.time())
        expires = min(now + ACCESS, int(given.expires.timestamp()))
        claims = {
            "iss": self.issuer, "aud": self.base, "sub": self._subject(given), "client_id": given.client, "iat": now,
            "exp": expires, "jti": secrets.token_hex(8),
            "scope": scopes.text, "grant": str(given.id),
        }  # fmt: skip
        claims |= {"cnf": {"jkt": given.jkt}} if given.jkt else {}
        answer = {"access_token": self._sign(claims, TYPE), "token_type": "DPoP" if given.jkt else "Bearer"}
        return {**answer, "expires_in": expires - now, "scope": scopes.text, **self._context(given)}

    def _id_token(self, given: Given) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": given.client, "sub": self._subject(given), "iat": now, "exp": now + ACCESS}
        claims |= {"nonce": given.nonce} if given.nonce else {}
        if "fhirUser" in given.scopes.context and given.fhir_user:
            claims["fhirUser"] = f"{self.base}/{given.fhir_user}"
        if "profile" in given.scopes.context:
            claims["name"] = str(given.claims.get("name", ""))
        return self._sign(claims, "JWT")

    def _sign(self, claims: dict[str, Any], kind: str) -> str:
        header = {"alg": ALGORITHM, "kid": self.key.kid, "typ": kind}
        return jwt.encode(header, claims, self.key, algorithms=[ALGORITHM])

    @staticmethod
    def _context(given: Given) -> dict[str, Any]:
        return {"patient": given.patient, "need_patient_banner": True} if given.patient else {}

    def _subject(self, given: Given) -> str:
        """Return what a person is called towards one client: two that compare notes learn nothing."""
        text = given.client.encode() + b"|" + (given.person or given.client.encode())
        return hashlib.blake2b(text, key=self._subjects, digest_size=16).hexdigest()


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _not_granted() -> Refusal:
    return Refusal("invalid_grant", "The code or refresh token is not good, or no longer.")
