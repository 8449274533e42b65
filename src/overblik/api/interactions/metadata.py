"""capabilities (https://hl7.org/fhir/R4/http.html#capabilities), generated from the route table."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from overblik.api.http import Response, require_json_answer
from overblik.api.interactions import audit
from overblik.api.matching import MADE, kept_types
from overblik.api.negotiation import FHIR_JSON, FHIR_XML
from overblik.api.patching import FORMATS
from overblik.fhir.definitions import r4
from overblik.fhir.errors import Unavailable
from overblik.fhir.index.catalogue import used, using
from overblik.fhir.query import searchable
from overblik.fhir.strict_json import dumps
from overblik.trust.door.access import is_versioned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from overblik.api.http import Request, Services
    from overblik.api.routes import Route

RELEASED = "2026-11-23"
DEFINITIONS = {
    "$everything": "http://hl7.org/fhir/OperationDefinition/Patient-everything",
    "$lastn": "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
    "$meta": "http://hl7.org/fhir/OperationDefinition/Resource-meta",
    "$process-message": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
}
"""The standard's definitions; an operation of our own has a urn."""
OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_TYPE_CODES = (
    "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type",
)  # fmt: skip
_SYSTEM_CODES = ("transaction", "batch", "search-system", "history-system")
_OF_EVERY_TYPE = (
    ("_content", "string"), ("_filter", "special"), ("_list", "string"), ("_text", "string"), ("_type", "token"),
)  # fmt: skip
_COMPARTMENTS = [
    f"http://hl7.org/fhir/CompartmentDefinition/{name[0].lower() + name[1:]}"
    for name in sorted([*r4().within, "Patient"])
]


def capability_statement(services: Services, base: str, routes: Iterable[Route]) -> dict[str, Any]:
    """Return what this server does: no more and no less than its routes."""
    listed = list(routes)
    codes = {route.code for route in listed}
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": RELEASED,
        "kind": "instance",
        "software": {"name": "Overblik", "version": services.software},
        "implementation": {"description": f"Overblik ({services.mode})", "url": base},
        "fhirVersion": r4().version,
        "format": [FHIR_JSON, FHIR_XML, "json", "xml"],
        "patchFormat": list(FORMATS),
        "rest": [
            {
                "mode": "server",
                "security": _security(services.smart),
                "resource": [
                    _made(name, listed) if name in MADE else _resource(name, codes, listed)
                    for name in sorted(kept_types() | MADE)
                ],
                "interaction": [{"code": code} for code in _SYSTEM_CODES if code in codes],
                "searchParam": [
                    {"name": name, "type": kind}
                    for name, kind in _OF_EVERY_TYPE
                    if services.door.reads_texts or name not in {"_content", "_text"}
                ],
                "compartment": _COMPARTMENTS if "search-compartment" in codes else [],
                "operation": _operations(listed, ""),
            }
        ],
    }


def _security(smart: Mapping[str, Any]) -> dict[str, Any]:
    """Return how callers sign in, as clients of SMART look for it (its § Conformance, and the older extension)."""
    service = {"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "SMART-on-FHIR"}
    found = {"authorize": "authorization_endpoint", "token": "token_endpoint", "introspect": "introspection_endpoint"}
    found |= {"revoke": "revocation_endpoint"}
    uris = [{"url": name, "valueUri": smart[key]} for name, key in found.items() if key in smart]
    return {
        **({"extension": [{"url": OAUTH_URIS, "extension": uris}]} if uris else {}),
        "service": [{"coding": [service]}],
        "description": "Bearer token; every disclosure and refusal is logged.",
    }


def _resource(name: str, codes: set[str], routes: list[Route]) -> dict[str, Any]:
    operations = _operations(routes, name)
    return {
        "type": name,
        "interaction": [{"code": code} for code in _TYPE_CODES if code in codes],
        "versioning": "versioned-update" if is_versioned(name) else "versioned",
        "readHistory": "vread" in codes,
        "updateCreate": True,
        "conditionalCreate": "create" in codes,
        "conditionalRead": "full-support",
        "conditionalUpdate": "conditionalUpdate" in codes,
        "conditionalDelete": "single" if "conditionalDelete" in codes else "not-supported",
        "referencePolicy": ["literal", "logical", "local"],
        "searchParam": [_parameter(name, code, kind) for code, kind in searchable(name)],
        **({"operation": operations} if operations else {}),
    }


def _made(name: str, routes: list[Route]) -> dict[str, Any]:
    """Return a type that is made and not stored: what routes of its own say, and no more."""
    codes = {route.code for route in routes if route.path.split("/")[1:2] == [name]}
    operations = _operations([route for route in routes if route.path.split("/")[1:2] == [name]], name)
    return {
        "type": name,
        "documentation": "Made from the log, of one's own record; written by the server alone.",
        "interaction": [{"code": code} for code in _TYPE_CODES if code in codes],
        "versioning": "versioned",
        "readHistory": "vread" in codes,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalRead": "full-support",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "referencePolicy": ["literal", "logical"],
        "searchParam": [{"name": code, "type": kind} for code, kind in sorted(audit.PARAMETERS.items())],
        **({"operation": operations} if operations else {}),
    }


def _parameter(name: str, code: str, kind: str) -> dict[str, str]:
    """Return one parameter; of those defined here, which SearchParameter says what it means."""
    custom = used().find(name, code)
    return {"name": code, "type": kind} | ({"definition": custom.param.url} if custom is not None else {})


def _operations(routes: list[Route], resource_type: str) -> list[dict[str, str]]:
    """Return the operations of a type, or those on the base ("")."""
    heads = {resource_type, "{type}"} if resource_type else {""}
    found = {
        route.code
        for route in routes
        if route.code.startswith("$") and (route.path.split("/")[1] if route.path.count("/") > 1 else "") in heads
    }
    return [
        {"name": code.removeprefix("$"), "definition": DEFINITIONS.get(code, f"urn:overblik:operation:{code[1:]}")}
        for code in sorted(found)
    ]


async def smart(services: Services, _: Request) -> Response:
    """Return how apps are let in; open to everyone (https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html)."""
    return Response(200, dumps(dict(services.smart)), media="application/json")


async def capabilities(services: Services, request: Request) -> Response:
    """Return the CapabilityStatement; open to everyone."""
    require_json_answer(request)
    known = services.parameters.current
    with suppress(Unavailable):  # without a database, what was known last
        known = await services.parameters.recent()
    with using(known):
        return Response(200, dumps(capability_statement(services, request.base, services.routes)))
