"""Resource to index row: what a search finds it by, and whom it is about."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from overblik.fhir.dates import EARLIEST, LATEST, Interval, parse_interval
from overblik.fhir.identifiers import CPR, GLN
from overblik.fhir.index import (
    INDEX_VERSION,
    Narrow,
    index_row,
    interval_of,
    patient_references,
    token_digest,
    token_digests,
)
from overblik.fhir.index.parameters import headline_date
from overblik.fhir.index.row import WIDEST
from overblik.fhir.query import Tokens, parse_query

if TYPE_CHECKING:
    from overblik.fhir.strict_json import Json

KEY = b"a key of tests"
ONE = "http://one.dk"


def found(resource: Json, param: str, value: str) -> bool:
    """Say whether a search finds a resource by its tokens, as the store compares them."""
    (criterion,) = parse_query(resource["resourceType"], [(param, value)]).criteria
    assert isinstance(criterion, Tokens)
    asked = {token_digest(KEY, resource["resourceType"], param, s, v) for s, v in criterion.values}
    return bool(asked & set(index_row(resource, KEY).tokens))


def coded(*codings: Json) -> Json:
    return {"resourceType": "Observation", "code": {"coding": list(codings)}}


def identified(**identifier: str) -> Json:
    return {"resourceType": "Patient", "identifier": [identifier]}


BOTH = coded({"system": ONE, "code": "A"})
BARE = coded({"code": "A"})
NO_CODE = coded({"system": ONE, "display": "x"})
TWO = coded({"system": ONE, "code": "A"}, {"system": "http://two.dk", "code": "B"})
QUESTION = {"resourceType": "Questionnaire", "item": [{"code": [{"system": ONE, "code": "A"}, {"system": "b"}]}]}
PERSON = identified(system=CPR, value="070348-0999")

SEARCHES = [
    (BOTH, "code", f"{ONE}|A", True),
    (BOTH, "code", "A", True),
    (BOTH, "code", f"{ONE}|", True),
    (BOTH, "code", "|A", False),
    (BOTH, "code", f"{ONE}|B", False),
    (BOTH, "code", "http://two.dk|A", False),
    (BOTH, "code", "a", False),
    (BOTH, "code", ONE, False),
    (BOTH, "code", "B,A", True),
    (BARE, "code", "|A", True),
    (BARE, "code", "A", True),
    (BARE, "code", f"{ONE}|A", False),
    (BARE, "code", f"{ONE}|", False),
    (BARE, "code", "|", False),
    (BARE, "code", ",", False),
    (NO_CODE, "code", f"{ONE}|", True),
    (NO_CODE, "code", "x", False),
    (NO_CODE, "code", ",", False),
    (TWO, "code", "http://two.dk|B", True),
    # The system of one coding with the code of the other.
    (TWO, "code", "http://two.dk|A", False),
    (TWO, "code", f"{ONE}|B", False),
    (coded({"system": ONE, "code": "A|B,C"}), "code", rf"{ONE}|A\|B\,C", True),
    (coded({"system": ONE, "code": "A|B"}), "code", r"A\|B", True),
    # The same of a Coding, and of a code, which has no system.
    (QUESTION, "code", f"{ONE}|A", True),
    (QUESTION, "code", "b|", True),
    (QUESTION, "code", "|A", False),
    ({"resourceType": "OperationDefinition", "code": "A"}, "code", "|A", True),
    ({"resourceType": "OperationDefinition", "code": "A"}, "code", f"{ONE}|A", False),
    (PERSON, "identifier", f"{CPR}|0703480999", True),
    (PERSON, "identifier", f"{CPR}|070348-0999", True),
    (PERSON, "identifier", "0703480999", True),
    (PERSON, "identifier", "070348-0999", True),
    (PERSON, "identifier", f"{CPR}|", True),
    (PERSON, "identifier", "|0703480999", False),
    (PERSON, "identifier", f"{CPR}|0703480998", False),
    (identified(system="http://www.gs1.org/gln", value="5790000121526"), "identifier", f"{GLN}|5790000121526", True),
    (identified(system=GLN, value="5790000121526"), "identifier", "http://www.gs1.org/gln|5790000121526", True),
    (identified(system=GLN, value="5790000121526"), "identifier", "http://www.gs1.org/gln|", True),
    (identified(system=ONE), "identifier", f"{ONE}|", True),
    (identified(value="1"), "identifier", "|1", True),
]


@pytest.mark.parametrize(("resource", "param", "value", "hit"), SEARCHES)
def test_a_token_search_finds_what_it_names_and_nothing_else(resource: Json, param: str, value: str, hit: bool) -> None:
    assert found(resource, param, value) is hit


TEXT = st.text(st.characters(codec="utf-8", min_codepoint=0x20))
"""Control characters are refused by the structure check and by the query, so they reach no digest."""
TYPES = st.sampled_from(["Patient", "Observation"])
PARAMS = st.sampled_from(["code", "identifier"])
FORMS = st.tuples(TYPES, PARAMS, st.none() | TEXT, st.none() | TEXT)


@given(FORMS, FORMS)
def test_two_ways_to_ask_have_two_digests(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert (token_digest(KEY, *one) == token_digest(KEY, *other)) == (one == other)


@given(TEXT, TEXT, st.lists(TEXT, max_size=3))
def test_moving_text_between_system_and_value_changes_the_digest(system: str, value: str, extra: list[str]) -> None:
    assume(extra)
    joined = "|".join(extra)
    digests = {
        token_digest(KEY, "Patient", "identifier", s, v)
        for s, v in [(system + joined, value), (system, joined + value), (None, system + joined + value)]
    }
    assert len(digests) == (3 if joined else 2)


@given(FORMS, st.binary(min_size=1, max_size=64), st.binary(min_size=1, max_size=64))
def test_the_key_changes_every_digest(form: tuple[Any, ...], one: bytes, other: bytes) -> None:
    assume(one.ljust(64, b"\0") != other.ljust(64, b"\0"))
    assert token_digest(one, *form) != token_digest(other, *form)


@given(TEXT, TEXT)
def test_a_stored_token_is_found_by_each_of_its_forms_and_fits_64_bits(system: str, value: str) -> None:
    digests = token_digests(KEY, "Patient", "identifier", system, value)
    asked: list[tuple[str | None, str | None]] = [(None, value), (system, value)] if value else []
    asked += [(system, None)] if system else []
    assert digests == [token_digest(KEY, "Patient", "identifier", s, v) for s, v in asked]
    assert all(-(2**63) <= digest < 2**63 for digest in digests)


def test_digests_are_those_that_stand_in_stored_rows() -> None:
    """Whoever changes the digest must make stored rows anew: raise INDEX_VERSION, then the number here."""
    assert (INDEX_VERSION, token_digest(KEY, "Patient", "identifier", CPR, "0703480999")) == (7, 7750964032195498048)


def span(start: str, end: str) -> Interval:
    return Interval(datetime.fromisoformat(start), datetime.fromisoformat(end))


DAY = parse_interval("2026-11-22")
INTERVALS: list[tuple[str, Any, Interval | None]] = [
    ("dateTime", "2026-11-22", DAY),
    ("date", "2026-11-22", DAY),
    ("instant", "2026-11-22T10:00:00Z", span("2026-11-22T10:00Z", "2026-11-22T10:00:01Z")),
    ("dateTime", "2026-11-31", None),
    ("Period", {"start": "2026-11-20", "end": "2026-11-22"}, span("2026-11-19T23:00Z", "2026-11-22T23:00Z")),
    ("Period", {"start": "2026-11-22"}, Interval(span("2026-11-21T23:00Z", "2026-11-22T23:00Z").start, LATEST)),
    ("Period", {"end": "2026-11-22"}, Interval(EARLIEST, span("2026-11-21T23:00Z", "2026-11-22T23:00Z").end)),
    ("Period", {"start": "2026-11-22", "end": "9999-12-31"}, span("2026-11-21T23:00Z", LATEST.isoformat())),
    ("Period", {}, None),
    ("Period", {"start": "x"}, None),
    ("Period", {"_start": {"id": "x"}}, None),
    ("Timing", {"event": ["2026-11-22", "2026-11-20"]}, span("2026-11-19T23:00Z", "2026-11-22T23:00Z")),
    ("Timing", {"event": ["x"]}, None),
    ("Timing", {"repeat": {"frequency": 1}}, None),
    ("dateTime", None, None),
]


@pytest.mark.parametrize(("kind", "value", "interval"), INTERVALS)
def test_dates_periods_and_timings_stand_for_intervals(kind: str, value: Any, interval: Interval | None) -> None:
    assert interval_of(kind, value) == interval


DATED: list[tuple[str, Json]] = [
    ("Observation", {"effectiveDateTime": "2026-11-22"}),
    ("Observation", {"effectivePeriod": {"start": "2026-11-22", "end": "2026-11-22"}}),
    ("Observation", {"effectiveInstant": "2026-11-22T10:00:00Z"}),
    ("Encounter", {"period": {"start": "2026-11-22"}}),
    ("Procedure", {"performedDateTime": "2026-11-22"}),
    ("Appointment", {"start": "2026-11-22T10:00:00Z"}),
    ("CarePlan", {"period": {"start": "2026-11-22"}}),
    ("Composition", {"date": "2026-11-22"}),
    ("DiagnosticReport", {"effectiveDateTime": "2026-11-22"}),
    ("Communication", {"sent": "2026-11-22T10:00:00Z"}),
    ("CommunicationRequest", {"authoredOn": "2026-11-22"}),
    ("Condition", {"onsetDateTime": "2026-11-22"}),
    ("Condition", {"onsetPeriod": {"start": "2026-11-22"}}),
    ("Condition", {"recordedDate": "2026-11-22"}),
    ("Goal", {"startDate": "2026-11-22"}),
    ("Goal", {"statusDate": "2026-11-22"}),
    ("Task", {"authoredOn": "2026-11-22"}),
    ("Provenance", {"occurredDateTime": "2026-11-22"}),
    ("Provenance", {"occurredPeriod": {"start": "2026-11-22"}}),
]


@pytest.mark.parametrize(("kind", "elements"), DATED)
def test_a_resource_is_ordered_and_judged_by_its_own_date(kind: str, elements: Json) -> None:
    (value,) = elements.values()
    row = index_row({"resourceType": kind, **elements}, KEY)
    interval = interval_of("Period", value)
    assert interval is not None
    short = interval.end - interval.start <= WIDEST
    assert headline_date(kind) == "date"
    assert row.clinical == row.sort == interval
    assert row.span == (interval if short else None)
    kept = [d for d in row.dates if d.code == "date"]
    assert kept == ([] if short else [Narrow("date", interval.start, interval.end)])


def test_a_date_parameter_of_the_standard_keeps_its_meaning() -> None:
    """A MedicationRequest's `date` is when it is to be given, not when it was written, by which it is ordered."""
    timing = {"timing": {"event": ["2026-11-22"]}}
    request = {"resourceType": "MedicationRequest", "authoredOn": "2026-11-01", "dosageInstruction": [timing]}
    row = index_row(request, KEY)
    assert DAY is not None
    assert row.dates == [Narrow("date", *DAY)]
    assert row.span == parse_interval("2026-11-01")


