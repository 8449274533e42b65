"""FHIR dates as half-open intervals of instants (https://hl7.org/fhir/R4/search.html#date).

`2026-11` is the month from its first instant to the next month's first. A date without an offset
is a Danish one: it begins at midnight in Copenhagen.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
"""A day inside the ends of Python's calendar, so that every time zone can show them."""
_DAY = timedelta(days=1)
_SHAPE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,  # no other script's digits
)


class Interval(NamedTuple):
    """From `start` (inside) to `end` (outside), both aware, in UTC."""

    start: datetime
    end: datetime


@lru_cache(maxsize=8192)
def parse_interval(text: str) -> Interval | None:
    """Return the interval a FHIR date, dateTime or instant stands for; None if there is no such date.

    Remembered, because a resource's checks, its index row and its evidence each read the same date.
    """
    match = _SHAPE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        first = datetime(int(year), int(month or 1), int(day or 1))  # noqa: DTZ001 - as it is written
        if hour is None:
            return _interval(_utc(first, COPENHAGEN), _utc(_following(first, month, day), COPENHAGEN))
        return _instant(first, time(int(hour), int(minute)), second, fraction, offset)
    except ValueError:
        return None


def _following(first: datetime, month: str | None, day: str | None) -> datetime:
    """Return where the next year, month or day begins; the calendar's last has none and ends in its last day."""
    try:
        if month is None:
            return first.replace(year=first.year + 1)
        if day is None:
            return (first + 31 * _DAY).replace(day=1)
        return first + _DAY
    except (ValueError, OverflowError):
        return datetime.max  # noqa: DTZ901 - as it is written


def _instant(day: datetime, clock: time, second: str | None, fraction: str | None, offset: str | None) -> Interval:
    """The width is added in UTC: the wall clock goes back an hour in October."""
    leap = second == "60"
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    clock = clock.replace(second=59 if leap else int(second or 0), microsecond=micros)
    width = timedelta(minutes=1)
    if second is not None:
        width = timedelta(seconds=1)
    if fraction is not None:
        width = timedelta(microseconds=10 ** max(0, 6 - len(fraction)))
    start = _utc(datetime.combine(day, clock), _zone(offset) if offset else COPENHAGEN)
    start += timedelta(seconds=leap)
    return _interval(start, start + width)


def _zone(offset: str) -> timezone:
    if offset == "Z":
        return UTC
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6])))


def _utc(wall: datetime, zone: tzinfo) -> datetime:
    """Place a wall clock's time in UTC; in the first and last year, where zones would leave the calendar, as it is."""
    if not 1 < wall.year < 9999:
        return min(max(wall.replace(tzinfo=UTC), EARLIEST), LATEST)
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _interval(start: datetime, end: datetime) -> Interval:
    """Make one that is neither outside the ends of the calendar nor empty at them."""
    return Interval(min(start, LATEST - _DAY), min(max(end, EARLIEST + _DAY), LATEST))


@lru_cache(maxsize=1 << 14)
def instant(moment: datetime) -> str:
    """Write an instant as FHIR does, in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_date_time(moment: datetime) -> str:
    """Write an instant as a dateTime with the Danish offset of its day, to the second.

    Before 1894 Copenhagen kept its own mean time, whose offset FHIR cannot write: those are in UTC.
    """
    local = moment.astimezone(COPENHAGEN)
    whole = local.utcoffset() in {timedelta(hours=1), timedelta(hours=2)}
    return (local if whole else moment.astimezone(UTC)).isoformat(timespec="seconds")
