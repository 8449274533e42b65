"""$overview and $process-message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.api.http import Response, require_json_answer
from overblik.fhir.dates import parse_interval
from overblik.fhir.errors import Malformed
from overblik.fhir.strict_json import dumps
from overblik.overview.present import overview_json
from overblik.trust.identity import require as require_caller

if TYPE_CHECKING:
    from overblik.api.http import Request, Services

JSON = "application/json; charset=utf-8"


async def overview(services: Services, request: Request) -> Response:
    """Return the overview of the record a Patient opens; `asOf` gives it as it was known then."""
    text = request.one("asOf")
    moment = parse_interval(text.replace(" ", "+")) if text else None
    if text and moment is None:
        raise Malformed("as-of-invalid", "asOf takes a date or instant, such as 2026-11-22T10:00:00Z.")
    # A bare date means what was known when that day ended.
    as_of = (moment.start if "T" in text else moment.end) if moment else None
    found = await services.overviews.build(request.caller, request.id, as_of)
    return Response(200, dumps(overview_json(found)), media=JSON)


async def process_message(services: Services, request: Request) -> Response:
    """Take a message or document in (https://hl7.org/fhir/R4/messageheader-operation-process-message.html).

    The answer is an Acknowledgement Bundle, fatal errors included; 4xx only for what cannot be read.
    """
    require_json_answer(request)
    require_caller(request.caller, "operate")
    receipt = await services.inbox.receive(request.caller, request.body, request.headers.get("content-type", ""))
    return Response(200, receipt.answer)
