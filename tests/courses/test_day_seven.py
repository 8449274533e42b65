"""Day 7: calendar days in Copenhagen, flagged from the midnight after, once and for the right reason."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overblik.fhir.dates import COPENHAGEN
from tests.courses.build import (
    ADMITTED,
    DAY,
    HOME,
    HOUR,
    OTHER_EPISODE,
    TRAINING,
    WARD,
    again,
    local,
    message,
    plan,
    session,
    stay,
    strip,
    strips,
    task,
)

if TYPE_CHECKING:
    from overblik.courses.rehabilitation import Course
    from overblik.trust.door.entries import Entry

SECOND = timedelta(seconds=1)


def discharged(at: datetime, *more: Entry, sent: datetime | None = None, **plan_: object) -> tuple[Entry, ...]:
    """Return a stay that ended at an instant, and its plan."""
    return stay(at - 5 * DAY, at), plan(sent or at - HOUR, **plan_), *more  # type: ignore[arg-type]


def flag(course: Course) -> tuple[str, bool, bool]:
    """Return (deadline, overdue, private provider) of a course that waits for its first session."""
    assert course.deadline_kind == "first-session"
    assert course.deadline is not None
    return course.deadline.isoformat(), course.overdue, course.private_provider


DAYS = [
    # discharged at (Danish wall clock), day 7
    ("a Friday", "2026-11-20 11:30", "2026-11-27"),
    ("a minute before midnight", "2026-11-20 23:59", "2026-11-27"),
    ("at midnight", "2026-11-21 00:00", "2026-11-28"),
    ("a Sunday, and day 7 is one", "2026-11-22 10:00", "2026-11-29"),
    ("day 7 is Christmas Eve", "2026-12-17 10:00", "2026-12-24"),
    ("day 7 is New Year's Day", "2026-12-25 10:00", "2027-01-01"),
    ("the year's last minute", "2026-12-31 23:59", "2027-01-07"),
    ("day 7 is Good Friday", "2027-03-19 10:00", "2027-03-26"),
    ("day 7 is Easter Monday", "2027-03-22 10:00", "2027-03-29"),
    ("the clocks go forward within", "2027-03-25 10:00", "2027-04-01"),
    ("the clocks go forward on day 7", "2027-03-21 10:00", "2027-03-28"),
    ("the clocks go back within", "2026-10-22 10:00", "2026-10-29"),
    ("the clocks go back on day 7", "2026-10-18 10:00", "2026-10-25"),
    ("in the hour that comes twice", "2026-10-25 02:30", "2026-11-01"),
    ("a leap day within", "2028-02-26 10:00", "2028-03-04"),
]


@pytest.mark.parametrize(("what", "at", "last"), DAYS, ids=[d[0] for d in DAYS])
def test_day_7_is_flagged_from_the_midnight_after_it(what: str, at: str, last: str) -> None:
    entries = discharged(local(at))
    midnight = local(f"{last} 00:00") + timedelta(days=1)  # by the wall clock, whatever the clocks do
    assert flag(strip(entries, local(at) + HOUR)) == (last, False, False), what
    assert flag(strip(entries, midnight.astimezone(COPENHAGEN) - SECOND)) == (last, False, False)
    assert flag(strip(entries, midnight)) == (last, True, True)
    assert flag(strip(entries, midnight + 300 * DAY)) == (last, True, True)


@pytest.mark.parametrize(
    ("utc", "last"),
    [
        ("2026-11-20T22:59:59Z", "2026-11-27"),
        ("2026-11-20T23:00:00Z", "2026-11-28"),
        ("2026-06-20T21:59:59Z", "2026-06-27"),
        ("2026-06-20T22:00:00Z", "2026-06-28"),
        ("2026-11-20T18:59:00-05:00", "2026-11-28"),
        ("2026-11-20", "2026-11-27"),
    ],
)
def test_the_day_of_discharge_is_the_danish_one(utc: str, last: str) -> None:
    entry = stay(ADMITTED - 200 * DAY, HOME)
    entry.resource["period"]["end"] = utc
    course = strip((entry, plan(ADMITTED - 190 * DAY)), HOME + 90 * DAY)
    assert flag(course)[0] == last


OFFERS = [
    # when the first session is, by the wall clock (discharged Friday the 20th), and whether that keeps day 7
    ("the same day", "2026-11-20 15:00", True),
    ("day 7, the last minute", "2026-11-27 23:59", True),
    ("day 8, the first instant", "2026-11-28 00:00", False),
    ("day 10", "2026-11-30 10:00", False),
    ("before the patient was home", "2026-11-19 10:00", False),
]


@pytest.mark.parametrize(("what", "at", "kept"), OFFERS, ids=[o[0] for o in OFFERS])
def test_the_session_must_start_by_day_7(what: str, at: str, kept: bool) -> None:
    entries = discharged(HOME, session(local(at)))
    late = local("2026-11-28 00:00") - SECOND
    assert not strip(entries, late).overdue
    course = strip(entries, late + SECOND)
    assert (course.overdue, course.private_provider) == (not kept, not kept), what


def test_an_offer_that_was_made_late_is_flagged_until_the_session_has_been() -> None:
    entries = discharged(HOME, session(local("2026-12-02 10:00"), booked=local("2026-11-29 10:00")))
    assert strip(entries, local("2026-11-30 10:00")).overdue
    after = strip(entries, local("2026-12-02 10:00") + HOUR)
    assert (after.state, after.overdue, after.deadline) == ("underway", False, None)


def test_a_cancelled_offer_is_none() -> None:
    entries = discharged(HOME, session(status="cancelled"))
    assert flag(strip(entries, HOME + 8 * DAY)) == ("2026-11-27", True, True)


def test_acceptance_alone_keeps_nothing() -> None:
    assert strip(discharged(HOME, task()), HOME + 8 * DAY).overdue


def test_a_control_at_the_hospital_is_no_offer() -> None:
    assert strip(discharged(HOME, session(at=WARD)), HOME + 8 * DAY).overdue


def test_a_report_on_training_says_that_it_began() -> None:
    assert not strip(discharged(HOME, message()), HOME + 40 * DAY).overdue


STARTS = [
    # the start that the plan states, and day 7
    ("none", None, "2026-11-27"),
    ("before discharge", "2026-11-18 08:00", "2026-11-27"),
    ("the day of discharge", "2026-11-20 23:00", "2026-11-27"),
    ("later: a wish or the cast's", "2026-12-07 08:00", "2026-12-14"),
    ("far later", "2027-03-01 00:00", "2027-03-08"),
]


@pytest.mark.parametrize(("what", "at", "last"), STARTS, ids=[s[0] for s in STARTS])
def test_day_7_counts_from_the_plans_later_start(what: str, at: str | None, last: str) -> None:
    entries = discharged(HOME, starts=local(at) if at else None)
    assert flag(strip(entries, HOME + HOUR))[0] == last, what
    assert not strip(entries, local(f"{last} 23:59")).overdue
    assert strip(entries, local(f"{last} 23:59") + HOUR).overdue


def test_a_plans_own_period_counts_where_it_is_not_just_its_writing() -> None:
    stated = {"period": {"start": local("2026-12-07 08:00").isoformat()}}
    assert flag(strip((stay(), again(plan(), **stated)), HOME))[0] == "2026-12-14"


def test_a_session_before_a_later_start_keeps_the_day() -> None:
    entries = discharged(HOME, session(HOME + 3 * DAY), starts=local("2026-12-07 08:00"))
    assert not strip(entries, HOME + 60 * DAY).overdue


def test_a_plan_that_came_late_counts_from_discharge() -> None:
    assert flag(strip(discharged(HOME, sent=HOME + 10 * DAY), HOME + 10 * DAY)) == ("2026-11-27", True, True)


def test_a_plan_changed_after_discharge_keeps_its_day_and_its_acceptance() -> None:
    changed = again(plan(), created=(HOME + 4 * DAY).isoformat(), period={"start": (HOME + 4 * DAY).isoformat()})
    course = strip((stay(), changed, task()), HOME + 5 * DAY)
    assert (course.state, flag(course)) == ("received", ("2026-11-27", False, False))


def test_a_corrected_discharge_moves_the_day() -> None:
    assert flag(strip((stay(end=HOME - 3 * DAY), plan(HOME - 4 * DAY)), HOME))[0] == "2026-11-24"


@pytest.mark.parametrize(
    ("kind", "private"),
    [("rehabilitation-general", True), ("rehabilitation", True), ("rehabilitation-specialised", False)],
)
def test_the_right_to_a_private_provider_is_not_for_specialised_rehabilitation(kind: str, private: bool) -> None:
    assert flag(strip(discharged(HOME, kind=kind), HOME + 8 * DAY)) == ("2026-11-27", True, private)


def test_a_specialised_plan_is_kept_by_the_hospital_it_asks() -> None:
    entries = discharged(HOME, session(at=WARD), kind="rehabilitation-specialised", asked=WARD)
    assert not strip(entries, HOME + 8 * DAY).overdue


def test_nobody_is_flagged_while_in_hospital() -> None:
    for status in ("in-progress", "onleave"):
        open_ = stay(end=None, status=status)
        assert strip((open_, plan()), HOME + 90 * DAY).deadline is None


def test_the_hospital_contact_of_the_plan_counts_where_no_stay_is_seen() -> None:
    contact = {"url": "urn:overblik:extension:hospital-contact", "valuePeriod": {"end": HOME.isoformat()}}
    entry = plan()
    entry.resource["extension"].append(contact)
    assert flag(strip((entry,), HOME + 8 * DAY)) == ("2026-11-27", True, True)
    ended = stay()
    del ended.resource["period"]["end"]
    assert flag(strip((ended, entry), HOME + 8 * DAY)) == ("2026-11-27", True, True)
    assert strip((stay(end=None), entry), HOME + 8 * DAY).deadline is None
    assert strip((plan(),), HOME + 8 * DAY).deadline is None


def test_two_courses_keep_each_its_own_day() -> None:
    second = (
        stay(HOME + 30 * DAY, HOME + 33 * DAY, name="b", episode=OTHER_EPISODE),
        plan(HOME + 33 * DAY, name="b", episode=OTHER_EPISODE),
    )
    entries = (*discharged(HOME, task(), session()), *second)
    new, old = strips(entries, HOME + 45 * DAY)
    assert (new.overdue, new.deadline_kind, old.overdue, old.state) == (True, "first-session", False, "underway")


def danish_day(at: datetime) -> date:
    """Return the day it is in Denmark."""
    return at.astimezone(COPENHAGEN).date()


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
    st.integers(0, 20 * 24 * 60),
    st.none() | st.integers(0, 20 * 24 * 60),
)
def test_day_7_is_seven_days_by_the_danish_calendar(wall: datetime, now_after: int, session_after: int | None) -> None:
    """The same rule, said in another way: by Danish dates alone."""
    at = wall.replace(tzinfo=COPENHAGEN).astimezone(UTC)
    now = at + timedelta(minutes=now_after)
    first = at + timedelta(minutes=session_after) if session_after is not None else None
    course = strip(discharged(at, *([session(first, at=TRAINING)] if first else [])), now)
    day_7 = danish_day(at) + timedelta(days=7)
    begun = first is not None and first < now
    kept = first is not None and danish_day(first) <= day_7
    assert course.overdue is (danish_day(now) > day_7 and not kept and not begun)
    assert (course.deadline_kind == "first-session") is (not kept and not begun)
