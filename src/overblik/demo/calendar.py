"""Danish days: weekdays, public holidays, opening hours."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING

import holidays

from overblik.fhir.dates import COPENHAGEN

if TYPE_CHECKING:
    from collections.abc import Mapping


@cache
def _holidays(year: int) -> Mapping[date, str]:
    return holidays.country_holidays("DK", years=year)


def is_working_day(day: date) -> bool:
    """Say whether clinics are open: Monday to Friday, no public holiday, not Christmas or New Year's Eve."""
    closed = (day.month, day.day) in {(12, 24), (12, 31), (6, 5)}
    return day.weekday() < 5 and day not in _holidays(day.year) and not closed


def working_day(day: date, step: int = 1) -> date:
    """Return the day itself if clinics are open, else the next one that is (or the one before, step -1)."""
    while not is_working_day(day):
        day += timedelta(days=step)
    return day


def after(day: date, working_days: int) -> date:
    """Return the day that lies so many working days after (or before) a day."""
    step = 1 if working_days > 0 else -1
    for _ in range(abs(working_days)):
        day = working_day(day + timedelta(days=step), step)
    return day


def at(day: date, clock: str) -> datetime:
    """Return an instant by Danish day and time of day, such as `10:30`."""
    hour, minute = clock.split(":")
    return datetime.combine(day, time(int(hour), int(minute)), COPENHAGEN)
