"""capabilities (https://hl7.org/fhir/R4/http.html#capabilities), generated from the route table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overblik.api.http import Response, require_json_answer
from overblik.api.negotiation import FHIR_JSON, FHIR_XML
from overblik.fhir.definitions import r4
from overblik.fhir.query import searchable
from overblik.fhir.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overblik.api.http import Request, Services
    from overblik.api.routes import Route

RELEASED = "2026-11-22"
_TYPE_CODES = ("read", "vread", "update", "delete", "history-instance", "create", "search-type")


def capability_statement(services: Services, base: str, routes: Iterable[Route]) -> dict[str, Any]:
    """Return what this server does: no more and no less than its routes."""
    codes = [route.code for route in routes if route.code]
    per_type = [{"code": code} for code in _TYPE_CODES if code in codes]
    operations = [route.code.removeprefix("$") for route in routes if route.code.startswith("$")]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": RELEASED,
        "kind": "instance",
        "software": {"name": "Overblik", "version": services.software},
        "implementation": {"description": f"Overblik ({services.mode})", "url": base},
        "fhirVersion": r4().version,
        "format": [FHIR_JSON, FHIR_XML, "json", "xml"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "Bearer token; every disclosure and refusal is logged."},
                "resource": [_resource(name, per_type) for name in sorted(r4().resource_types - _NOT_KEPT)],
                "interaction": [{"code": code} for code in ("transaction", "batch") if code in codes],
                "operation": [
                    {"name": name, "definition": f"urn:overblik:operation:{name}"} for name in sorted(operations)
                ],
            }
        ],
    }


_NOT_KEPT = frozenset({"Parameters", "OperationOutcome"})


def _resource(name: str, interactions: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "type": name,
        "interaction": interactions,
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "referencePolicy": ["literal", "logical", "local"],
        "searchParam": [{"name": code, "type": kind} for code, kind in searchable(name)],
    }


async def capabilities(services: Services, request: Request) -> Response:
    """Return the CapabilityStatement; open to everyone."""
    require_json_answer(request)
    return Response(200, dumps(capability_statement(services, request.base, services.routes)))
