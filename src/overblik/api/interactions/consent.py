"""Consents of citizens: create and update by the citizen, or by a professional at their word (docs/consent.md).

What a source or the system sends under this type is written as any other resource (write.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.api.http import require_json_answer, stored_response
from overblik.api.interactions import write
from overblik.fhir.errors import Malformed
from overblik.trust.consent import writing

if TYPE_CHECKING:
    from overblik.api.http import Request, Response, Services
    from overblik.fhir.strict_json import Json

CITIZENS_AND_STAFF = frozenset({"citizen", "professional"})


async def create(services: Services, request: Request) -> Response:
    """Store a Consent with its rules (https://hl7.org/fhir/R4/http.html#create); in force on the next request."""
    if request.caller.kind not in CITIZENS_AND_STAFF:
        return await write.create(services, request)
    write.require_no_parameters(request)
    if "if-none-exist" in request.headers:
        text = "A citizen's Consent is created without a condition."
        raise Malformed("condition-not-here", text, expression="http.If-None-Exist")
    stored = await writing.create(services.door, services.writer, request.caller, _consent(request))
    return stored_response(request, stored)


async def update(services: Services, request: Request) -> Response:
    """Replace a Consent and its rules (https://hl7.org/fhir/R4/http.html#update); one not active has none."""
    if request.caller.kind not in CITIZENS_AND_STAFF:
        return await write.update(services, request)
    stored = await writing.update(
        services.door, services.writer, request.caller, request.id, _consent(request), request.if_match
    )
    return stored_response(request, stored)


def _consent(request: Request) -> Json:
    require_json_answer(request)
    return write.local(write.checked("Consent", request.json()), request.base)
