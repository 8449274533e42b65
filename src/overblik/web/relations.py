"""The relations a professional works under, one that they state themselves, and what the unit has to follow up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response

from overblik.fhir.errors import NotFound
from overblik.overview.context import Context, Viewer
from overblik.overview.sections.master_data import master_data
from overblik.trust.treatment.follow_up import close, follow_ups
from overblik.trust.treatment.relations import relations as relations_of
from overblik.trust.treatment.stated import state_relation
from overblik.web.forms import own_form
from overblik.web.pages import identifier_of
from overblik.web.site import HEADERS

if TYPE_CHECKING:
    from starlette.requests import Request

    from overblik.trust.callers.sessions import Session
    from overblik.web.site import Site


async def relations(site: Site, request: Request, session: Session) -> Response:
    """Under which relations the professional works, on what evidence, until when; and what the unit follows up."""
    if session.caller.kind != "professional":
        raise NotFound
    now = site.door.clock.now()
    found = [
        (
            record.patient_id,
            master_data(Context(record, Viewer.of(session.caller), now, site.directory.find)).person,
            mine,
        )
        for record, mine in await relations_of(site.door, session.caller)
    ]
    cases = await follow_ups(site.door, session.caller) if session.caller.org else []
    return site.page("relations.html", request, session=session, found=found, cases=cases, rules=site.stating)


async def state(site: Site, request: Request, session: Session) -> Response:
    """Open a record on the professional's own word, to be confirmed."""
    form = await own_form(request, session)
    if session.caller.kind != "professional":
        raise NotFound
    who = identifier_of(form.get("cpr", ""))
    reason = form.get("reason", "")
    await state_relation(site.door, session.caller, site.stating, who, form.get("basis", ""), reason)
    patient_id = await site.door.find(session.caller, *who)
    return RedirectResponse(f"/s/{session.slot}/patient/{patient_id}", 303, HEADERS)


async def followed_up(site: Site, request: Request, session: Session) -> Response:
    """Note that the unit has dealt with something."""
    form = await own_form(request, session)
    if session.caller.kind != "professional":
        raise NotFound
    await close(site.door, session.caller, form.get("case", ""), form.get("note", ""))
    return RedirectResponse(f"/s/{session.slot}/relations#follow-up", 303, HEADERS)
