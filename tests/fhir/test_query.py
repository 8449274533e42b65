"""Search strings to a query tree: every form that is read, every one that is refused."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overblik.fhir.dates import parse_interval
from overblik.fhir.definitions import r4
from overblik.fhir.errors import Malformed
from overblik.fhir.identifiers import CPR, GLN
from overblik.fhir.query import (
    MOST_CRITERIA,
    MOST_VALUES,
    Amount,
    Base,
    Chain,
    Composites,
    Dates,
    Either,
    Has,
    Ids,
    Links,
    Missing,
    Not,
    Numbers,
    Patients,
    Query,
    Sort,
    Strings,
    Tokens,
    Updated,
    Words,
    parse_query,
    searchable,
)
from overblik.fhir.query.grammar import MOST_STEPS
from overblik.fhir.query.tree import passed

if TYPE_CHECKING:
    from overblik.fhir.query import Criterion


def amount(value: str, lo: str, hi: str) -> Amount:
    return Amount(Decimal(value), Decimal(lo), Decimal(hi))


PARSED: list[tuple[str, str, str, Criterion]] = [
    ("Patient", "_id", "a", Ids(("a",))),
    ("Patient", "_id", "a,b", Ids(("a", "b"))),
    # Tokens: any system, no system, any value.
    ("Observation", "code", "A", Tokens("code", ((None, "A"),))),
    ("Observation", "code", "|A", Tokens("code", (("", "A"),))),
    ("Observation", "code", "s|A", Tokens("code", (("s", "A"),))),
    ("Observation", "code", "s|", Tokens("code", (("s", None),))),
    ("Observation", "code", "s|A,B,|C", Tokens("code", (("s", "A"), (None, "B"), ("", "C")))),
    ("Observation", "code", "s|A|B", Tokens("code", (("s", "A|B"),))),
    ("Observation", "code", "http://x.dk/a|A b", Tokens("code", (("http://x.dk/a", "A b"),))),
    # Escapes.
    ("Observation", "code", r"A\,B", Tokens("code", ((None, "A,B"),))),
    ("Observation", "code", r"A\|B", Tokens("code", ((None, "A|B"),))),
    ("Observation", "code", r"s\|t|A", Tokens("code", (("s|t", "A"),))),
    ("Observation", "code", r"s|A\|B\,C\$D", Tokens("code", (("s", "A|B,C$D"),))),
    ("Observation", "code", r"A\\,B", Tokens("code", ((None, "A\\"), (None, "B")))),
    ("Observation", "code", r"A\\\,B", Tokens("code", ((None, "A\\,B"),))),
    ("Observation", "code", r"A\xB", Tokens("code", ((None, r"A\xB"),))),
    ("Observation", "code", "A\\", Tokens("code", ((None, "A\\"),))),
    # Identifiers are looked for in their canonical form.
    ("Patient", "identifier", f"{CPR}|070348-0999", Tokens("identifier", ((CPR, "0703480999"),))),
    ("Patient", "identifier", "070348-0999", Tokens("identifier", ((None, "0703480999"),))),
    ("Patient", "identifier", "12-34", Tokens("identifier", ((None, "12-34"),))),
    ("Patient", "identifier", "http://www.gs1.org/gln|1", Tokens("identifier", ((GLN, "1"),))),
    ("Patient", "identifier", "http://www.gs1.org/gln|", Tokens("identifier", ((GLN, None),))),
    ("Patient", "identifier", "|12", Tokens("identifier", (("", "12"),))),
    # Patients.
    ("Observation", "patient", "1", Patients(ids=("1",))),
    ("Observation", "patient", "Patient/1,2", Patients(ids=("1", "2"))),
    ("Observation", "patient", "https://x.dk/fhir/Patient/1", Links("patient", ("https://x.dk/fhir/Patient/1",))),
    ("Observation", "subject", "Patient/1", Patients(ids=("1",))),
    ("Task", "patient", "1", Patients(ids=("1",))),
    ("MessageHeader", "patient", "1", Patients(ids=("1",))),
    ("Observation", "patient:identifier", f"{CPR}|070348-0999", Patients(identifiers=((CPR, "0703480999"),))),
    ("Observation", "patient.identifier", "070348-0999", Patients(identifiers=((CPR, "0703480999"),))),
    ("Observation", "subject:identifier", r"s|A\,B,s|C", Patients(identifiers=(("s", "A,B"), ("s", "C")))),
    ("Observation", "patient:identifier", "|A", Patients(identifiers=(("", "A"),))),
    ("Observation", "patient.identifier", "s|", Patients(matching=Tokens("identifier", (("s", None),)))),
    ("Observation", "patient.identifier", "s|A,B", Patients(matching=Tokens("identifier", (("s", "A"), (None, "B"))))),
    # References: an id without a type is of any type the parameter may point to.
    ("Observation", "encounter", "Encounter/1", Links("encounter", ("Encounter/1",))),
    ("Observation", "encounter", "1", Links("encounter", ("Encounter/1", "EpisodeOfCare/1"))),
    ("Observation", "specimen", "1,2", Links("specimen", ("Specimen/1", "Specimen/2"))),
    ("Observation", "performer:Practitioner", "1", Links("performer", ("Practitioner/1",))),
    ("Observation", "encounter", "http://x.dk/Encounter/1/_history/2",
     Links("encounter", ("http://x.dk/Encounter/1/_history/2",))),
    ("Observation", "encounter", "http://x.dk/Encounter/1", Links("encounter", ("http://x.dk/Encounter/1",))),
    ("Observation", "encounter", "Encounter/1/_history/2", Links("encounter", ("Encounter/1/_history/2",))),
    ("Observation", "encounter", "urn:uuid:1", Links("encounter", ("urn:uuid:1",))),
    ("Observation", "performer:identifier", "s|1", Tokens("performer:identifier", (("s", "1"),))),
    ("Observation", "_profile", "http://p", Links("_profile", ("http://p",))),
    # Texts are folded as they are kept.
    ("Patient", "name", "Åse,Sør ", Strings("name", ("aase", "soer"))),
    ("Patient", "family", r"A\,B", Strings("family", ("a,b",))),
    # Numbers with what their digits imply.
    ("RiskAssessment", "probability", "gt0.80",
     Numbers("probability", (("gt", amount("0.80", "0.795", "0.805"), None),))),
    ("Observation", "value-quantity", "5.4", Numbers("value-quantity", (("eq", amount("5.4", "5.35", "5.45"), None),))),
    ("Observation", "value-quantity", "-100||mg",
     Numbers("value-quantity", (("eq", amount("-100", "-100.5", "-99.5"), (None, "mg")),))),
    ("Observation", "value-quantity", "5.4|http://unitsofmeasure.org|mg",
     Numbers("value-quantity", (("eq", amount("0.0054", "0.00535", "0.00545"), Base("g")),))),
    ("Observation", "value-quantity", "ap40|http://unitsofmeasure.org|Cel",
     Numbers("value-quantity", (("ap", amount("313.15", "309.15", "317.15"), Base("K")),))),
    ("Observation", "value-quantity", "7.4|http://unitsofmeasure.org|[pH]",
     Numbers("value-quantity", (("eq", amount("7.4", "7.35", "7.45"), ("http://unitsofmeasure.org", "[pH]")),))),
    ("Observation", "value-quantity", "le5|http://u|mg",
     Numbers("value-quantity", (("le", amount("5", "4.5", "5.5"), ("http://u", "mg")),))),
    # Composites: one part a component.
    ("Observation", "code-value-quantity", "s|A$gt5",
     Composites("code-value-quantity", (
         (Tokens("", (("s", "A"),)), Numbers("", (("gt", amount("5", "4.5", "5.5"), None),))),
     ))),
    ("Observation", "code-value-concept", r"A$B,C\$D$E",
     Composites("code-value-concept", (
         (Tokens("", ((None, "A"),)), Tokens("", ((None, "B"),))),
         (Tokens("", ((None, "C$D"),)), Tokens("", ((None, "E"),))),
     ))),
    ("Observation", "code:missing", "true", Missing("code", True)),
    ("Observation", "date:missing", "false", Missing("date", False)),
    ("Patient", "_lastUpdated", "ge2026-11", Updated((("ge", parse_interval("2026-11")),))),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "value", "criterion"), PARSED)
def test_a_parameter_becomes_its_criterion(kind: str, name: str, value: str, criterion: Criterion) -> None:
    query = parse_query(kind, [(name, value)])
    assert query == Query(kind, (criterion,), applied=((name, value),))


@pytest.mark.parametrize("prefix", ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
def test_every_prefix_of_the_standard_is_read(prefix: str) -> None:
    (criterion,) = parse_query("Observation", [("date", f"{prefix}2026-11")]).criteria
    assert criterion == Dates("date", ((prefix, parse_interval("2026-11")),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "prefix", "start"),
    [
        ("2026", "eq", "2025-12-31T23:00Z"),
        ("ge2026-11-22", "ge", "2026-11-21T23:00Z"),
        ("lt2026-11-22T10:00Z", "lt", "2026-11-22T10:00Z"),
        ("2026-11-22T10:00:00+01:00", "eq", "2026-11-22T09:00Z"),
        # A plus sign that was sent without being escaped arrives as a space.
        ("2026-11-22T10:00:00 01:00", "eq", "2026-11-22T09:00Z"),
        ("le9999-12-31", "le", "9999-12-29T00:00Z"),
    ],
)
def test_a_date_is_asked_for_with_its_precision_and_offset(value: str, prefix: str, start: str) -> None:
    (criterion,) = parse_query("Observation", [("date", value)]).criteria
    assert isinstance(criterion, Dates)
    ((read, interval),) = criterion.values
    assert (read, interval.start) == (prefix, datetime.fromisoformat(start))


def test_dates_with_a_comma_are_alternatives() -> None:
    (criterion,) = parse_query("Observation", [("date", "2025,ge2026")]).criteria
    assert isinstance(criterion, Dates)
    assert [prefix for prefix, _ in criterion.values] == ["eq", "ge"]


def test_a_parameter_twice_is_two_criteria() -> None:
    query = parse_query("Observation", [("date", "ge2026-01"), ("date", "lt2026-02"), ("code", "A")])
    assert [type(criterion) for criterion in query.criteria] == [Dates, Dates, Tokens]


REFUSED = [
    ("Patient", "_count", "-1", "search-value-invalid", "http._count"),
    ("Patient", "_count", "ten", "search-value-invalid", "http._count"),
    ("Patient", "_count", "1.5", "search-value-invalid", "http._count"),
    ("Patient", "_count", "²", "search-value-invalid", "http._count"),
    ("Patient", "_count", "9" * 5000, "search-value-invalid", "http._count"),
    ("Observation", "date", "yesterday", "search-value-invalid", "http.date"),
    ("Observation", "date", "2026-02-30", "search-value-invalid", "http.date"),
    ("Observation", "date", "xx2026", "search-value-invalid", "http.date"),
    ("Observation", "date", "GE2026", "search-value-invalid", "http.date"),
    ("Observation", "date", "2026,", "search-value-invalid", "http.date"),
    ("Observation", "date", ",".join(["2026"] * (MOST_VALUES + 1)), "search-too-long", "http.date"),
    ("Observation", "patient", "Group/1", "search-value-invalid", "http.patient"),
    ("Observation", "patient", "Patient/1/_history/2", "search-value-invalid", "http.patient"),
    ("Patient", "_id", "a\x00b", "search-value-invalid", "http._id"),
    ("Patient", "identifier", "a\x1fb", "search-value-invalid", "http.identifier"),
    ("Observation", "patient", "\x00", "search-value-invalid", "http.patient"),
    ("Observation", "date", "2026\n", "search-value-invalid", "http.date"),
    ("Observation", "value-quantity", "five", "search-value-invalid", "http.value-quantity"),
    ("Observation", "value-quantity", "5|mg", "search-value-invalid", "http.value-quantity"),
    ("Observation", "value-quantity", "1e999", "search-value-invalid", "http.value-quantity"),
    ("Observation", "value-quantity", "NaN", "search-value-invalid", "http.value-quantity"),
    ("Observation", "value-quantity", ",".join(["1"] * (MOST_VALUES + 1)), "search-too-long", "http.value-quantity"),
    ("Observation", "code-value-quantity", "A", "search-value-invalid", "http.code-value-quantity"),
    ("Observation", "code-value-quantity", "A$", "search-value-invalid", "http.code-value-quantity"),
    ("Observation", "code-value-quantity", "A$1$2", "search-value-invalid", "http.code-value-quantity"),
    ("Observation", "code-value-quantity", "A$x", "search-value-invalid", "http.code-value-quantity"),
    ("Observation", "code:missing", "yes", "search-value-invalid", "http.code"),
    ("Patient", "name", " ", "search-value-invalid", "http.name"),
    ("Patient", "_lastUpdated", "x", "search-value-invalid", "http._lastUpdated"),
]


@pytest.mark.parametrize(
    ("kind", "name", "value", "code", "place"), REFUSED, ids=[f"{r[1]}={r[2][:20]!r}" for r in REFUSED]
)
@pytest.mark.parametrize("lenient", [False, True])
def test_a_value_that_cannot_be_read_is_refused_even_leniently(
    kind: str, name: str, value: str, code: str, place: str, lenient: bool
) -> None:
    with pytest.raises(Malformed) as refused:
        parse_query(kind, [(name, value)], lenient=lenient)
    (issue,) = refused.value.issues
    assert (issue.code, issue.expression) == (code, place)
    assert len(issue.text) < 200


UNKNOWN = [
    ("Patient", "dog"),
    ("Patient", "Identifier"),
    ("Patient", "Birthdate"),
    ("Location", "near-distance"),
    ("Patient", "_list"),
    ("Patient", "family:below"),
    ("Patient", "_sort"),
    ("Patient", "_include"),
    ("Patient", "birthdate:not"),
    ("Observation", "code-value-quantity:missing"),
    ("Observation", "encounter:Patient"),
    ("Observation", "code:identifier"),
    ("Observation", "patient:Practitioner"),
    ("Observation", "patient.dog"),
    ("Observation", "encounter:Patient.name"),
    ("Observation", "code.name"),
    ("Patient", "_has:Observation:code:status"),
    ("Patient", "_has:Observation:subject"),
    ("Patient", "_has:Dog:subject:status"),
    ("Encounter", "part-of." * 11 + "status"),
    ("Organization", "patient"),
    ("Organization", "date"),
    ("Patient", "x" * 1000),
    ("Patient", ""),
]


@pytest.mark.parametrize(("kind", "name"), UNKNOWN)
def test_an_unknown_parameter_is_refused_or_leniently_left_out(kind: str, name: str) -> None:
    pairs = [("_id", "a"), (name, "1")]
    with pytest.raises(Malformed) as refused:
        parse_query(kind, pairs)
    (issue,) = refused.value.issues
    assert (issue.code, issue.kind, issue.expression) == (
        "search-parameter-unknown",
        "not-supported",
        f"http.{name[:64]}",
    )
    assert refused.value.status == 400
    query = parse_query(kind, pairs, lenient=True)
    assert query.criteria == (Ids(("a",)),)
    assert query.applied == (("_id", "a"),)


def test_every_unknown_parameter_is_named_at_once() -> None:
    with pytest.raises(Malformed) as refused:
        parse_query("Patient", [("a", "1"), ("_id", "1"), ("b", "1")])
    assert [issue.expression for issue in refused.value.issues] == ["http.a", "http.b"]


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 50), ("0", 0), ("1", 1), ("007", 7), ("1000", 1000), ("1001", 1000), ("9" * 18, 1000)],
)
def test_the_count_is_kept_below_its_limit(text: str, count: int) -> None:
    assert parse_query("Patient", [("_count", text)]).count == count


def test_result_parameters_select_nothing() -> None:
    names = ["_cursor", "_format", "_pretty"]
    query = parse_query("Patient", [(name, "x") for name in names])
    assert query == Query("Patient", (), cursor="x")


@pytest.mark.parametrize(("text", "total"), [("none", ""), ("estimate", "estimate"), ("accurate", "accurate")])
def test_a_total_is_asked_for_by_name(text: str, total: str) -> None:
    assert parse_query("Patient", [("_total", text)]) == Query("Patient", (), total=total)
    with pytest.raises(Malformed, match="_total is one of"):
        parse_query("Patient", [("_total", text + "s")])


def test_an_empty_value_selects_nothing() -> None:
    assert parse_query("Patient", [("identifier", "")]) == Query("Patient", ())


def test_more_criteria_than_the_limit_are_refused() -> None:
    assert len(parse_query("Patient", [("_id", "a")] * MOST_CRITERIA).criteria) == MOST_CRITERIA
    with pytest.raises(Malformed) as refused:
        parse_query("Patient", [("_id", "a")] * (MOST_CRITERIA + 1))
    assert refused.value.code == "search-too-long"


def test_as_many_dates_as_the_limit_are_read() -> None:
    (criterion,) = parse_query("Observation", [("date", ",".join(["2026"] * MOST_VALUES))]).criteria
    assert isinstance(criterion, Dates)
    assert len(criterion.values) == MOST_VALUES


@pytest.mark.parametrize(
    ("kind", "some", "none"),
    [
        ("Patient", {"_lastUpdated": "date", "patient": "reference", "name": "string"}, {"near", "_text"}),
        ("Organization", {"identifier": "token", "name": "string", "partof": "reference"}, {"patient", "date"}),
        ("Observation", {"code": "token", "date": "date", "value-quantity": "quantity", "combo-code": "token",
                         "code-value-quantity": "composite", "_profile": "uri"}, {"_content", "_filter"}),
        ("Task", {"patient": "reference", "date": "date", "business-status": "token"}, {"subject:missing"}),
        ("RiskAssessment", {"probability": "number"}, {"birthdate"}),
    ],
)  # fmt: skip
def test_what_a_type_can_be_searched_by(kind: str, some: dict[str, str], none: set[str]) -> None:
    known = dict(searchable(kind))
    assert some.items() <= known.items()
    assert not none & known.keys()


def test_every_parameter_of_the_standard_can_be_asked_for_but_those_named_here() -> None:
    """`_text`, `_content` and `_filter` are of every type; `_query` names searches that there are none of."""
    refused = {
        f"{kind}.{code}"
        for kind in r4().resource_types
        for code in {c for base, c in r4().params if base in {kind, "Resource", "DomainResource"}}
        if code not in dict(searchable(kind))
    }
    everywhere = {
        f"{kind}.{code}" for kind in r4().resource_types for code in ("_text", "_content", "_query", "_filter")
    }
    assert refused - everywhere == {"Patient.age", "Patient.birthOrderBoolean"}


VALUES = {"token": "a", "reference": "1", "date": "2026", "uri": "u", "string": "a", "number": "1", "quantity": "1",
          "special": "55.7|12.6"}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(r4().resource_types))
def test_whatever_is_said_to_be_searchable_can_be_searched(kind: str) -> None:
    for name, sort in searchable(kind):
        parts = len(r4().params[kind, name].component) if sort == "composite" else 1
        value = "$".join(["2026"] * parts) if sort == "composite" else VALUES[sort]
        assert len(parse_query(kind, [(name, value)]).criteria) == 1


@pytest.mark.parametrize(
    ("kind", "value", "sort"),
    [("Observation", "date", (Sort("date"),)), ("Observation", "-date", (Sort("date", True),)),
     ("MedicationRequest", "-authoredon,_id", (Sort("authoredon", True), Sort("_id"))),
     ("Patient", "family,-given,birthdate,_lastUpdated",
      (Sort("family"), Sort("given", True), Sort("birthdate"), Sort("_lastUpdated"))),
     ("Organization", "-name", (Sort("name", True),)), ("Observation", "value-quantity", (Sort("value-quantity"),)),
     ("Observation", "code,-subject,_profile", (Sort("code"), Sort("subject", True), Sort("_profile")))],
)  # fmt: skip
def test_a_search_is_sorted_by_what_has_an_order(kind: str, value: str, sort: tuple[Sort, ...]) -> None:
    assert parse_query(kind, [("_sort", value)]) == Query(kind, (), applied=(("_sort", value),), sort=sort)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("Patient", "deceased"), ("Observation", "-date,code-value-quantity"), ("Observation", ""),
     ("Organization", "date"),
     ("Patient", "family,given,birthdate,_id,_lastUpdated"), ("Patient", "--family"), ("Patient", "family,")],
)  # fmt: skip
def test_another_order_is_refused_and_says_which_there_are(kind: str, value: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_query(kind, [("_sort", value)])
    assert (refused.value.code, refused.value.issues[0].expression) == ("search-parameter-unknown", "http._sort")
    assert parse_query(kind, [("_sort", value)], lenient=True) == Query(kind, ())


WHO = Patients(matching=Strings("name", ("peter",)))
CHAINS: list[tuple[str, str, str, Any]] = [
    ("DiagnosticReport", "subject:Patient.name", "Peter", WHO),
    ("Encounter", "patient:Patient.name", "Peter", WHO),
    ("Encounter", "diagnosis:Condition.code", "a", Chain("diagnosis", "Condition", Tokens("code", ((None, "a"),)))),
    ("Encounter", "service-provider.name", "a", Chain("service-provider", "Organization", Strings("name", ("a",)))),
    ("Patient", "_has:Observation:patient:code", "a", Has("Observation", "", Tokens("code", ((None, "a"),)))),
    ("Condition", "_has:Encounter:diagnosis:_id", "1", Has("Encounter", "diagnosis", Ids(("1",)))),
    ("Patient", "_has:Observation:patient:_has:AuditEvent:entity:agent", "Device/1",
     Has("Observation", "", Has("AuditEvent", "entity", Links("agent", ("Device/1",))))),
    ("Encounter", "patient._has:Observation:patient:status", "final",
     Either((Patients(matching=Has("Observation", "", Tokens("status", ((None, "final"),)))),
             Chain("patient", "Group", Has("Observation", "patient", Tokens("status", ((None, "final"),))))))),
    ("Observation", "subject", "Group/1,2", Either((Patients(("2",)), Links("subject", ("Group/1",))))),
    ("Observation", "subject:Patient", "1", Patients(("1",))),
    ("Observation", "code:not", "a", Not(Tokens("code", ((None, "a"),)))),
    ("Observation", "code:text", "Åse", Words("code:text", beginnings=("aase",))),
    ("Patient", "identifier:of-type", "s|MR|1", Tokens("identifier:of-type", (("s", "MR|1"),))),
    ("Patient", "given:exact", "Eve", Tokens("given:exact", ((None, "Eve"),))),
    ("Patient", "given:contains", "EVE", Strings("given", ("eve",), how="inside")),
    ("ServiceRequest", "instantiates-canonical:below", "http://a/b", Words("instantiates-canonical", ("http://a/b",),
                                                                            ("http://a/b/",))),
    ("ServiceRequest", "instantiates-canonical:below", "http://a/b|1",
     Words("instantiates-canonical", ("http://a/b|1",), ("http://a/b|1.",))),
    ("ValueSet", "url:below", "http://a/b/", Words("url", ("http://a/b",), ("http://a/b/",))),
    ("ValueSet", "url:above", "http://a/b", Links("url", ("http://a/b", "http://a/b/", "http://a", "http://a/"))),
    ("Observation", "value-quantity:missing", "true", Missing("value-quantity", missing=True)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "value", "criterion"), CHAINS, ids=[f"{c[0]}?{c[1]}" for c in CHAINS])
def test_modifiers_and_chains_make_trees(kind: str, name: str, value: str, criterion: Any) -> None:
    assert parse_query(kind, [(name, value)]).criteria == (criterion,)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Organization", "_has:Encounter:service-provider:status"),
     ("Practitioner", "_has:Patient:general-practitioner:name"),
     ("Organization", "_has:Organization:partof:_has:Location:organization:_has:Encounter:location:status")],
)  # fmt: skip
def test_what_is_nobodys_is_not_searched_by_what_is_a_patients(kind: str, name: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_query(kind, [(name, "finished")])
    assert refused.value.code == "search-crosses-records"


def test_a_chain_to_any_type_says_which() -> None:
    with pytest.raises(Malformed) as refused:
        parse_query("Observation", [("focus.code", "a")])
    assert refused.value.code == "search-value-invalid"
    assert parse_query("Observation", [("focus:Condition.code", "a")]).criteria


def test_a_chain_that_leads_through_many_types_is_bounded() -> None:
    criteria = parse_query(
        "Observation", [("derived-from." * 2 + "encounter.reason-reference.status", "final")]
    ).criteria
    assert 4 < len(list(passed(criteria))) <= MOST_STEPS
    with pytest.raises(Malformed):
        parse_query("ServiceRequest", [("based-on." * 10 + "based-on.status", "final")])


ESCAPED = st.text(st.characters(codec="utf-8", min_codepoint=0x20))


def escape(text: str) -> str:
    return "".join("\\" + char if char in "\\,|$" else char for char in text)


@given(st.lists(st.tuples(ESCAPED, ESCAPED.filter(bool)), min_size=1, max_size=4))
def test_any_system_and_value_can_be_asked_for_when_escaped(tokens: list[tuple[str, str]]) -> None:
    value = ",".join(f"{escape(system)}|{escape(code)}" for system, code in tokens)
    assert parse_query("Observation", [("code", value)]).criteria == (Tokens("code", tuple(tokens)),)


NAMES = st.sampled_from(["_id", "identifier", "code", "date", "patient", "patient:identifier", "_count", "dog"])


@given(st.lists(st.tuples(NAMES, st.text()), max_size=5), st.booleans())
def test_any_search_is_read_or_refused_with_400_never_a_fault(pairs: list[tuple[str, str]], lenient: bool) -> None:
    try:
        query = parse_query("Observation", pairs, lenient=lenient)
    except Malformed:
        return
    assert len(query.criteria) == len(query.applied) <= len(pairs)


def test_a_long_value_is_split_at_once() -> None:
    (criterion,) = parse_query("Observation", [("code", ("\\," * 500 + ",") * 400)]).criteria
    assert isinstance(criterion, Tokens)
    assert len(criterion.values) == 401
