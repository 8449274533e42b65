"""The body of a PATCH as a function from a resource to a resource (https://hl7.org/fhir/R4/http.html#patch)."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any

from overblik.fhir.errors import Malformed, Unprocessable
from overblik.fhir.patch import fhirpath_patch, json_patch
from overblik.fhir.strict_json import loads
from overblik.fhir.structure import require as require_structure

if TYPE_CHECKING:
    from collections.abc import Callable

    from overblik.api.http import Request
    from overblik.fhir.strict_json import Json

    Change = Callable[[Json], Json]

JSON_PATCH = "application/json-patch+json"
FORMATS = (JSON_PATCH, "application/fhir+json")


def change_of(request: Request) -> Change:
    """Return what a PATCH request does; a JSON Patch document, or Parameters for FHIRPath Patch."""
    if request.media == JSON_PATCH:
        request.require_utf8()
        return _checked(partial(_json, loads(request.body)))
    return change_in(request.json())


def change_in(resource: Json) -> Change:
    """Return what the resource of a Bundle's PATCH entry does: Parameters, or a Binary with a JSON Patch."""
    if resource.get("resourceType") == "Parameters":
        return _checked(partial(_fhirpath, resource))
    if resource.get("resourceType") == "Binary" and resource.get("contentType") == JSON_PATCH:
        try:
            document = base64.b64decode(str(resource.get("data", "")), validate=True)
        except ValueError:
            raise Malformed("patch-invalid", "The Binary's data is not base64.", expression="Binary.data") from None
        return _checked(partial(_json, loads(document)))
    text = f"A patch is Parameters (FHIRPath Patch) or a Binary of {JSON_PATCH}."
    raise Unprocessable("patch-invalid", text, expression="resourceType")


def _json(operations: Any, resource: Json) -> Json:
    return json_patch(resource, operations)


def _fhirpath(parameters: Json, resource: Json) -> Json:
    return fhirpath_patch(resource, parameters)


def _checked(change: Change) -> Change:
    def run(resource: Json) -> Json:
        changed = change(resource)
        require_structure(changed)
        return changed

    return run
