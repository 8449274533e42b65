"""The references by which a resource is *about* patients."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from overblik.fhir.definitions import r4
from overblik.fhir.fhirpath import Item, branches, compile_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from overblik.fhir.strict_json import Json


def patient_references(resource: Json) -> Iterator[Json]:
    """Walk the references by which a resource is *about* patients.

    They are the Patient compartment's parameters, less those by which someone only takes part
    (author, sender, recorder, participant): taking part confers nothing. What is contained is about whom
    it is about by itself, and a contained Patient is whom its identifiers name.
    """
    resource_type = resource["resourceType"]
    items = [Item(resource_type, resource)]
    for extract in _subjects(resource_type):
        for item in extract(items):
            if isinstance(item.value, dict):
                yield item.value
    for inner in resource.get("contained", ()):
        if inner.get("resourceType") == "Patient":
            yield from ({"identifier": one} for one in inner.get("identifier", ()))
        else:
            yield from (r for r in patient_references(inner) if not str(r.get("reference", "")).startswith("#"))


_ABOUT = frozenset({"subject", "patient", "individual", "beneficiary", "subscriber", "member"})

_ACTING = {
    "Appointment": "Appointment.participant.actor.where(resolve() is Patient)",
    "AppointmentResponse": "AppointmentResponse.actor.where(resolve() is Patient)",
    "Schedule": "Schedule.actor.where(resolve() is Patient)",
    "Task": "Task.for",
}
"""What names its patient among those who act, or by an element that is no parameter of the compartment."""


@cache
def _subjects(resource_type: str) -> tuple[Callable[[list[Item]], list[Item]], ...]:
    if path := _ACTING.get(resource_type):
        return (compile_path(path),)
    codes = [c for c in r4().patient.get(resource_type, ()) if c in _ABOUT]
    params = [r4().param(resource_type, code) for code in codes]
    expressions = [p.expression for p in params if p is not None and p.expression]
    return tuple(branch.run for expression in expressions for branch in branches(expression, resource_type))
