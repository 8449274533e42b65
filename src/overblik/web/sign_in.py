"""The pages between a person and their provider: out, and back again with a session."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from starlette.responses import RedirectResponse, Response

from overblik.fhir.errors import Malformed
from overblik.trust.callers.sessions import person_digest
from overblik.trust.oidc.claims import claims_of
from overblik.trust.oidc.login import CALLBACK, MOST_SECONDS
from overblik.web.site import HEADERS, SESSION_COOKIE

if TYPE_CHECKING:
    from starlette.requests import Request

    from overblik.trust.oidc.login import Begun, Done
    from overblik.web.site import Site

MOST_HINT = 200


async def sign_in(site: Site, request: Request) -> Response:
    """Send the browser to a provider; the front page has the choice where there are several."""
    address = urlsplit(site.login.address)
    if request.url.netloc != address.netloc and "here" not in request.query_params:
        # The provider sends the browser back to the address it knows, and cookies are kept by address.
        query = urlencode([*request.query_params.multi_items(), ("here", "1")])
        return RedirectResponse(f"{site.login.address}/sign-in?{query}", 303, HEADERS)
    name = request.query_params.get("provider", "")
    if not name and len(site.login.providers) != 1:
        return RedirectResponse("/", 303, HEADERS)
    provider = site.login.provider(name) if name else site.login.providers[0]
    hint = request.query_params.get("hint", "")[:MOST_HINT]
    return begin(site, request, await site.login.start(provider, note={}, hint=hint))


def begin(site: Site, request: Request, begun: Begun) -> Response:
    """Send the browser to its provider with the cookie that it comes back with."""
    response = RedirectResponse(begun.url, 303, HEADERS)
    response.set_cookie(
        begun.cookie,
        begun.value,
        MOST_SECONDS,
        path=CALLBACK,
        httponly=True,
        samesite="lax",
        secure=secure(site, request),
    )
    return response


async def callback(site: Site, request: Request) -> Response:
    """Take a provider's answer, once: open a session in a slot of its own."""
    query = request.query_params
    cookie = site.login.cookie(query.get("state", ""))
    try:
        done = await site.login.finish(query, request.cookies)
    except Malformed:
        site.credentials.refused(request.client, request.headers)
        raise
    response = await _arrived(site, request, done)
    response.delete_cookie(cookie, path=CALLBACK, httponly=True, samesite="lax")
    return response


async def _arrived(site: Site, request: Request, done: Done) -> Response:
    await site.directory.refresh()
    caller = await site.sessions.caller(claims_of(done.provider, done.told, site.directory))
    if "slot" in done.note:  # the session's cookie goes to its slot only: what was proved is carried there
        proof = {**done.note, "person": person_digest(caller).hex()}
        query = urlencode({"proof": site.login.seal.seal(proof, "proof", 60)})
        return RedirectResponse(f"/s/{done.note['slot']}/proved?{query}", 303, HEADERS)
    slot, cookie = await site.sessions.create(caller, done.provider.name)
    response = RedirectResponse(f"/s/{slot}/{done.note.get('next', '')}", 303, HEADERS)
    set_session(site, request, response, slot, cookie)
    return response


def set_session(site: Site, request: Request, response: Response, slot: str, cookie: str) -> None:
    """Give a browser the cookie of a slot; scripts cannot read it, other sites cannot have it sent along."""
    response.set_cookie(
        SESSION_COOKIE, cookie, path=f"/s/{slot}/", httponly=True, samesite="lax", secure=secure(site, request)
    )


def secure(site: Site, request: Request) -> bool:
    """Say whether cookies are for TLS only: wherever users come by TLS, also behind a proxy that ends it."""
    return site.secure or request.url.scheme == "https"


PAGES = (("/sign-in", sign_in), (CALLBACK, callback))
