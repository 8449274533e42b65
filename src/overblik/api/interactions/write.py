"""create, update, patch and delete, each also by condition (https://hl7.org/fhir/R4/http.html#create)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from overblik.api.http import Response, require_json_answer, stored_response
from overblik.api.parameters import SHOWN
from overblik.api.patching import change_of
from overblik.api.preconditions import condition, condition_of, only_match
from overblik.fhir.errors import Issue, Malformed, NotFound, PreconditionFailed, Unprocessable
from overblik.fhir.links import relink
from overblik.fhir.outcome import operation_outcome
from overblik.fhir.strict_json import dumps
from overblik.fhir.structure import require as require_structure
from overblik.trust.callers.identity import require as require_caller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from overblik.api.http import Request, Services
    from overblik.fhir.query import Query
    from overblik.fhir.strict_json import Json
    from overblik.trust.door.work import Stored, Work


async def create(services: Services, request: Request) -> Response:
    """Store a new resource (https://hl7.org/fhir/R4/http.html#create); If-None-Exist is honoured.

    A condition in the address, as some clients send it, is refused: passed over, it would make a second one.
    """
    require_no_parameters(request)
    resource = _resource(request)
    stated = request.headers.get("if-none-exist")
    wanted = condition(request.type, stated, "http.If-None-Exist") if stated is not None else None

    async def work(work: Work) -> Stored:
        found = await only_match(work, wanted, "http.If-None-Exist") if wanted else None
        return await work.current(*found) if found else await work.create(resource)

    return await _written(services, request, "create", request.type, work)


def require_no_parameters(request: Request) -> None:
    """Refuse a create whose address says more than where."""
    if stray := [name for name, _ in request.pairs if name not in SHOWN]:
        say = "A create takes no search parameters; send the condition as If-None-Exist."
        raise Malformed("parameter-unknown", say, expression=f"http.{stray[0][:64]}")


async def update(services: Services, request: Request) -> Response:
    """Replace a resource (https://hl7.org/fhir/R4/http.html#update); If-Match and If-None-Match: * are honoured."""
    resource = _resource(request)
    if_match, new = request.if_match, _must_be_new(request)

    async def work(work: Work) -> Stored:
        return await work.update(request.type, request.id, resource, if_match=if_match, new=new)

    return await _written(services, request, "update", f"{request.type}/{request.id}", work)


async def update_matched(services: Services, request: Request) -> Response:
    """Replace the resource that a condition finds, or create it (https://hl7.org/fhir/R4/http.html#cond-update)."""
    resource = _resource(request)
    if_match, wanted = request.if_match, _condition(request)

    async def work(work: Work) -> Stored:
        found = await only_match(work, wanted, "http.url")
        return await put_matched(work, resource, found, if_match=if_match)

    return await _written(services, request, "update", f"{request.type}?…", work)


async def put_matched(
    work: Work, resource: Json, found: tuple[str, str] | None, *, if_match: int | None = None, new_id: str = ""
) -> Stored:
    """Write what a conditional update means: replace what was found, or create under a new id."""
    stated = str(resource.get("id", ""))
    if found is None:
        if if_match is not None:
            raise PreconditionFailed("version-changed", "Nothing is there to have that version.")
        if stated:
            return await work.update(resource["resourceType"], stated, resource)
        return await work.create(resource, new_id=new_id)
    if stated not in {"", found[1]}:
        text = "The resource has an id, and it is not that of the resource that the condition finds."
        raise Malformed("id-mismatch", text, expression=f"{found[0]}.id")
    return await work.update(*found, {**resource, "id": found[1]}, if_match=if_match)


async def patch(services: Services, request: Request) -> Response:
    """Change parts of a resource (https://hl7.org/fhir/R4/http.html#patch); If-Match is honoured."""
    require_json_answer(request)
    require_caller(request.caller, "write", request.type, letters="u")
    change, if_match = change_of(request), request.if_match

    async def work(work: Work) -> Stored:
        return await work.patch(request.type, request.id, change, if_match=if_match)

    return await _written(services, request, "patch", f"{request.type}/{request.id}", work)


async def patch_matched(services: Services, request: Request) -> Response:
    """Change parts of the one resource that a condition finds; none is NotFound."""
    require_json_answer(request)
    require_caller(request.caller, "write", request.type, letters="u")
    change, if_match, wanted = change_of(request), request.if_match, _condition(request)

    async def work(work: Work) -> Stored:
        found = await only_match(work, wanted, "http.url")
        if found is None:
            raise NotFound
        return await work.patch(*found, change, if_match=if_match)

    return await _written(services, request, "patch", f"{request.type}?…", work)


async def delete(services: Services, request: Request) -> Response:
    """Mark a resource as deleted (https://hl7.org/fhir/R4/http.html#delete)."""
    require_caller(request.caller, "write", request.type, letters="d")
    if_match = request.if_match

    async def work(work: Work) -> Stored:
        return await work.delete(request.type, request.id, if_match=if_match)

    return await _written(services, request, "delete", f"{request.type}/{request.id}", work)


async def delete_matched(services: Services, request: Request) -> Response:
    """Delete the one resource that a condition finds (https://hl7.org/fhir/R4/http.html#3.1.0.7.1).

    Where nothing is found there is nothing to do, and the answer is that of a deletion.
    """
    require_caller(request.caller, "write", request.type, letters="d")
    if_match, wanted = request.if_match, _condition(request)

    async def work(work: Work) -> Stored | None:
        found = await only_match(work, wanted, "http.url")
        if found is None and if_match is not None:
            raise PreconditionFailed("version-changed", "Nothing is there to have that version.")
        return await work.delete(*found, if_match=if_match) if found else None

    stored = await services.writer.write(request.caller, "delete", f"{request.type}?…", work)
    if stored is not None:
        return stored_response(request, stored)
    if request.preferences.get("return") == "operationoutcome":
        nothing = Issue("done", "Nothing was found to delete.", "informational", severity="information")
        return Response(200, dumps(operation_outcome([nothing])))
    return Response(204)


async def _written(
    services: Services, request: Request, action: str, what: str, work: Callable[[Work], Awaitable[Stored]]
) -> Response:
    return stored_response(request, await services.writer.write(request.caller, action, what, work))


def _resource(request: Request) -> Json:
    """Return the resource sent, if the caller may write, its shape is right and it is of the type in the address."""
    require_json_answer(request)
    require_caller(request.caller, "write", request.type, letters="c" if request.method == "POST" else "u")
    as_bytes = request.type == "Binary" and not request.media.endswith(("json", "fhir+xml"))
    resource = binary_of(request) if as_bytes else request.json()
    return local(checked(request.type, resource), request.base)


def checked(resource_type: str, resource: Json) -> Json:
    """Return a resource if its shape is right and it is of the type in the address."""
    require_structure(resource)
    if resource["resourceType"] != resource_type:
        text = f"The body is a {resource['resourceType']}, the address says {resource_type}."
        raise Unprocessable("type-mismatch", text, expression="resourceType")
    return resource


def local(resource: Json, base: str) -> Json:
    """Return a resource whose references to this very server are relative, as they are stored."""
    return relink(resource, lambda text: text.removeprefix(base + "/"), lambda text: text)


def binary_of(request: Request) -> Json:
    """Return the Binary that bytes sent as they are stand for (https://hl7.org/fhir/R4/binary.html#rest)."""
    resource: Json = {"resourceType": "Binary", "contentType": request.media}
    if request.id:
        resource["id"] = request.id
    if "x-security-context" in request.headers:
        resource["securityContext"] = {"reference": request.headers["x-security-context"]}
    return {**resource, "data": base64.b64encode(request.body).decode()} if request.body else resource


def _condition(request: Request) -> Query:
    return condition_of(request.type, request.pairs, "http.url")


def _must_be_new(request: Request) -> bool:
    text = request.headers.get("if-none-match", "")
    if text and text.strip() != "*":
        say = "A write takes If-None-Match: * and nothing else; a version goes in If-Match."
        raise Malformed("etag-invalid", say, expression="http.If-None-Match")
    return bool(text)
