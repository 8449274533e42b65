"""What is asked of a provider behind the browser's back: its description, its keys, its tokens.

Only what the operator's file names, and what that provider's own description names, is ever asked;
no redirect is followed, an answer has a size and a time.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import structlog
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]  # it has no types
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]  # it has no types
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from overblik.fhir.errors import Malformed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp

    from overblik.trust.oidc.providers import Provider

SECONDS = 10.0
MOST_BYTES = 256 * 1024
KEPT = 3600.0
REGISTERED = 300.0
AGAIN = 30.0
"""Seconds for which keys are kept even where one is missing: a stranger's token cannot have us ask and ask."""
log = structlog.get_logger()


class BackChannel:
    """Asks providers; what they describe is kept for an hour.

    `local` has the issuers that are reached by another way than the network: an application beside us.
    """

    def __init__(self, local: Mapping[str, ASGIApp | httpx2.AsyncBaseTransport]) -> None:
        self._local = local
        self._kept: dict[str, tuple[float, Any]] = {}

    def client(self, provider: Provider, redirect: str) -> AsyncOAuth2Client:
        """Return the OAuth client by which we are known at a provider."""
        return AsyncOAuth2Client(
            provider.client_id,
            provider.secret or None,
            scope=provider.scope,
            redirect_uri=redirect,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if provider.secret else "none",
            transport=self._transport(provider.issuer),
            timeout=SECONDS,
            follow_redirects=False,
        )

    async def discover(self, issuer: str) -> dict[str, Any]:
        """Return a provider's description (OpenID Connect Discovery 1.0 § 4), held to be its own."""
        if (kept := self._known(issuer, KEPT)) is not None:
            return dict(kept)
        found = await self._json(issuer.rstrip("/") + "/.well-known/openid-configuration", issuer)
        if found.get("issuer") != issuer:
            raise _away(f"{issuer} says it is another")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            _require_secure(str(found.get(name, "")), issuer)
        self._kept[issuer] = time.monotonic(), found
        return found

    async def keys(self, metadata: dict[str, Any], *, fresh: bool = False) -> KeySet:
        """Return the keys a provider signs with; `fresh` asks again, but not all the time."""
        place = str(metadata["jwks_uri"])
        if (kept := self._known(place, AGAIN if fresh else KEPT)) is not None:
            return kept  # type: ignore[no-any-return]  # what was put there below
        try:
            found = KeySet.import_key_set(await self._json(place, str(metadata["issuer"])))  # type: ignore[arg-type]  # checked by it
        except (JoseError, ValueError, KeyError, TypeError):
            raise _away(f"the keys at {place} cannot be read") from None
        self._kept[place] = time.monotonic(), found
        return found

    async def fetched(self, place: str, *, fresh: bool = False) -> dict[str, Any]:
        """Return the JSON at an address that the operator registered; kept five minutes, `fresh` asks again sooner."""
        if (kept := self._known(place, AGAIN if fresh else REGISTERED)) is not None:
            return dict(kept)
        found = await self._json(place, place)
        self._kept[place] = time.monotonic(), found
        return found

    async def redeem(self, provider: Provider, redirect: str, code: str, verifier: str) -> dict[str, Any]:
        """Return the tokens for a code; Malformed where the provider does not take it."""
        metadata = await self.discover(provider.issuer)
        try:
            async with self.client(provider, redirect) as client:
                return dict(
                    await client.fetch_token(
                        metadata["token_endpoint"], code=code, code_verifier=verifier, grant_type="authorization_code"
                    )
                )
        except OAuthError as error:
            log.warning("sign-in.invalid", reason=f"code of {provider.name}: {error.error}"[:100])
            text = "This sign-in cannot be completed here; begin again on the front page."
            raise Malformed("sign-in-invalid", text) from None
        except (httpx2.HTTPError, ValueError) as error:
            raise _away(f"{provider.issuer}: {type(error).__name__}") from None

    async def userinfo(self, metadata: dict[str, Any], token: str) -> dict[str, Any]:
        """Return what the provider tells of the person besides."""
        place = _require_secure(str(metadata.get("userinfo_endpoint", "")), str(metadata["issuer"]))
        return await self._json(place, str(metadata["issuer"]), {"Authorization": f"Bearer {token}"})

    def _transport(self, issuer: str) -> httpx2.AsyncBaseTransport | None:
        way = self._local.get(issuer)
        return way if way is None or isinstance(way, httpx2.AsyncBaseTransport) else httpx2.ASGITransport(way)

    def _known(self, place: str, seconds: float) -> Any:
        moment, found = self._kept.get(place, (0.0, None))
        return found if found is not None and time.monotonic() - moment < seconds else None

    async def _json(self, place: str, issuer: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON object at an address."""
        try:
            async with (
                httpx2.AsyncClient(
                    transport=self._transport(issuer), timeout=SECONDS, follow_redirects=False
                ) as client,
                client.stream("GET", place, headers=headers or {}) as answer,
            ):
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise _away(f"{place} answers too much")
                answer.raise_for_status()
                found = json.loads(body)
        except (httpx2.HTTPError, ValueError) as error:
            raise _away(f"{place}: {type(error).__name__}") from None
        if not isinstance(found, dict):
            raise _away(f"{place} is no JSON object")
        return found


def _require_secure(url: str, issuer: str) -> str:
    """Return an endpoint's address; one without TLS is taken only where the issuer itself has none."""
    parts, own = urlsplit(url), urlsplit(issuer)
    if parts.scheme != "https" and (parts.scheme, parts.netloc) != (own.scheme, own.netloc):
        raise _away(f"{issuer} names an endpoint without TLS")
    return url


def _away(reason: str) -> Unavailable:
    log.warning("sign-in.provider", reason=reason[:200])
    return Unavailable("sign-in-provider", "The sign-in provider does not answer as it should; try again shortly.")
