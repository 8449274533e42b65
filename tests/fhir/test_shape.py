"""Parts of resources: what `_summary` and `_elements` keep, what they must keep, and the tag that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overblik.fhir.errors import Malformed
from overblik.fhir.shape import SUBSETTED, WHOLE, Shape, parse_shape, shaped
from overblik.fhir.structure import check
from tests.fhir.generate import resources

if TYPE_CHECKING:
    from overblik.fhir.strict_json import Json

ABSENT = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}
TAG = {"tag": [SUBSETTED]}
PATIENT: Json = {
    "resourceType": "Patient",
    "id": "a",
    "meta": {"versionId": "3", "tag": [{"code": "t"}]},
    "implicitRules": "http://x.dk/rules",
    "language": "da",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    "contained": [{"resourceType": "Basic", "id": "c", "code": {"text": "x"}}],
    "extension": [{"url": "http://x.dk/note", "valueString": "x"}],
    "active": True,
    "name": [{"id": "n", "family": "X", "extension": [{"url": "u", "valueString": "x"}]}],
    "birthDate": "1948",
    "_birthDate": {"id": "b"},
    "_gender": ABSENT,
    "photo": [{"contentType": "image/png", "data": "QUJD"}],
    "maritalStatus": {"text": "gift"},
}
HEAD = {"resourceType": "Patient", "id": "a", "meta": {"versionId": "3", "tag": [{"code": "t"}, SUBSETTED]}}
KEPT = {"implicitRules": PATIENT["implicitRules"], "active": True}
OBSERVATION: Json = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"code": "x", "extension": [{"url": "u", "valueString": "x"}]}], "text": "Puls"},
    "valueQuantity": {"value": 1, "_unit": ABSENT},
    "note": [{"text": "x"}],
    "component": [{"code": {"text": "y"}, "valueString": "z", "interpretation": [{"text": "x"}]}],
}


def patient(*names: str, **more: Any) -> Json:
    return {**HEAD, **KEPT, **{name: PATIENT[name] for name in names}, **more}


PARTS: dict[str, tuple[Json, str, str, Json]] = {
    "whole": (PATIENT, "", "", PATIENT),
    "whole, said": (PATIENT, "false", "", PATIENT),
    "data": (PATIENT, "data", "", {**{k: v for k, v in PATIENT.items() if k != "text"}, "meta": HEAD["meta"]}),
    "text": (PATIENT, "text", "", patient("text")),
    "text keeps what must stand": (
        OBSERVATION,
        "text",
        "",
        {"resourceType": "Observation", "meta": TAG, "status": "final", "code": OBSERVATION["code"]},
    ),
    "summary": (
        PATIENT,
        "true",
        "",
        patient("_gender", "birthDate", name=[{"family": "X"}]),
    ),
    "summary at every depth": (
        OBSERVATION,
        "true",
        "",
        {
            "resourceType": "Observation",
            "meta": TAG,
            "status": "final",
            "code": {"coding": [{"code": "x"}], "text": "Puls"},
            "valueQuantity": {"value": 1, "_unit": ABSENT},
            "component": [{"code": {"text": "y"}, "valueString": "z"}],
        },
    ),
    "elements, with what extends them": (PATIENT, "", "birthDate,name", patient("birthDate", "_birthDate", "name")),
    "elements of a choice, by its name": (
        OBSERVATION,
        "",
        "value",
        {**{k: OBSERVATION[k] for k in ("resourceType", "status", "code", "valueQuantity")}, "meta": TAG},
    ),
    "elements of a choice, as defined": (
        OBSERVATION,
        "",
        "value[x]",
        {**{k: OBSERVATION[k] for k in ("resourceType", "status", "code", "valueQuantity")}, "meta": TAG},
    ),
    "elements of a choice, by its type": (
        OBSERVATION,
        "",
        "valueQuantity , note",
        {**{k: OBSERVATION[k] for k in ("resourceType", "status", "code", "valueQuantity", "note")}, "meta": TAG},
    ),
    "an element it does not have": (PATIENT, "", "status", patient()),
    "a part of a part is tagged once": ({**HEAD, **KEPT}, "", "name", patient()),
}


@pytest.mark.parametrize(("resource", "summary", "elements", "expected"), PARTS.values(), ids=PARTS.keys())
def test_the_part_is_what_was_asked_for_and_what_must_stand(
    resource: Json, summary: str, elements: str, expected: Json
) -> None:
    shape = parse_shape(summary, elements)
    found = shaped(resource, shape) if shape else resource
    assert found == expected
    assert list(found)[: len(HEAD)] == list(HEAD)[: len(HEAD)] or "id" not in found


def test_a_list_keeps_what_says_why_a_value_is_missing_and_no_more() -> None:
    given_names = {"given": ["a", None], "_given": [{"id": "x"}, ABSENT]}
    found = shaped({"resourceType": "Patient", "name": [given_names]}, Shape("true"))
    assert found["name"] == [{"given": ["a", None], "_given": [None, ABSENT]}]


def test_what_must_stand_stands_even_if_only_an_extension_says_why_it_is_missing() -> None:
    resource = {**OBSERVATION, "id": "a", "code": ABSENT}
    assert shaped(resource, Shape("true"))["code"] == ABSENT


def test_a_modifier_extension_is_never_left_out() -> None:
    modified = {**PATIENT, "modifierExtension": [{"url": "u", "valueBoolean": True}]}
    for shape in (Shape("true"), Shape("text"), Shape("data"), Shape("", frozenset({"name"}))):
        assert shaped(modified, shape)["modifierExtension"] == modified["modifierExtension"]


def test_of_a_bundle_that_answers_each_entry_is_shaped_and_the_rest_left_alone() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "x"}]}
    entries = [{"fullUrl": "u", "resource": PATIENT}, {"resource": outcome}, {"response": {"status": "204"}}]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": 3, "link": [{"url": "u"}], "entry": entries}
    found = shaped(bundle, Shape("", frozenset({"name"})))
    assert found == {**bundle, "entry": [{"fullUrl": "u", "resource": patient("name")}, *entries[1:]]}
    assert shaped(bundle, Shape("count")) == {key: value for key, value in bundle.items() if key != "entry"}


def test_a_bundle_that_is_stored_is_a_resource_like_any_other() -> None:
    bundle = {"resourceType": "Bundle", "id": "b", "type": "document", "entry": [{"resource": PATIENT}]}
    assert shaped(bundle, Shape("true")) == {**bundle, "meta": TAG}


@pytest.mark.parametrize(
    ("summary", "elements", "expression"),
    [
        ("yes", "", "http._summary"),
        ("true,text", "", "http._summary"),
        ("", "nmae", "http._elements"),
        ("", "name.family", "http._elements"),
        ("text", "name", "http._elements"),
    ],
)
def test_a_shape_that_means_nothing_is_refused_with_its_parameter(summary: str, elements: str, expression: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_shape(summary, elements)
    assert (refused.value.code, refused.value.issues[0].expression) == ("shape-invalid", expression)


def test_an_unknown_element_passes_where_leniency_was_asked_for() -> None:
    assert parse_shape("", "nmae,name", lenient=True).elements == {"nmae", "name"}
    assert parse_shape("false", "") == parse_shape("", "") == WHOLE


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=100)
@given(resources(), st.sampled_from(["true", "text", "data"]))
def test_a_part_never_breaks_a_rule_that_the_whole_keeps(resource: Json, summary: str) -> None:
    whole = {issue.code for issue in check(resource)}
    part = shaped({**resource, "id": "a"}, Shape(summary))
    assert {issue.code for issue in check(part)} <= whole
    assert part["meta"]["tag"][-1] == SUBSETTED
    assert shaped(part, Shape(summary)) == part
