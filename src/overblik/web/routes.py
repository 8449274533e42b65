"""The pages as a table of routes, and the one way in that all of them share.

request -> method -> same origin -> session -> page
└── any error -> a page that says what to do
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import structlog
from starlette.responses import Response
from starlette.routing import Route

from overblik.fhir.errors import Forbidden, NotAllowed, NotFound, OverblikError, TooMany
from overblik.trust.live.seen import collecting
from overblik.web import authorize, blocking, live, oauth, pages, provider, proxies, relations, sign_in, sign_ins
from overblik.web.language import LANGUAGES
from overblik.web.site import LANGUAGE_COOKIE, SESSION_COOKIE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from overblik.trust.callers.sessions import Session
    from overblik.web.site import Site

    Page = Callable[[Site, Request, Session], Awaitable[Response]]
    OpenPage = Callable[[Site, Request], Awaitable[Response]]
    Endpoint = Callable[[Request], Awaitable[Response]]

log = structlog.get_logger()
PAGES: tuple[tuple[str, str, Page], ...] = (
    ("GET", "/s/{slot}/", pages.home),
    ("GET", "/s/{slot}/patient/{id}", pages.patient),
    ("GET", "/s/{slot}/patient/{id}/block", blocking.entered),
    ("POST", "/s/{slot}/patient/{id}/block/set", blocking.enter),
    ("GET", "/s/{slot}/relations", relations.relations),
    ("POST", "/s/{slot}/relations/state", relations.state),
    ("POST", "/s/{slot}/relations/follow-up", relations.followed_up),
    ("GET", "/s/{slot}/log", pages.log),
    ("GET", "/s/{slot}/log/file", pages.log_file),
    ("GET", "/s/{slot}/raw/{id}", pages.raw),
    ("GET", "/s/{slot}/blocks", blocking.blocks),
    ("POST", "/s/{slot}/blocks/preview", blocking.before),
    ("POST", "/s/{slot}/blocks/set", blocking.set_block),
    ("POST", "/s/{slot}/blocks/end", blocking.end_block),
    ("GET", "/s/{slot}/proxies", proxies.proxies),
    ("POST", "/s/{slot}/proxies/grant", proxies.grant),
    ("POST", "/s/{slot}/proxies/act", proxies.act),
    ("POST", "/s/{slot}/look-up", pages.look_up),
    ("POST", "/s/{slot}/break-glass", pages.break_glass),
    ("GET", "/s/{slot}/authorize", authorize.consent),
    ("POST", "/s/{slot}/allow", authorize.decide),
    ("GET", "/s/{slot}/patient/{id}/apps", authorize.apps),
    ("GET", "/s/{slot}/patient/{id}/apps/{client}", authorize.launch),
    ("POST", "/s/{slot}/revoke", authorize.revoke),
    ("GET", "/s/{slot}/sign-ins", sign_ins.sign_ins),
    ("GET", "/s/{slot}/prove", sign_ins.prove),
    ("GET", "/s/{slot}/proved", sign_ins.proved),
    ("POST", "/s/{slot}/sign-out", sign_ins.sign_out),
)
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_STATIC = {
    "overblik.css": "text/css",
    "overblik.js": "text/javascript",
    "favicon.svg": "image/svg+xml",
    "verify-log.html": "text/html",
}
_STATIC_HEADERS = {
    "Cache-Control": "public, max-age=300",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_YEAR = 365 * 24 * 3600


def web_routes(site: Site) -> list[Route]:
    """Return the routes of the pages; every method comes to us, so that a refusal is a page too."""
    opened: tuple[tuple[str, OpenPage], ...] = (
        ("/", front),
        ("/static/{name}", static),
        ("/s/{slot}/live", live.live),
        *sign_in.PAGES,
        ("/oauth/authorize", oauth.authorize),
    )
    return [
        *oauth.oauth_routes(site),
        *[Route(path, _answering(site, "GET", page), methods=METHODS) for path, page in opened],
        *[Route(path, _answering(site, method, _signed_in(page)), methods=METHODS) for method, path, page in PAGES],
        *(
            [Route(p, _answering(site, "", page), methods=METHODS) for p, page in provider.PAGES]
            if site.provider
            else []
        ),
        Route("/{rest:path}", _answering(site, "", nothing), methods=METHODS),
    ]


async def front(site: Site, request: Request) -> Response:
    """Say what this is, to whoever is not signed in."""
    return site.page("front.html", request, providers=site.login.providers)


async def static(_: Site, request: Request) -> Response:
    """Return one of the few static files, all our own."""
    name = request.path_params["name"]
    if name not in _STATIC:
        raise NotFound
    body = resources.files("overblik.web").joinpath(f"static/{name}").read_bytes()
    # A page to be saved and opened apart from us: inline scripts do not run in this origin.
    saved = {"Content-Disposition": f'attachment; filename="{name}"'} if name.endswith(".html") else {}
    return Response(body, media_type=_STATIC[name], headers=_STATIC_HEADERS | saved)


async def nothing(_: Site, __: Request) -> Response:
    """Answer for every address that is no page."""
    raise NotFound


def _signed_in(page: Page) -> OpenPage:
    """Wrap a page for those who are signed in: its session, and this request's id for the log."""

    async def opened(site: Site, request: Request) -> Response:
        slot = request.path_params["slot"]
        session = await site.sessions.find(slot, request.cookies.get(SESSION_COOKIE, ""))
        caller = session.caller.asking(channel="web", request=request.state.id)
        with collecting(caller):
            try:
                return await page(site, request, session._replace(caller=caller))
            except Forbidden as error:
                await site.door.refused(caller, error.code, request.url.path.removeprefix(f"/s/{slot}/"))
                raise

    return opened


def _answering(site: Site, method: str, page: OpenPage) -> Endpoint:
    """Wrap a page: its method, its errors as pages, its language cookie; no method stands for any."""

    async def endpoint(request: Request) -> Response:
        request.state.id = uuid4()
        try:
            _require(request, method)
            response = await page(site, request)
        except OverblikError as error:
            response = await pages.refused(site, request, error)
            if isinstance(error, TooMany):
                response.headers["Retry-After"] = str(error.after)
        except Exception:
            log.exception("web.fault", request=str(request.state.id))
            response = site.page("refused.html", request, status=500, code="fault", form={})
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="overblik"'
        if response.status_code == 405:
            response.headers["Allow"] = "GET, HEAD" if method == "GET" else method
        if (language := request.query_params.get("lang")) in LANGUAGES:
            secure = request.url.scheme == "https"
            response.set_cookie(
                LANGUAGE_COOKIE, language, _YEAR, path="/", samesite="lax", httponly=True, secure=secure
            )
        response.headers["X-Request-Id"] = str(request.state.id)
        return response

    return endpoint


def _require(request: Request, method: str) -> None:
    """Refuse another method than the page's, and a form that another site sent."""
    if method and request.method != method and (request.method, method) != ("HEAD", "GET"):
        raise NotAllowed("method-not-allowed", "This page does not work that way.")
    if request.method not in {"GET", "HEAD"} and _is_foreign(request):
        raise Forbidden("form-foreign", "This form came from another site.")


def _is_foreign(request: Request) -> bool:
    """Say whether a browser tells that another site sent this; the form's own token is asked for besides.

    Origin is `null` on our own forms, because our pages send no referrer.
    https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
    """
    if site := request.headers.get("sec-fetch-site", ""):
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin", "null")
    return origin != "null" and urlsplit(origin).netloc != request.headers.get("host", "")
