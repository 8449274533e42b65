"""Protected addresses (navne- og adressebeskyttelse): a Patient with the confidentiality `R` in its security labels.

https://hl7.org/fhir/R4/security-labels.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from overblik.fhir.strict_json import Json

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
RESTRICTED = "R"
TELLING: dict[str, tuple[str, ...]] = {
    "Patient": ("address", "telecom", "text"),
    "RelatedPerson": ("address", "text"),
    "Person": ("address", "telecom", "text"),
    "Binary": ("data",),
}
"""What of each type tells where somebody lives or is reached: a relative may live with them, and a message as it
came states it in a place of its own."""


def is_protected(resource: Json) -> bool:
    """Say whether a resource itself says that whom it is about is protected."""
    return any(label.get("code") == RESTRICTED for label in resource.get("meta", {}).get("security", ()))


def without_address(resource: Json) -> Json:
    """Return a resource without what tells where its person lives or is reached, in contained resources too."""
    telling = TELLING.get(resource.get("resourceType", ""), ())
    kept = {name: value for name, value in resource.items() if name not in telling}
    if "contact" in kept and kept.get("resourceType") == "Patient":
        kept["contact"] = [{k: v for k, v in one.items() if k != "address"} for one in kept["contact"]]
    if "contained" in kept:
        kept["contained"] = [without_address(one) for one in kept["contained"]]
    return kept


def findable(resource: Json) -> Json:
    """Return what a resource may be found by: a protected person by neither address nor telephone."""
    return without_address(resource) if resource.get("resourceType") in TELLING and is_protected(resource) else resource
