"""A SearchParameter resource to what is searched by: what is taken, what is refused, and what it then finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.definitions import r4
from overblik.fhir.errors import Malformed, Unavailable, Unprocessable
from overblik.fhir.fhirpath import FhirPathError, checked
from overblik.fhir.index import index_row
from overblik.fhir.index.catalogue import FIRST_PLACE, LAST_PLACE, Catalogue, Custom, used, using
from overblik.fhir.index.parameters import places, standards
from overblik.fhir.query import definition, parse_query, searchable, sortable

if TYPE_CHECKING:
    from overblik.fhir.definitions import SearchParameter
    from overblik.fhir.strict_json import Json

KEY = b"a key of tests"
EYES: Json = {
    "resourceType": "SearchParameter", "url": "http://x.dk/eyes", "name": "eyes", "status": "active",
    "description": "The colour of somebody's eyes.", "code": "eye-colour", "base": ["Patient"], "type": "token",
    "expression": "Patient.extension('http://x.dk/eyes').value.ofType(CodeableConcept)",
}  # fmt: skip
TAKEN: list[Json] = [
    {},
    {"expression": "(Patient.extension.where(url = 'http://x.dk/eyes').value as Coding)"},
    {"expression": "extension('http://x.dk/eyes').value.as(code)"},
    {"base": ["Patient", "Practitioner"], "expression": "Patient.gender | Practitioner.gender"},
    {"base": ["Patient"], "expression": "Patient.gender | Practitioner.gender"},
    {"expression": "Patient.deceased.exists() and Patient.deceased != false"},
    {"expression": "Patient.contact.exists(relationship.exists())"},
    {"type": "string", "expression": "Patient.contact.name"},
    {"type": "date", "expression": "Patient.contact.period"},
    {"type": "reference", "expression": "Patient.contact.organization", "target": ["Organization"]},
    {"type": "reference", "expression": "Patient.link.other.where(resolve() is Patient)", "modifier": ["type"]},
    {"code": "kin-identifier", "expression": "Patient.link.other.identifier"},
    {"modifier": ["not", "missing", "text"], "multipleOr": True, "xpathUsage": "normal"},
    {"type": "date", "expression": "Patient.birthDate", "comparator": ["ge", "lt"], "modifier": ["missing"]},
    {"base": ["Bundle"], "expression": "Bundle.entry[0].resource.ofType(Composition).type"},
    {"base": ["Observation"], "type": "composite", "expression": "Observation.component", "component": [
        {"definition": "http://hl7.org/fhir/SearchParameter/clinical-code", "expression": "code"},
        {"definition": "http://hl7.org/fhir/SearchParameter/Observation-value-quantity",
         "expression": "value.as(Quantity) | value.as(Range)"},
    ]},
]  # fmt: skip
INVALID, UNSUPPORTED, COLLIDES = (f"search-parameter-{what}" for what in ("invalid", "unsupported", "taken"))
REFUSED: list[tuple[Json, str, str]] = [
    # FHIRPath that does not compile, or can find nothing.
    ({"expression": "Patient.("}, INVALID, "expression"),
    ({"expression": "Patient.gender.repeat(x)"}, INVALID, "expression"),
    ({"expression": "Patient.gendre"}, INVALID, "expression"),
    ({"expression": "Patiend.gender"}, INVALID, "expression"),
    ({"expression": "Patient.gender | Practitioner.gendre", "base": ["Patient", "Practitioner"]}, INVALID,
     "expression"),
    ({"expression": "Practitioner.gender"}, INVALID, "expression"),
    ({"expression": "Patient.gender as Coding"}, INVALID, "expression"),
    ({"expression": "Patient.name.where(family)"}, INVALID, "expression"),
    ({"expression": "Patient.name.resolve().exists()"}, INVALID, "expression"),
    ({"expression": "Patient.birthDate.extension('http://x').exists() and Patient.birthDate.id.exists()"}, INVALID,
     "expression"),
    ({"expression": "(Patient.name | Patient.contact.name).family"}, INVALID, "expression"),
    ({"expression": "(" * 400 + "Patient.gender" + ")" * 400}, INVALID, "expression"),
    ({"expression": "Patient" + ".name" * 500}, INVALID, "expression"),
    ({"expression": "Patient.name" + ".first()" * 240}, INVALID, "expression"),
    ({"expression": "Patient.gender" + " or true" * 240}, INVALID, "expression"),
    ({"expression": ""}, UNSUPPORTED, "expression"),
    # What is found is none that the type compares.
    ({"expression": "Patient.name"}, INVALID, "expression"),
    ({"type": "date", "expression": "Patient.gender"}, INVALID, "expression"),
    ({"type": "quantity", "expression": "Patient.extension('http://x').value.ofType(string)"}, INVALID, "expression"),
    # Bases, codes and types.
    ({"base": ["Person2"]}, INVALID, "base"),
    ({"base": ["Resource"], "expression": "Resource.language"}, INVALID, "base"),
    ({"base": ["DomainResource"], "expression": "extension('http://x').value.ofType(code)"}, INVALID, "base"),
    ({"base": ["Parameters"], "expression": "Parameters.id"}, INVALID, "base"),
    ({"code": "gender"}, COLLIDES, "code"),
    ({"code": "_tag"}, INVALID, "code"),
    ({"code": "near", "base": ["Location"], "expression": "Location.status"}, COLLIDES, "code"),
    ({"code": "patient"}, COLLIDES, "code"),
    ({"code": "asOf"}, COLLIDES, "code"),
    ({"code": "a:b"}, INVALID, "code"),
    ({"code": "a.b"}, INVALID, "code"),
    ({"code": "x" * 65}, INVALID, "code"),
    ({"type": "special"}, UNSUPPORTED, "type"),
    ({"target": ["Patient"]}, INVALID, "target"),
    ({"type": "reference", "expression": "Patient.link.other", "target": ["Nobody"]}, INVALID, "target"),
    # What would be passed over in silence.
    ({"modifier": ["contains"]}, UNSUPPORTED, "modifier"),
    ({"modifier": ["exact", "not"]}, UNSUPPORTED, "modifier"),
    ({"comparator": ["ge"]}, UNSUPPORTED, "comparator"),
    ({"multipleOr": False}, UNSUPPORTED, "multipleOr"),
    ({"multipleAnd": False}, UNSUPPORTED, "multipleAnd"),
    ({"xpathUsage": "phonetic"}, UNSUPPORTED, "xpathUsage"),
    # Persons' numbers are left out of links by the name of what they are asked for with.
    ({"expression": "Patient.identifier"}, UNSUPPORTED, "code"),
    ({"code": "old-identifier", "expression": "Patient.identifier.value"}, UNSUPPORTED, "expression"),
    ({"expression": "Patient.identifier.where(use = 'old').value", "type": "string"}, UNSUPPORTED, "expression"),
    ({"expression": "Patient.extension('http://x').value"}, UNSUPPORTED, "code"),
    # Composites.
    ({"type": "composite"}, INVALID, "component"),
    ({"component": [{"definition": "http://hl7.org/fhir/SearchParameter/clinical-code", "expression": "code"}]},
     INVALID, "component"),
    ({"base": ["Observation"], "type": "composite", "expression": "Observation", "component": [
        {"definition": "http://nobody/knows", "expression": "code"}]}, UNSUPPORTED, "component"),
    ({"base": ["Observation"], "type": "composite", "expression": "Observation", "component": [
        {"definition": "http://hl7.org/fhir/SearchParameter/clinical-code", "expression": "coed"},
        {"definition": "http://hl7.org/fhir/SearchParameter/clinical-code", "expression": "value.as(Quantity)"}]},
     INVALID, "component"),
]  # fmt: skip


@pytest.mark.parametrize("change", TAKEN, ids=lambda change: str(change.get("expression", "as it is"))[:60])
def test_a_definition_is_taken(change: Json) -> None:
    assert definition(EYES | change).code


@pytest.mark.parametrize(("change", "code", "where"), REFUSED)
def test_p10_a_definition_that_cannot_work_is_refused_and_says_where(change: Json, code: str, where: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        definition(EYES | change)
    assert (code, f"SearchParameter.{where}") in {(issue.code, issue.expression) for issue in refused.value.issues}


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(Unprocessable) as refused:
        definition(EYES | {"code": "gender", "base": ["Patient", "Nobody"], "multipleOr": False})
    assert [issue.expression for issue in refused.value.issues] == [
        f"SearchParameter.{where}" for where in ("code", "base", "multipleOr")
    ]


EVERY = [(kind, param) for kind in sorted(r4().resource_types - {"Parameters"}) for param in standards(kind).values()]
NOT_RESTATED = {
    ("Patient", "part-agree"): "its expression is about DocumentReference",
    ("Location", "near"): "special",
    ("DocumentReference", "relationship"): "its two components have changed places",
    ("Bundle", "composition"): "a resource and no reference",
    ("Bundle", "message"): "a resource and no reference",
    **dict.fromkeys(
        [
            ("Device", "din"),
            ("DiagnosticReport", "assessed-condition"),
            ("Observation", "amino-acid-change"),
            ("Observation", "dna-variant"),
            ("Observation", "gene-amino-acid-change"),
            ("Observation", "gene-dnavariant"),
            ("Observation", "gene-identifier"),
            ("Patient", "mothersMaidenName"),
        ],
        "an extension as a whole, which has no value that can be compared",
    ),
}
"""What the standard defines so that it can find nothing."""


def restated(kind: str, param: SearchParameter) -> Json:
    """Return the resource that would define a parameter of the standard under another code."""
    parts = [{"definition": url, "expression": expression} for url, expression in param.component]
    listed = {"target": list(param.target), "component": parts}
    code = "x-" + param.code.lstrip("_").replace("_", "-") + "-identifier"
    stated = {"code": code[-64:], "base": [kind], "type": param.type, "expression": param.expression}
    return EYES | stated | {name: value for name, value in listed.items() if value}


def test_every_parameter_of_the_standard_could_be_defined_but_those_named_here() -> None:
    refused = set()
    for kind, param in EVERY:
        try:
            assert definition(restated(kind, param)).expression == param.expression
        except Unprocessable as error:
            refused.add((kind, param.code, error.text))
    assert {(kind, code) for kind, code, _ in refused} == set(NOT_RESTATED), refused


@pytest.mark.parametrize(
    ("expression", "kinds"),
    [
        ("Patient.name.given", {"string"}),
        ("Patient.extension.value.ofType(Quantity)", {"Quantity", "Age", "Count", "Distance", "Duration"}),
        ("Patient.contact.where(gender = 'male').organization", {"Reference"}),
        ("Patient.generalPractitioner.resolve()", {"Resource"}),
        ("Patient.contained.ofType(Observation).value as dateTime", {"dateTime"}),
        ("Patient.name[0].first().hasExtension('http://x')", {"boolean"}),
    ],
)
def test_what_an_expression_can_find_is_known_before_any_resource(expression: str, kinds: set[str]) -> None:
    (found,) = checked(expression, "Patient")
    assert found.kinds == kinds


def test_a_type_that_is_not_there_has_no_elements() -> None:
    with pytest.raises(FhirPathError, match="Patient has no 'x'"):
        checked("Patient.x", "Patient")


# -- what a catalogue changes


def custom(change: Json | None = None, number: int = 7, place: int = LAST_PLACE) -> Custom:
    param = definition(EYES | (change or {}))
    return Custom(number, param, tuple((base, place) for base in param.base))


def catalogue(*customs: Custom, progress: dict[tuple[str, str], int] | None = None) -> Catalogue:
    types = {base for one in customs for base in one.param.base}
    by_type = {kind: tuple(one for one in customs if kind in one.param.base) for kind in types}
    return Catalogue(1, by_type, progress or {})


BLUE = {"url": "http://x.dk/eyes", "valueCodeableConcept": {"coding": [{"system": "urn:c", "code": "blue"}]}}
PATIENT: Json = {"resourceType": "Patient", "gender": "male", "extension": [BLUE]}
SMALL = custom(
    {"code": "kin", "type": "reference", "expression": "Patient.link.other", "target": ["RelatedPerson", "Patient"]},
    8,
    LAST_PLACE - 1,
)


def test_outside_of_a_catalogue_there_is_only_the_standard() -> None:
    with using(catalogue(custom())):
        assert ("eye-colour", "token") in searchable("Patient")
    assert used().generation == 0
    assert "eye-colour" not in dict(searchable("Patient"))
    with pytest.raises(Malformed):
        parse_query("Patient", [("eye-colour", "blue")])


def test_a_resource_is_indexed_by_what_the_catalogue_has_and_keeps_the_rest() -> None:
    plain = index_row(PATIENT, KEY)
    with using(catalogue(custom())):
        row = index_row(PATIENT, KEY)
    assert row.tokens.keys() > plain.tokens.keys()
    assert row.present == plain.present | 1 << LAST_PLACE
    assert (row.headline, row.sort, row.dates) == (plain.headline, plain.sort, plain.dates)
    with using(catalogue(custom(number=9))):
        again = index_row(PATIENT, KEY)
    assert again.tokens.keys() & row.tokens.keys() == plain.tokens.keys(), "another definition, other tokens"


def test_places_are_above_the_standards_of_every_type() -> None:
    assert max(len(standards(kind)) for kind in r4().resource_types) <= FIRST_PLACE
    with using(catalogue(custom(), SMALL)):
        bits = list(places("Patient").values())
    assert len(bits) == len(set(bits))
    assert 1 << max(bits) < 1 << 63


def test_only_a_search_that_names_one_carries_the_catalogue() -> None:
    known = catalogue(custom(), SMALL)
    table: list[tuple[str, list[tuple[str, str]], bool]] = [
        ("Patient", [("gender", "male")], False),
        ("Patient", [("eye-colour:not", "blue")], True),
        ("Patient", [("kin", "Patient/1")], True),
        ("Observation", [("subject:Patient.eye-colour", "blue")], True),
        ("Patient", [("name", "x"), ("_revinclude", "Patient:kin")], True),
        ("Patient", [("_include", "Patient:organization")], False),
        ("Patient", [("_include", "*")], True),
        ("Patient", [("_has:Patient:link:gender", "male")], False),
        ("Patient", [("_has:Patient:link:eye-colour", "blue")], True),
    ]
    with using(known):
        for kind, pairs, carried in table:
            assert (parse_query(kind, pairs).catalogue is known) == carried, pairs


UNREADY: list[tuple[str, list[tuple[str, str]], bool]] = [
    ("Patient", [("eye-colour", "blue")], True),
    ("Patient", [("eye-colour:missing", "true")], True),
    ("Observation", [("subject:Patient.eye-colour", "blue")], True),
    ("Observation", [("_has:Observation:has-member:patient.eye-colour", "blue")], True),
    ("Patient", [("kin.name", "x")], True),
    ("Patient", [("_has:Patient:kin:gender", "male")], True),
    ("Patient", [("_revinclude", "Patient:kin")], True),
    ("Patient", [("_revinclude:iterate", "Patient:*")], False),
    ("Patient", [("_include", "Patient:kin")], False),
    ("Patient", [("gender", "male")], False),
]


@pytest.mark.parametrize(("kind", "pairs", "refused"), UNREADY)
@pytest.mark.parametrize("lenient", [True, False])
def test_what_is_not_indexed_yet_is_refused_and_says_how_far_it_is(
    kind: str, pairs: list[tuple[str, str]], refused: bool, lenient: bool
) -> None:
    progress = {("Patient", "eye-colour"): 43, ("Patient", "kin"): 0}
    with using(catalogue(custom(), SMALL, progress=progress)):
        if not refused:
            assert parse_query(kind, pairs, lenient=lenient).type == kind
            return
        with pytest.raises(Unavailable) as error:
            parse_query(kind, pairs, lenient=lenient)
    assert error.value.code == "search-parameter-indexing"
    assert any(f"{percent} %" in error.value.text for percent in progress.values())


def test_an_order_by_what_is_not_indexed_yet_is_refused() -> None:
    since: Any = custom({"code": "since", "type": "date", "expression": "Patient.contact.period"})
    with using(catalogue(since, progress={("Patient", "since"): 5})), pytest.raises(Unavailable):
        parse_query("Patient", [("_sort", "since")])
    with using(catalogue(since)):
        assert "since" in sortable("Patient")
        assert "since" not in dict(searchable("Practitioner"))
