"""$everything of a Patient (https://hl7.org/fhir/R4/patient-operation-everything.html)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from overblik.api.http import bundle_response, found_entries, require_json_answer
from overblik.api.matching import kept_types
from overblik.api.parameters import count, interval, operation_pairs, page_links, query_string, require_known
from overblik.fhir.errors import Malformed
from overblik.fhir.references import parse_reference, stated
from overblik.trust.door import history
from overblik.trust.door.history import Part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overblik.api.http import Request, Response, Services
    from overblik.trust.door.access import Disclosed

TAKEN = ("_count", "_cursor", "_since", "_type", "end", "start")


async def everything(services: Services, request: Request) -> Response:
    """Return one page of a whole record, and the organisations and persons that it refers to.

    Any Patient of a record that the caller may see opens it, with every source's part.
    """
    require_json_answer(request)
    request = replace(request, pairs=operation_pairs(request))
    require_known(request, TAKEN)
    since, start, end = (interval(request, name) for name in ("_since", "start", "end"))
    part = Part(
        types=_types(request),
        since=since.start if since else None,
        start=start.start if start else None,
        end=end.end if end else None,
        count=count(request),
        cursor=request.one("_cursor"),
    )
    path = f"Patient/{request.id}/$everything"
    asked = query_string([pair for pair in request.pairs if pair[0] != "_cursor"])
    page = await history.everything(services.door, request.caller, request.id, part, f"{path}?{asked}")
    found = found_entries(request.base, page.entries)
    referred = await _referred(services, request, page.entries, part.types)
    entries = b",".join(filter(None, (found, referred)))
    return bundle_response("searchset", entries, links=page_links(request, path, TAKEN, page.cursor))


def _types(request: Request) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(part for part in request.one("_type").split(",") if part))
    for name in named:
        if name not in kept_types():
            raise Malformed("resource-type-unknown", f"There is no type {name[:64]!r} here.", expression="http._type")
    return named


async def _referred(services: Services, request: Request, found: Iterable[Disclosed], types: tuple[str, ...]) -> bytes:
    """Return entries of what the page refers to and that belongs to no patient."""
    targets = (parse_reference(text) for text in stated(item.body or b"" for item in found))
    named = dict.fromkeys(
        (target.type, target.id)
        for target in targets
        if target and not target.base and (not types or target.type in types)
    )
    return found_entries(request.base, await history.shared(services.door, request.caller, named), "include")
