"""The population is believable: ages, numbers, towns, opening hours; and no number can be a real person's."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime, timedelta
from functools import cache
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from overblik.demo import people
from overblik.demo.calendar import after, at, is_working_day, working_day
from overblik.demo.cast import INGER, REGISTER, ROUTES, STAFF, UNITS
from overblik.demo.people import is_modulus_11, make_cpr, make_person
from overblik.demo.population import MAIN_STARTS_WITH, SITUATIONS, residents
from overblik.fhir.dates import COPENHAGEN
from overblik.fhir.identifiers import CPR, Identifier, cpr_birth_date, person_identifier_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overblik.demo.delivery import Delivery
    from overblik.demo.population import Resident

COUNT = 60
DAYS = [
    pytest.param(date.fromisoformat(day), id=f"{day} {what}")
    for day, what in (
        ("2026-11-23", "a Monday"),
        ("2026-11-28", "a Saturday"),
        ("2026-11-29", "a Sunday"),
        ("2026-12-24", "Christmas Eve"),
        ("2026-12-31", "New Year's Eve"),
        ("2027-01-01", "New Year's Day, the regions merge"),
        ("2027-03-26", "Good Friday"),
        ("2027-03-28", "Easter Sunday, summer time begins"),
        ("2027-10-31", "summer time ends"),
        ("2028-02-29", "a leap day"),
    )
]
HL7 = {"v3": "urn:hl7-org:v3"}


@cache
def population(today: date) -> tuple[Resident, ...]:
    return tuple(residents(COUNT, today))


def delivered(today: date, count: int) -> list[tuple[datetime, str, bytes]]:
    now = at(today, "09:00")
    return [(d.at, d.source.slug, d.body) for r in residents(count, today) for d in r.deliveries(now)]


def meetings(deliveries: list[Delivery]) -> Iterator[tuple[str, datetime]]:
    """Walk (who, when) of every appointment and visit that deliveries tell of."""
    for delivery in deliveries:
        if delivery.kind == "document":
            for low in etree.fromstring(delivery.body).iterfind(".//v3:encounter[@moodCode='APT']//v3:low", HL7):
                yield delivery.source.name, datetime.strptime(str(low.get("value")), "%Y%m%d%H%M%S%z")
        if delivery.kind == "fhir":
            resources = [e["resource"] for e in json.loads(delivery.body)["entry"]]
            for visit in (r for r in resources if r["resourceType"] == "Encounter"):
                yield delivery.source.name, datetime.fromisoformat(visit["period"]["start"])


def whole_stories(today: date) -> list[Delivery]:
    return [d for r in population(today) for step in r.story.steps() for d in step.deliveries]


@pytest.mark.parametrize("today", DAYS)
def test_every_number_is_valid_and_nobody_real_can_have_it(today: date) -> None:
    numbers = [r.person.cpr for r in population(today)]
    assert len(set(numbers)) == COUNT
    for resident in population(today):
        person = resident.person
        assert not person_identifier_problem(Identifier(CPR, person.cpr))
        assert not is_modulus_11(person.cpr)
        assert (person.born.month, person.born.day) != (1, 1)
        assert cpr_birth_date(person.cpr) == person.born
        assert (int(person.cpr[-1]) % 2 == 0) is person.female


@given(st.integers(), st.dates(date(1900, 1, 2), date(2036, 12, 31)), st.booleans())
def test_a_made_number_states_its_birth_date_and_sex_and_fails_modulus_11(seed: int, born: date, female: bool) -> None:
    rng = Random(seed)
    if (born.month, born.day) == (1, 1):
        with pytest.raises(ValueError, match="1 January"):
            make_cpr(rng, born, female=female)
        return
    cpr = make_cpr(rng, born, female=female)
    assert cpr_birth_date(cpr) == born
    assert not is_modulus_11(cpr)
    assert (int(cpr[-1]) % 2 == 0) is female


@pytest.mark.parametrize(("cpr", "passes"), [("0707610000", False), ("1111111118", True), (INGER.cpr, False)])
def test_modulus_11_is_the_old_check_of_a_cpr(cpr: str, passes: bool) -> None:
    assert is_modulus_11(cpr) is passes


@given(st.integers(), st.dates(date(2026, 1, 1), date(2036, 12, 31)))
def test_ages_are_those_that_rehabilitation_is_about(seed: int, today: date) -> None:
    person = make_person(Random(seed), today)
    years = (today - person.born).days / 365.25
    assert 60 <= years < 93


@pytest.mark.parametrize("today", DAYS)
def test_the_main_person_comes_first_and_is_82_for_her_hip_fracture(today: date) -> None:
    assert population(today)[0].person is INGER
    assert population(today)[0].last == MAIN_STARTS_WITH
    if today < date(2027, 4, 14):
        assert today.year - INGER.born.year - ((today.month, today.day) < (4, 14)) == 82


def test_everybody_lives_in_the_municipality_that_treats_them() -> None:
    towns = {"odense-kommune": people.ODENSE, "svendborg-kommune": people.SVENDBORG}
    for resident in population(date(2026, 11, 23)):
        person = resident.person
        assert (person.postcode, person.city) in towns[resident.story.places.municipality.slug]


def test_first_names_go_with_the_sex_and_relatives_share_the_family_name() -> None:
    for resident in population(date(2026, 11, 23))[1:]:
        person = resident.person
        assert person.given in (people._WOMEN if person.female else people._MEN)  # noqa: SLF001 - the lists it draws from
        assert person.relative.endswith(person.family)
        assert person.phone.startswith("00 ")
        assert person.relative_phone.startswith("00 ")


@pytest.mark.parametrize("today", DAYS)
def test_the_same_day_and_number_give_the_same_population_to_the_byte(today: date) -> None:
    assert delivered(today, 15) == delivered(today, 15)


def test_another_day_gives_other_dates() -> None:
    one, two = delivered(date(2026, 11, 23), 15), delivered(date(2026, 11, 24), 15)
    assert {body for _, _, body in one}.isdisjoint(body for _, _, body in two)


def test_everybody_does_not_stand_in_the_same_place() -> None:
    standing = Counter(r.last for r in population(date(2026, 11, 23)))
    assert set(standing) == {s.last for s in SITUATIONS}
    assert max(standing.values()) <= COUNT // 3
    municipalities = Counter(r.story.places.municipality.slug for r in population(date(2026, 11, 23)))
    assert min(municipalities.values()) >= COUNT // 10


@pytest.mark.parametrize("today", DAYS)
def test_nobody_is_seen_when_clinics_are_closed(today: date) -> None:
    found = list(meetings(whole_stories(today)))
    assert len(found) > COUNT
    for who, moment in found:
        local = moment.astimezone(COPENHAGEN)
        assert is_working_day(local.date()), f"{who} {local}"
        assert 8 <= local.hour < 16, f"{who} {local}"


@pytest.mark.parametrize("today", DAYS)
def test_whoever_waits_or_trains_has_a_next_appointment(today: date) -> None:
    """Those whose training was never offered have none: that is what their overdue course shows."""
    now = at(today, "09:00")
    main, *others = population(today)
    for resident in [main, *(r for r in others if r.last in {"admission", "operation", "offer", "training"})]:
        coming = [m for _, m in meetings(resident.deliveries(now)) if m > now]
        assert coming, f"{resident.last} {resident.story.days.admitted}"


@pytest.mark.parametrize("today", DAYS)
def test_nothing_has_been_delivered_that_is_still_to_come(today: date) -> None:
    now = at(today, "09:00")
    for resident in population(today):
        assert all(d.at <= now for d in resident.deliveries(now))


@pytest.mark.parametrize("today", DAYS)
def test_a_story_is_told_forwards(today: date) -> None:
    for resident in population(today)[:15]:
        steps = resident.story.steps()
        assert [s.code for s in steps[:5]] == ["background", "admission", "operation", "plan", "discharge"]
        assert [s.until for s in steps] == sorted(s.until for s in steps)
        for step in steps:
            assert all(d.at < step.until for d in step.deliveries)


def test_units_are_what_danes_use() -> None:
    texts = b"\n".join(d.body for d in whole_stories(date(2026, 11, 23)))
    for foreign in (b"mg/dL", b"g/dL", b"WELLNESS", b"wellness"):
        assert foreign not in texts


def test_organisations_have_their_own_fictional_numbers() -> None:
    for numbers in ([u.sor for u in UNITS], [u.gln for u in UNITS if u.gln], [u.yder for u in UNITS if u.yder]):
        assert len(set(numbers)) == len(numbers)
    assert all(u.sor.startswith("999000000") for u in UNITS)
    assert all("Fiktive numre" in u.resource()["alias"] for u in UNITS)
    assert all(s.id.startswith("DEM") and len(s.id) == 5 for s in STAFF)
    known = {u.sor for u in UNITS}
    assert all(not u.parent or u.parent in known for u in UNITS)
    assert all(unit in UNITS for _, units in ROUTES for unit in units)
    assert REGISTER.kind == "register"


WORKING = [
    ("2026-11-23", True),
    ("2026-11-28", False),
    ("2026-11-29", False),
    ("2026-12-24", False),
    ("2026-12-25", False),
    ("2026-12-31", False),
    ("2027-01-01", False),
    ("2027-01-04", True),
    ("2027-03-25", False),
    ("2027-03-29", False),
    ("2027-05-06", False),
    ("2028-02-29", True),
    ("2028-06-05", False),
]


@pytest.mark.parametrize(("day", "works"), WORKING)
def test_clinics_are_closed_at_weekends_and_on_danish_holidays(day: str, works: bool) -> None:
    assert is_working_day(date.fromisoformat(day)) is works


@given(st.dates(date(2026, 1, 1), date(2036, 12, 31)), st.integers(-20, 20))
def test_working_days_are_counted_without_the_days_between(day: date, number: int) -> None:
    reached = after(day, number)
    step = 1 if number > 0 else -1
    between = [day + timedelta(days=step * n) for n in range(1, abs((reached - day).days) + 1)]
    assert sum(map(is_working_day, between)) == abs(number)
    assert working_day(day) >= day
    assert is_working_day(working_day(day))
    assert is_working_day(working_day(day, -1))
