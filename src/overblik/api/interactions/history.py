"""history of an instance, a type and the system (https://hl7.org/fhir/R4/http.html#history)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.api.http import bundle_response, require_json_answer
from overblik.api.parameters import count, interval, page_links, require_known
from overblik.fhir.dates import instant
from overblik.fhir.errors import Malformed
from overblik.trust.door import history
from overblik.trust.door.history import Span

if TYPE_CHECKING:
    from overblik.api.http import Request, Response, Services
    from overblik.fhir.strict_json import Json
    from overblik.trust.door.access import Disclosed, Page

TAKEN = ("_at", "_count", "_cursor", "_since")


async def of_instance(services: Services, request: Request) -> Response:
    """Return the versions of one resource, newest first."""
    span = _span(request)
    page = await history.of_one(services.door, request.caller, request.type, request.id, span)
    return _bundle(request, f"{request.type}/{request.id}/_history", page)


async def of_type(services: Services, request: Request) -> Response:
    """Return the versions of a type's resources that the caller may see, last known first."""
    page = await history.of_many(services.door, request.caller, request.type, _span(request))
    return _bundle(request, f"{request.type}/_history", page)


async def of_system(services: Services, request: Request) -> Response:
    """Return the versions of everything that a source delivered; for the system itself, of everything."""
    page = await history.of_many(services.door, request.caller, "", _span(request))
    return _bundle(request, "_history", page)


def _span(request: Request) -> Span:
    require_json_answer(request)
    require_known(request, TAKEN)
    since, at = interval(request, "_since"), interval(request, "_at")
    if since is not None and at is not None:
        raise Malformed("parameters-exclusive", "Ask with _since or with _at, not both.", expression="http._at")
    return Span(since.start if since else None, at, count(request), request.one("_cursor"))


def _bundle(request: Request, path: str, page: Page) -> Response:
    entries = [history_entry(request.base, version) for version in page.entries]
    whole = {"total": len(entries)} if not page.cursor and not request.one("_cursor") else {}
    return bundle_response("history", entries, links=page_links(request, path, TAKEN, page.cursor), **whole)


def history_entry(base: str, version: Disclosed) -> Json:
    """Return one version as history tells it: what was asked for then, and what came of it."""
    url = f"{version.type}/{version.id}"
    method = "DELETE" if version.deleted else "POST" if version.version == 1 else "PUT"
    entry: Json = {"fullUrl": f"{base}/{url}"}
    if not version.deleted:
        entry["resource"] = version.json()
    entry["request"] = {"method": method, "url": version.type if method == "POST" else url}
    entry["response"] = {
        "status": "204 No Content" if version.deleted else "201 Created" if version.version == 1 else "200 OK",
        "etag": f'W/"{version.version}"',
        "lastModified": instant(version.updated),
    }
    return entry
