"""search (https://hl7.org/fhir/R4/http.html#search)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from overblik.api.http import bundle_response, found_entry, require_json_answer
from overblik.fhir.query import parse_query
from overblik.trust import searching

if TYPE_CHECKING:
    from overblik.api.http import Request, Response, Services
    from overblik.fhir.query import Query
    from overblik.trust.access import Page

_FORM = frozenset({"_format", "_pretty", "_summary", "_elements"})
"""Parameters that a next page repeats, so that it looks as the first one does."""


async def search(services: Services, request: Request) -> Response:
    """Return one page of what the caller may see, counted where that is asked for; the next link says if more is."""
    require_json_answer(request)
    query = parse_query(request.type, _opened(services, request), lenient=request.lenient)
    counted = [("_total", query.total)] if query.total else []
    asked = f"{request.type}?{urlencode([*query.applied, *counted])}"
    if request.form.shape.summary == "count" or query.count == 0:  # the standard has them be one
        total = await searching.count(services.door, request.caller, query, asked)
        links = [{"relation": "self", "url": _link(services, request, query)}]
        return bundle_response("searchset", [], links=links, total=total)
    page = await searching.search(services.door, request.caller, query, asked)
    return _bundle(services, request, query, page)


def _bundle(services: Services, request: Request, query: Query, page: Page) -> Response:
    links = [{"relation": "self", "url": _link(services, request, query)}]
    if page.cursor:
        links.append({"relation": "next", "url": _link(services, request, query, page.cursor)})
    entries = [found_entry(request.base, match) for match in page.entries]
    entries += [found_entry(request.base, link, "include") for link in page.included]
    total = {} if page.total is None else {"total": page.total}
    return bundle_response("searchset", entries, links=links, **total)


_SEALED = "sealed:"
"""Before a value of a link that only the server can read: a CPR that came in is never written into one."""


def _link(services: Services, request: Request, query: Query, cursor: str = "") -> str:
    """Return a link that repeats the search; identifiers stand in it as … or, where it is to be followed, sealed."""
    pairs = []
    for name, value in query.applied:
        if "identifier" in name:
            value = _SEALED + services.door.cursors.seal(value, _seal(request, name)) if cursor else "…"  # noqa: PLW2901
        pairs.append((name, value))
    pairs += [pair for pair in request.pairs if pair[0] in _FORM]
    pairs += [("_count", str(query.count))]
    if cursor:
        pairs.append(("_cursor", cursor))
    elif query.total:
        pairs.append(("_total", query.total))
    return f"{request.base}/{request.type}?{urlencode(pairs)}"


def _opened(services: Services, request: Request) -> list[tuple[str, str]]:
    """Return the parameters of a request, with what one of our own links has sealed."""
    return [
        (name, services.door.cursors.open(value.removeprefix(_SEALED), _seal(request, name)))
        if value.startswith(_SEALED)
        else (name, value)
        for name, value in request.pairs
    ]


def _seal(request: Request, name: str) -> str:
    return f"{request.caller.viewer}|{request.type}|{name}"
