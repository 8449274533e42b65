"""read, vread and history of an instance (https://hl7.org/fhir/R4/http.html#read)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from overblik.api.http import Response, require_json_answer, resource_response, version_headers
from overblik.api.negotiation import asks_for_fhir
from overblik.fhir.dates import instant
from overblik.fhir.errors import Gone, NotFound
from overblik.fhir.strict_json import dumps

if TYPE_CHECKING:
    from overblik.api.http import Request, Services
    from overblik.fhir.strict_json import Json
    from overblik.trust.access import Disclosed


async def read(services: Services, request: Request) -> Response:
    """Return the current version (https://hl7.org/fhir/R4/http.html#read)."""
    if request.type == "Binary":
        return await read_binary(services, request)
    require_json_answer(request)
    found = await services.door.read(request.caller, request.type, request.id)
    return resource_response(200, found)


async def read_binary(services: Services, request: Request) -> Response:
    """Return a Binary: as it came, or as a resource where FHIR JSON or FHIR XML is asked for.

    https://hl7.org/fhir/R4/binary.html#rest. What is sent as it came is never shown by a browser as
    a page of ours.
    """
    found, media, raw = await services.door.binary(request.caller, request.id)
    wants_resource = asks_for_fhir(request.headers.get("accept", ""), request.one("_format"))
    resource = found.json()
    if raw is None:
        raw = base64.b64decode(resource.get("data", ""))
        media = str(resource.get("contentType", "application/octet-stream"))
    headers = version_headers(found.version, found.updated)
    if wants_resource:
        body = {**resource, "contentType": media, "data": base64.b64encode(raw).decode()}
        return Response(200, dumps(body), headers)
    headers["Content-Disposition"] = "attachment"
    headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return Response(200, raw, headers, media)


async def vread(services: Services, request: Request) -> Response:
    """Return one version (https://hl7.org/fhir/R4/http.html#vread)."""
    require_json_answer(request)
    if not (request.version.isascii() and request.version.isdecimal()) or len(request.version) > 9:
        raise NotFound
    versions = await services.door.versions(request.caller, request.type, request.id, version=int(request.version))
    if versions[0].deleted:
        raise Gone("deleted", "This version says that the resource was deleted.")
    return resource_response(200, versions[0])


async def history(services: Services, request: Request) -> Response:
    """Return every version, newest first (https://hl7.org/fhir/R4/http.html#history)."""
    require_json_answer(request)
    versions = await services.door.versions(request.caller, request.type, request.id)
    bundle = {
        "resourceType": "Bundle",
        "type": "history",
        "total": len(versions),
        "entry": [_history_entry(request.base, version) for version in versions],
    }
    return Response(200, dumps(bundle))


def _history_entry(base: str, version: Disclosed) -> Json:
    url = f"{version.type}/{version.id}"
    method = "DELETE" if version.deleted else "POST" if version.version == 1 else "PUT"
    entry: Json = {
        "fullUrl": f"{base}/{url}",
        "request": {"method": method, "url": url},
        "response": {
            "status": "204" if version.deleted else "201" if version.version == 1 else "200",
            "etag": f'W/"{version.version}"',
            "lastModified": instant(version.updated),
        },
    }
    if not version.deleted:
        entry["resource"] = version.json()
    return entry
