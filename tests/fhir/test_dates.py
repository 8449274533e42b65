"""FHIR dates as intervals: widths, Danish clock changes, and the ends of the calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overblik.fhir.dates import COPENHAGEN, EARLIEST, LATEST, instant, local_date_time, parse_interval

INTERVALS = [
    # A date without an offset is a Danish one.
    ("2026", "2025-12-31T23:00Z", "2026-12-31T23:00Z"),
    ("2026-02", "2026-01-31T23:00Z", "2026-02-28T23:00Z"),
    ("2024-02", "2024-01-31T23:00Z", "2024-02-29T23:00Z"),
    ("2026-12", "2026-11-30T23:00Z", "2026-12-31T23:00Z"),
    ("2026-06", "2026-05-31T22:00Z", "2026-06-30T22:00Z"),
    ("2026-11-22", "2026-11-21T23:00Z", "2026-11-22T23:00Z"),
    ("2024-02-29", "2024-02-28T23:00Z", "2024-02-29T23:00Z"),
    # Precision gives the width.
    ("2026-11-22T10:30Z", "2026-11-22T10:30Z", "2026-11-22T10:31Z"),
    ("2026-11-22T10:30:15Z", "2026-11-22T10:30:15Z", "2026-11-22T10:30:16Z"),
    ("2026-11-22T10:30:15.5Z", "2026-11-22T10:30:15.500Z", "2026-11-22T10:30:15.600Z"),
    ("2026-11-22T10:30:15.123Z", "2026-11-22T10:30:15.123Z", "2026-11-22T10:30:15.124Z"),
    ("2026-11-22T10:30:15.1234567Z", "2026-11-22T10:30:15.123456Z", "2026-11-22T10:30:15.123457Z"),
    # Offsets.
    ("2026-11-22T10:30:15+01:00", "2026-11-22T09:30:15Z", "2026-11-22T09:30:16Z"),
    ("2026-11-22T01:00:00+14:00", "2026-11-21T11:00:00Z", "2026-11-21T11:00:01Z"),
    ("2026-11-22T23:00:00-05:30", "2026-11-23T04:30:00Z", "2026-11-23T04:30:01Z"),
    ("2026-11-22T10:30:15-00:00", "2026-11-22T10:30:15Z", "2026-11-22T10:30:16Z"),
    ("2026-07-01T10:30:15", "2026-07-01T08:30:15Z", "2026-07-01T08:30:16Z"),
    # Summer time begins: a day of 23 hours; a clock time that never was is read as if it had not begun.
    ("2026-03-29", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
    ("2026-03-29T01:59", "2026-03-29T00:59Z", "2026-03-29T01:00Z"),
    ("2026-03-29T02:30", "2026-03-29T01:30Z", "2026-03-29T01:31Z"),
    # It ends: a day of 25 hours; a clock time that was twice is the first; its width stays its own.
    ("2026-10-25", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),
    ("2026-10-25T02:30", "2026-10-25T00:30Z", "2026-10-25T00:31Z"),
    ("2026-10-25T02:59", "2026-10-25T00:59Z", "2026-10-25T01:00Z"),
    ("2026-10-25T02:59:59", "2026-10-25T00:59:59Z", "2026-10-25T01:00:00Z"),
    ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00Z", "2026-10-25T00:30:01Z"),
    ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z", "2026-10-25T01:30:01Z"),
    # A leap second is the first second of the next minute.
    ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", "2017-01-01T00:00:01Z"),
    ("2017-01-01T00:59:60+01:00", "2017-01-01T00:00:00Z", "2017-01-01T00:00:01Z"),
    # The ends of the calendar: nothing is refused, nothing is empty, nothing overflows.
    ("0001", "0001-01-02T00:00Z", "0001-12-31T23:09:40Z"),
    ("0001-01-01", "0001-01-02T00:00Z", "0001-01-03T00:00Z"),
    ("0001-01-01T00:00:00+14:00", "0001-01-02T00:00Z", "0001-01-03T00:00Z"),
    ("9998-12-31T23:30:00-14:00", "9999-01-01T13:30:00Z", "9999-01-01T13:30:01Z"),
    ("9999", "9999-01-01T00:00Z", "9999-12-30T00:00Z"),
    ("9999-06", "9999-06-01T00:00Z", "9999-07-01T00:00Z"),
    ("9999-12", "9999-12-01T00:00Z", "9999-12-30T00:00Z"),
    ("9999-12-31", "9999-12-29T00:00Z", "9999-12-30T00:00Z"),
    ("9999-12-31T23:59:60-14:00", "9999-12-29T00:00Z", "9999-12-30T00:00Z"),
]


@pytest.mark.parametrize(("text", "start", "end"), INTERVALS)
def test_a_date_stands_for_the_interval_its_precision_gives(text: str, start: str, end: str) -> None:
    assert parse_interval(text) == (datetime.fromisoformat(start), datetime.fromisoformat(end))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "26",
        "2026-",
        "2026-1",
        "2026-13",
        "2026-00",
        "2026-11-31",
        "2026-11-00",
        "2026-02-29",
        "1900-02-29",
        "0000",
        "0000-01-01",
        "10000-01-01",
        "-2026",
        "2026-11-22T10",
        "2026-11-22T24:00:00Z",
        "2026-11-22T23:60:00Z",
        "2026-11-22T23:59:61Z",
        "2026-11-22T10:30:15.Z",
        "2026-11-22T10:30:15+1:00",
        "2026-11-22T10:30:15+24:00",
        "2026-11-22 10:30:15Z",
        "2026-11-22t10:30:15z",
        "2026-11T10:30:15Z",
        "2026/11/22",
        "20261122",
        " 2026-11-22",
        "2026-11-22\n",
        "٢٠٢٦-١١-٢٢",
        "2026-11-22T1²:30Z",
    ],
)
def test_what_no_calendar_or_clock_has_is_no_date(text: str) -> None:
    assert parse_interval(text) is None


@given(st.dates())
def test_every_day_of_the_calendar_has_an_interval_that_is_not_empty(day: date) -> None:
    interval = parse_interval(day.isoformat())
    assert interval is not None
    assert EARLIEST <= interval.start < interval.end <= LATEST


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_days_follow_each_other_without_gap_or_overlap_within_their_month_and_year(day: date) -> None:
    today, tomorrow = parse_interval(f"{day}"), parse_interval(f"{day + timedelta(days=1)}")
    month, year = parse_interval(f"{day:%Y-%m}"), parse_interval(f"{day:%Y}")
    assert today is not None
    assert tomorrow is not None
    assert month is not None
    assert year is not None
    assert today.end == tomorrow.start
    assert year.start <= month.start <= today.start < today.end <= month.end <= year.end


OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(2, 1, 2), datetime(9998, 12, 30), timezones=OFFSETS))
def test_an_instant_with_an_offset_begins_at_that_instant(moment: datetime) -> None:
    interval = parse_interval(moment.isoformat(timespec="microseconds"))
    assert interval == (moment, moment + timedelta(microseconds=1))


@given(st.datetimes(datetime(1894, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC)))
def test_what_is_written_is_read_as_the_same_moment(moment: datetime) -> None:
    for text, lost in ((instant(moment), 1000), (local_date_time(moment), 1_000_000)):
        interval = parse_interval(text)
        assert interval is not None
        assert interval.start == moment - timedelta(microseconds=moment.microsecond % lost)


@given(st.text(max_size=30))
def test_any_text_is_a_date_or_none_never_a_fault(text: str) -> None:
    interval = parse_interval(text)
    assert interval is None or interval.start < interval.end


@pytest.mark.parametrize(
    ("moment", "in_utc", "in_denmark"),
    [
        (datetime(2026, 7, 1, 8, 0, 0, 1999, UTC), "2026-07-01T08:00:00.001Z", "2026-07-01T10:00:00+02:00"),
        (datetime(2026, 11, 22, 23, 30, tzinfo=UTC), "2026-11-22T23:30:00.000Z", "2026-11-23T00:30:00+01:00"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "2026-10-25T01:30:00.000Z", "2026-10-25T02:30:00+01:00"),
        (datetime(2026, 1, 1, tzinfo=COPENHAGEN), "2025-12-31T23:00:00.000Z", "2026-01-01T00:00:00+01:00"),
        # Copenhagen's own mean time, +00:50:20, cannot be written; and years keep four digits.
        (datetime(1850, 1, 1, tzinfo=UTC), "1850-01-01T00:00:00.000Z", "1850-01-01T00:00:00+00:00"),
        (EARLIEST, "0001-01-02T00:00:00.000Z", "0001-01-02T00:00:00+00:00"),
        (LATEST, "9999-12-30T00:00:00.000Z", "9999-12-30T01:00:00+01:00"),
    ],
)
def test_instants_are_written_as_fhir_does(moment: datetime, in_utc: str, in_denmark: str) -> None:
    assert (instant(moment), local_date_time(moment)) == (in_utc, in_denmark)
