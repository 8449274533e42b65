"""FHIRPath as search parameters use it: the tree, what expressions find, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overblik.fhir.definitions import r4
from overblik.fhir.fhirpath import FhirPathError, Item, compile_path, parse
from overblik.fhir.fhirpath.parser import Binary, Call, Index, Literal, Member, Name

if TYPE_CHECKING:
    from overblik.fhir.fhirpath.parser import Node
    from overblik.fhir.strict_json import Json

A, B, C = Name("a"), Name("b"), Name("c")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a", A),
        ("  a  ", A),
        ("`a`", A),
        ("$this", Name("$this")),
        ("a.b", Member(A, "b")),
        ("a.`b`", Member(A, "b")),
        ("a.b.c", Member(Member(A, "b"), "c")),
        ("a[0]", Index(A, 0)),
        ("a[1].b", Member(Index(A, 1), "b")),
        ("a.f()", Call(A, "f", ())),
        ("f(a, b)", Call(None, "f", (A, B))),
        ("a.is(b)", Call(A, "is", (B,))),
        ("true", Literal(True)),
        ("12", Literal(12)),
        ("1.5", Literal(1.5)),
        (r"'it\'s'", Literal("it's")),
        ("'(a | b)'", Literal("(a | b)")),
        # Precedence, loosest last: type, union, equality, and, or.
        ("a | b as c", Binary("|", A, Binary("as", B, C))),
        ("a = b | c", Binary("=", A, Binary("|", B, C))),
        ("a and b = c", Binary("and", A, Binary("=", B, C))),
        ("a or b and c", Binary("or", A, Binary("and", B, C))),
        ("a and b or c", Binary("or", Binary("and", A, B), C)),
        ("a | b | c", Binary("|", Binary("|", A, B), C)),
        ("(a or b) and c", Binary("and", Binary("or", A, B), C)),
        ("(a as b).c", Member(Binary("as", A, B), "c")),
        ("a is b = true", Binary("=", Binary("is", A, B), Literal(True))),
    ],
)
def test_text_becomes_the_tree_its_precedence_gives(text: str, tree: Node) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "a.",
        ".a",
        "a b",
        "a |",
        "| a",
        "(a",
        "a)",
        "a[",
        "a[b]",
        "a[1.5]",
        "a[]",
        "f(",
        "f(a",
        "f(a b)",
        "'a",
        "a.'b'",
        "a.1",
        "#",
        "a ; b",
        "`a",
        "a.f(,)",
        "a = ",
        "\x00",
    ],
)
def test_text_that_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(FhirPathError):
        parse(text)


@given(st.text("ab.|()[]'` 01=$asior", max_size=20))
def test_any_text_is_read_or_refused_never_a_fault(text: str) -> None:
    try:
        node = parse(text)
    except FhirPathError:
        return
    assert isinstance(node, (Name, Literal, Member, Call, Index, Binary))


PATIENT: Json = {
    "resourceType": "Patient",
    "active": True,
    "deceasedDateTime": "2026-11-01",
    "name": [
        {"use": "usual", "given": ["Inge"]},
        {"use": "official", "family": "Holm", "given": ["Inger", None, "Marie"]},
    ],
    "extension": [{"url": "u", "valueString": "x"}, {"url": "v", "valueCode": "y"}],
    "contact": [{"name": {"family": "Holm"}}],
    "generalPractitioner": [
        {"reference": "Practitioner/1"},
        {"reference": "http://x.dk/fhir/Organization/2/_history/3"},
        {"type": "PractitionerRole", "identifier": {"value": "1"}},
        {"reference": "#inner"},
    ],
    "contained": [{"resourceType": "Practitioner", "gender": "male"}],
}
OBSERVATION: Json = {
    "resourceType": "Observation",
    "subject": {"reference": "Patient/1"},
    "focus": [{"reference": "Group/1"}, {"reference": "Patient/2"}],
    "effectivePeriod": {"start": "2026-11-01"},
    "valueQuantity": {"unit": "mm[Hg]"},
    "component": [{"valueCodeableConcept": {"text": "x"}, "code": {"text": "k"}}],
}
QUESTIONNAIRE: Json = {
    "resourceType": "Questionnaire",
    "item": [{"linkId": "1", "item": [{"linkId": "2"}]}],
}

FOUND: list[tuple[Json, str, list[Any]]] = [
    (PATIENT, "Patient.active", [True]),
    (PATIENT, "active", [True]),
    (PATIENT, "Observation.status", []),
    (PATIENT, "Resource.active", [True]),
    (PATIENT, "DomainResource.active", [True]),
    (PATIENT, "Patient.name.family", ["Holm"]),
    (PATIENT, "Patient.name.given", ["Inge", "Inger", "Marie"]),
    (PATIENT, "Patient.name[1].given[0]", ["Inger"]),
    (PATIENT, "Patient.name[7].given", []),
    (PATIENT, "Patient.name.given.first()", ["Inge"]),
    (PATIENT, "Patient.name.where(use = 'official').given", ["Inger", "Marie"]),
    (PATIENT, "Patient.name.where(use != 'official').given", ["Inge"]),
    (PATIENT, "Patient.name.where(family = 'Holm' and use = 'official').family", ["Holm"]),
    (PATIENT, "Patient.name.where(family = 'x' or use = 'usual').given", ["Inge"]),
    (PATIENT, "Patient.name.where($this.use = 'usual').given", ["Inge"]),
    (PATIENT, "Patient.name.where(text = 'x')", []),
    (PATIENT, "Patient.unknown", []),
    (PATIENT, "Patient.active.unknown", []),
    (PATIENT, "Patient.contact.name.family", ["Holm"]),
    (PATIENT, "Patient.contained.gender", ["male"]),
    (PATIENT, "Patient.extension('u').value", ["x"]),
    (PATIENT, "Patient.where(hasExtension('u')).active", [True]),
    (PATIENT, "Patient.where(hasExtension('w')).active", []),
    (PATIENT, "Patient.extension.where(url = 'v').value", ["y"]),
    # A choice is named without its type; the type of the one that stands is known.
    (PATIENT, "Patient.deceased", ["2026-11-01"]),
    (PATIENT, "Patient.deceasedDateTime", []),
    (PATIENT, "(Patient.deceased as dateTime)", ["2026-11-01"]),
    (PATIENT, "(Patient.deceased as boolean)", []),
    (PATIENT, "(Patient.deceased as DateTime)", ["2026-11-01"]),
    (PATIENT, "Patient.deceased.as(dateTime)", ["2026-11-01"]),
    (PATIENT, "Patient.deceased.ofType(FHIR.dateTime)", ["2026-11-01"]),
    (PATIENT, "Patient.deceased is dateTime", [True]),
    (PATIENT, "Patient.deceased.is(boolean)", [False]),
    (PATIENT, "Patient.deceased.exists() and Patient.deceased != false", [True]),
    (PATIENT, "Patient.multipleBirth.is(integer)", []),
    (OBSERVATION, "Observation.effective.as(Period).start", ["2026-11-01"]),
    (OBSERVATION, "(Observation.value as Quantity).unit", ["mm[Hg]"]),
    (OBSERVATION, "Observation.component.value.as(CodeableConcept).text", ["x"]),
    (OBSERVATION, "(Observation.code | Observation.component.code).text", ["k"]),
    (OBSERVATION, "Observation.value is Element", [True]),
    # Union keeps an order and drops what stands already.
    (PATIENT, "Patient.contact.name.family | Patient.name.family", ["Holm"]),
    (PATIENT, "Patient.name.family | Patient.name.given", ["Holm", "Inge", "Inger", "Marie"]),
    (PATIENT, "Patient.birthDate | Patient.name.family", ["Holm"]),
    # Existence.
    (PATIENT, "Patient.name.exists()", [True]),
    (PATIENT, "Patient.photo.exists()", [False]),
    (PATIENT, "Patient.photo.empty()", [True]),
    (PATIENT, "Patient.name.exists(use = 'old')", [False]),
    (PATIENT, "Patient.name.exists(use = 'usual')", [True]),
    (PATIENT, "Patient.birthDate = '2000'", []),
    # A reference is resolved as far as its type.
    (OBSERVATION, "Observation.subject.where(resolve() is Patient).reference", ["Patient/1"]),
    (OBSERVATION, "Observation.focus.where(resolve() is Patient).reference", ["Patient/2"]),
    (OBSERVATION, "Observation.subject.where(resolve() is Group)", []),
    (PATIENT, "Patient.generalPractitioner.where(resolve() is Practitioner).reference", ["Practitioner/1"]),
    (PATIENT, "Patient.generalPractitioner.where(resolve() is PractitionerRole).identifier.value", ["1"]),
    (PATIENT, "Patient.generalPractitioner.where(resolve() is Organization).reference",
     ["http://x.dk/fhir/Organization/2/_history/3"]),
    # An element that is defined by another's content.
    (QUESTIONNAIRE, "Questionnaire.item.item.linkId", ["2"]),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "expression", "values"), FOUND, ids=[f[1] for f in FOUND])
def test_an_expression_finds_the_values_it_names(resource: Json, expression: str, values: list[Any]) -> None:
    items = compile_path(expression)([Item(resource["resourceType"], resource)])
    assert [item.value for item in items] == values


@pytest.mark.parametrize(
    ("expression", "types"),
    [
        ("Observation.effective", ["Period"]),
        ("Observation.value", ["Quantity"]),
        ("Observation.subject", ["Reference"]),
        ("Observation.component", ["Observation.component"]),
        ("Observation.component.value", ["CodeableConcept"]),
        ("Observation.value.exists()", ["boolean"]),
    ],
)
def test_items_know_their_type(expression: str, types: list[str]) -> None:
    assert [item.type for item in compile_path(expression)([Item("Observation", OBSERVATION)])] == types


@pytest.mark.parametrize("expression", ["Patient", "Patient.name.given", "Patient.name[0]", "name.where(use = 'x')"])
def test_nothing_in_gives_nothing_out(expression: str) -> None:
    assert compile_path(expression)([]) == []


@pytest.mark.parametrize(
    "expression",
    [
        "a.hasExtension(b)",
        "a.all(b)",
        "a < b",
        "a + b",
        "a xor b",
        "a.as(b | c)",
        "a as 'b'",
        "%resource",
        "a.as()",
        "a.where()",
        "a.first(1)",
        "a.extension(b)",
        "a.extension()",
        "a ~ b",
        "System.String.b.is()",
    ],
)
def test_what_is_not_supported_is_refused_when_it_is_compiled(expression: str) -> None:
    with pytest.raises(FhirPathError):
        compile_path(expression)


WITHOUT_EXPRESSION = {
    "DomainResource-text",
    "Resource-content",
    "Resource-query",
    "filter",
    "patient-extensions-Patient-age",
    "patient-extensions-Patient-birthOrderBoolean",
}


def test_every_search_parameter_of_the_standard_compiles() -> None:
    params = {p.url.rsplit("/", 1)[-1]: p.expression for p in r4().params.values()}
    refused = set()
    for name, expression in params.items():
        try:
            if expression:
                compile_path(expression)([])
        except FhirPathError:
            refused.add(name)
    assert refused == set()
    assert {name for name, expression in params.items() if not expression} == WITHOUT_EXPRESSION
    assert len(params) == 1388
