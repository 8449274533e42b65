"""$everything of a Patient (https://hl7.org/fhir/R4/patient-operation-everything.html)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from overblik.api.http import bundle_response, require_json_answer
from overblik.api.matching import kept_types
from overblik.api.parameters import count, interval, operation_pairs, page_links, require_known
from overblik.fhir.errors import Malformed
from overblik.fhir.references import parse_reference, references
from overblik.trust import history
from overblik.trust.history import Part

if TYPE_CHECKING:
    from overblik.api.http import Request, Response, Services
    from overblik.fhir.strict_json import Json
    from overblik.trust.access import Disclosed

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
    asked = urlencode([pair for pair in request.pairs if pair[0] != "_cursor"])
    page = await history.everything(services.door, request.caller, request.id, part, f"{path}?{asked}")
    resources = [found.json() for found in page.entries]
    entries = [_entry(request, found, body, "match") for found, body in zip(page.entries, resources, strict=True)]
    entries += await _referred(services, request, resources, part.types)
    return bundle_response("searchset", entries, links=page_links(request, path, TAKEN, page.cursor))


def _types(request: Request) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(part for part in request.one("_type").split(",") if part))
    for name in named:
        if name not in kept_types():
            raise Malformed("resource-type-unknown", f"There is no type {name[:64]!r} here.", expression="http._type")
    return named


async def _referred(services: Services, request: Request, resources: list[Json], types: tuple[str, ...]) -> list[Json]:
    """Return entries of what the page refers to and that belongs to no patient."""
    named = dict.fromkeys(
        (target.type, target.id)
        for resource in resources
        for reference in references(resource)
        if (target := parse_reference(reference["reference"])) and not target.base
        if not types or target.type in types
    )
    found = await history.shared(services.door, request.caller, named)
    return [_entry(request, item, item.json(), "include") for item in found]


def _entry(request: Request, found: Disclosed, resource: Json, mode: str) -> Json:
    return {"fullUrl": f"{request.base}/{found.type}/{found.id}", "resource": resource, "search": {"mode": mode}}
