"""Day 7: when the first session must have begun, and whether that day has passed.

Day 7 counts from discharge, or from the plan's start where it states a later one. It is flagged from
midnight (Copenhagen) after the seventh day, unless a municipal appointment of the course starts by
then. Calendar days: weekends and holidays count (Sundhedsloven § 140; bekendtgørelse om
genoptræningsplaner).
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from overblik.courses.parts import when, written
from overblik.fhir.dates import COPENHAGEN
from overblik.fhir.reading import extension, moment
from overblik.shown import Shown

if TYPE_CHECKING:
    from overblik.courses.parts import Parts
    from overblik.trust.door.entries import Entry

HOSPITAL_CONTACT = "urn:overblik:extension:hospital-contact"
DAYS_TO_FIRST_SESSION = 7


class Deadline(Shown, frozen=True):
    """The next date to keep: `kind` is first-session, next-session or "" for none."""

    day: date | None = None
    kind: str = ""
    overdue: bool = False


def next_deadline(parts: Parts, now: datetime) -> Deadline:
    """Return the next date of a course that is under way."""
    if parts.plan is None:
        return Deadline()
    start = counting_from(parts, parts.plan)
    if start is not None and not _has_begun(parts, parts.plan, now):
        last_day = start + timedelta(days=DAYS_TO_FIRST_SESSION)
        midnight = _midnight(last_day + timedelta(days=1))
        if not any(when(s) < midnight for s in _sessions_after_stay(parts, parts.plan)):
            return Deadline(last_day, "first-session", now >= midnight)
    upcoming = [s for s in parts.sessions if when(s) >= now]
    return Deadline(_day(when(upcoming[0])), "next-session") if upcoming else Deadline()


def counting_from(parts: Parts, plan: Entry) -> date | None:
    """Return the day that day 7 counts from; None while nobody has been discharged."""
    discharged = discharge(parts, plan)
    if discharged is None:
        return None
    return _day(max([discharged, *_stated_starts(plan)]))


def discharge(parts: Parts, plan: Entry) -> datetime | None:
    """Return the last discharge; where no stay is visible or it has no end, what the plan says of its contact."""
    if parts.admitted:
        return None
    told = moment(parts.stays[-1].resource.get("period", {}).get("end")) if parts.stays else None
    return told or moment(extension(plan.resource, HOSPITAL_CONTACT).get("valuePeriod", {}).get("end"))


def _stated_starts(plan: Entry) -> list[datetime]:
    """Return the starts that a plan states: of what it requests, or its own where that is not just its writing."""
    details = [a.get("detail", {}) for a in plan.resource.get("activity", ())]
    texts = [d.get("scheduledPeriod", {}).get("start") for d in details if d.get("kind") == "ServiceRequest"]
    own = moment(plan.resource.get("period", {}).get("start"))
    starts = [t for t in map(moment, texts) if t]
    return [*starts, own] if own and _day(own) > _day(written(plan)) else starts


def _sessions_after_stay(parts: Parts, plan: Entry) -> list[Entry]:
    """Return the sessions from the day on that the patient came home with the plan."""
    before = [s for s in parts.stays if when(s) <= written(plan)]
    ends = [moment(s.resource.get("period", {}).get("end")) for s in before[-1:]]
    home = next((e for e in ends if e), None) or discharge(parts, plan)
    return [s for s in parts.sessions if home is None or when(s) >= _midnight(_day(home))]


def _has_begun(parts: Parts, plan: Entry, now: datetime) -> bool:
    """Say whether training has begun: a session has been, or the municipality has reported on it."""
    return bool(parts.reports) or any(when(s) < now for s in _sessions_after_stay(parts, plan))


def _day(moment_: datetime) -> date:
    return moment_.astimezone(COPENHAGEN).date()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), COPENHAGEN)
