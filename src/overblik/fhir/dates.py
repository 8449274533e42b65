"""FHIR dates as half-open intervals of instants (https://hl7.org/fhir/R4/search.html#date).

`2026-11` is the month from its first instant to the next month's first. A date without an offset
is a Danish one: it begins at midnight in Copenhagen.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
_SHAPE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?")


class Interval(NamedTuple):
    """From `start` (inside) to `end` (outside), both aware, in UTC."""

    start: datetime
    end: datetime


def parse_interval(text: str) -> Interval | None:
    """Return the interval a FHIR date, dateTime or instant stands for; None if there is no such date."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=COPENHAGEN)
        if hour is None:
            return _clamped(start, _next_start(start, month, day))
        return _instant(start, int(hour), int(minute), second, fraction, offset)
    except (ValueError, OverflowError):
        return None


def _next_start(start: datetime, month: str | None, day: str | None) -> datetime:
    if month is None:
        return start.replace(year=start.year + 1) if start.year < 9999 else LATEST
    if day is None:
        carry = start.month == 12
        if carry and start.year == 9999:
            return LATEST
        return start.replace(year=start.year + carry, month=1 if carry else start.month + 1)
    following = start.replace(tzinfo=None) + timedelta(days=1)
    return following.replace(tzinfo=COPENHAGEN)


def _instant(
    day: datetime, hour: int, minute: int, second: str | None, fraction: str | None, offset: str | None
) -> Interval:
    leap = second == "60"
    seconds = 59 if leap else int(second or 0)
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    zone = _zone(offset) if offset else COPENHAGEN
    start = day.replace(hour=hour, minute=minute, second=seconds, microsecond=micros, tzinfo=zone)
    if leap:
        start += timedelta(seconds=1)
    width = timedelta(minutes=1)
    if second is not None:
        width = timedelta(seconds=1)
    if fraction is not None:
        width = timedelta(microseconds=10 ** max(0, 6 - len(fraction)))
    return _clamped(start, start + width)


def _zone(offset: str) -> timezone:
    if offset == "Z":
        return UTC
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6])))


def _clamped(start: datetime, end: datetime) -> Interval:
    return Interval(_utc(start), _utc(end))


def _utc(moment: datetime) -> datetime:
    """Convert to UTC; the first and last day of the calendar stay inside what PostgreSQL holds."""
    if moment.year <= 1:
        return EARLIEST
    if moment.year >= 9999:
        return LATEST
    return moment.astimezone(UTC)


def instant(moment: datetime) -> str:
    """Write an instant as FHIR does, in UTC with milliseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def local_date_time(moment: datetime) -> str:
    """Write an instant as a dateTime with the Danish offset of its day, to the second."""
    return moment.astimezone(COPENHAGEN).isoformat(timespec="seconds")
