"""The rules without which an overview is dangerous, one test each, on the sections as they are built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.strict_json import load_object
from overblik.overview.present import CAUTION, overview_json
from overblik.web import arrange
from tests.conftest import NOW
from tests.overview.build import (
    CLINIC,
    DAY,
    HOSPITAL,
    allergy,
    order,
    person,
    problem,
    result,
    seen,
    told,
    unit,
)

if TYPE_CHECKING:
    from overblik.trust.door.entries import Entry

# -- nothing is said that no source said


@pytest.mark.parametrize("section", ["allergies", "medication", "problems", "results", "plans", "contacts", "messages"])
def test_what_no_source_stated_is_empty_and_never_none_known(section: str) -> None:
    assert getattr(seen([person()]), section) == ()


def test_none_known_quotes_the_source_and_its_date() -> None:
    (item,) = seen([allergy("Ingen kendte", code="716186003")]).allergies
    assert item.none_known
    assert item.origin.source.name == "Lægerne"
    assert item.origin.clinical is not None
    assert item.origin.clinical.year == 2024


def test_none_known_never_hides_a_reaction_that_another_source_states() -> None:
    stated = [allergy("Ingen kendte", code="716186003"), allergy("Penicillin", HOSPITAL)]
    assert [(a.substance, a.none_known) for a in seen(stated).allergies] == [
        ("Penicillin", False),
        ("Ingen kendte", True),
    ]


def test_a_refuted_reaction_stands_beside_the_stated_one() -> None:
    entries = [allergy("Ibuprofen"), allergy("Penicillin", certainty="refuted"), allergy(), allergy("Zink")]
    found = [(a.substance, a.status) for a in seen(entries).allergies]
    assert found[1:3] == [("Penicillin", "active"), ("Penicillin", "refuted")]


def test_the_caution_is_the_same_for_every_patient() -> None:
    shown = (seen([person()]), seen([person(), order(), result(), problem()]))
    empty, full = (load_object(overview_json(overview)) for overview in shown)
    assert empty["caution"] == full["caution"] == CAUTION
    assert empty["sources"] == full["sources"]


# -- results

RANGES: list[tuple[str, list[dict[str, Any]], str]] = [
    ("text", [{"text": "7,3–9,5"}], "7,3–9,5"),
    ("low and high", [{"low": {"value": 7.3}, "high": {"value": 9.5}}], "7.3–9.5"),
    ("low only", [{"low": {"value": 60}}], "≥ 60"),
    ("high only", [{"high": {"value": 48}}], "≤ 48"),
    ("zero is a bound", [{"low": {"value": 0}, "high": {"value": 5}}], "0–5"),
    ("nothing stated", [], ""),
]


@pytest.mark.parametrize(("what", "stated", "shown"), RANGES, ids=[r[0] for r in RANGES])
def test_a_result_shows_its_unit_and_reference_range(what: str, stated: list[dict[str, Any]], shown: str) -> None:
    (item,) = seen([result(7.9, referenceRange=stated)]).results
    assert (item.unit, item.range) == ("mmol/L", shown), what
    assert item.readings[0].value == "7.9"


VALUES: list[tuple[dict[str, Any], str]] = [
    ({"valueQuantity": {"value": 5, "unit": "mg", "comparator": "<"}}, "<5"),
    ({"valueString": "ikke påvist"}, "ikke påvist"),
    ({"valueInteger": 0}, "0"),
    ({"valueCodeableConcept": {"coding": [{"code": "LA6576-8"}]}}, "LA6576-8"),
    (
        {
            "component": [
                {"code": {"text": "Systolisk"}, "valueQuantity": {"value": 148, "unit": "mmHg"}},
                {"code": {"text": "Diastolisk"}, "valueQuantity": {"value": 82, "unit": "mmHg"}},
            ]
        },
        "Systolisk: 148 mmHg; Diastolisk: 82 mmHg",
    ),
    ({}, ""),
]


@pytest.mark.parametrize(("stated", "shown"), VALUES)
def test_a_value_is_shown_as_it_came(stated: dict[str, Any], shown: str) -> None:
    entry = result(valueQuantity={}, **stated) if "valueQuantity" not in stated else result(**stated)
    (item,) = seen([entry]).results
    assert item.readings[0].value == shown


def test_codes_without_words_appear_as_sent() -> None:
    (item,) = seen([told(_unknown())]).results
    assert item.name == "XYZ12345"


def _unknown() -> dict[str, Any]:
    code = {"coding": [{"system": "urn:nobody", "code": "XYZ12345"}]}
    return {"resourceType": "Observation", "status": "final", "code": code, "valueString": "x"}


def test_the_newest_reading_stands_first_whatever_order_they_came_in() -> None:
    old, new = result(7.9, at=NOW - 30 * DAY), result(5.9, at=NOW - DAY)
    for entries in ([old, new], [new, old]):
        (item,) = seen(entries).results
        assert [r.value for r in item.readings] == ["5.9", "7.9"]


def test_a_corrected_result_says_so() -> None:
    (item,) = seen([result(6.9, status="corrected", interpretation=[{"coding": [{"code": "L"}]}])]).results
    assert item.readings[0].corrected
    assert item.readings[0].flag == "L"


@pytest.mark.parametrize(("flag", "told_first"), [("HH", True), ("LL", True), ("AA", True), ("H", False), ("", False)])
def test_a_critical_value_is_pulled_to_the_top(flag: str, told_first: bool) -> None:
    interpretation = [{"coding": [{"code": flag}]}] if flag else []
    care = arrange.attention(seen([result(interpretation=interpretation)]))
    assert bool(care.critical) is told_first


def test_a_critical_value_that_a_newer_one_has_answered_is_not_pulled_to_the_top() -> None:
    low = result(4.1, at=NOW - 3 * DAY, interpretation=[{"coding": [{"code": "LL"}]}])
    assert not arrange.attention(seen([low, result(7.5, at=NOW - DAY)])).critical


# -- medication


@pytest.mark.parametrize(
    ("atc", "status", "pulled"),
    [
        ("B01AB04", "active", True),
        ("B01AF02", "active", True),
        ("C08CA01", "active", False),
        ("B01AB04", "stopped", False),
    ],
)
def test_anticoagulants_in_use_are_pulled_to_the_top(atc: str, status: str, pulled: bool) -> None:
    care = arrange.attention(seen([order(atc=atc, status=status)]))
    assert bool(care.thinners) is pulled


def period(days: int) -> dict[str, Any]:
    span = {"start": (NOW - 20 * DAY).isoformat(), "end": (NOW + days * DAY).isoformat()}
    return {"dispenseRequest": {"validityPeriod": span}}


CHANGES: list[tuple[str, Entry, str, bool]] = [
    # what, the order, the change, whether it is in use
    ("written lately", order(written=NOW - 5 * DAY), "started", True),
    ("written long ago", order(written=NOW - 91 * DAY), "", True),
    ("written 90 days ago", order(written=NOW - 90 * DAY), "started", True),
    ("instead of another", order(written=NOW - DAY, priorPrescription={"display": "x"}), "changed", True),
    ("stopped", order(status="stopped"), "stopped", False),
    ("ended long ago", order(status="completed", **period(-100)), "", False),
    ("ended lately", order(status="completed", **period(-3)), "stopped", False),
    ("to end in three days", order(written=NOW - 5 * DAY, **period(3)), "started", True),
    ("active in words, its end passed", order(**period(-3)), "", False),
    ("on hold", order(status="on-hold"), "", False),
]


@pytest.mark.parametrize(("what", "entry", "change", "active"), CHANGES, ids=[c[0] for c in CHANGES])
def test_a_change_of_medicine_is_told_for_ninety_days(what: str, entry: Entry, change: str, active: bool) -> None:
    (item,) = seen([entry]).medication
    assert (item.change, item.active) == (change, active), what


def test_a_stopped_order_says_why_and_when_it_ends() -> None:
    (item,) = seen([order(status="stopped", statusReason={"text": "Blødning"}, **period(-2))]).medication
    assert item.change_reason == "Blødning"
    assert item.ends == NOW - 2 * DAY
    # R4 has one reason of a request, and a list of a statement's: the first that says something is told
    several = [{}, {"text": "Kvalme"}, {"text": "Udslæt"}]
    (item,) = seen([order(resourceType="MedicationStatement", status="stopped", statusReason=several)]).medication
    assert item.change_reason == "Kvalme"


def test_what_is_entered_in_error_is_shown_nowhere() -> None:
    o = seen([person(), order(status="entered-in-error"), result(status="entered-in-error")])
    assert (o.medication, o.results) == ((), ())


# -- every datum has its source and its times


def test_every_entry_tells_its_source_and_three_times() -> None:
    received, recorded, clinical = NOW, NOW - DAY, NOW - 2 * DAY
    entry = result(at=clinical)
    late = told(entry.resource, CLINIC, recorded, received=received)
    (item,) = seen([late]).results
    origin = item.readings[0].origin
    assert origin.source.name == "Lægerne"
    assert (origin.clinical, origin.recorded, origin.received) == (clinical, recorded, received)


def test_a_source_nobody_knows_is_named_as_its_message_names_it() -> None:
    stranger = "99900018999"
    named: dict[str, Any] = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
    named["serviceProvider"] = {**unit(stranger), "display": "Speciallægen"}
    (item,) = seen([told(named, stranger)]).contacts
    assert item.origins[0].source.name == "Speciallægen"


def test_an_entry_leads_to_the_message_it_came_in() -> None:
    entry = result()
    provenance = {
        "resourceType": "Provenance",
        "occurredDateTime": NOW.isoformat(),
        "target": [{"reference": entry.reference}],
        "entity": [{"role": "source", "what": {"reference": "Binary/raw1"}}],
    }
    (item,) = seen([entry, told(provenance)]).results
    assert item.readings[0].origin.raw == "Binary/raw1"
