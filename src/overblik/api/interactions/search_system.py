"""search over several types (https://hl7.org/fhir/R4/http.html#search, `[base]?_type=A,B`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from overblik.api.http import require_json_answer
from overblik.api.interactions.search import asked, found_bundle, only_counts, opened, query_of
from overblik.api.matching import kept_types
from overblik.fhir.errors import Malformed
from overblik.fhir.query import INCLUDES, includes
from overblik.trust.door import searching
from overblik.trust.door.access import Page

if TYPE_CHECKING:
    from overblik.api.http import Request, Response, Services
    from overblik.fhir.query import Query
    from overblik.trust.door.access import Disclosed

MOST_TYPES = 20


async def search(services: Services, request: Request) -> Response:
    """Return one page of a search of each named type, one type after the other.

    Every parameter must be one of every type, and every include of one. A page may end with a type, and the next
    begin with another.
    """
    require_json_answer(request)
    types = _types(request)
    pairs = [(name, value) for name, value in opened(services, request) if name not in {"_type", "_cursor"}]
    queries = [await query_of(services, request, kind, _asked_of(kind, types, pairs)) for kind in types]
    applied = dict.fromkeys(pair for query in queries for pair in query.applied if pair[0] in INCLUDES)
    applied |= dict.fromkeys(queries[0].applied)
    whole = replace(queries[0], applied=(("_type", ",".join(types)), *applied))
    cursor = request.one("_cursor")
    counts = only_counts(request, whole)
    total = None
    if counts or (whole.total and not cursor):
        total = sum([await searching.count(services.door, request.caller, one, asked(one)) for one in queries])
    if counts:
        return found_bundle(services, request, whole, Page((), "", total))
    page = await _page(services, request, queries, cursor)
    return found_bundle(services, request, whole, replace(page, total=total))


async def of_patient(services: Services, request: Request) -> Response:
    """Search the record that a visible Patient opens for resources of several types."""
    return await search(services, replace(request, type="", id="", pairs=(("patient", request.id), *request.pairs)))


def _asked_of(kind: str, types: list[str], pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return what is asked of one type: every parameter, but includes of others only where they are of none."""
    return [
        (name, value)
        for name, value in pairs
        if name not in INCLUDES
        or includes(kind, name, value)
        or not any(includes(other, name, value) for other in types)
    ]


async def _page(services: Services, request: Request, queries: list[Query], cursor: str) -> Page:
    """Fill a page; its cursor is the type to go on with, and that type's own cursor."""
    name, _, inner = cursor.partition("~")
    position = next((n for n, query in enumerate(queries) if query.type == name), 0)
    if cursor and queries[position].type != name:
        raise Malformed("cursor-invalid", "This page link is not valid here; search again.")
    entries: list[Disclosed] = []
    included: dict[tuple[str, str], Disclosed] = {}
    for number, query in enumerate(queries[position:], position):
        part = replace(query, count=query.count - len(entries), cursor=inner, total="")
        page = await searching.search(services.door, request.caller, part, asked(query))
        entries += page.entries
        included |= {(one.type, one.id): one for one in page.included}
        inner, following = "", ""
        if page.cursor:
            following = f"{query.type}~{page.cursor}"
        elif len(entries) == query.count and number + 1 < len(queries):
            following = f"{queries[number + 1].type}~"
        if following:
            break
    matched = {(one.type, one.id) for one in entries}
    return Page(tuple(entries), following, None, tuple(one for key, one in included.items() if key not in matched))


def _types(request: Request) -> list[str]:
    """Return the types named by `_type`, each once."""
    named = list(dict.fromkeys(name for name in request.one("_type").split(",") if name))
    unknown = [name for name in named if name not in kept_types()]
    if unknown:
        text = f"There is no type {unknown[0][:64]!r} here."
        raise Malformed("resource-type-unknown", text, expression="http._type")
    if not 0 < len(named) <= MOST_TYPES:
        text = f"Name the types to search by _type=Condition,Observation, {MOST_TYPES} at the most."
        raise Malformed("types-needed", text, expression="http._type")
    return named
