"""Putting two sources together: exact keys merge, everything less exact stands beside each other and says so."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overblik.overview.merge import alike, disagreements, merge
from tests.conftest import NOW
from tests.overview.build import (
    CLINIC,
    DAY,
    HOSPITAL,
    ICPC,
    OTHER_EPISODE,
    TOWN,
    allergy,
    appointment,
    contact,
    order,
    problem,
    result,
    seen,
    told,
)

if TYPE_CHECKING:
    from overblik.trust.door.entries import Entry

Case = tuple[str, list["Entry"], list[int], bool]
"""What, the entries, how many origins each shown line has, and whether lines are marked as possibly the same."""

APPOINTMENTS: list[Case] = [
    ("one number from two sources", [appointment(number="A"), appointment(TOWN, number="A")], [2], False),
    ("one number in other letters", [appointment(number="a"), appointment(TOWN, number="A")], [2], False),
    ("two numbers, one time and place", [appointment(number="A"), appointment(TOWN, number="B")], [1, 1], True),
    ("no number, one time and place", [appointment(), appointment(TOWN)], [1, 1], True),
    ("two numbers, two times", [appointment(number="A"), appointment(number="B", start=NOW + 2 * DAY)], [1, 1], False),
    (
        "one value in two systems",
        [appointment(number="A"), appointment(identifier=[{"system": "urn:y", "value": "A"}])],
        [1, 1],
        True,
    ),
    ("a number without a system", [appointment(identifier=[{"value": "A"}])] * 1 + [appointment()], [1, 1], True),
]
CONTACTS: list[Case] = [
    ("episode, unit and period", [contact(), contact(TOWN)], [2], False),
    ("another unit", [contact(), contact(org=CLINIC)], [1, 1], False),
    ("another period", [contact(), contact(days=4)], [1, 1], False),
    ("another episode", [contact(), contact(episode=OTHER_EPISODE)], [1, 1], False),
    ("no episode", [contact(episode=""), contact(episode="")], [1, 1], False),
]
MEDICATION: list[Case] = [
    ("one order from two sources", [order(number="A"), order(HOSPITAL, number="A")], [2], False),
    ("two orders of one substance", [order(number="A"), order(HOSPITAL, number="B")], [1, 1], True),
    ("one substance without a number", [order(), order(HOSPITAL)], [1, 1], True),
    ("two substances", [order(), order(atc="M01AE01", name="Ibuprofen")], [1, 1], False),
    (
        "an active order with a stopped one",
        [order(number="A"), order(HOSPITAL, number="A", status="stopped")],
        [1, 1],
        False,
    ),
    (
        "an order with a statement of what is taken",
        [order(number="A"), order(HOSPITAL, number="A", resourceType="MedicationStatement")],
        [1, 1],
        True,
    ),
    ("a stopped order is no double", [order(), order(HOSPITAL, status="stopped")], [1, 1], False),
]
PROBLEMS: list[Case] = [
    ("code, side, certainty and episode", [problem(), problem(CLINIC)], [2], False),
    ("the other side", [problem(side="højre"), problem(side="venstre")], [1, 1], True),
    ("suspected with confirmed", [problem(), problem(certainty="provisional")], [1, 1], True),
    ("an old event with a new one", [problem(), problem(episode=OTHER_EPISODE)], [1, 1], True),
    ("no episode", [problem(episode=""), problem(episode="")], [1, 1], True),
    ("ICPC with SKS", [problem(code="L75"), problem(code="L75", system=ICPC)], [1, 1], False),
]
ALLERGIES: list[Case] = [
    ("the same words twice", [allergy(), allergy(source=HOSPITAL)], [1, 1], False),
    ("positive with refuted", [allergy(), allergy(certainty="refuted")], [1, 1], False),
]
SECTIONS = {
    "appointments": APPOINTMENTS,
    "contacts": CONTACTS,
    "medication": MEDICATION,
    "problems": PROBLEMS,
    "allergies": ALLERGIES,
}
CASES = [pytest.param(name, *case, id=f"{name}: {case[0]}") for name, cases in SECTIONS.items() for case in cases]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("section", "what", "entries", "origins", "marked"), CASES)
def test_only_exact_keys_merge(
    section: str, what: str, entries: list[Entry], origins: list[int], marked: bool, backwards: bool
) -> None:
    items: list[Any] = list(getattr(seen(entries[::-1] if backwards else entries), section))
    found = [1 if hasattr(item, "origin") else len(item.origins) for item in items]
    assert found == origins, what
    assert {bool(getattr(item, "alike", ())) for item in items} == {marked}, what
    for item in items:
        assert bool(getattr(item, "rule", "")) is (max(origins) > 1)
        assert item.id in {e.reference for e in entries}


RESULTS = [
    # what, the entries, readings of each line
    ("sample, code, unit and value", [result(sample="S"), result(source=HOSPITAL, sample="S")], [1]),
    ("another value of one sample", [result(sample="S"), result(7.8, sample="S")], [2]),
    ("no sample", [result(), result(source=HOSPITAL)], [2]),
    ("another unit is another trend", [result(sample="S"), result(79, sample="S", unit="g/L")], [1, 1]),
    ("another code is another trend", [result(sample="S"), result(sample="S", code="NPU03568")], [1, 1]),
]


@pytest.mark.parametrize(("what", "entries", "readings"), RESULTS, ids=[r[0] for r in RESULTS])
def test_a_trend_stays_within_one_code_and_one_unit(what: str, entries: list[Entry], readings: list[int]) -> None:
    assert [len(r.readings) for r in seen(entries).results] == readings, what


DISPUTED = [
    # what, the orders under one number, what both sources say
    ("dose", [order(number="A", dose="1 tablet"), order(HOSPITAL, number="A", dose="2 tabletter")], True),
    ("strength", [order(number="A"), order(HOSPITAL, number="A", name="Amlodipin 10 mg")], True),
    ("nothing", [order(number="A"), order(HOSPITAL, number="A")], False),
    ("a dose one of them does not state", [order(number="A"), order(HOSPITAL, number="A", dose="")], False),
]


@pytest.mark.parametrize(("what", "orders", "disputed"), DISPUTED, ids=[d[0] for d in DISPUTED])
@pytest.mark.parametrize("newest", [0, 1])
def test_a_disagreement_about_medicine_shows_both_and_chooses_none(
    what: str, orders: list[Entry], disputed: bool, newest: int
) -> None:
    one, two = orders
    late = told(orders[newest].resource, orders[newest].source, NOW)
    (item,) = seen([late, two if newest == 0 else one]).medication
    assert len(item.origins) == 2
    assert {source for _, source in item.disagreement} == ({"Lægerne", "Sygehuset"} if disputed else set()), what
    assert (item.dose == "") is disputed
    for entry in orders if disputed else ():
        dose = entry.resource["dosageInstruction"][0]["text"]
        name = entry.resource["medicationCodeableConcept"]["text"]
        assert any(dose in stated for stated, _ in item.disagreement)
        assert name in item.name


def test_what_sources_disagree_about_stands_first() -> None:
    quiet = order(name="Acetylsalicylsyre", atc="N02BA01")
    disputed = [order(number="A", dose="1"), order(HOSPITAL, number="A", dose="2")]
    assert [m.name for m in seen([quiet, *disputed]).medication] == ["Amlodipin 5 mg", "Acetylsalicylsyre"]


def test_a_moved_appointment_shows_both_times() -> None:
    moved = appointment(TOWN, number="A", start=NOW + 2 * DAY)
    (item,) = seen([appointment(number="A"), moved]).appointments
    assert {source for _, source in item.disagreement} == {"Sygehuset", "Kommunen"}


def test_appointments_that_overlap_are_flagged_but_not_the_ones_that_may_be_the_same() -> None:
    one = appointment(number="A")
    two = appointment(number="B", start=NOW + DAY + timedelta(minutes=30))
    after = appointment(number="C", start=NOW + DAY + timedelta(minutes=60))
    cancelled = appointment(number="D", status="cancelled")
    found = {a.id: a.clashes for a in seen([one, two, after, cancelled]).appointments}
    assert found[one.reference] == (two.reference,)
    assert set(found[two.reference]) == {one.reference, after.reference}
    assert found[cancelled.reference] == ()
    assert all(not a.clashes for a in seen([appointment(), appointment(TOWN)]).appointments)


KEYED = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from("xyz")), max_size=12)


@given(KEYED, st.randoms(use_true_random=False))
def test_merging_loses_nothing_and_heeds_no_order(keys: list[tuple[str | None, str]], rng: Any) -> None:
    entries = [told({"resourceType": "Basic", "key": key, "value": value}) for key, value in keys]
    shuffled = rng.sample(entries, len(entries))

    def members(found: list[Entry]) -> set[frozenset[str]]:
        return {frozenset(e.reference for e in m.members) for m in merge(found, lambda e: e.resource["key"], "key")}

    assert members(entries) == members(shuffled)
    assert sorted(r for group in members(entries) for r in group) == sorted(e.reference for e in entries)
    for item in merge(entries, lambda e: e.resource["key"], "key"):
        assert item.first.reference == min(e.reference for e in item.members)
        assert len({e.resource["key"] for e in item.members}) == 1
        assert bool(item.rule) is (len(item.members) > 1)


@given(KEYED)
def test_what_may_be_the_same_names_all_the_others(keys: list[tuple[str | None, str]]) -> None:
    entries = [told({"resourceType": "Basic", "key": key}) for key, _ in keys]
    found = alike(merge(entries, lambda _: None, ""), lambda e: e.resource["key"])
    for reference, others in found.items():
        assert reference not in others
        assert all(reference in found[other] for other in others)


@given(KEYED)
def test_a_disagreement_holds_every_value_stated_and_is_none_where_all_agree(
    keys: list[tuple[str | None, str]],
) -> None:
    entries = [told({"resourceType": "Basic", "value": value}) for _, value in keys]
    found = disagreements(entries, lambda e: e.resource["value"])
    values = {value for _, value in keys}
    assert {value for value, _ in found} == (values if len(values) > 1 else set())
