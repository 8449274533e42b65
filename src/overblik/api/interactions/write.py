"""create, update and delete (https://hl7.org/fhir/R4/http.html#create)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from overblik.api.http import Response, require_json_answer, stored_response, version_headers
from overblik.fhir.errors import PreconditionFailed, Unprocessable
from overblik.fhir.query import parse_query
from overblik.fhir.structure import require as require_structure
from overblik.trust.identity import require as require_caller

if TYPE_CHECKING:
    from overblik.api.http import Request, Services
    from overblik.fhir.strict_json import Json
    from overblik.trust.work import Stored, Work


def checked(request: Request, resource: Json) -> Json:
    """Return the resource if its shape is right and it is of the type in the address."""
    require_structure(resource)
    if request.type and resource["resourceType"] != request.type:
        text = f"The body is a {resource['resourceType']}, the address says {request.type}."
        raise Unprocessable("type-mismatch", text, expression="resourceType")
    return resource


async def create(services: Services, request: Request) -> Response:
    """Store a new resource (https://hl7.org/fhir/R4/http.html#create); If-None-Exist is honoured."""
    require_json_answer(request)
    require_caller(request.caller, "write")
    resource = checked(request, request.json())
    condition = request.headers.get("if-none-exist", "")

    async def work(work: Work) -> Stored:
        found = await existing(work, request.type, condition)
        return await work.current(*found) if found else await work.create(resource)

    stored = await services.writer.write(request.caller, "create", request.type, work)
    return stored_response(request, 201 if stored.created else 200, stored)


async def existing(work: Work, resource_type: str, condition: str) -> tuple[str, str] | None:
    """Return the one resource that a condition of If-None-Exist finds; two or more are a failed precondition."""
    if not condition:
        return None
    found = await work.match(parse_query(resource_type, parse_qsl(condition.removeprefix("?"))))
    if len(found) > 1:
        raise PreconditionFailed("condition-ambiguous", "The condition finds more than one resource.")
    return found[0] if found else None


async def update(services: Services, request: Request) -> Response:
    """Replace a resource (https://hl7.org/fhir/R4/http.html#update); If-Match is honoured."""
    require_json_answer(request)
    require_caller(request.caller, "write")
    resource = checked(request, request.json())
    if_match = request.if_match

    async def work(work: Work) -> Stored:
        return await work.update(request.type, request.id, resource, if_match=if_match)

    stored = await services.writer.write(request.caller, "update", f"{request.type}/{request.id}", work)
    return stored_response(request, 201 if stored.created else 200, stored)


async def delete(services: Services, request: Request) -> Response:
    """Mark a resource as deleted (https://hl7.org/fhir/R4/http.html#delete)."""
    require_caller(request.caller, "write")
    if_match = request.if_match

    async def work(work: Work) -> Stored:
        return await work.delete(request.type, request.id, if_match=if_match)

    stored = await services.writer.write(request.caller, "delete", f"{request.type}/{request.id}", work)
    return Response(204, b"", {"ETag": version_headers(stored.version, stored.updated)["ETag"]})
