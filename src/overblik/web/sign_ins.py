"""A person's own sign-ins: where they are signed in, out of all of them at once, and proving again who they are."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response

from overblik.fhir.errors import Malformed, Unauthenticated
from overblik.trust.callers.sessions import person_digest
from overblik.web.forms import own_form
from overblik.web.sign_in import begin, set_session
from overblik.web.site import HEADERS, SESSION_COOKIE

if TYPE_CHECKING:
    from starlette.requests import Request

    from overblik.trust.callers.sessions import Session
    from overblik.web.site import Site

PROOF = "proof"


async def sign_ins(site: Site, request: Request, session: Session) -> Response:
    """The sessions that a person has open, in whatever browser."""
    titles = {provider.name: provider.title for provider in site.login.providers}
    found = await site.sessions.of_person(session.caller)
    grants = await site.smart.grants.of_person(session.caller)
    # Sessions are by the machine's clock; a demo's pages are by another.
    return site.page("sign-ins.html", request, session=session, sessions=found, titles=titles, grants=grants)


async def sign_out(site: Site, request: Request, session: Session) -> Response:
    """End the session of this slot, the others stay; or every session of the person."""
    form = await own_form(request, session)
    if form.get("everywhere"):
        await site.sessions.end_all(session.caller)
    else:
        await site.sessions.end(session.slot, request.cookies.get(SESSION_COOKIE, ""), session.caller)
    response = site.page("signed-out.html", request, everywhere=bool(form.get("everywhere")))
    response.delete_cookie(SESSION_COOKIE, path=f"/s/{session.slot}/", httponly=True, samesite="lax")
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


async def prove(site: Site, request: Request, session: Session) -> Response:
    """Send the person to their provider once more, to show who they are; they come back to `proved`."""
    provider = site.login.provider(session.provider)
    note = {"slot": session.slot, "next": request.query_params.get("next", "")[:500]}
    return begin(site, request, await site.login.start(provider, note=note, again=True))


async def proved(site: Site, request: Request, session: Session) -> Response:
    """Take the proof back into the slot it was asked for: the same person, and a new cookie (the old one is void)."""
    proof = site.login.seal.open(request.query_params.get("proof", ""), PROOF)
    if proof is None or proof["slot"] != session.slot:
        raise Malformed("sign-in-invalid", "This sign-in cannot be completed here; begin again on the front page.")
    if not secrets.compare_digest(bytes.fromhex(proof["person"]), person_digest(session.caller)):
        raise Unauthenticated
    old = request.cookies.get(SESSION_COOKIE, "")
    cookie = await site.sessions.prove(session.slot, old, bytes.fromhex(proof["person"]))
    response = RedirectResponse(f"/s/{session.slot}/{proof['next']}", 303, HEADERS)
    set_session(site, request, response, session.slot, cookie)
    return response
