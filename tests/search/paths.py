"""The search parameters that the oracle asks about: kind, and where their values lie in the JSON.

Written by hand from the resources' pages of the standard, and not from the expressions that the
server compiles. A path walks members and lists; `?key=value` keeps the objects that say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overblik.fhir.strict_json import Json


class Param(NamedTuple):
    """A parameter: its kind, its paths, and the types a reference may have."""

    kind: str
    paths: tuple[str, ...]
    targets: tuple[str, ...] = ()


def _param(kind: str, *paths: str, targets: str = "") -> Param:
    return Param(kind, paths, tuple(targets.split()))


COMMON = {
    "_tag": _param("token", "meta.tag"),
    "_security": _param("token", "meta.security"),
    "_profile": _param("uri", "meta.profile"),
    "_source": _param("uri", "meta.source"),
}
_SUBJECT = _param("reference", "subject", targets="Patient")
PARAMS: dict[str, dict[str, Param]] = {
    "Patient": COMMON | {
        "identifier": _param("token", "identifier"),
        "active": _param("token", "active"),
        "gender": _param("token", "gender"),
        "phone": _param("token", "telecom?system=phone"),
        "email": _param("token", "telecom?system=email"),
        "telecom": _param("token", "telecom"),
        "language": _param("token", "communication.language"),
        "address-use": _param("token", "address.use"),
        "name": _param("string", "name"),
        "family": _param("string", "name.family"),
        "given": _param("string", "name.given"),
        "address": _param("string", "address"),
        "address-city": _param("string", "address.city"),
        "address-postalcode": _param("string", "address.postalCode"),
        "birthdate": _param("date", "birthDate"),
        "death-date": _param("date", "deceasedDateTime"),
        "general-practitioner": _param("reference", "generalPractitioner", targets="Organization Practitioner"),
        "organization": _param("reference", "managingOrganization", targets="Organization"),
    },
    "Observation": COMMON | {
        "identifier": _param("token", "identifier"),
        "status": _param("token", "status"),
        "category": _param("token", "category"),
        "code": _param("token", "code"),
        "component-code": _param("token", "component.code"),
        "combo-code": _param("token", "code", "component.code"),
        "value-concept": _param("token", "valueCodeableConcept"),
        "component-value-concept": _param("token", "component.valueCodeableConcept"),
        "combo-value-concept": _param("token", "valueCodeableConcept", "component.valueCodeableConcept"),
        "data-absent-reason": _param("token", "dataAbsentReason"),
        "value-quantity": _param("quantity", "valueQuantity"),
        "component-value-quantity": _param("quantity", "component.valueQuantity"),
        "combo-value-quantity": _param("quantity", "valueQuantity", "component.valueQuantity"),
        "value-string": _param("string", "valueString"),
        "value-date": _param("date", "valueDateTime", "valuePeriod"),
        "date": _param("date", "effectiveDateTime", "effectivePeriod"),
        "subject": _SUBJECT,
        "patient": _SUBJECT,
        "performer": _param("reference", "performer", targets="Organization Practitioner Patient"),
        "encounter": _param("reference", "encounter", targets="Encounter"),
        "has-member": _param("reference", "hasMember", targets="Observation"),
        "derived-from": _param("reference", "derivedFrom", targets="Observation"),
        "focus": _param("reference", "focus", targets="Condition Encounter Observation Patient"),
    },
    "Condition": COMMON | {
        "identifier": _param("token", "identifier"),
        "code": _param("token", "code"),
        "category": _param("token", "category"),
        "clinical-status": _param("token", "clinicalStatus"),
        "onset-date": _param("date", "onsetDateTime", "onsetPeriod"),
        "recorded-date": _param("date", "recordedDate"),
        "onset-info": _param("string", "onsetString"),
        "subject": _SUBJECT,
        "patient": _SUBJECT,
        "encounter": _param("reference", "encounter", targets="Encounter"),
        "asserter": _param("reference", "asserter", targets="Practitioner Patient"),
        "evidence-detail": _param("reference", "evidence.detail", targets="Observation Condition"),
    },
    "Encounter": COMMON | {
        "identifier": _param("token", "identifier"),
        "status": _param("token", "status"),
        "class": _param("token", "class"),
        "date": _param("date", "period"),
        "subject": _SUBJECT,
        "patient": _SUBJECT,
        "service-provider": _param("reference", "serviceProvider", targets="Organization"),
        "participant": _param("reference", "participant.individual", targets="Practitioner"),
        "diagnosis": _param("reference", "diagnosis.condition", targets="Condition"),
        "reason-reference": _param("reference", "reasonReference", targets="Condition Observation"),
        "part-of": _param("reference", "partOf", targets="Encounter"),
        "location": _param("reference", "location.location", targets="Location"),
    },
    "RiskAssessment": COMMON | {
        "identifier": _param("token", "identifier"),
        "probability": _param("number", "prediction.probabilityDecimal"),
        "date": _param("date", "occurrenceDateTime"),
        "subject": _SUBJECT,
        "patient": _SUBJECT,
        "condition": _param("reference", "condition", targets="Condition"),
    },
    "Organization": COMMON | {
        "identifier": _param("token", "identifier"),
        "active": _param("token", "active"),
        "name": _param("string", "name", "alias"),
        "type": _param("token", "type"),
        "address-city": _param("string", "address.city"),
        "partof": _param("reference", "partOf", targets="Organization"),
    },
    "Location": COMMON | {
        "identifier": _param("token", "identifier"),
        "status": _param("token", "status"),
        "name": _param("string", "name", "alias"),
        "near": _param("special", "position"),
        "partof": _param("reference", "partOf", targets="Location"),
        "organization": _param("reference", "managingOrganization", targets="Organization"),
    },
    "Practitioner": COMMON | {
        "identifier": _param("token", "identifier"),
        "active": _param("token", "active"),
        "name": _param("string", "name"),
        "family": _param("string", "name.family"),
        "gender": _param("token", "gender"),
    },
}  # fmt: skip
_CODE = _param("token", "code")
_QUANTITY = (_CODE, _param("quantity", "valueQuantity"))
_CONCEPT = (_CODE, _param("token", "valueCodeableConcept"))
COMPOSITES: dict[str, dict[str, tuple[tuple[str, ...], tuple[Param, ...]]]] = {
    "Observation": {
        "code-value-quantity": (("",), _QUANTITY),
        "component-code-value-quantity": (("component",), _QUANTITY),
        "combo-code-value-quantity": (("", "component"), _QUANTITY),
        "code-value-concept": (("",), _CONCEPT),
        "component-code-value-concept": (("component",), _CONCEPT),
        "combo-code-value-concept": (("", "component"), _CONCEPT),
        "code-value-date": (("",), (_CODE, _param("date", "valueDateTime", "valuePeriod"))),
        "code-value-string": (("",), (_CODE, _param("string", "valueString"))),
    }
}
"""(where the elements lie, what each part of the value is asked of within one element)."""
SHARED = frozenset({"Organization", "Practitioner", "Location"})
HEADLINE = {
    "Patient": "birthdate", "Observation": "date", "Encounter": "date", "RiskAssessment": "date", "Condition": "",
}  # fmt: skip
"""The date that a type is ordered by; that of a Condition is the onset, or else when it was recorded."""


def walk(value: Any, path: str) -> Iterator[Any]:
    """Yield what lies at a path; "" is the value itself."""
    if isinstance(value, list):
        for item in value:
            yield from walk(item, path)
        return
    if not path:
        yield value
        return
    step, _, rest = path.partition(".")
    name, mark, wanted = step.partition("?")
    if not isinstance(value, dict) or name not in value:
        return
    for item in walk(value[name], ""):
        key, _, text = wanted.partition("=")
        if not mark or item.get(key) == text:
            yield from walk(item, rest)


def found(resource: Json, param: Param) -> list[Any]:
    """Return the values of a parameter."""
    return [value for path in param.paths for value in walk(resource, path)]
