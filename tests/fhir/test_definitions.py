"""The compiled definitions: what they say of the standard, spot by spot, and that they hold together."""

from __future__ import annotations

import pytest

from overblik.fhir.definitions import Element, r4
from overblik.fhir.primitives import CHECKS


def test_the_standard_is_r4_with_all_its_resources() -> None:
    assert r4().version == "4.0.1"
    assert len(r4().resource_types) == 146
    assert {"Patient", "Bundle", "Parameters", "Binary"} <= r4().resource_types
    assert not {"Resource", "DomainResource", "HumanName", "Patient.contact"} & r4().resource_types


def test_it_is_read_once() -> None:
    assert r4() is r4()


ELEMENTS = [
    ("Patient", "id", ("id",), 0, 1),
    ("Patient", "name", ("HumanName",), 0, None),
    ("Patient", "birthDate", ("date",), 0, 1),
    ("Patient", "deceased[x]", ("boolean", "dateTime"), 0, 1),
    ("Patient", "contact", ("Patient.contact",), 0, None),
    ("Patient", "contained", ("Resource",), 0, None),
    ("Patient.contact", "name", ("HumanName",), 0, 1),
    ("Patient.link", "other", ("Reference",), 1, 1),
    ("Observation", "status", ("code",), 1, 1),
    ("Observation.component", "referenceRange", ("Observation.referenceRange",), 0, None),
    ("Questionnaire.item", "item", ("Questionnaire.item",), 0, None),
    ("Bundle.entry", "resource", ("Resource",), 0, 1),
    ("Extension", "url", ("uri",), 1, 1),
    ("Extension", "id", ("string",), 0, 1),
    ("HumanName", "given", ("string",), 0, None),
    ("Narrative", "div", ("xhtml",), 1, 1),
]


@pytest.mark.parametrize(("owner", "name", "types", "least", "most"), ELEMENTS)
def test_an_element_has_its_types_and_cardinality(
    owner: str, name: str, types: tuple[str, ...], least: int, most: int | None
) -> None:
    element = r4().types[owner].elements[name]
    assert (element.name, element.types, element.min, element.max) == (name, types, least, most)


def test_an_element_knows_its_targets_codes_and_flags() -> None:
    patient = r4().types["Patient"].elements
    assert patient["gender"].codes == frozenset({"male", "female", "other", "unknown"})
    assert patient["managingOrganization"].targets == ("Organization",)
    assert patient["active"].modifier
    assert patient["active"].summary
    assert not patient["photo"].modifier
    assert not patient["photo"].summary
    assert r4().types["Reference"].elements["reference"].targets == ()


def test_required_codes_too_many_to_list_are_not_checked() -> None:
    assert r4().types["Attachment"].elements["contentType"].codes is None


def all_elements() -> list[tuple[str, Element]]:
    return [(name, element) for name, kind in r4().types.items() for element in kind.elements.values()]


def test_every_type_that_an_element_has_is_defined_or_is_a_primitive() -> None:
    known = set(r4().types) | set(CHECKS)
    assert {kind for _, element in all_elements() for kind in element.types} <= known
    assert len(all_elements()) > 5000


def test_every_base_leads_to_element_or_resource() -> None:
    for name in r4().types:
        seen = [name]
        while base := r4().types[seen[-1]].base:
            assert base not in seen
            seen.append(base)
        assert seen[-1] in {"Element", "Resource"}


def test_cardinality_and_code_lists_make_sense() -> None:
    for owner, element in all_elements():
        where = f"{owner}.{element.name}"
        assert 0 <= element.min <= (element.max or 1), where
        assert element.codes is None or (element.codes and element.types == ("code",)), where


@pytest.mark.parametrize(
    ("kind", "code", "sort", "expression"),
    [
        ("Patient", "identifier", "token", "Patient.identifier"),
        ("Patient", "_id", "token", "Resource.id"),
        ("Patient", "_lastUpdated", "date", "Resource.meta.lastUpdated"),
        ("Observation", "subject", "reference", "Observation.subject"),
        ("Encounter", "identifier", "token", "Encounter.identifier"),
    ],
)
def test_a_search_parameter_is_found_by_its_type_or_among_those_all_have(
    kind: str, code: str, sort: str, expression: str
) -> None:
    param = r4().param(kind, code)
    assert param is not None
    assert (param.code, param.type) == (code, sort)
    assert expression in param.expression


def test_a_parameter_that_a_type_has_not_is_none() -> None:
    assert r4().param("Patient", "code") is None
    assert r4().param("Dog", "identifier") is None


def test_a_composite_names_its_components() -> None:
    param = r4().param("Observation", "code-value-quantity")
    assert param is not None
    assert [expression for _, expression in param.component] == ["code", "value.as(Quantity)"]


def test_the_patient_compartment_names_parameters_that_exist() -> None:
    assert r4().patient["Observation"] == ("subject", "performer")
    assert "Organization" not in r4().patient
    for kind, codes in r4().patient.items():
        assert kind in r4().resource_types
        assert all(r4().param(kind, code) for code in codes), kind
