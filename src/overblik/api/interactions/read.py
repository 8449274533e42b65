"""read and vread (https://hl7.org/fhir/R4/http.html#read)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from overblik.api.http import Response, require_json_answer, resource_response, version_headers
from overblik.api.negotiation import asks_for_fhir
from overblik.api.parameters import as_of
from overblik.api.preconditions import not_modified
from overblik.fhir.errors import Gone, NotFound
from overblik.fhir.strict_json import dumps
from overblik.trust.door import history

if TYPE_CHECKING:
    from overblik.api.http import Request, Services
    from overblik.trust.door.access import Disclosed


async def read(services: Services, request: Request) -> Response:
    """Return the current version (https://hl7.org/fhir/R4/http.html#read), or, with `asOf`, the one known then.

    What the caller has already is answered 304; it is looked up, decided and logged all the same.
    """
    moment = as_of(request)
    if request.type == "Binary" and moment is None:
        return await read_binary(services, request)
    require_json_answer(request)
    if moment is not None:
        found = await history.as_of(services.door, request.caller, request.type, request.id, moment)
    else:
        found = await services.door.read(request.caller, request.type, request.id)
    return not_modified(request, found) or resource_response(200, found)


async def read_binary(services: Services, request: Request) -> Response:
    """Return a Binary: as it came, or as a resource where FHIR JSON or FHIR XML is asked for.

    https://hl7.org/fhir/R4/binary.html#rest. What is sent as it came is never shown by a browser as
    a page of ours.
    """
    found, media, raw = await services.door.binary(request.caller, request.id)
    if (known := not_modified(request, found)) is not None:
        return known
    wants_resource = asks_for_fhir(request.headers.get("accept", ""), request.one("_format"))
    resource = found.json()
    if raw is None:
        raw = base64.b64decode(resource.get("data", ""))
        media = str(resource.get("contentType", "application/octet-stream"))
    headers = version_headers(found.version, found.updated)
    if wants_resource:
        body = {**resource, "contentType": media} | ({"data": base64.b64encode(raw).decode()} if raw else {})
        return Response(200, dumps(body), headers)
    headers["Content-Disposition"] = "attachment"
    return Response(200, raw, headers, media)


async def vread(services: Services, request: Request) -> Response:
    """Return one version (https://hl7.org/fhir/R4/http.html#vread)."""
    require_json_answer(request)
    found = await one_version(services, request)
    return not_modified(request, found) or resource_response(200, found)


async def one_version(services: Services, request: Request) -> Disclosed:
    """Return the version that the path names; NotFound for one that cannot be, Gone for a deletion."""
    if not (request.version.isascii() and request.version.isdecimal()) or len(request.version) > 9:
        raise NotFound
    found = await services.door.version(request.caller, request.type, request.id, int(request.version))
    if found.deleted:
        raise Gone("deleted", "This version says that the resource was deleted.")
    return found
