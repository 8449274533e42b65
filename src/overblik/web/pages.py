"""One short function a page: fetch through the door, render."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response

from overblik.fhir.dates import parse_interval
from overblik.fhir.errors import Forbidden, Malformed, NotFound, OverblikError, Unprocessable
from overblik.fhir.identifiers import CPR, D_ECPR, X_ECPR, Identifier, canonical, person_identifier_problem
from overblik.fhir.strict_json import dumps
from overblik.overview.context import Context, Viewer
from overblik.overview.sections.master_data import Person, master_data
from overblik.trust.log.proofs import own_log
from overblik.trust.treatment.break_glass import break_glass as break_the_glass
from overblik.web.forms import own_form
from overblik.web.site import HEADERS, SESSION_COOKIE

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request

    from overblik.trust.callers.identity import Caller
    from overblik.trust.callers.sessions import Session
    from overblik.trust.door.access import Disclosed
    from overblik.web.site import Site

LOG_ROWS = 200
LOOKS = 60
"""Entries among which the looks are that the overview tells of: three lines of professionals."""
_AN_INSTANT = timedelta(microseconds=1)


async def home(site: Site, request: Request, session: Session) -> Response:
    """The citizen's own overview, or the professional's worklist."""
    if session.caller.is_citizen:
        return await _own_overview(site, request, session)
    if session.caller.kind != "professional":
        raise Forbidden("no-pages", "Pages are for citizens and professionals.")
    work = await site.overviews.worklist(session.caller)
    return site.page("worklist.html", request, session=session, work=work)


async def _own_overview(site: Site, request: Request, session: Session) -> Response:
    """The citizen's overview, with who looked lately."""
    as_of = _as_of(site, request)
    patient_id = await site.door.find(session.caller, CPR, session.caller.subject)
    found = await site.overviews.build(session.caller, patient_id, as_of)
    seen = [] if as_of else await site.door.log(session.caller, patient_id, LOOKS, professionals=True)
    return site.page(
        "citizen.html",
        request,
        session=session,
        o=found,
        person=found.person,
        now=found.retrieved,
        as_of=as_of,
        seen=seen,
    )


async def patient(site: Site, request: Request, session: Session) -> Response:
    """One patient's overview, as the professional works."""
    if session.caller.is_citizen:
        raise NotFound
    as_of = _as_of(site, request)
    found = await site.overviews.build(session.caller, request.path_params["id"], as_of)
    unit = site.directory.find(session.caller.org)
    view = _view(unit.kind if unit else "")
    return site.page(
        "professional.html",
        request,
        session=session,
        o=found,
        person=found.person,
        now=found.retrieved,
        as_of=as_of,
        view=view,
    )


def _view(kind: str) -> str:
    """Return whose work a page is arranged for, from the kind of unit signed in at."""
    if kind in {"municipality", "municipal-unit"}:
        return "municipality"
    return "gp" if kind == "gp" else "hospital"


def _as_of(site: Site, request: Request) -> datetime | None:
    """Return the instant of knowledge asked for; None for the present.

    A day stands for its end, and so does a minute, which is what the form sends.
    """
    text = request.query_params.get("asOf", "")
    if not text:
        return None
    interval = parse_interval(text.replace(" ", "+"))
    if interval is None:
        raise Malformed("as-of-invalid", "asOf takes a date or instant, such as 2026-11-22T10:00:00Z.")
    wide = interval.end - interval.start >= timedelta(minutes=1)
    moment = interval.end - _AN_INSTANT if wide else interval.start
    return moment if moment < site.door.clock.now() else None


async def log(site: Site, request: Request, session: Session) -> Response:
    """The citizen's log: who looked, where, when, what and why."""
    if not session.caller.is_citizen:
        raise NotFound
    patient_id = await site.door.find(session.caller, CPR, session.caller.subject)
    rows = await site.door.log(session.caller, patient_id, LOG_ROWS)
    return site.page("log.html", request, session=session, rows=rows, most=LOG_ROWS)


