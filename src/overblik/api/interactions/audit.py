"""AuditEvent: read, vread and search of the log of one's own record (docs/log.md), made from its entries.

Nobody writes events but the server itself: create, update, patch and delete are 405.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from overblik.api.http import Response, bundle_response, require_json_answer, version_headers
from overblik.api.parameters import count, page_links, require_known
from overblik.api.preconditions import not_modified
from overblik.fhir.dates import Interval, parse_interval
from overblik.fhir.errors import Malformed, NotFound
from overblik.fhir.references import elsewhere, parse_reference
from overblik.fhir.strict_json import dumps
from overblik.trust.door.access import Disclosed
from overblik.trust.log import audit
from overblik.trust.log.audit import Asked
from overblik.trust.log.events import INTERACTION, KINDS, OUTCOME, OUTCOMES, REST, audit_event

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from overblik.api.http import Request, Services

PARAMETERS = {
    "_id": "token", "action": "token", "agent": "reference", "agent-name": "string", "date": "date",
    "entity": "reference", "outcome": "token", "patient": "reference", "subtype": "token", "type": "token",
}  # fmt: skip
"""What the log is searched by, and its types, as the CapabilityStatement tells them."""
MOST_VALUES = 20
_TAKEN = (*PARAMETERS, "agent:identifier", "_count", "_cursor", "_sort")
_DATE = re.compile(r"(eq|ge|le|gt|lt|sa|eb)?([0-9].*)")
_ACTION = "http://hl7.org/fhir/audit-event-action"


async def read(services: Services, request: Request) -> Response:
    """Return one event (https://hl7.org/fhir/R4/http.html#read)."""
    require_json_answer(request)
    require_known(request, ())
    row = await audit.read(services.door, request.caller, request.id)
    found = Disclosed("AuditEvent", request.id, 1, row.at, None)
    answer = Response(200, dumps(audit_event(row, request.base)), version_headers(1, row.at))
    return not_modified(request, found) or answer


async def vread(services: Services, request: Request) -> Response:
    """Return the one version that an event has (https://hl7.org/fhir/R4/http.html#vread)."""
    found = await read(services, request)
    if request.version != "1":
        raise NotFound
    return found


async def search(services: Services, request: Request) -> Response:
    """Return one page of events, newest first (https://hl7.org/fhir/R4/http.html#search)."""
    require_json_answer(request)
    require_known(request, _TAKEN)
    if request.form.shape.summary == "count" or request.one("_count") == "0":
        raise _wrong("_summary", "Events are shown and not counted; ask without _summary=count.")
    if request.one("_sort") not in {"", "-date"}:
        raise _wrong("_sort", "Events come newest first, which is _sort=-date.")
    if "_id" in {name for name, _ in request.pairs}:
        rows, cursor = await _by_id(services, request), ""
    else:
        rows, cursor = await audit.search(services.door, request.caller, _asked(request))
    entries: list[Any] = [
        {"fullUrl": f"{request.base}/AuditEvent/{row.lid}", "resource": audit_event(row, request.base),
         "search": {"mode": "match"}}
        for row in rows
    ]  # fmt: skip
    return bundle_response("searchset", entries, links=page_links(request, "AuditEvent", _TAKEN, cursor))


async def of_patient(services: Services, request: Request) -> Response:
    """Search the events of the record that a Patient opens."""
    return await search(services, replace(request, id="", pairs=(("patient", request.id), *request.pairs)))


async def _by_id(services: Services, request: Request) -> list[Any]:
    if {name for name, _ in request.pairs} & {*PARAMETERS, "agent:identifier"} != {"_id"}:
        raise _wrong("_id", "_id names one event, and stands without another parameter.")
    try:
        return [await audit.read(services.door, request.caller, request.one("_id"))]
    except NotFound:
        return []


def _asked(request: Request) -> Asked:
    """Return what the parameters ask for; Malformed names the one that means nothing."""
    given = dict.fromkeys(name for name, _ in request.pairs)
    span = _span([value for name, value in request.pairs if name == "date"])
    text = "&".join(f"{name}={value}" for name, value in request.pairs if name in _TAKEN and name != "_cursor")
    return Asked(
        patient=_patient(request) if "patient" in given else "",
        start=span[0],
        end=span[1],
        outcomes=_chosen(request, "outcome", OUTCOME, OUTCOMES.items()),
        actions=_actions(request),
        agents=_agents(request),
        agent=_reference(request, "agent") if "agent" in given else None,
        names=_names(request) if "agent-name" in given else None,
        about=_reference(request, "entity") if "entity" in given else None,
        count=count(request),
        cursor=request.one("_cursor"),
        text=text[:2000],
    )


def _patient(request: Request) -> str:
    found = parse_reference(text if "/" in (text := request.one("patient")) else f"Patient/{text}")
    if found is None or found.type != "Patient" or found.version:
        raise _wrong("patient", "patient takes one Patient: an id, or Patient/id.")
    return "\x00" if elsewhere(found) else found.id


def _reference(request: Request, name: str) -> tuple[str, str]:
    found = parse_reference(request.one(name))
    if found is None or found.version:
        raise _wrong(name, f"{name} takes one reference, as Patient/id; agents are found by agent:identifier too.")
    return ("Patient", "\x00") if elsewhere(found) else (found.type, found.id)


def _span(texts: list[str]) -> tuple[datetime | None, datetime | None]:
    """Return the instants between which entries were recorded, from all `date` together."""
    start: datetime | None = None
    end: datetime | None = None
    for text in texts:
        match = _DATE.fullmatch(text.replace(" ", "+"))
        found = parse_interval(match[2]) if match else None
        if match is None or found is None:
            raise _wrong("date", "date takes eq, ge, le, gt, lt, sa or eb and a date or instant, as ge2026-11-01.")
        first, last = _bounds(match[1] or "eq", found)
        start = first if start is None else max(start, first or start)
        end = last if end is None else min(end, last or end)
    return start, end


def _bounds(prefix: str, found: Interval) -> tuple[datetime | None, datetime | None]:
    """Return (from, before) of an instant that stands in this relation to an interval."""
    match prefix:
        case "ge":
            return found.start, None
        case "le":
            return None, found.end
        case "gt" | "sa":
            return found.end, None
        case "lt" | "eb":
            return None, found.start
        case _:
            return found.start, found.end


def _actions(request: Request) -> tuple[str, ...] | None:
    """Return the actions of the log that action, type and subtype leave; None where all are asked for."""
    actions, subtypes = _codes(request, "action", _ACTION), _codes(request, "subtype", INTERACTION)
    types = _codes(request, "type", REST["system"])
    if actions is None and subtypes is None and types is None:
        return None
    if types is not None and REST["code"] not in types:
        return ()
    return tuple(
        name for name, kind in KINDS.items()
        if (actions is None or kind.action in actions) and (subtypes is None or kind.interaction in subtypes)
    )  # fmt: skip


def _chosen(request: Request, name: str, system: str, known: Iterable[tuple[str, str]]) -> tuple[str, ...] | None:
    wanted = _codes(request, name, system)
    return None if wanted is None else tuple(value for value, code in known if code in wanted)


def _codes(request: Request, name: str, system: str) -> set[str] | None:
    """Return the codes that a token parameter names of a system; None where it is missing."""
    if name not in {known for known, _ in request.pairs}:
        return None
    found: set[str] = set()
    for text in _values(request, name):
        stated, bar, code = text.rpartition("|")
        if not bar or stated == system:
            found.add(code)
    return found


def _agents(request: Request) -> tuple[tuple[str | None, str], ...] | None:
    """Return the agents asked for by identifier."""
    given = {name for name, _ in request.pairs}
    if "agent:identifier" in given:
        parts = (text.rpartition("|") for text in _values(request, "agent:identifier"))
        return tuple((system if bar else None, value) for system, bar, value in parts)
    return None


def _names(request: Request) -> tuple[str, ...]:
    return tuple(text.lower() for text in _values(request, "agent-name"))


def _values(request: Request, name: str) -> list[str]:
    """Return the values of a parameter that may stand once, parted by commas."""
    values = [part.strip() for part in request.one(name).split(",")]
    if not all(values) or len(values) > MOST_VALUES or any("\x00" in value for value in values):
        raise _wrong(name, f"{name} takes up to {MOST_VALUES} values, parted by commas.")
    return values


def _wrong(name: str, text: str) -> Malformed:
    return Malformed("search-value-invalid", text, expression=f"http.{name}")
