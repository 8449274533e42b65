"""The authorization server's endpoints for clients: JSON in and out, no session, no cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import structlog
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from overblik.fhir.errors import OverblikError, TooMany
from overblik.trust.smart.refusal import Refusal
from overblik.trust.smart.requests import RefusedWish
from overblik.web.forms import once, read_form
from overblik.web.sign_in import begin
from overblik.web.site import HEADERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from overblik.web.site import Site


log = structlog.get_logger()
_HEADERS = {"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"}


def oauth_routes(site: Site) -> list[Route]:
    """Return the endpoints that clients themselves speak to."""

    async def keys(_: Request) -> Response:
        return JSONResponse(site.smart.jwks(), headers={"X-Content-Type-Options": "nosniff"})

    return [
        Route("/oauth/par", _answering(site, site.smart.push, proved=True, status=201), methods=["POST"]),
        Route("/oauth/token", _answering(site, site.smart.token, proved=True), methods=["POST"]),
        Route("/oauth/introspect", _answering(site, site.smart.introspect), methods=["POST"]),
        Route("/oauth/revoke", _answering(site, site.smart.revoke), methods=["POST"]),
        Route("/oauth/jwks", keys, methods=["GET"]),
    ]


def _answering(
    site: Site, work: Callable[..., Awaitable[Any]], *, proved: bool = False, status: int = 200
) -> Callable[[Request], Awaitable[Response]]:
    """Wrap an endpoint: a form in, each field once; an error as RFC 6749 § 5.2 has it."""

    async def endpoint(request: Request) -> Response:
        try:
            _require_form(request)
            given = [await read_form(request), *([request.headers.get("dpop", "")] if proved else [])]
            return JSONResponse(await work(*given) or {}, status, _HEADERS)
        except Refusal as refusal:
            log.info("oauth.refused", error=refusal.error, path=request.url.path)
            if (many := _too_many(site, request, refusal)) is not None:
                return many
            more = {"WWW-Authenticate": 'Bearer realm="overblik"'} if refusal.status == 401 else {}
            return JSONResponse(refusal.body(), refusal.status, _HEADERS | more)
        except OverblikError as error:
            passing = error.status >= 500 or isinstance(error, TooMany)
            kind = "temporarily_unavailable" if passing else "invalid_request"
            more = {"Retry-After": str(error.after)} if isinstance(error, TooMany) else {}
            return JSONResponse({"error": kind, "error_description": error.text}, error.status, _HEADERS | more)

    return endpoint


def _too_many(site: Site, request: Request, refusal: Refusal) -> Response | None:
    """Count a client, code or token that did not hold; the answer where too many did not."""
    if refusal.error not in {"invalid_client", "invalid_grant", "invalid_dpop_proof"}:
        return None
    try:
        site.credentials.refused(request.client, request.headers)
    except TooMany as error:
        body = {"error": "temporarily_unavailable", "error_description": error.text}
        return JSONResponse(body, error.status, _HEADERS | {"Retry-After": str(error.after)})
    return None


def _require_form(request: Request) -> None:
    """Refuse anything but a form, and parameters in the address, where logs would keep them."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Refusal("invalid_request", "Send a form (application/x-www-form-urlencoded).")
    if request.url.query:
        raise Refusal("invalid_request", "Parameters go in the form, never in the address.")


async def authorize(site: Site, request: Request) -> Response:
    """Take an authorization request: to the session it was launched from, or to the provider first.

    One that was sent ahead comes by its `request_uri`, which is used up at once, and goes on by another name.
    https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code
    """
    asked = once(request.query_params.multi_items())
    if (begun := await site.smart.begin(asked)) is not None:
        return RedirectResponse(f"/oauth/authorize?{urlencode(begun)}", 303, HEADERS)
    try:
        wish = await site.smart.wish(asked)
    except RefusedWish as refused:
        return RedirectResponse(refused.address, 303, HEADERS)
    query = urlencode(asked)
    if wish.launch:
        note = site.smart.launched(wish.launch, wish.client.id)
        return RedirectResponse(f"/s/{note['slot']}/authorize?{query}", 303, HEADERS)
    if len(site.login.providers) != 1 and "provider" not in asked:
        return site.page(
            "choose-provider.html", request, providers=site.login.providers, query=query, client=wish.client
        )
    name = asked.get("provider", "")
    provider = site.login.provider(name) if name else site.login.providers[0]
    return begin(site, request, await site.login.start(provider, note={"next": f"authorize?{query}"}, hint=wish.hint))
