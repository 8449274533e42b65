"""What a resource is ordered by, as paths that the database reads in its body."""

from __future__ import annotations

import pytest

from overblik.fhir.definitions import r4
from overblik.fhir.index.ordering import READ, order_paths
from overblik.fhir.index.parameters import parameters

_CODE = '$."code"'
TEXT = ' ? (!exists(@."coding"."code"))."text"'


@pytest.mark.parametrize(
    ("kind", "code", "paths"),
    [("Observation", "code", (f'{_CODE}."coding"."code"', _CODE + TEXT)),
     ("Observation", "status", ('$."status"[*]',)), ("Patient", "active", ('$."active"[*]',)),
     ("Patient", "phone", ('$."telecom" ? (@."system" == "phone")."value"',)),
     ("Observation", "_tag", ('$."meta"."tag"."code"',)), ("Observation", "subject", ('$."subject"."reference"',)),
     ("Observation", "patient", ('$."subject" ? (@."reference" like_regex "(^|/)Patient/")."reference"',)),
     ("Observation", "value-date", ()), ("Patient", "name", ()), ("Patient", "deceased", ()),
     ("PlanDefinition", "depends-on",
      ('$."relatedArtifact" ? (@."type" == "depends-on")."resource"[*]', '$."library"[*]'))],
)  # fmt: skip
def test_a_type_is_ordered_by_what_its_parameter_finds(kind: str, code: str, paths: tuple[str, ...]) -> None:
    assert order_paths(parameters(kind)[code], kind) == paths


def test_nearly_every_parameter_has_an_order() -> None:
    """Left out is what looks at an entry by its number, into extensions, or at a truth."""
    unordered = {
        f"{kind}.{code}"
        for kind in r4().resource_types
        for code, param in parameters(kind).items()
        if param.type in READ and not order_paths(param, kind)
    }
    assert unordered == {
        "Bundle.composition", "Bundle.message", "Device.din", "DiagnosticReport.assessed-condition",
        "Observation.gene-identifier", "Patient.deceased", "Patient.part-agree", "QuestionnaireResponse.item-subject",
    }  # fmt: skip
