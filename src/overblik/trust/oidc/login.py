"""Signing in at a provider: authorization code flow with PKCE, state and nonce.

    start -> the browser goes to the provider -> finish -> whom the provider signed in

What is to be remembered meanwhile lies sealed in a cookie of the browser that began, so nobody can be
signed in by an answer to somebody else's question. The provider's answer is believed for its signature,
issuer, audience, nonce and time; its keys come from its own discovery document and from nowhere else.

https://openid.net/specs/openid-connect-core-1_0.html, https://www.rfc-editor.org/rfc/rfc9700
"""

from __future__ import annotations

import secrets
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from joserfc import jwt
from joserfc.errors import JoseError

from overblik.fhir.errors import Forbidden, Malformed
from overblik.trust.keys.seal import Seal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overblik.trust.oidc.fetch import BackChannel
    from overblik.trust.oidc.providers import Provider

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""Signatures that a provider may use; none that is made with a shared secret, and not `none`."""
COOKIE = "overblik_sign_in"
MOST_SECONDS = 600
LEEWAY = 30
OLDEST = 600
"""Seconds since a provider made an id_token; it is made for this sign-in."""
CALLBACK = "/sign-in/callback"
log = structlog.get_logger()


class Begun(NamedTuple):
    """A sign-in on its way: where the browser goes, and the cookie it takes along."""

    url: str
    cookie: str
    value: str


class Done(NamedTuple):
    """A sign-in that succeeded: what the provider tells, and what the browser came for."""

    provider: Provider
    told: dict[str, Any]
    note: dict[str, Any]


class Login:
    """Signs people in at the providers there are; one instance serves every request of a process.

    `local` has the issuers that are served beside us.
    """

    def __init__(self, providers: tuple[Provider, ...], address: str, key: bytes) -> None:
        self.providers = providers
        self.local: dict[str, Any] = {}
        self.address = address
        self.seal = Seal(key)

    @cached_property
    def back(self) -> BackChannel:
        """The way to the providers behind the browser's back; what it needs is imported when it is needed."""
        from overblik.trust.oidc.fetch import BackChannel  # noqa: PLC0415 - an HTTP client that few commands need

        return BackChannel(self.local)

    def provider(self, name: str) -> Provider:
        """Return a provider by name; Malformed where there is none of that name."""
        for provider in self.providers:
            if provider.name == name:
                return provider
        raise Malformed("sign-in-unknown", "There is no such way to sign in here; choose one on the front page.")

    async def start(self, provider: Provider, *, note: dict[str, Any], hint: str = "", again: bool = False) -> Begun:
        """Begin a sign-in; `note` comes back with its end, `again` asks for one made now."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        metadata = await self.back.discover(provider.issuer)
        asked = {"nonce": nonce, "acr_values": provider.acr_values, "login_hint": hint}
        asked |= {"prompt": "login", "max_age": "0"} if again else {}
        async with self.back.client(provider, self.address + CALLBACK) as client:
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"],
                state=state,
                code_verifier=verifier,
                **{name: value for name, value in asked.items() if value},
            )
        kept: dict[str, Any] = {
            "note": note,
            "state": state,
            "nonce": nonce,
            "verifier": verifier,
            "provider": provider.name,
        }
        kept |= {"again": int(time.time()) if again else 0}
        return Begun(url, _cookie(state), self.seal.seal(kept, COOKIE, MOST_SECONDS))

    def cookie(self, state: str) -> str:
        """Return the name of the cookie that a sign-in under a state began with."""
        return _cookie(state)

    def begun(self, state: str, cookies: Mapping[str, str]) -> dict[str, Any]:
        """Return what this browser began under a state; Malformed where it began nothing of the kind."""
        kept = self.seal.open(cookies.get(_cookie(state), ""), COOKIE)
        if kept is None or not secrets.compare_digest(kept["state"].encode(), state.encode()):
            raise _invalid("state")
        return kept

    async def finish(self, query: Mapping[str, str], cookies: Mapping[str, str]) -> Done:
        """Return whom a provider signed in; what cannot be believed is one answer, whatever it is."""
        kept = self.begun(query.get("state", ""), cookies)
        provider = self.provider(kept["provider"])
        metadata = await self.back.discover(provider.issuer)
        if query.get("iss", provider.issuer) != provider.issuer:
            raise _invalid("iss of the answer")
        if error := query.get("error", ""):
            log.info("sign-in.error", provider=provider.name, error=error[:50])
            raise Forbidden("sign-in-cancelled", "The sign-in was not completed; nobody is signed in.")
        token = await self.back.redeem(provider, self.address + CALLBACK, query.get("code", ""), kept["verifier"])
        claims = await self._verified(provider, metadata, str(token.get("id_token", "")))
        _check(claims, provider, kept)
        told = claims
        if provider.userinfo:
            more = await self.back.userinfo(metadata, str(token.get("access_token", "")))
            if more.get("sub") != claims["sub"]:
                raise _invalid("sub of userinfo")
            told = {**more, **claims}
        return Done(provider, told, kept["note"])

    async def _verified(self, provider: Provider, metadata: dict[str, Any], token: str) -> dict[str, Any]:
        """Return the claims of an id_token whose signature holds; keys that are not known are fetched once more."""
        for fresh in (False, True):
            keys = await self.back.keys(metadata, fresh=fresh)
            try:
                return dict(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
            except (JoseError, ValueError, TypeError) as error:
                reason = type(error).__name__
        raise _invalid(f"id_token of {provider.name}: {reason}")


def _check(claims: dict[str, Any], provider: Provider, kept: dict[str, Any]) -> None:
    """Refuse an id_token that is not this provider's, for us, for this sign-in and of now (Core § 3.1.3.7)."""
    now = time.time()
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    times = [claims.get(name) for name in ("exp", "iat")]
    if not all(isinstance(moment, (int, float)) and not isinstance(moment, bool) for moment in times):
        raise _invalid("times")
    reasons = {
        "iss": claims.get("iss") != provider.issuer,
        "aud": provider.client_id not in audiences,
        "azp": claims.get("azp", provider.client_id) != provider.client_id
        or (len(audiences) > 1 and "azp" not in claims),
        "sub": not isinstance(claims.get("sub"), str) or not claims["sub"],
        "nonce": not secrets.compare_digest(str(claims.get("nonce", "")).encode(), kept["nonce"].encode()),
        "exp": claims["exp"] <= now - LEEWAY,
        "iat": not now - OLDEST <= claims["iat"] <= now + LEEWAY,
        "auth_time": bool(kept["again"]) and not _is_since(claims.get("auth_time"), kept["again"] - LEEWAY),
    }
    if failed := [name for name, wrong in reasons.items() if wrong]:
        raise _invalid(", ".join(failed))


def _is_since(moment: object, began: float) -> bool:
    return isinstance(moment, (int, float)) and moment >= began


def _cookie(state: str) -> str:
    """Return the name of a sign-in's cookie, so that several can be on their way in one browser."""
    return f"{COOKIE}_{''.join(c for c in state[:8] if c.isalnum() or c in '-_')}"


def _invalid(reason: str) -> Malformed:
    """Return the one answer to every sign-in that cannot be believed; why is for the operator's log only."""
    log.warning("sign-in.invalid", reason=reason)
    return Malformed("sign-in-invalid", "This sign-in cannot be completed here; begin again on the front page.")
