"""Who acts for somebody by law: custody of a child until fifteen, and guardians.

Stated by RelatedPersons that the system writes, which is how the operator's copy of the CPR register comes in.
Anybody else's RelatedPerson says who is related and opens nothing: a source that could state custody could
open any record to anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.fhir.dates import EARLIEST, LATEST, parse_interval
from overblik.fhir.identifiers import CPR, canonical, cpr_birth_date
from overblik.store.unit import MandateRow

if TYPE_CHECKING:
    from overblik.fhir.strict_json import Json

KINDS = {
    ("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "GUARD"): "guardian",
    ("urn:overblik:relation", "custody"): "custody",
}
"""Relationships that the law lets act, as (system, code). Being a parent is none: custody is."""


def mandates_by_law(resource: Json) -> list[MandateRow]:
    """Return the mandates that a RelatedPerson of the authority states; none where it is not active."""
    codings = (c for r in resource.get("relationship", ()) for c in r.get("coding", ()))
    kinds = dict.fromkeys(KINDS.get((c.get("system"), c.get("code")), "") for c in codings)
    stated = (canonical(str(i.get("system", "")), str(i.get("value", ""))) for i in resource.get("identifier", ()))
    holders = [i.value for i in stated if i.system == CPR and cpr_birth_date(i.value)]
    if resource.get("active") is False:
        return []
    period: Json = resource.get("period", {})
    start, end = parse_interval(str(period.get("start", ""))), parse_interval(str(period.get("end", "")))
    return [
        MandateRow(kind, holder, start.start if start else EARLIEST, end.end if end else LATEST)
        for kind in kinds
        for holder in holders
        if kind
    ]
