"""Value sets and hierarchies of the loaded definitions, and ValueSets that are given."""

from __future__ import annotations

from typing import Any

import pytest

from overblik.fhir.errors import Malformed
from overblik.fhir.query import Not, Tokens, parse_query
from overblik.fhir.terminology import NotLoaded, above, below, holding, value_set

HL7 = "http://hl7.org/fhir"
TERM = "http://terminology.hl7.org/CodeSystem"
CLINICAL = f"{TERM}/condition-clinical"
ACT = f"{TERM}/v3-ActCode"
GIVEN = "ValueSet/own"


@pytest.mark.parametrize(
    ("url", "count", "one"),
    [(f"{HL7}/ValueSet/administrative-gender", 4, (f"{HL7}/administrative-gender", "female")),
     (f"{HL7}/ValueSet/administrative-gender|4.0.1", 4, (f"{HL7}/administrative-gender", "female")),
     (f"{HL7}/ValueSet/condition-clinical", 6, (CLINICAL, "relapse")),  # nested codes too
     (f"{HL7}/ValueSet/yesnodontknow", 3, (f"{TERM}/data-absent-reason", "asked-unknown")),  # a set and a code
     ("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", 11, (ACT, "IMP"))],  # what a filter keeps
)  # fmt: skip
def test_a_value_set_is_its_codes(url: str, count: int, one: tuple[str, str]) -> None:
    found = value_set(url)
    assert (len(found), one in found) == (count, True)


@pytest.mark.parametrize(
    ("system", "code", "under", "over"),
    [(CLINICAL, "active", {"active", "recurrence", "relapse"}, {"active"}),
     (CLINICAL, "relapse", {"relapse"}, {"relapse", "active"}),
     (ACT, "IMP", {"IMP", "ACUTE", "NONAC"}, {"IMP", "_ActEncounterCode", "_ActCareProvisionCode"})],
)  # fmt: skip
def test_codes_stand_below_and_above_others(system: str, code: str, under: set[str], over: set[str]) -> None:
    assert (set(below(system, code)), set(above(system, code))) == (under, over)


@pytest.mark.parametrize(
    "compose",
    [{"include": [{"system": CLINICAL, "concept": [{"code": "active"}, {"code": "relapse"}]}]},
     {"include": [{"system": CLINICAL, "filter": [{"property": "concept", "op": "is-a", "value": "active"}]}],
      "exclude": [{"system": CLINICAL, "concept": [{"code": "recurrence"}]}]},
     {"include": [{"system": CLINICAL, "filter": [{"property": "concept", "op": "descendent-of", "value": "active"}]},
                  {"system": CLINICAL, "concept": [{"code": "active"}]}],
      "exclude": [{"system": CLINICAL, "concept": [{"code": "recurrence"}]}]},
     {"include": [{"valueSet": [f"{HL7}/ValueSet/condition-clinical"], "system": CLINICAL,
                   "concept": [{"code": "active"}, {"code": "relapse"}, {"code": "elsewhere"}]}]}],
)  # fmt: skip
def test_a_given_value_set_is_expanded_by_its_rules(compose: dict[str, Any]) -> None:
    with holding({GIVEN: {"resourceType": "ValueSet", "compose": compose}}):
        assert value_set(GIVEN) == {(CLINICAL, "active"), (CLINICAL, "relapse")}


def test_a_value_set_without_rules_is_what_it_says_it_was_expanded_to() -> None:
    contains = [{"system": "urn:x", "abstract": True, "code": "up", "contains": [{"system": "urn:x", "code": "down"}]}]
    with holding({GIVEN: {"resourceType": "ValueSet", "expansion": {"contains": contains}}}):
        assert value_set(GIVEN) == {("urn:x", "down")}


def many(count: int) -> dict[str, Any]:
    return {"include": [{"system": "urn:x", "concept": [{"code": str(number)} for number in range(count)]}]}


@pytest.mark.parametrize(
    ("compose", "said"),
    [({}, "does not say"), (many(2_001), "more than 2000"),
     ({"include": [{"system": "http://snomed.info/sct"}]}, "needs http://snomed.info/sct"),
     ({"include": [{"valueSet": ["http://nowhere"]}]}, "neither among"),
     ({"include": [{"concept": [{"code": "a"}]}]}, "names no system"),
     ({"include": [{"system": CLINICAL, "filter": [{"property": "code", "op": "regex", "value": "a*"}]}]}, "regex")],
)  # fmt: skip
def test_what_cannot_be_expanded_is_refused_with_a_reason(compose: dict[str, Any], said: str) -> None:
    with holding({GIVEN: {"resourceType": "ValueSet", "compose": compose}}), pytest.raises(NotLoaded, match=said):
        value_set(GIVEN)


@pytest.mark.parametrize(
    ("kind", "name", "value", "tokens"),
    [("Patient", "gender:in", f"{HL7}/ValueSet/administrative-gender",
      Tokens("gender", (("", "female"), ("", "male"), ("", "other"), ("", "unknown")))),  # a code names no system
     ("Condition", "clinical-status:below", f"{CLINICAL}|active",
      Tokens("clinical-status", ((CLINICAL, "active"), (CLINICAL, "recurrence"), (CLINICAL, "relapse")))),
     ("Condition", "clinical-status:above", f"{CLINICAL}|relapse,{CLINICAL}|inactive",
      Tokens("clinical-status", ((CLINICAL, "active"), (CLINICAL, "inactive"), (CLINICAL, "relapse")))),
     ("Observation", "status:above", f"{HL7}/observation-status|corrected",
      Tokens("status", (("", "amended"), ("", "corrected"))))],
)  # fmt: skip
def test_a_search_by_terminology_is_one_by_codes(kind: str, name: str, value: str, tokens: Tokens) -> None:
    assert parse_query(kind, [(name, value)]).criteria == (tokens,)
    if name.endswith(":in"):
        assert parse_query(kind, [(name.replace(":in", ":not-in"), value)]).criteria == (Not(tokens),)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("code:in", "http://nowhere", "terminology-unknown"), ("code:in", "ValueSet/1", "terminology-unknown"),
     ("code:in", f"{HL7}/ValueSet/condition-clinical|9", "terminology-unknown"),
     ("code:not-in", f"{HL7}/ValueSet/condition-code", "terminology-unknown"),  # SNOMED CT
     ("code:below", "http://snomed.info/sct|126851005", "terminology-unknown"),
     ("code:below", f"{CLINICAL}|none", "terminology-unknown"), ("code:below", "126851005", "search-value-invalid"),
     ("code:above", f"{CLINICAL}|", "search-value-invalid"), ("code:above", "|active", "search-value-invalid"),
     ("code:in", f"{HL7}/ValueSet/ucum-common,http://terminology.hl7.org/ValueSet/v3-ActCode", "search-too-long"),
     ("code:in", ",".join(["http://nowhere"] * 21), "search-too-long")],
)  # fmt: skip
def test_what_is_not_known_is_refused(name: str, value: str, code: str) -> None:
    with pytest.raises(Malformed) as error:
        parse_query("Condition", [(name, value)])
    assert error.value.code == code
