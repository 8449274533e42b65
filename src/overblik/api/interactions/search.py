"""search (https://hl7.org/fhir/R4/http.html#search)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from overblik.api.http import Response, require_json_answer
from overblik.fhir.query import parse_query
from overblik.fhir.strict_json import dumps

if TYPE_CHECKING:
    from overblik.api.http import Request, Services
    from overblik.fhir.query import Query


async def search(services: Services, request: Request) -> Response:
    """Return one page of what the caller may see; total is not counted, the next link says if more is."""
    require_json_answer(request)
    query = parse_query(request.type, request.pairs, lenient=request.lenient)
    asked = f"{request.type}?{urlencode(query.applied)}"
    page = await services.door.search(request.caller, query, asked)
    links = [{"relation": "self", "url": _link(request, query, "")}]
    if page.cursor:
        links.append({"relation": "next", "url": _link(request, query, page.cursor)})
    bundle = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": links,
        "entry": [
            {
                "fullUrl": f"{request.base}/{found.type}/{found.id}",
                "resource": found.json(),
                "search": {"mode": "match"},
            }
            for found in page.entries
        ],
    }
    if not bundle["entry"]:
        del bundle["entry"]
    return Response(200, dumps(bundle))


def _link(request: Request, query: Query, cursor: str) -> str:
    """Return a link that repeats the search; a CPR that came in is never written into it."""
    pairs = [(name, "…" if name.endswith("identifier") else value) for name, value in query.applied]
    pairs += [("_count", str(query.count))]
    pairs += [("_cursor", cursor)] if cursor else []
    return f"{request.base}/{request.type}?{urlencode(pairs)}"
