"""The pages as a table of routes."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from overblik.fhir.errors import OverblikError, Unauthenticated
from overblik.web import pages
from overblik.web.site import HEADERS, LANGUAGE_COOKIE, SESSION_COOKIE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from overblik.trust.sessions import Session
    from overblik.web.site import Site

    Page = Callable[[Site, Request, Session], Awaitable[Response]]

log = structlog.get_logger()
PAGES: tuple[tuple[str, str, Page], ...] = (
    ("GET", "/s/{slot}/", pages.home),
    ("GET", "/s/{slot}/patient/{id}", pages.patient),
    ("GET", "/s/{slot}/log", pages.log),
    ("GET", "/s/{slot}/raw/{id}", pages.raw),
    ("POST", "/s/{slot}/look-up", pages.look_up),
    ("POST", "/s/{slot}/break-glass", pages.break_glass),
)
_STATIC = {"overblik.css": "text/css", "overblik.js": "text/javascript", "favicon.svg": "image/svg+xml"}


def web_routes(site: Site) -> list[Route]:
    """Return the routes of the pages."""

    async def front(request: Request) -> Response:
        return site.page("front.html", request)

    async def sign_in(request: Request) -> Response:
        return await _sign_in(site, request)

    async def sign_out(request: Request) -> Response:
        slot = request.path_params["slot"]
        await site.sessions.end(slot, request.cookies.get(SESSION_COOKIE, ""))
        response = site.page("signed-out.html", request)
        response.delete_cookie(SESSION_COOKIE, path=f"/s/{slot}/")
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    return [
        Route("/", front),
        Route("/sign-in/{code}", sign_in),
        Route("/s/{slot}/sign-out", sign_out, methods=["POST"]),
        Route("/static/{name}", static),
        *[Route(path, _endpoint(site, page), methods=[method]) for method, path, page in PAGES],
        Route("/{rest:path}", lambda request: _refused(site, request, 404, "not-found")),
    ]


async def static(request: Request) -> Response:
    """Return one of the few static files, all our own."""
    name = request.path_params["name"]
    if name not in _STATIC:
        return Response(status_code=404)
    body = resources.files("overblik.web").joinpath(f"static/{name}").read_bytes()
    return Response(body, media_type=_STATIC[name], headers={"Cache-Control": "public, max-age=300"})


async def _sign_in(site: Site, request: Request) -> Response:
    """Turn a sign-in link into a session in a slot of its own."""
    if site.issuer is None:
        return site.page("refused.html", request, status=401, code="link")
    try:
        caller = await site.issuer.caller_of_link(request.path_params["code"])
    except Unauthenticated:
        return site.page("refused.html", request, status=401, code="link")
    slot, cookie = await site.sessions.create(caller)
    response = RedirectResponse(f"/s/{slot}/", 303, HEADERS)
    secure = request.url.scheme == "https"
    response.set_cookie(SESSION_COOKIE, cookie, path=f"/s/{slot}/", httponly=True, samesite="lax", secure=secure)
    return response


def _endpoint(site: Site, page: Page) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a page: its session, its errors as pages, its language cookie."""

    async def endpoint(request: Request) -> Response:
        request_id = uuid4()
        try:
            slot = request.path_params["slot"]
            session = await site.sessions.find(slot, request.cookies.get(SESSION_COOKIE, ""))
            session = session._replace(caller=session.caller.asking(channel="web", request=request_id))
            response = await page(site, request, session)
        except Unauthenticated:
            response = site.page("refused.html", request, status=401, code="session")
        except OverblikError as error:
            response = await pages.refused(site, request, error)
        except Exception:
            log.exception("web.fault", request=str(request_id))
            response = site.page("refused.html", request, status=500, code="fault")
        if (language := request.query_params.get("lang")) in {"da", "en"}:
            response.set_cookie(LANGUAGE_COOKIE, language, path="/", samesite="lax", httponly=True)
        response.headers["X-Request-Id"] = str(request_id)
        return response

    return endpoint


async def _refused(site: Site, request: Request, status: int, code: str) -> Response:
    return site.page("refused.html", request, status=status, code=code)
