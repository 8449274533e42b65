"""Which other sites' pages may speak to us: those of registered apps, and everyone to what is open anyway.

Never with cookies: what a page of another site may ask, it asks with a token of its own.
https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from overblik.trust.smart.clients import Clients

FRESH, AGAIN = 2.0, 0.1
"""Seconds that what was read is held true, and after which it is read again for a site that is not in it."""
_OPEN = frozenset({"/fhir/metadata", "/fhir/.well-known/smart-configuration", "/oauth/jwks"})
_ALLOWED = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
    (
        b"access-control-allow-headers",
        b"authorization, dpop, content-type, accept, prefer, if-match, if-none-match, if-none-exist",
    ),
    (b"access-control-max-age", b"600"),
)
_EXPOSED = (
    b"access-control-expose-headers",
    b"etag, location, last-modified, content-location, x-request-id, retry-after",
)


class Cors:
    """Lets pages of registered apps read our answers below `/fhir` and `/oauth`; no others, and no page of ours."""

    def __init__(self, app: ASGIApp, clients: Clients) -> None:
        self._app = app
        self._clients = clients
        self._origins: frozenset[str] = frozenset()
        self._read_at = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or let the application answer and say who may read it."""
        path = scope.get("path", "")
        origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
        if not origin or not path.startswith(("/fhir", "/oauth/")) or path == "/oauth/authorize":
            await self._app(scope, receive, send)
            return
        allowed = path in _OPEN or await self._knows(origin)
        said = (b"access-control-allow-origin", b"*" if path in _OPEN else origin.encode("latin-1"))
        if scope["method"] == "OPTIONS" and allowed:
            headers = [said, *_ALLOWED, (b"vary", b"Origin"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(b"vary", b"Origin"), *([said, _EXPOSED] if allowed else [])]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._app(scope, receive, answer)

    async def _knows(self, origin: str) -> bool:
        """Say whether it is a registered app's site; one that has just been registered is known at once."""
        age = time.monotonic() - self._read_at
        if age > FRESH or (age > AGAIN and origin not in self._origins):
            addresses = [urlsplit(address) for client in await self._clients.listed() for address in client.redirects]
            web = [parts for parts in addresses if parts.scheme in {"http", "https"}]
            self._origins = frozenset(f"{parts.scheme}://{parts.netloc}" for parts in web)
            self._read_at = time.monotonic()
        return origin in self._origins
