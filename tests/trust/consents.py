"""Consents as tests write them, short enough for a table."""

from __future__ import annotations

from typing import Any

from tests.trust.stage import CPR, SOR, about

AUTHORISATION = "https://autregweb.sst.dk"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
CPR_SYSTEM = "urn:oid:1.2.208.176.1.2"


def consent(provision: dict[str, Any] | None, cpr: str = CPR, **more: Any) -> dict[str, Any]:
    """Return a Consent about a citizen's record."""
    body: dict[str, Any] = {
        "resourceType": "Consent",
        "status": "active",
        "scope": coded("consentscope", "patient-privacy"),
        "category": [coded("consentcategorycodes", "infa")],
        "patient": about(cpr),
        "policyRule": coded("v3-ActCode", "OPTOUT"),
    }
    return body | ({"provision": provision} if provision is not None else {}) | more


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{TERMINOLOGY}/{system}", "code": code}]}


def deny(*parts: dict[str, Any]) -> dict[str, Any]:
    return _together("deny", parts)


def permit(*parts: dict[str, Any]) -> dict[str, Any]:
    return _together("permit", parts)


def _together(kind: str, parts: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": kind}
    for part in parts:
        for name, value in part.items():
            found[name] = [*found.get(name, []), *value] if isinstance(value, list) else value
    return found


def nested(*provisions: dict[str, Any]) -> dict[str, Any]:
    return {"provision": list(provisions)}


def unit(sor: str, *, sub_units: bool | None = None) -> dict[str, Any]:
    """Return the part that names an organisation as the one a rule is about."""
    actor: dict[str, Any] = {
        "role": coded("v3-ParticipationType", "PRCP"),
        "reference": {"type": "Organization", "identifier": {"system": SOR, "value": sor}},
    }
    if sub_units is not None:
        actor["extension"] = [{"url": "urn:overblik:extension:sub-units", "valueBoolean": sub_units}]
    return {"actor": [actor]}


def person(identifier: str) -> dict[str, Any]:
    reference = {"type": "Practitioner", "identifier": {"system": AUTHORISATION, "value": identifier}}
    return {"actor": [{"role": coded("v3-ParticipationType", "IRCP"), "reference": reference}]}


def attorney(cpr: str) -> dict[str, Any]:
    reference = {"identifier": {"system": CPR_SYSTEM, "value": cpr}}
    return {"actor": [{"role": coded("v3-RoleCode", "HPOWATT"), "reference": reference}]}


def of_type(*types: str) -> dict[str, Any]:
    return {"class": [{"system": "http://hl7.org/fhir/resource-types", "code": one} for one in types]}


def entry(reference: str) -> dict[str, Any]:
    return {"data": [{"meaning": "instance", "reference": {"reference": reference}}]}


def source(sor: str) -> dict[str, Any]:
    return {"data": [{"meaning": "authoredby", "reference": {"identifier": {"system": SOR, "value": sor}}}]}


def during(start: str = "", end: str = "") -> dict[str, Any]:
    return {"period": ({"start": start} if start else {}) | ({"end": end} if end else {})}


def of_time(start: str = "", end: str = "") -> dict[str, Any]:
    return {"dataPeriod": during(start, end)["period"]}


def verified(who: str = "Borgeren selv, i telefonen") -> dict[str, Any]:
    return {"verification": [{"verified": True, "verifiedWith": {"display": who}, "verificationDate": "2026-11-23"}]}
