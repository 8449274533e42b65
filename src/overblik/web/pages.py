"""One short function a page: fetch through the door, render."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.responses import RedirectResponse

from overblik.fhir.dates import parse_interval
from overblik.fhir.errors import Forbidden, Malformed, NotFound, OverblikError
from overblik.fhir.identifiers import CPR, X_ECPR, canonical
from overblik.trust.break_glass import break_glass as break_the_glass
from overblik.web.site import HEADERS, SESSION_COOKIE

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from overblik.trust.sessions import Session
    from overblik.web.site import Site

LOG_ROWS = 200
FORM_BYTES = 10_000


async def home(site: Site, request: Request, session: Session) -> Response:
    """The citizen's own overview, or the professional's worklist."""
    if session.caller.kind == "citizen":
        patient_id = await site.door.find(session.caller, CPR, session.caller.id)
        return await _overview(site, request, session, patient_id, "citizen.html")
    if session.caller.kind != "professional":
        raise Forbidden("no-pages", "Pages are for citizens and professionals.")
    work = await site.overviews.worklist(session.caller)
    return site.page("worklist.html", request, session=session, work=work)


async def patient(site: Site, request: Request, session: Session) -> Response:
    """One patient's overview, as the professional works."""
    if session.caller.kind == "citizen":
        raise NotFound
    return await _overview(site, request, session, request.path_params["id"], "professional.html")


async def _overview(site: Site, request: Request, session: Session, patient_id: str, template: str) -> Response:
    as_of = _as_of(request)
    found = await site.overviews.build(session.caller, patient_id, as_of)
    unit = site.directory.find(session.caller.org)
    return site.page(
        template,
        request,
        session=session,
        o=found,
        now=found.retrieved,
        as_of=as_of,
        view=_view(unit.kind if unit else ""),
    )


def _view(kind: str) -> str:
    """Return whose work a page is arranged for, from the kind of unit signed in at."""
    if kind in {"municipality", "municipal-unit"}:
        return "municipality"
    return "gp" if kind == "gp" else "hospital"


def _as_of(request: Request) -> datetime | None:
    text = request.query_params.get("asOf", "")
    if not text:
        return None
    interval = parse_interval(text.replace(" ", "+"))
    if interval is None:
        raise Malformed("as-of-invalid", "asOf takes a date or instant, such as 2026-11-22T10:00:00Z.")
    return interval.start if "T" in text else interval.end


async def log(site: Site, request: Request, session: Session) -> Response:
    """The citizen's log: who looked, where, when, what and why."""
    if session.caller.kind != "citizen":
        raise NotFound
    patient_id = await site.door.find(session.caller, CPR, session.caller.id)
    rows = await site.door.log(session.caller, patient_id, LOG_ROWS)
    return site.page("log.html", request, session=session, rows=rows)


async def raw(site: Site, request: Request, session: Session) -> Response:
    """A message as it came, as text; never run, never styled."""
    _, media, body = await site.door.binary(session.caller, request.path_params["id"])
    text = _readable(media, body or b"")
    return site.page("raw.html", request, session=session, media=media, text=text, size=len(body or b""))


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
    form = await _form(request, session)
    identifier = _identifier(form.get("cpr", ""))
    patient_id = await site.door.find(session.caller, *identifier)
    return RedirectResponse(f"/s/{session.slot}/patient/{patient_id}", 303, HEADERS)


async def break_glass(site: Site, request: Request, session: Session) -> Response:
    """Break the glass for one person, and open the record."""
    form = await _form(request, session)
    identifier = _identifier(form.get("cpr", ""))
    reason = form.get("reason", "")
    await break_the_glass(site.door, session.caller, *identifier, reason)
    caller = session.caller.asking(reason=reason)
    patient_id = await site.door.find(caller, *identifier)
    return RedirectResponse(f"/s/{session.slot}/patient/{patient_id}", 303, HEADERS)


async def _form(request: Request, session: Session) -> dict[str, str]:
    """Return a form's fields, if it is one of this session's."""
    body = await request.body()
    if len(body) > FORM_BYTES:
        raise Malformed("form-too-large", "The form is too large.")
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if fields.get("form_token") != session.form_token:
        raise Forbidden("form-foreign", "This form is from another page; open it again.")
    return fields


def _identifier(text: str) -> tuple[str, str]:
    cleaned = "".join(text.split()).replace("-", "").upper()
    return canonical(CPR if cleaned.isdigit() else X_ECPR, cleaned)


async def refused(site: Site, request: Request, error: OverblikError) -> Response:
    """The page of an error; hidden and absent are the same page."""
    slot = request.path_params.get("slot", "")
    session: Session | None = None
    with suppress(OverblikError):
        session = await site.sessions.find(slot, request.cookies.get(SESSION_COOKIE, ""))
    return site.page("refused.html", request, session=session, status=error.status, code=error.code)
