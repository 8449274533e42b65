"""Writes of what belongs to no patient, with what follows from them for the server itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.fhir.errors import Unprocessable
from overblik.fhir.index import patient_references
from overblik.trust.door.search_parameters import follow
from overblik.trust.organisations import store_organisation

if TYPE_CHECKING:
    from overblik.store.unit import StagedShared, Unit
    from overblik.trust.callers.identity import Caller


async def stage(unit: Unit, caller: Caller, staged: StagedShared) -> None:
    """Add one version to a unit: an Organization is the directory's too, a SearchParameter what can be searched by.

    Unprocessable where it carries something of a patient's: everybody reads it.
    """
    if staged.resource is not None and next(patient_references(staged.resource), None) is not None:
        text = "This belongs to nobody and is read by everybody: what is about a patient is a resource of its own."
        raise Unprocessable("patient-contained", text, expression=f"{staged.type}.contained")
    if staged.type == "Organization" and staged.resource is not None:
        await store_organisation(unit.transaction, caller, staged.resource)
    elif staged.type == "SearchParameter":
        await follow(unit, caller, staged)
    unit.stage_shared(staged)
