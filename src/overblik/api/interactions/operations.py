"""$overview, $process-message, $meta, $log and $break-glass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.api.http import Response, require_json_answer
from overblik.api.interactions.read import one_version
from overblik.api.parameters import as_of
from overblik.fhir.dates import instant
from overblik.fhir.errors import Malformed
from overblik.fhir.identifiers import canonical
from overblik.fhir.strict_json import dumps
from overblik.overview.present import overview_json
from overblik.trust.callers.identity import require as require_caller
from overblik.trust.log.proofs import own_log
from overblik.trust.treatment.break_glass import break_glass as break_the_glass

if TYPE_CHECKING:
    from overblik.api.http import Request, Services

JSON = "application/json; charset=utf-8"


async def overview(services: Services, request: Request) -> Response:
    """Return the overview of the record a Patient opens; `asOf` gives it as it was known then."""
    moment = as_of(request)
    found = await services.overviews.build(request.caller, request.id, moment)
    return Response(200, overview_json(found), media=JSON)


async def process_message(services: Services, request: Request) -> Response:
    """Take a message or document in (https://hl7.org/fhir/R4/messageheader-operation-process-message.html).

    The answer is an Acknowledgement Bundle, fatal errors included; 4xx only for what cannot be read.
    """
    require_json_answer(request)
    require_caller(request.caller, "operate", "*", letters="cu")
    receipt = await services.inbox.receive(request.caller, request.body, request.headers.get("content-type", ""))
    return Response(200, receipt.answer)


async def meta(services: Services, request: Request) -> Response:
    """Return the meta of a resource or version (https://hl7.org/fhir/R4/resource-operation-meta.html)."""
    require_json_answer(request)
    if request.version:
        found = await one_version(services, request)
    else:
        found = await services.door.read(request.caller, request.type, request.id)
    parameter = {"name": "return", "valueMeta": found.json()["meta"]}
    return Response(200, dumps({"resourceType": "Parameters", "parameter": [parameter]}))


async def log(services: Services, request: Request) -> Response:
    """Return the citizen's own log with its proofs, as a file that can be verified elsewhere (docs/log.md)."""
    found = await own_log(services.door, services.heads, request.caller, request.id)
    name = {"Content-Disposition": 'attachment; filename="overblik-log.json"'}
    return Response(200, dumps(found), name, media=JSON)


async def break_glass(services: Services, request: Request) -> Response:
    """Open one patient's record to the professional who asks, for an hour (docs/consent.md): `identifier`, `reason`."""
    require_json_answer(request)
    body = request.json()
    said = body.get("parameter") if isinstance(body, dict) else None
    stated = said if isinstance(said, list) and all(isinstance(p, dict) for p in said) else []
    identifiers = [
        i for p in stated if p.get("name") == "identifier" and isinstance(i := p.get("valueIdentifier"), dict)
    ]
    reasons = [r for p in stated if p.get("name") == "reason" and isinstance(r := p.get("valueString"), str)]
    if len(stated) != 2 or len(identifiers) != 1 or len(reasons) != 1:
        text = "Parameters with one identifier (valueIdentifier) and one reason (valueString): one patient at a time."
        raise Malformed("break-glass-one", text, expression="Parameters.parameter")
    system, value = canonical(str(identifiers[0].get("system", "")), str(identifiers[0].get("value", "")))
    until = await break_the_glass(services.door, request.caller, system, value, reasons[0])
    patient_id = await services.door.find(request.caller.asking(reason=reasons[0]), system, value)
    answer = [
        {"name": "patient", "valueReference": {"reference": f"Patient/{patient_id}"}},
        {"name": "until", "valueInstant": instant(until)},
    ]
    return Response(200, dumps({"resourceType": "Parameters", "parameter": answer}))
