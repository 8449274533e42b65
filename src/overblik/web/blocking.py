"""The citizen's page of blocks: what is blocked, a new block with its preview, and the end of one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from starlette.responses import RedirectResponse, Response

from overblik.fhir.dates import instant
from overblik.fhir.errors import NotFound, Unprocessable
from overblik.fhir.identifiers import CPR
from overblik.overview.context import Context, Viewer
from overblik.overview.sections.master_data import master_data
from overblik.trust.consent import writing
from overblik.trust.consent.preview import preview
from overblik.trust.withheld import PSEUDONYM
from overblik.web.consent_form import GROUPS, LONGEST, consent_of, said_of, title_of
from overblik.web.forms import own_form
from overblik.web.site import HEADERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from overblik.trust.callers.sessions import Session
    from overblik.trust.door.access import Record
    from overblik.web.site import Site

LOG_ROWS = 200
FIELDS = ("who", "other", "alone", "what", "data_from", "data_until", "from", "until")


async def blocks(site: Site, request: Request, session: Session) -> Response:
    """What is blocked, and the form of a new block."""
    patient_id, record = await _own(site, session)
    choices = await _choices(site, session, patient_id)
    said = said_of(record, site.directory, site.door.clock.now())
    chosen = {name: request.query_params.get(name, "") for name in FIELDS}
    return site.page("blocks.html", request, session=session, said=said, groups=GROUPS, chosen=chosen, **choices)


async def before(site: Site, request: Request, session: Session) -> Response:
    """What the block of the form would hide, and from whom; nothing is set yet."""
    form = await own_form(request, session)
    patient_id, _ = await _own(site, session)
    choices = await _choices(site, session, patient_id)
    consent = consent_of(form, patient_id, choices["persons"])
    found = await preview(site.door, site.writer, session.caller, consent)
    listed = [(one, title_of(one.resource.json())) for one in found.hidden if one.resource.type != "Patient"]
    return site.page(
        "block-preview.html",
        request,
        session=session,
        found=found,
        listed=listed,
        counts=Counter(one.resource.type for one, _ in listed).most_common(),
        persons=choices["persons"],
        fields={name: form[name] for name in FIELDS if form.get(name)},
    )


async def set_block(site: Site, request: Request, session: Session) -> Response:
    """Set the block of the form."""
    form = await own_form(request, session)
    patient_id, _ = await _own(site, session)
    choices = await _choices(site, session, patient_id)
    consent = consent_of(form, patient_id, choices["persons"])
    await writing.create(site.door, site.writer, session.caller, consent, once=True)
    return RedirectResponse(f"/s/{session.slot}/blocks", 303, HEADERS)


async def end_block(site: Site, request: Request, session: Session) -> Response:
    """End a block or a power of attorney."""
    form = await own_form(request, session)
    _require_citizen(session)
    place = await writing.place_of_person(site.door, session.caller, CPR, session.caller.id)
    await writing.end(site.door, site.writer, session.caller, place, form.get("id", ""))
    page = "proxies" if form.get("page") == "proxies" else "blocks"
    return RedirectResponse(f"/s/{session.slot}/{page}", 303, HEADERS)


async def entered(site: Site, request: Request, session: Session) -> Response:
    """The form by which a professional enters what a citizen without digital sign-in has said."""
    patient_id, person = await _patient(site, request, session)
    return site.page(
        "block-entered.html", request, session=session, patient_id=patient_id, person=person, groups=GROUPS, done=False
    )


async def enter(site: Site, request: Request, session: Session) -> Response:
    """Set a block on the citizen's word; nothing is told of those there are."""
    form = await own_form(request, session)
    patient_id, person = await _patient(site, request, session)
    word = form.get("word", "").strip()[:LONGEST]
    if not word or "verified" not in form:
        raise Unprocessable("consent-word-missing", "Say whose word it is, and that you have made sure of it.")
    said = {"verified": True, "verifiedWith": {"display": word}, "verificationDate": instant(site.door.clock.now())}
    consent = {**consent_of(form, patient_id, {}), "verification": [said]}
    await writing.create(site.door, site.writer, session.caller, consent)
    return site.page(
        "block-entered.html", request, session=session, patient_id=patient_id, person=person, groups=GROUPS, done=True
    )


async def _patient(site: Site, request: Request, session: Session) -> tuple[str, Any]:
    """Return a patient whom the professional may see, and who they are."""
    if session.caller.kind != "professional":
        raise NotFound
    patient_id = str(request.path_params["id"])
    record = await site.door.gather(session.caller, patient_id, ("Patient",), "read")
    return patient_id, master_data(
        Context(record, Viewer.of(session.caller), site.door.clock.now(), site.directory.find)
    ).person


def _require_citizen(session: Session) -> None:
    if session.caller.kind != "citizen":
        raise NotFound


async def _own(site: Site, session: Session) -> tuple[str, Record]:
    """Return the citizen's own record, as far as blocks need it."""
    _require_citizen(session)
    patient_id = await site.door.find(session.caller, CPR, session.caller.id)
    return patient_id, await site.door.gather(session.caller, patient_id, ("Patient", "Consent"), "blocks")


async def _choices(site: Site, session: Session, patient_id: str) -> Mapping[str, Any]:
    """Return whom and what the form lets choose: who looked, who has a relation, who has delivered."""
    rows = await site.door.log(session.caller, patient_id, LOG_ROWS)
    staff = [r for r in rows if r.actor_kind == "professional"]
    known = [r for r in reversed(staff) if not r.actor.startswith(PSEUDONYM)]  # the others are blocked by unit
    persons = {r.actor: ", ".join(p for p in (r.actor_name, r.actor_role, r.org_name) if p) for r in known}
    found = await site.door.circle(session.caller, patient_id)
    orgs = {org for org, _ in found.relations} | {r.org for r in staff if r.org}
    units = {token: unit.name for token in orgs if (unit := site.directory.find(token))}
    above = {
        t: u.name for token in orgs for t in site.directory.path(token) if (u := site.directory.find(t)) and u.sor == t
    }
    sources = {unit.sor: unit.name for token in found.sources if (unit := site.directory.find(token))}
    return {
        "persons": persons,
        "units": sorted((above | units).items(), key=lambda item: item[1]),
        "sources": sorted(sources.items(), key=lambda item: item[1]),
    }
