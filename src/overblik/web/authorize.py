"""Letting an app in: what it would see, in plain words, and a yes or a no. And opening one from a patient's page."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

from starlette.responses import RedirectResponse, Response

from overblik.fhir.compartment import is_shared
from overblik.fhir.errors import Forbidden, Malformed, NotFound
from overblik.fhir.identifiers import CPR
from overblik.fhir.query import Query, Tokens
from overblik.trust.callers.sessions import person_digest
from overblik.trust.door.searching import search
from overblik.trust.smart.requests import RefusedWish, address_of
from overblik.web.forms import once, own_form
from overblik.web.pages import identifier_of
from overblik.web.site import HEADERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from overblik.trust.callers.scopes import Scope
    from overblik.trust.callers.sessions import Session
    from overblik.trust.smart.requests import Wish
    from overblik.web.site import Site

AUTHORISATION = "https://autregweb.sst.dk"


async def consent(site: Site, request: Request, session: Session) -> Response:
    """Ask the person whether an app may see what it asks for."""
    asked = once(request.query_params.multi_items())
    try:
        wish = await site.smart.wish(asked)
    except RefusedWish as refused:
        return RedirectResponse(refused.address, 303, HEADERS)
    patient = await _patient(site, session, wish)
    name = await _name(site, session, patient) if patient else ""
    query = urlencode(asked)
    return _page(site, request, session, wish, query=query, patient=patient, patient_name=name)


def _page(site: Site, request: Request, session: Session, wish: Wish, **values: Any) -> Response:
    place = urlsplit(wish.redirect).netloc or wish.redirect
    page = site.page(
        "consent.html", request, session=session, wish=wish, verbs=verbs, is_shared=is_shared, place=place, **values
    )
    # Browsers hold the redirect that follows a form to this as well.
    policy = HEADERS["Content-Security-Policy"].replace(
        "form-action 'self'", f"form-action 'self' {origin(wish.redirect)}"
    )
    page.headers["Content-Security-Policy"] = policy
    return page


def origin(address: str) -> str:
    """Return what a content security policy calls the place of an address: its origin, or a native app's scheme."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else f"{parts.scheme}:"


def verbs(scope: Scope) -> list[str]:
    """Return what a scope lets an app do, by the letters of `VERBS`."""
    return list(dict.fromkeys(scope.letters.replace("s", "r")))


async def decide(site: Site, request: Request, session: Session) -> Response:
    """Send the app its code, or that the person said no."""
    form = await own_form(request, session)
    query = once(parse_qsl(form.get("query", ""), keep_blank_values=True))
    try:
        wish = await site.smart.wish(query)
    except RefusedWish as refused:
        return RedirectResponse(refused.address, 303, HEADERS)
    answer = {"state": wish.state, "iss": site.smart.address}
    if form.get("decision") != "allow":
        text = "The person said no."
        await site.smart.end(wish)
        denied = {"error": "access_denied", "error_description": text, **answer}
        return RedirectResponse(address_of(wish.redirect, denied), 303, HEADERS)
    patient = await _patient(site, session, wish, form)
    user = await _fhir_user(site, session, patient) if "fhirUser" in wish.scopes.context else ""
    await site.smart.end(wish)
    code = await site.smart.grants.open(wish, session.caller, session.slot, patient=patient, fhir_user=user)
    return RedirectResponse(address_of(wish.redirect, {"code": code, **answer}), 303, HEADERS)


async def _patient(site: Site, session: Session, wish: Wish, form: Mapping[str, str] | None = None) -> str:
    """Return the id of the patient in context: the one on the page it was opened from, oneself, or the one chosen.

    "" where none is needed, or a professional has yet to choose.
    """
    if session.caller.kind not in {"citizen", "professional"}:
        raise Forbidden("no-pages", "Pages are for citizens and professionals.")
    if wish.launch:
        note = site.smart.launched(wish.launch, wish.client.id)
        mine = secrets.compare_digest(bytes.fromhex(note["person"]), person_digest(session.caller))
        if note["slot"] != session.slot or not mine:
            raise Malformed("launch-invalid", "The app was opened by somebody else; open it from the patient's page.")
        return str(note["patient"])
    if not wish.scopes.of_patient:
        return ""
    if session.caller.kind == "citizen":
        return await site.door.find(session.caller, CPR, session.caller.id)
    return await site.door.find(session.caller, *identifier_of(form.get("cpr", ""))) if form is not None else ""


async def _name(site: Site, session: Session, patient: str) -> str:
    """Return what the patient in context is called."""
    found = (await site.door.read(session.caller, "Patient", patient)).json()
    names = found.get("name") or [{}]
    return " ".join([*names[0].get("given", []), names[0].get("family", "")]).strip() or str(names[0].get("text", ""))


async def _fhir_user(site: Site, session: Session, patient: str) -> str:
    """Return the resource that stands for the person: a citizen's own Patient, a professional's role."""
    if session.caller.kind == "citizen":
        return f"Patient/{patient or await site.door.find(session.caller, CPR, session.caller.id)}"
    query = Query("PractitionerRole", (Tokens("identifier", ((AUTHORISATION, session.caller.id),)),), 1)
    found = await search(site.door, session.caller, query, "PractitionerRole")
    return f"PractitionerRole/{found.entries[0].id}" if found.entries else ""


async def apps(site: Site, request: Request, session: Session) -> Response:
    """The apps that can be opened with a patient."""
    patient = request.path_params["id"]
    name = await _name(site, session, patient)
    found = [client for client in await site.smart.clients.listed() if client.launch_url]
    return site.page("apps.html", request, session=session, apps=found, patient=patient, patient_name=name)


async def launch(site: Site, request: Request, session: Session) -> Response:
    """Open an app with the patient whose page this is (EHR launch)."""
    client = await site.smart.clients.find(request.path_params["client"])
    if client is None or not client.launch_url:
        raise NotFound
    patient = request.path_params["id"]
    await site.door.read(session.caller, "Patient", patient)
    handle = site.smart.launch(session, client.id, patient)
    return RedirectResponse(
        address_of(client.launch_url, {"iss": site.smart.grants.base, "launch": handle}), 303, HEADERS
    )


async def revoke(site: Site, request: Request, session: Session) -> Response:
    """Take back what an app was let to do; its tokens open nothing from now on."""
    form = await own_form(request, session)
    try:
        grant = UUID(form.get("grant", ""))
    except ValueError:
        raise NotFound from None
    await site.smart.grants.end(grant, person_digest(session.caller))
    return RedirectResponse(f"/s/{session.slot}/sign-ins", 303, HEADERS)
