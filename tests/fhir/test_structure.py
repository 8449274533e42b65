"""The base structure check: every kind of fault, with the place it names; real files pass."""

from __future__ import annotations

import gzip
import tarfile
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.errors import Unprocessable
from overblik.fhir.strict_json import load_object, loads
from overblik.fhir.structure import MOST_ISSUES, check, require
from tests.conftest import DATA, needs_shared, shared_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from overblik.fhir.strict_json import Json

PATIENT: Json = {"resourceType": "Patient", "gender": "female"}
OBSERVATION: Json = {"resourceType": "Observation", "status": "final", "code": {"text": "Puls"}}
NOTE: Json = {"url": "http://x.dk/note", "valueString": "x"}


def patient(**more: Any) -> Json:
    return {**PATIENT, **more}


def observation(**more: Any) -> Json:
    return {**OBSERVATION, **more}


def bundle(*resources: Any) -> Json:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]}


def found(resource: Any, *, lenient: bool = False) -> list[tuple[str, str]]:
    return [(issue.code, issue.expression) for issue in check(resource, lenient=lenient)]


FAULTS: dict[str, tuple[Any, str, str]] = {
    # No resource at all.
    "a list": ([], "resource-type-missing", ""),
    "no type": ({"id": "a"}, "resource-type-missing", ""),
    "a type that is no string": ({"resourceType": 1}, "resource-type-missing", ""),
    "unknown type": ({"resourceType": "Dog"}, "resource-type-unknown", ""),
    "a data type": ({"resourceType": "HumanName", "family": "x"}, "resource-type-unknown", ""),
    "an abstract type": ({"resourceType": "DomainResource", "id": "x"}, "resource-type-unknown", ""),
    # Elements.
    "unknown element": (patient(dog="x"), "unknown-element", "Patient.dog"),
    "unknown, inside": (patient(name=[{"last": "x"}]), "unknown-element", "Patient.name[0].last"),
    "choice without its type": (observation(value="x"), "unknown-element", "Observation.value"),
    "choice of another type": (observation(valueAddress={"city": "x"}), "unknown-element", "Observation.valueAddress"),
    "resourceType in an element": (
        patient(name=[{"resourceType": "x"}]),
        "unknown-element",
        "Patient.name[0].resourceType",
    ),
    # JSON types.
    "one where a list is": (patient(name={"family": "x"}), "wrong-json-type", "Patient.name"),
    "list where one is": (patient(gender=["female"]), "wrong-json-type", "Patient.gender"),
    "text where an object is": (patient(name=["x"]), "wrong-json-type", "Patient.name[0]"),
    "object where text is": (patient(gender={"x": 1}), "wrong-value", "Patient.gender"),
    "number where text is": (patient(language=1), "wrong-value", "Patient.language"),
    "text where a boolean is": (patient(active="true"), "wrong-value", "Patient.active"),
    "null": (patient(birthDate=None), "wrong-value", "Patient.birthDate"),
    "null in a list": (patient(name=[None]), "wrong-json-type", "Patient.name[0]"),
    # Values.
    "impossible date": (patient(birthDate="2026-02-30"), "wrong-value", "Patient.birthDate"),
    "NUL": (patient(name=[{"family": "a\x00b"}]), "wrong-value", "Patient.name[0].family"),
    "NUL in a code": (patient(language="da\x00"), "wrong-value", "Patient.language"),
    "empty text": (patient(id=""), "wrong-value", "Patient.id"),
    "place in a list": (patient(name=[{"given": ["a", ""]}]), "wrong-value", "Patient.name[0].given[1]"),
    "extension url with a space": (
        patient(extension=[{"url": "a b", "valueString": "x"}]),
        "wrong-value",
        "Patient.extension[0].url",
    ),
    "code not in the list": (patient(gender="kvinde"), "code-not-in-list", "Patient.gender"),
    "code in other letters": (patient(gender="Female"), "code-not-in-list", "Patient.gender"),
    # Cardinality.
    "required missing": ({"resourceType": "Observation", "status": "final"}, "element-missing", "Observation"),
    "required missing, inside": (patient(link=[{"type": "refer"}]), "element-missing", "Patient.link[0]"),
    "extension without url": (patient(extension=[{"valueString": "x"}]), "element-missing", "Patient.extension[0]"),
    "two of a choice": (observation(valueString="x", valueInteger=1), "choice-twice", "Observation"),
    "two, one by its sibling": (observation(valueString="x", _valueInteger={"id": "a"}), "choice-twice", "Observation"),
    # Modifier extensions, known to nobody here, wherever they stand.
    "modifier": (patient(modifierExtension=[NOTE]), "modifier-not-understood", "Patient.modifierExtension[0]"),
    "modifier in a backbone": (
        patient(contact=[{"gender": "male", "modifierExtension": [NOTE]}]),
        "modifier-not-understood",
        "Patient.contact[0].modifierExtension[0]",
    ),
    "modifier in a data type": (
        patient(name=[{"modifierExtension": [NOTE]}]),
        "unknown-element",
        "Patient.name[0].modifierExtension",
    ),
    # Resources in resources.
    "contained": (
        patient(contained=[{"resourceType": "Patient", "gender": "x"}]),
        "code-not-in-list",
        "Patient.contained[0].gender",
    ),
    "contained, no type": (patient(contained=[{"id": "x"}]), "resource-type-missing", "Patient.contained[0]"),
    "bundled": (bundle(patient(), patient(dog=1)), "unknown-element", "Bundle.entry[1].resource.dog"),
    "bundled in a bundle": (
        bundle(bundle({"resourceType": "x"})),
        "resource-type-unknown",
        "Bundle.entry[0].resource.entry[0].resource",
    ),
    "contained in bundled": (
        bundle(patient(contained=[patient(active=1)])),
        "wrong-value",
        "Bundle.entry[0].resource.contained[0].active",
    ),
    # Siblings of primitives.
    "sibling that is no object": (patient(_birthDate="x"), "wrong-json-type", "Patient.birthDate"),
    "sibling that is a list": (patient(_birthDate=[{"extension": [NOTE]}]), "wrong-json-type", "Patient.birthDate"),
    "sibling that is no list": (patient(name=[{"_given": {"id": "x"}}]), "wrong-json-type", "Patient.name[0].given"),
    "sibling with a value": (patient(_birthDate={"value": "x"}), "unknown-element", "Patient.birthDate.value"),
    "fault in a sibling": (
        patient(_birthDate={"extension": [{"url": "x", "valueDate": "2026-02-30"}]}),
        "wrong-value",
        "Patient.birthDate.extension[0].valueDate",
    ),
    "fault in a list's sibling": (
        patient(name=[{"_given": [None, {"x": 1}]}]),
        "unknown-element",
        "Patient.name[0].given[1].x",
    ),
    "sibling of what is no primitive": (patient(_name=[{"id": "x"}]), "unknown-element", "Patient._name"),
    "sibling of nothing": (patient(_dog={"id": "x"}), "unknown-element", "Patient._dog"),
    "null without its sibling": (
        patient(name=[{"given": ["a", None], "_given": [{"id": "x"}]}]),
        "wrong-value",
        "Patient.name[0].given[1]",
    ),
    "null with a null sibling": (
        patient(name=[{"given": [None], "_given": [None]}]),
        "wrong-value",
        "Patient.name[0].given[0]",
    ),
}


