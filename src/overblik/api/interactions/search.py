"""search (https://hl7.org/fhir/R4/http.html#search)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from overblik.api.http import Response, as_stored, require_json_answer
from overblik.fhir.errors import Unprocessable
from overblik.fhir.query import MOST_COUNT, parse_query
from overblik.fhir.strict_json import dumps

if TYPE_CHECKING:
    from overblik.api.http import Request, Services
    from overblik.fhir.query import Query
    from overblik.fhir.strict_json import Json
    from overblik.trust.access import Page

MOST_COUNTED = 100_000
_FORM = frozenset({"_format", "_pretty", "_summary", "_elements"})
"""Parameters that a next page repeats, so that it looks as the first one does."""


async def search(services: Services, request: Request) -> Response:
    """Return one page of what the caller may see; total is not counted, the next link says if more is."""
    require_json_answer(request)
    query = parse_query(request.type, request.pairs, lenient=request.lenient)
    asked = f"{request.type}?{urlencode(query.applied)}"
    if request.form.shape.summary == "count" or query.count == 0:  # the standard has them be one
        return await _counted(services, request, query, asked)
    page = await services.door.search(request.caller, query, asked)
    return Response(200, dumps(_bundle(request, query, page)))


def _bundle(request: Request, query: Query, page: Page) -> Json:
    links = [{"relation": "self", "url": _link(request, query, "")}]
    if page.cursor:
        links.append({"relation": "next", "url": _link(request, query, page.cursor)})
    entries = [
        {
            "fullUrl": f"{request.base}/{found.type}/{found.id}",
            "resource": as_stored(found),
            "search": {"mode": "match"},
        }
        for found in page.entries
    ]
    more = {"entry": entries} if entries else {}
    return {"resourceType": "Bundle", "type": "searchset", "link": links, **more}


async def _counted(services: Services, request: Request, query: Query, asked: str) -> Response:
    """Return how many there are and none of them; each page counted is decided and logged like any other."""
    links = [{"relation": "self", "url": _link(request, query, "")}]
    total, query = 0, replace(query, count=MOST_COUNT, cursor="")
    while True:
        page = await services.door.search(request.caller, query, asked)
        total += len(page.entries)
        if not page.cursor:
            break
        if total >= MOST_COUNTED:
            text = f"More than {MOST_COUNTED} match; make the search narrower to have them counted."
            raise Unprocessable("count-too-large", text, kind="too-costly", expression="http._summary")
        query = replace(query, cursor=page.cursor)
    return Response(200, dumps({"resourceType": "Bundle", "type": "searchset", "total": total, "link": links}))


def _link(request: Request, query: Query, cursor: str) -> str:
    """Return a link that repeats the search; a CPR that came in is never written into it."""
    pairs = [(name, "…" if name.endswith("identifier") else value) for name, value in query.applied]
    pairs += [pair for pair in request.pairs if pair[0] in _FORM]
    pairs += [("_count", str(query.count))]
    pairs += [("_cursor", cursor)] if cursor else []
    return f"{request.base}/{request.type}?{urlencode(pairs)}"
