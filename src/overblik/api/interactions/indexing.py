"""`SearchParameter/$indexing`: how far the parameters that are defined here are indexed (docs/rest.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overblik.api.http import Response, require_json_answer
from overblik.fhir.index.catalogue import INDEXED
from overblik.fhir.strict_json import dumps
from overblik.trust.callers.identity import require as require_caller

if TYPE_CHECKING:
    from overblik.api.http import Request, Services


async def indexing(services: Services, request: Request) -> Response:
    """Return Parameters: of each type and code the definition, how much is indexed, and whether that is all."""
    require_json_answer(request)
    require_caller(request.caller, "operate", "SearchParameter")
    known = await services.parameters.fresh()
    found = [
        _part(kind, custom.param.code, custom.param.url, known.indexed(kind, custom.param.code))
        for kind, customs in sorted(known.by_type.items())
        for custom in customs
    ]
    body = {"resourceType": "Parameters", **({"parameter": found} if found else {})}
    return Response(200, dumps(body))


def _part(kind: str, code: str, url: str, percent: int) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"name": "base", "valueCode": kind},
        {"name": "code", "valueCode": code},
        {"name": "definition", "valueCanonical": url},
        {"name": "percent", "valueInteger": percent},
        {"name": "searchable", "valueBoolean": percent == INDEXED},
    ]
    return {"name": "parameter", "part": parts}
