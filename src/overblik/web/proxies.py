"""The citizen's page of powers of attorney: who may act for them, and whom they may act for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response

from overblik.fhir.errors import NotFound, Unprocessable
from overblik.fhir.identifiers import CPR, cpr_birth_date
from overblik.overview.context import Context, Viewer
from overblik.overview.sections.master_data import master_data
from overblik.trust.consent import writing
from overblik.trust.consent.mandates import act_for, held
from overblik.web.consent_form import GROUPS, group_names, mandate_of, said_of
from overblik.web.forms import own_form
from overblik.web.sign_in import set_session
from overblik.web.site import HEADERS

if TYPE_CHECKING:
    from starlette.requests import Request

    from overblik.trust.callers.sessions import Session
    from overblik.trust.consent.mandates import Held
    from overblik.web.consent_form import Said
    from overblik.web.site import Site


async def proxies(site: Site, request: Request, session: Session) -> Response:
    """Who may act for the citizen, whom they may act for, and the form that gives a power of attorney."""
    _require_citizen(session)
    given: list[Said] = []
    with suppress(NotFound):  # somebody may act for another without a record of their own
        patient_id = await site.door.find(session.caller, CPR, session.caller.id)
        record = await site.door.gather(session.caller, patient_id, ("Patient", "Consent"), "proxies")
        given = said_of(record, site.directory, site.door.clock.now(), mandates=True)
    mine = [
        (one, await _name(site, session, one), group_names(one.types or ()))
        for one in await held(site.door, session.caller)
    ]
    return site.page("proxies.html", request, session=session, given=given, held=mine, groups=GROUPS)


async def grant(site: Site, request: Request, session: Session) -> Response:
    """Give a power of attorney."""
    form = await own_form(request, session)
    _require_citizen(session)
    patient_id = await site.door.find(session.caller, CPR, session.caller.id)
    groups = tuple(group for group in GROUPS if form.get("group-" + group))
    consent = mandate_of(form, patient_id, groups)
    holder = consent["provision"]["actor"][0]["reference"]["identifier"]["value"]
    if cpr_birth_date(holder) is None or holder == session.caller.id:
        raise Unprocessable("identifier-invalid", "A CPR number is ten digits that begin with a date.")
    if form.get("how") not in {"whole", "parts"} or (form["how"] == "parts") is not bool(groups):
        raise Unprocessable("mandate-what", "Say whether it is for everything or for some, and for which.")
    await writing.create(site.door, site.writer, session.caller, consent, once=True)
    return RedirectResponse(f"/s/{session.slot}/proxies", 303, HEADERS)


async def act(site: Site, request: Request, session: Session) -> Response:
    """Begin to act for somebody, in a slot of its own beside one's own."""
    form = await own_form(request, session)
    proxy = await act_for(site.door, session.caller, form.get("cpr", ""))
    slot, cookie = await site.sessions.create(proxy, session.provider, session)
    response = RedirectResponse(f"/s/{slot}/", 303, HEADERS)
    set_session(site, request, response, slot, cookie)
    return response


async def _name(site: Site, session: Session, one: Held) -> str:
    """Return what somebody is called whom the citizen may act for; their log has that it was looked up."""
    try:
        proxy = await act_for(site.door, session.caller, one.cpr)
        patient_id = await site.door.find(proxy, CPR, one.cpr)
        record = await site.door.gather(proxy, patient_id, ("Patient",), "proxies")
    except NotFound:
        return ""
    return master_data(Context(record, Viewer.of(proxy), site.door.clock.now(), site.directory.find)).person.name


def _require_citizen(session: Session) -> None:
    if session.caller.kind != "citizen":
        raise NotFound