def test_a_resource_without_anything_has_only_what_says_so() -> None:
    row = index_row({"resourceType": "Observation"}, KEY)
    assert (row.tokens, row.present) == ({}, 0)
    assert (row.dates, row.numbers, row.strings, row.headline, row.clinical, row.sort) == ([], [], [], [], None, None)


def test_the_clinical_span_covers_all_dates() -> None:
    row = index_row({"resourceType": "Condition", "onsetDateTime": "2026-11-01", "recordedDate": "2026-11-22"}, KEY)
    assert row.clinical == span("2026-10-31T23:00Z", "2026-11-22T23:00Z")


ABOUT: list[tuple[str, Json, list[str]]] = [
    ("Observation", {"subject": "Patient/1", "performer": ["Patient/2"]}, ["Patient/1"]),
    ("Observation", {"subject": "http://x.dk/fhir/Patient/1"}, ["http://x.dk/fhir/Patient/1"]),
    ("Observation", {"subject": "Group/1"}, ["Group/1"]),
    ("Observation", {"subject": "urn:uuid:a"}, ["urn:uuid:a"]),
    ("Observation", {}, []),
    ("Condition", {"subject": "Patient/1", "asserter": "Patient/2"}, ["Patient/1"]),
    ("Encounter", {"subject": "Patient/1"}, ["Patient/1"]),
    ("CarePlan", {"subject": "Patient/1", "author": "Patient/2"}, ["Patient/1"]),
    ("Communication", {"subject": "Patient/1", "sender": "Patient/2", "recipient": ["Patient/3"]}, ["Patient/1"]),
    ("Composition", {"subject": "Patient/1", "author": ["Patient/2"]}, ["Patient/1"]),
    ("Task", {"for": "Patient/1", "owner": "Patient/2", "requester": "Patient/3"}, ["Patient/1"]),
    ("Provenance", {"target": ["Patient/1", "Observation/2"], "agent": [{"who": "Patient/3"}]}, ["Patient/1"]),
    ("Appointment", {"participant": [{"actor": "Practitioner/2"}, {"actor": "Patient/1"}]}, ["Patient/1"]),
    ("Appointment", {"participant": [{"actor": "Patient/1"}, {"actor": "Patient/3"}]}, ["Patient/1", "Patient/3"]),
    ("AppointmentResponse", {"appointment": "Appointment/1", "actor": "Patient/1"}, ["Patient/1"]),
    ("AppointmentResponse", {"appointment": "Appointment/1", "actor": "Practitioner/1"}, []),
    ("Schedule", {"actor": ["Patient/1", "Location/2"]}, ["Patient/1"]),
    ("Schedule", {"actor": ["PractitionerRole/1"]}, []),
    ("Coverage", {"beneficiary": "Patient/1", "policyHolder": "Patient/2", "payor": ["Patient/3"]}, ["Patient/1"]),
    ("Coverage", {"subscriber": "Patient/1"}, ["Patient/1"]),
    ("ResearchSubject", {"individual": "Patient/1"}, ["Patient/1"]),
    ("RelatedPerson", {"patient": "Patient/1"}, ["Patient/1"]),
    ("Group", {"member": [{"entity": "Patient/1"}, {"entity": "Patient/2"}]}, ["Patient/1", "Patient/2"]),
    ("Patient", {"link": [{"other": "Patient/1"}]}, []),
    ("Organization", {"partOf": "Organization/1"}, []),
]


def referring(value: Any) -> Any:
    """Write every text of a small table as a Reference."""
    if isinstance(value, dict):
        return {key: referring(item) for key, item in value.items()}
    if isinstance(value, list):
        return [referring(item) for item in value]
    return {"reference": value}


@pytest.mark.parametrize(("kind", "elements", "patients"), ABOUT)
def test_a_resource_is_about_its_subject_and_taking_part_confers_nothing(
    kind: str, elements: Json, patients: list[str]
) -> None:
    found = patient_references({"resourceType": kind, **referring(elements)})
    assert [reference["reference"] for reference in found] == patients


def test_a_reference_by_identifier_alone_is_walked_too() -> None:
    subject = {"type": "Patient", "identifier": {"system": CPR, "value": "0703480999"}}
    resource = {"resourceType": "Observation", "subject": subject}
    assert list(patient_references(resource)) == [subject]
