"""The built-in test provider's page and endpoints; they are there in demo and test only."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import JSONResponse, RedirectResponse, Response

from overblik.fhir.errors import Malformed, NotAllowed, NotFound, OverblikError
from overblik.web.forms import read_form
from overblik.web.site import HEADERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from overblik.trust.oidc.test_provider import TestProvider
    from overblik.web.site import Site

_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def _provider(site: Site, request: Request, *methods: str) -> TestProvider:
    if site.provider is None:
        raise NotFound
    if request.method not in methods:
        raise NotAllowed("method-not-allowed", "This page does not work that way.")
    return site.provider


async def discovery(site: Site, request: Request) -> Response:
    """The provider's description."""
    return JSONResponse(_provider(site, request, "GET").metadata(), headers=_STORE)


async def jwks(site: Site, request: Request) -> Response:
    """The key that id_tokens are signed with."""
    return JSONResponse(_provider(site, request, "GET").jwks(), headers=_STORE)


async def authorize(site: Site, request: Request) -> Response:
    """The page where a test person is chosen; a hint that names one chooses for us, unless it is to be proved again."""
    provider = _provider(site, request, "GET", "POST")
    form = await read_form(request) if request.method == "POST" else {}
    query: Mapping[str, str] = form or request.query_params
    asked = provider.asked(query)
    if form.get("cancel"):
        return _back(*provider.back(provider.refusal(asked)))
    name = form.get("person", "") or ("" if asked.again else asked.hint)
    if name and (person := await provider.person(name)):
        return _back(*provider.back(provider.answer(asked, person)))
    persons = await provider.listed()
    hinted = await provider.person(asked.hint) if asked.hint else None
    if hinted and all(hinted.id != person.id for person in persons):
        persons = [hinted, *persons]
    return site.page("test-provider.html", request, persons=persons, query=dict(query))


def _back(place: str, answer: dict[str, str]) -> Response:
    return RedirectResponse(f"{place}?{urlencode(answer)}", 303, HEADERS)


async def token(site: Site, request: Request) -> Response:
    """The tokens for a code (RFC 6749 § 4.1.3); an error as § 5.2 has it."""
    provider = _provider(site, request, "POST")
    try:
        return JSONResponse(await provider.token(await read_form(request)), headers=_STORE)
    except Malformed:
        return JSONResponse({"error": "invalid_grant"}, 400, _STORE)


async def userinfo(site: Site, request: Request) -> Response:
    """The claims of the person an access token was given for."""
    provider = _provider(site, request, "GET")
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    try:
        return JSONResponse(await provider.userinfo(value if scheme.lower() == "bearer" else ""), headers=_STORE)
    except OverblikError:
        return JSONResponse({"error": "invalid_token"}, 401, {**_STORE, "WWW-Authenticate": "Bearer"})


PAGES = (
    ("/test-provider/.well-known/openid-configuration", discovery),
    ("/test-provider/jwks", jwks),
    ("/test-provider/authorize", authorize),
    ("/test-provider/token", token),
    ("/test-provider/userinfo", userinfo),
)
