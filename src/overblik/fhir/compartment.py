"""Which resource types belong to patients, and which to nobody in particular."""

from __future__ import annotations

from overblik.fhir.definitions import r4

_ABOUT_TOO = frozenset({"Task", "MessageHeader", "Device", "GuidanceResponse", "Contract"})
"""Of a patient by what they say, though not in the standard's compartment."""
_CARRIERS = frozenset({"Binary", "Bundle"})
_SHARED = frozenset(r4().resource_types - r4().patient.keys() - _ABOUT_TOO - _CARRIERS)


def is_shared(resource_type: str) -> bool:
    """Say whether resources of a type belong to no patient and are kept for everyone."""
    return resource_type in _SHARED


def of_patients(resource_type: str) -> bool:
    """Say whether resources of a type are about patients, so that `patient` can be asked of them."""
    return resource_type in r4().patient or resource_type in _ABOUT_TOO
