"""TLS: our own with a certificate, or a proxy's before us; in production never none on an address that others reach."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from overblik.fhir.errors import Unavailable

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from overblik.app.settings import Settings

_ONLY_TLS = (b"strict-transport-security", b"max-age=31536000")
"""https://www.rfc-editor.org/rfc/rfc6797: for a year a browser does not come back without TLS."""


def require_tls(settings: Settings) -> None:
    """Raise Unavailable where patients' data would cross a network as it is, or a certificate has no key."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        text = "OVERBLIK_TLS_CERT and OVERBLIK_TLS_KEY belong together: a certificate and its key."
        raise Unavailable("tls-incomplete", text)
    if settings.mode != "production" or settings.address.startswith("https://") or _is_here(settings.host):
        return
    text = (
        f"Without TLS {settings.host} would serve patients' data readably: set OVERBLIK_TLS_CERT and OVERBLIK_TLS_KEY, "
        "or OVERBLIK_BASE_URL to the https address of the proxy before this server."
    )
    raise Unavailable("tls-needed", text)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class OnlyTls:
    """Tells browsers to come by TLS only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, with one header more."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], _ONLY_TLS]}
            await send(message)

        await self._app(scope, receive, answer)
