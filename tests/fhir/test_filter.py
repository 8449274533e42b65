"""`_filter`: which text is an expression, what it asks, and where a wrong one is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overblik.fhir.errors import Malformed
from overblik.fhir.query import (
    All,
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
    Strings,
    Tokens,
    Updated,
    parse_query,
)
from overblik.fhir.query.filter import LONGEST, MOST_DEPTH, MOST_TESTS, OPERATORS
from overblik.fhir.query.filtered import filters, single


def strings(param: str, text: str, how: Any = "whole") -> Strings:
    return Strings(param, (text,), how)


X = ((None, "x"),)
PETER, MALE = strings("given", "peter"), Tokens("gender", ((None, "male"),))
FINAL = Tokens("status", ((None, "final"),))


@pytest.mark.parametrize(
    ("kind", "text", "criteria"),
    [
        # The examples of the standard.
        ("Patient", 'name co "pet"', [strings("name", "pet", "inside")]),
        ("Observation", "code eq http://loinc.org|1234-5", [Tokens("code", (("http://loinc.org", "1234-5"),))]),
        ("Encounter", 'subject.name co "pet"', [Patients(matching=strings("name", "pet", "inside"))]),
        ("Observation", "code eq loinc|1234-5", [Tokens("code", (("http://loinc.org", "1234-5"),))]),
        ("Patient", "_has:Observation:patient:code eq x", [Has("Observation", "", Tokens("code", ((None, "x"),)))]),
        # Words, parentheses, white space.
        ("Patient", "given eq peter and gender eq male", [PETER, MALE]),
        ("Patient", 'given eq "peter" or gender eq male', [Either((PETER, MALE))]),
        ("Patient", "  ( (given eq peter) )  and(gender eq male)", [PETER, MALE]),
        ("Patient", "not(gender eq male)", [Not(MALE)]),
        ("Patient", "not ( not (gender eq male))and given eq peter", [Not(Not(MALE)), PETER]),
        ("Patient", "gender eq male or given eq peter and gender eq male", [Either((MALE, PETER)), MALE]),
        ("Patient", "gender eq male or (given eq peter and gender eq male)", [Either((MALE, All((PETER, MALE))))]),
        # Alternatives of one code are one criterion, which an index can answer.
        ("Patient", "gender eq male or gender eq other", [Tokens("gender", ((None, "male"), (None, "other")))]),
        # Strings.
        ("Patient", r'name eq "Å \"b\", )] \u00e6"', [strings("name", 'aa "b", )] ae')]),
        ("Patient", "name sw ny and name ew sen", [strings("name", "ny", "begins"), strings("name", "sen", "ends")]),
        ("Patient", "name gt a and name le b", [strings("name", "a", "gt"), strings("name", "b", "le")]),
        ("Condition", "onset-info ne x", [Missing("onset-info", False), Not(strings("onset-info", "x"))]),
        # Tokens, references, uris, ids; a comma separates nothing.
        ("Observation", "status ne final", [Missing("status", False), Not(FINAL)]),
        ("Observation", r'code eq "a,b\\|c"', [Tokens("code", ((None, "a,b|c"),))]),
        ("Observation", "performer re Practitioner/1", [Links("performer", ("Practitioner/1",))]),
        ("Observation", "patient re a,b", [Patients(("a,b",))]),
        ("ValueSet", "url eq http://x/a,b", [Links("url", ("http://x/a,b",))]),
        ("Patient", "_id eq a,b and _id ne c", [Ids(("a,b",)), Not(Ids(("c",)))]),
        # Presence: the set that a path leads to is empty too where a step leads nowhere.
        ("Patient", "gender pr true", [Missing("gender", False)]),
        ("Patient", "gender pr false", [Not(Missing("gender", False))]),
        ("Encounter", "part-of.status pr false", [Not(Chain("part-of", "Encounter", Missing("status", False)))]),
        # A type, a filter in a path, a mixed path.
        ("Encounter", "diagnosis:Condition.code eq x", [Chain("diagnosis", "Condition", Tokens("code", X))]),
        ("Encounter", "part-of[status eq final].class eq x",
         [Chain("part-of", "Encounter", All((FINAL, Tokens("class", ((None, "x"),)))))]),
        ("Encounter", "subject[gender eq male]._has:Observation:patient:status eq final",
         [Patients(matching=All((MALE, Has("Observation", "", FINAL))))]),
        # Composites.
        ("Observation", "code-value-concept eq loinc|1$x",
         [Composites("code-value-concept", ((Tokens("", (("http://loinc.org", "1"),)), Tokens("", ((None, "x"),))),))]),
    ],
)  # fmt: skip
def test_a_filter_becomes_criteria(kind: str, text: str, criteria: list[Any]) -> None:
    assert list(filters(kind, text)) == criteria


@pytest.mark.parametrize("prefix", ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
def test_an_operator_of_order_is_the_prefix(prefix: str) -> None:
    (date,) = filters("Observation", f"date {prefix} 2026-11")
    assert (date,) == parse_query("Observation", [("date", f"{prefix}2026-11")]).criteria
    (amount,) = filters("Observation", f"value-quantity {prefix} 5.4|ucum|mg")
    asked = f"{prefix}5.4|http://unitsofmeasure.org|mg"
    assert (amount,) == parse_query("Observation", [("value-quantity", asked)]).criteria
    assert isinstance(amount, Numbers)
    (moment,) = filters("Observation", f"_lastUpdated {prefix} 2026-11")
    assert isinstance(moment, Updated)


def test_dates_overlap_and_cover() -> None:
    (over,) = filters("Observation", "date po 2026-11")
    (around,) = filters("Observation", "date co 2026-11")
    assert isinstance(over, Dates)
    assert isinstance(around, Dates)
    assert (over.values[0][0], around.values[0][0]) == ("ap", "co")
    assert over.values[0][1] == around.values[0][1]


@pytest.mark.parametrize(
    ("kind", "text", "at", "says"),
    [
        ("Patient", " ", 2, "expected a search parameter"),
        ("Patient", "name", 5, "expected a space and an operator, found the end"),
        ("Patient", "name xx y", 6, "expected an operator, one of ap, co"),
        ("Patient", "name eq", 8, "expected a space after eq"),
        ("Patient", "name eq ", 9, "expected a value"),
        ("Patient", 'name eq "x', 9, "closing quote"),
        ("Patient", r'name eq "\x"', 9, "closing quote"),
        ("Patient", r'name eq "\u0000"', 9, "control character"),
        ("Patient", r'name eq "\ud800"', 9, "half a character"),
        ("Patient", 'name eq "x"y', 12, "expected a space after the value"),
        ("Patient", 'name eq ""', 9, "not empty"),
        ("Patient", "name eq x y", 11, "expected and, or, or the end, found 'y'"),
        ("Patient", "name eq x)", 10, "the end, found ')'"),
        ("Patient", "(name eq x", 11, "a closing )"),
        ("Patient", "name eq x and", 14, "expected a space after and"),
        ("Patient", "name eq x And name eq y", 11, "expected and"),
        ("Patient", "general-practitioner[active eq true]", 37, "expected a ."),
        ("Patient", "general-practitioner[active eq true.name eq x", 42, "a closing ]"),
        ("Patient", "dog eq x", 1, "cannot be searched by dog"),
        ("Patient", "name eq x and gender.dog eq x", 15, "no reference gender"),
        ("Patient", "general-practitioner:Device.type eq x", 1, "no reference general-practitioner:Device"),
        ("Patient", "_has:Observation:code:status eq x", 1, "Observation has no code that refers to Patient"),
        ("Patient", "name:exact eq x", 1, "cannot be searched by name:exact"),
        ("Patient", "_text eq x", 1, "parameter of its own"),
        ("Patient", "gender co x", 8, "gender is a token and takes eq, in, ne, ni, pr, sb, ss, not co"),
        ("Patient", "birthdate sw 2026", 11, "birthdate is a date and takes"),
        ("Patient", "birthdate eq dog", 14, "takes a date"),
        ("Patient", "birthdate eq ge2026", 14, "takes a date"),
        ("Patient", "birthdate eq 2025,2026", 14, "takes a date"),
        ("Patient", "gender pr maybe", 11, "pr takes true or false"),
        ("Patient", "name ne x", 6, "write not(name eq"),
        ("Observation", "category ne x", 10, "write not(category eq"),
        ("Observation", "code-value-quantity ge a$1", 21, "is a composite and takes eq, ne"),
        ("Observation", "focus.code eq x", 1, "say which type"),
        ("RiskAssessment", "probability co 1", 13, "probability is a number"),
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_with_its_place(kind: str, text: str, at: int, says: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_query(kind, [("_filter", text)], lenient=True)
    (issue,) = caught.value.issues
    assert (issue.code, issue.expression) == ("filter-invalid", "http._filter")
    assert issue.text.startswith(f"At character {at} of _filter: "), issue.text
    assert says in issue.text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (" or ".join(["gender eq x"] * (MOST_TESTS + 1)), "filter-invalid"),
        ("(" * (MOST_DEPTH + 2) + "gender eq x" + ")" * (MOST_DEPTH + 2), "filter-invalid"),
        ("gender eq " + "x" * LONGEST, "search-too-long"),
        (" and ".join(["gender eq x"] * 17), "search-too-long"),
        (" or ".join(["_has:Observation:patient:encounter.part-of.part-of.status eq x"] * 13), "search-too-long"),
        ("_has:Observation:patient:" + "has-member." * 10 + "status eq x", "filter-invalid"),
    ],
)  # fmt: skip
def test_a_filter_is_bounded(text: str, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_query("Patient", [("_filter", text)])
    assert caught.value.code == code


def test_all_chains_of_a_search_are_bounded_together() -> None:
    steps = " or ".join(["_has:Observation:patient:encounter:Encounter.status eq x"] * 10)
    assert parse_query("Patient", [("_filter", steps)] * 3).criteria
    for more in (("_filter", steps), ("_has:Observation:patient:status", "x")):
        with pytest.raises(Malformed) as caught:
            parse_query("Patient", [("_filter", steps)] * 3 + [more])
        assert caught.value.code == "search-too-long"


def test_a_filter_stands_beside_other_parameters_and_beside_another() -> None:
    query = parse_query("Patient", [("gender", "male"), ("_filter", "given eq peter"), ("_filter", "gender eq male")])
    assert query.criteria == (MALE, PETER, MALE)
    assert parse_query("Patient", [("_filter", "")]).criteria == ()


def test_what_is_nobodys_is_not_filtered_by_what_is_a_patients() -> None:
    with pytest.raises(Malformed) as caught:
        parse_query("Organization", [("_filter", "name eq x or not (_has:Patient:organization:gender eq male)")])
    assert caught.value.code == "search-crosses-records"


@pytest.mark.parametrize(
    ("kind", "code", "once"),
    [
        ("Observation", "status", True), ("Observation", "code", True), ("Observation", "category", False),
        ("Observation", "value-concept", True), ("Observation", "component-code", False), ("Patient", "gender", True),
        ("Patient", "deceased", False), ("Condition", "onset-info", True), ("Organization", "name", False),
        ("Observation", "code-value-quantity", True), ("Observation", "component-code-value-quantity", False),
        ("Encounter", "class", True), ("Observation", "_tag", False), ("ValueSet", "url", True),
        ("Encounter", "participant", False), ("Observation", "nothing", False),
    ],
)  # fmt: skip
def test_a_parameter_is_known_to_have_one_value(kind: str, code: str, once: bool) -> None:
    assert single(kind, code) is once


WORDS = st.sampled_from([
    "(", ")", "[", "]", " ", ".", '"', "\\", "and", "or", "not", "not(", "name", "subject", "_has:Observation:subject:",
    "code", "date", "2026", "x", "true", "\x00", "\u00e6", "|", ",", "$", ":", *sorted(OPERATORS),
])  # fmt: skip


@given(st.lists(WORDS, max_size=30).map("".join) | st.lists(WORDS, max_size=30).map(" ".join) | st.text())
def test_any_text_is_read_or_refused_with_a_place_in_it(text: str) -> None:
    assert refused(text) in {None, "search-too-long"} | {*range(1, len(text) + 2)}


def refused(text: str) -> int | str | None:
    """Return the place a filter is wrong at, the code of another error, None where it is read."""
    try:
        filters("Observation", text)
    except Malformed as error:
        found = re.match(r"At character (\d+) of _filter: ", error.text)
        return int(found[1]) if found and error.code == "filter-invalid" else error.code
    return None


SIMPLE = st.sampled_from(["name eq x", 'name co "a b"', "gender pr true", "birthdate ge 2026"])


@given(st.recursive(SIMPLE, lambda inner: (
    st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map(lambda p: f"({p[0]}){p[1]}({p[2]})")
    | inner.map(lambda one: f"not({one})")
), max_leaves=6))  # fmt: skip
def test_parentheses_around_anything_change_nothing(text: str) -> None:
    depth = max((text[:n].count("(") - text[:n].count(")") for n in range(len(text) + 1)), default=0)
    if depth < MOST_DEPTH - 1:
        assert filters("Patient", f"({text})") == filters("Patient", text)