async def log_file(site: Site, _: Request, session: Session) -> Response:
    """The citizen's log as a file that can be verified without us (docs/log.md)."""
    if not session.caller.is_citizen:
        raise NotFound
    patient_id = await site.door.find(session.caller, CPR, session.caller.subject)
    found = await own_log(site.door, site.heads, session.caller, patient_id)
    name = {"Content-Disposition": 'attachment; filename="overblik-log.json"'}
    return Response(dumps(found), media_type="application/json", headers=HEADERS | name)


async def raw(site: Site, request: Request, session: Session) -> Response:
    """A message as it came, as text; never run, never styled."""
    stands, media, body = await site.door.binary(session.caller, request.path_params["id"])
    patient_id, person = await _person_of(site, session.caller, stands)
    text = _readable(media, body or b"")
    return site.page(
        "raw.html",
        request,
        session=session,
        person=person,
        patient_id=patient_id,
        media=media,
        text=text,
        size=len(body or b""),
    )


async def _person_of(site: Site, caller: Caller, binary: Disclosed) -> tuple[str, Person | None]:
    """Return whom a message is about, so that its page names them; nobody where that is not for the caller."""
    reference = str(binary.json().get("securityContext", {}).get("reference", ""))
    if not reference.startswith("Patient/"):
        return "", None
    patient_id = reference.removeprefix("Patient/")
    with suppress(NotFound):
        record = await site.door.gather(caller, patient_id, ("Patient",), "read raw")
        return patient_id, master_data(
            Context(record, Viewer.of(caller), site.door.clock.now(), site.directory.find)
        ).person
    return "", None


def _readable(media: str, body: bytes) -> str:
    """Return bytes as text to read; JSON is indented, what is no text is not shown."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ""
    if "json" in media:
        try:
            return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        except ValueError:
            return text
    return text if "xml" in media or media.startswith("text/") else ""


async def look_up(site: Site, request: Request, session: Session) -> Response:
    """Open a patient by CPR; the same answer for hidden and absent."""
    form = await own_form(request, session)
    patient_id = await site.door.find(session.caller, *identifier_of(form.get("cpr", "")))
    return RedirectResponse(f"/s/{session.slot}/patient/{patient_id}", 303, HEADERS)


async def break_glass(site: Site, request: Request, session: Session) -> Response:
    """Break the glass for one person, and open the record."""
    form = await own_form(request, session)
    identifier = identifier_of(form.get("cpr", ""))
    reason = form.get("reason", "")
    await break_the_glass(site.door, session.caller, *identifier, reason, proved_at=session.proved_at)
    caller = session.caller.asking(reason=reason)
    patient_id = await site.door.find(caller, *identifier)
    return RedirectResponse(f"/s/{session.slot}/patient/{patient_id}", 303, HEADERS)


def identifier_of(text: str) -> tuple[str, str]:
    """Return (system, value) of a CPR or replacement number as typed; Unprocessable for anything else."""
    cleaned = "".join(text.split()).replace("-", "").upper()
    system = CPR if cleaned.isdigit() else X_ECPR if cleaned[6:7] in {"1", "7"} else D_ECPR
    found: Identifier = canonical(system, cleaned)
    if person_identifier_problem(found):
        raise Unprocessable("identifier-invalid", "A CPR number is ten digits that begin with a date.")
    return found


async def refused(site: Site, request: Request, error: OverblikError) -> Response:
    """The page of an error; hidden and absent are the same page."""
    slot = request.path_params.get("slot", "")
    session: Session | None = None
    with suppress(OverblikError):
        session = await site.sessions.find(slot, request.cookies.get(SESSION_COOKIE, ""))
    form = getattr(request.state, "form", {})
    return site.page("refused.html", request, session=session, status=error.status, code=error.code, form=form)