@pytest.mark.parametrize(("resource", "code", "place"), FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("lenient", [False, True])
def test_each_fault_is_found_with_its_place(resource: Any, code: str, place: str, lenient: bool) -> None:
    assert found(resource, lenient=lenient) == [(code, place)]


RIGHT: dict[str, Json] = {
    "primitives": patient(active=True, birthDate="1944-03", multipleBirthInteger=2),
    "a choice": observation(valueQuantity={"value": loads(b"1.00"), "unit": "mmol/L"}),
    "a choice with its own sibling": observation(valueString="x", _valueString={"extension": [NOTE]}),
    "a required element by its sibling alone": observation() | {"status": "final", "_status": {"extension": [NOTE]}},
    "only the sibling": {"resourceType": "Observation", "_status": {"extension": [NOTE]}, "code": {"text": "x"}},
    "a null with an extension": patient(name=[{"given": ["a", None], "_given": [None, {"extension": [NOTE]}]}]),
    "only a list of siblings": patient(name=[{"_given": [{"extension": [NOTE]}]}]),
    "an extension of an extension": patient(extension=[{"url": "a", "extension": [NOTE]}]),
    "a recursive backbone": {"resourceType": "Questionnaire", "status": "draft", "item": [
        {"linkId": "1", "type": "group", "item": [{"linkId": "1.1", "type": "display"}]},
    ]},
    "a bundle": bundle(patient(contained=[observation()]), bundle(patient())),
    "ids everywhere": patient(id="a", name=[{"id": "any text at all", "family": "x"}]),
}  # fmt: skip


@pytest.mark.parametrize("resource", RIGHT.values(), ids=RIGHT.keys())
def test_what_the_standard_allows_passes(resource: Json) -> None:
    assert found(resource) == []


EMPTY = {
    "object": (patient(maritalStatus={}), "Patient.maritalStatus"),
    "object in a list": (patient(name=[{}]), "Patient.name[0]"),
    "list": (patient(name=[]), "Patient.name"),
    "list of primitives": (patient(name=[{"given": []}]), "Patient.name[0].given"),
    "list of modifiers": (patient(modifierExtension=[]), "Patient.modifierExtension"),
    "sibling": (patient(_birthDate={}), "Patient.birthDate"),
    "list of siblings": (patient(name=[{"_given": []}]), "Patient.name[0].given"),
}


def test_a_resource_that_says_nothing_but_its_type_is_no_empty_element() -> None:
    """The HL7 validator takes it as well; a test client's first Patient often looks so."""
    assert found({"resourceType": "Patient"}) == []


@pytest.mark.parametrize(("resource", "place"), EMPTY.values(), ids=EMPTY.keys())
def test_empty_elements_are_refused_unless_the_check_is_lenient(resource: Json, place: str) -> None:
    assert found(resource) == [("empty-element", place)]
    assert found(resource, lenient=True) == []


def test_a_required_code_names_some_of_its_list() -> None:
    (issue,) = check(patient(gender="kvinde"))
    assert issue.text == "Patient.gender must be one of: female, male, other, unknown."
    assert issue.kind == "code-invalid"


def test_a_modifier_names_its_url() -> None:
    (issue,) = check(patient(modifierExtension=[NOTE]))
    assert "http://x.dk/note" in issue.text
    assert issue.kind == "not-supported"


def test_no_more_than_the_first_issues_are_told() -> None:
    assert len(check(patient(name=["x"] * 100))) == MOST_ISSUES


def test_names_from_the_body_are_cut_before_they_are_repeated() -> None:
    (issue,) = check(patient(**{"x" * 1000: 1}))
    assert len(issue.text) < 120
    assert len(issue.expression) < 120


def test_the_deepest_json_that_is_read_can_be_checked() -> None:
    deep: Json = {"display": "x"}
    for _ in range(95):
        deep = {"identifier": {"assigner": deep}}
    assert found(patient(managingOrganization=deep)) == []


def test_require_raises_every_issue_or_returns() -> None:
    require(patient())
    with pytest.raises(Unprocessable) as refused:
        require(patient(dog=1, cat=2))
    assert [issue.expression for issue in refused.value.issues] == ["Patient.dog", "Patient.cat"]
    require(patient(name=[]), lenient=True)


def package(path: Path) -> Iterator[tuple[str, Json]]:
    """Walk the resources of a FHIR package."""
    with tarfile.open(path) as tar:
        for member in tar:
            if member.name.endswith(".json") and (file := tar.extractfile(member)):
                resource = load_object(file.read())
                if "resourceType" in resource:
                    yield member.name, resource


@needs_shared
def test_every_example_of_dk_core_passes() -> None:
    (path,) = shared_files("fhir-packages/hl7.fhir.dk.core-*.tgz")
    examples = {name: resource for name, resource in package(path) if "/example/" in name}
    assert sum(r["resourceType"] in {"Patient", "RelatedPerson"} for r in examples.values()) == 90
    assert {name: found(resource) for name, resource in examples.items() if found(resource)} == {}


@needs_shared
def test_every_synthea_bundle_passes() -> None:
    files = shared_files("synthea/*.json.gz")
    assert len(files) == 60
    assert {f.name: i for f in files if (i := found(loads(gzip.decompress(f.read_bytes()))))} == {}


@needs_shared
def test_every_medcom_example_passes_leniently() -> None:
    files = shared_files("medcom-fhir/**/*.json")
    assert len(files) == 354
    assert {f.name: i for f in files if (i := found(load_object(f.read_bytes()), lenient=True))} == {}


HL7S_OWN = {("SearchParameter", "element-missing"): 10, ("SearchParameter.id", "wrong-value"): 1}
"""What R4 itself breaks: ten search parameters without a base, one with an id of over 64 characters."""


@needs_shared
def test_the_standards_own_definitions_pass_but_for_their_known_faults() -> None:
    faults = Counter(
        (place, code)
        for _, resource in package(DATA / "fhir-packages/hl7.fhir.r4.core-4.0.1.tgz")
        for code, place in found(resource)
    )
    assert faults == HL7S_OWN
