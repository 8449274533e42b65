"""How an overview is arranged for whoever reads it: pure functions over what the overview holds.

Nothing here decides who may see what, and nothing is left out: what is pulled to the top stands in
its own section too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from overblik.fhir.dates import COPENHAGEN
from overblik.overview.service import GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from overblik.courses.rehabilitation import Course
    from overblik.overview.sections.appointments import Appointment
    from overblik.overview.sections.clinical import Result
    from overblik.overview.sections.medication import Medication
    from overblik.overview.sections.plans import Plan
    from overblik.overview.service import Overview, Work
    from overblik.trust.organisations import Organisation
    from overblik.trust.treatment.relations import Relation

MUNICIPAL = frozenset({"municipality", "municipal-unit"})
DROPPED = frozenset({"cancelled", "noshow", "entered-in-error"})
CRITICAL = frozenset({"HH", "LL", "AA"})
FOR_PATIENT = "InformationForPatientAndRelatives"
FUNCTION = ("HabitualFunction", "FunctionalAbility", "AbilityAtDischarge")
HANDOVER = ("SafetyAspects", "WoundCare", "AbilityAtDischarge", "FunctionalAbility", "HabitualFunction")
"""Plan sections (MedCom's codes) that a nurse needs before the first visit, in that order."""


@dataclass(frozen=True, slots=True)
class Attention:
    """What is dangerous to overlook, in the order it is told."""

    overdue: tuple[Course, ...]
    disputed: tuple[Medication, ...]
    doubled: tuple[Medication, ...]
    thinners: tuple[Medication, ...]
    critical: tuple[Result, ...]
    identity: tuple[str, ...]

    def __bool__(self) -> bool:
        """Say whether there is anything at all."""
        return any((self.overdue, self.disputed, self.doubled, self.thinners, self.critical, self.identity))


def attention(o: Overview) -> Attention:
    """Return what is dangerous to overlook in a record."""
    active = [m for m in o.medication if m.active]
    return Attention(
        overdue=tuple(c for c in o.courses if c.overdue),
        disputed=tuple(m for m in o.medication if m.disagreement),
        doubled=tuple(m for m in active if m.alike),
        thinners=tuple(m for m in active if m.anticoagulant),
        critical=tuple(r for r in o.results if r.readings[0].flag in CRITICAL),
        identity=tuple(field for field, _ in o.master_data.disagreements),
    )


def open_courses(courses: tuple[Course, ...]) -> tuple[Course, ...]:
    """Return the courses that are under way; the last one where none is."""
    return tuple(c for c in courses if not is_over(c)) or courses[:1]


def is_over(course: Course) -> bool:
    """Say whether a course has ended: closed, or a stay that asked nothing of anybody."""
    return course.state == "closed" or (course.kind == "stay" and course.state == "discharged")


def for_patient(o: Overview) -> list[tuple[Plan, str]]:
    """Return what the plans of running courses tell the patient; an old course's advice is no longer advice."""
    running = {reference for course in o.courses if not is_over(course) for reference in course.references}
    return [
        (plan, text)
        for plan in o.plans
        if plan.status == "active" and plan.id in running
        for code, _, text in plan.sections
        if code == FOR_PATIENT and text
    ]


def coming(o: Overview) -> list[Appointment]:
    """Return the appointments still to be kept, the soonest first."""
    return [a for a in o.appointments if a.upcoming and a.status not in DROPPED]


def thinners(o: Overview) -> tuple[Medication, ...]:
    """Return the anticoagulants, those in use first, then those that have ended lately."""
    found = [m for m in o.medication if m.anticoagulant and (m.active or m.change)]
    return tuple(sorted(found, key=lambda m: not m.active))


def plan_sections(o: Overview, codes: tuple[str, ...]) -> list[tuple[str, str, Plan]]:
    """Return (title, text, plan) of the newest plan's sections with these codes, in their order."""
    for plan in sorted(o.plans, key=lambda p: p.written.timestamp() if p.written else 0, reverse=True):
        by_code = {code: (title, text) for code, title, text in plan.sections}
        found = [(*by_code[code], plan) for code in codes if code in by_code]
        if found:
            return found
    return []


def municipal_contacts(o: Overview, find: Callable[[str], Organisation | None]) -> list[tuple[str, str]]:
    """Return (name, telephone) of the municipal units the record has something from, or that have the ball."""
    tokens = [c.holder.token for c in o.courses]
    origins = [p.origin for p in o.plans]
    origins += [r.readings[0].origin for r in o.results]
    origins += [x for a in o.appointments for x in a.origins]
    origins += [x for t in o.messages for x in t.origins]
    tokens += [x.source.token for x in origins]
    units = [find(token) for token in dict.fromkeys(tokens) if token]
    return [(u.name, u.phone) for u in units if u is not None and u.kind in MUNICIPAL and u.phone]


def by_group(work: Iterable[Work]) -> list[tuple[str, list[Work]]]:
    """Return a worklist's patients by their most pressing group, in each the nearest deadline first."""
    groups: dict[str, list[Work]] = {group: [] for group in GROUPS}
    for item in work:
        groups[item.groups[0]].append(item)
    return [(group, sorted(items, key=_deadline)) for group, items in groups.items() if items]


def _deadline(work: Work) -> date:
    return work.course.deadline if work.course and work.course.deadline else date.max


def namesakes(work: Iterable[Work]) -> frozenset[str]:
    """Return the names that more than one patient on a list bears, folded."""
    counted = Counter(w.person.name.casefold() for w in work)
    return frozenset(name for name, times in counted.items() if times > 1 and name)


@dataclass(frozen=True, slots=True)
class Look:
    """Entries of the log that are alike on one day: `first` stands for all of them."""

    first: Any
    times: tuple[datetime, ...]
    resources: int


def looks(rows: Iterable[Any]) -> list[tuple[date, list[Look]]]:
    """Return a log by day, the last first; the same person doing the same on a day is one line."""
    days: dict[date, dict[tuple[Any, ...], list[Any]]] = {}
    for row in rows:
        day = row.at.astimezone(COPENHAGEN).date()
        key = (
            row.outcome, row.rule, row.action, row.actor_kind, row.actor, row.actor_name, row.actor_role,
            row.org, row.org_name, row.on_behalf, row.purpose, row.reason, row.channel,
        )  # fmt: skip
        days.setdefault(day, {}).setdefault(key, []).append(row)
    return [(day, [_look(alike) for alike in groups.values()]) for day, groups in days.items()]


def _look(rows: list[Any]) -> Look:
    """Return one line; what one request fetched in several steps is one time."""
    times = {row.request: row.at for row in reversed(rows)}
    return Look(rows[0], tuple(reversed(times.values())), max(row.resources or 0 for row in rows))


def lasting(
    relations: Iterable[Relation], shown: Callable[[Relation], tuple[str, str]]
) -> list[tuple[Relation, tuple[str, str]]]:
    """Return of relations that `shown` has the same words for (evidence, source) the one that lasts longest.

    Ten messages are ten relations, and one reason, also from two systems of one unit; in the order in which the first
    of each came.
    """
    found: dict[tuple[str, str, str], Relation] = {}
    for one in relations:
        key = one.rule, *shown(one)
        other = found.get(key)
        if other is None or (other.until is not None and (one.until is None or one.until > other.until)):
            found[key] = one
    return [(one, (evidence, source)) for (_, evidence, source), one in found.items()]


def broken_glass(rows: Iterable[Any], now: datetime) -> list[Any]:
    """Return who broke the glass in the last thirty days, the last first: what a citizen is told before all else."""
    lately = (r for r in rows if r.action == "break glass" and r.outcome == "permit")
    return [r for r in lately if (now - r.at).days < 30]


def is_own(look: Look) -> bool:
    """Say whether it is the citizen's own look at their own record."""
    return bool(look.first.actor_kind == "citizen" and look.first.outcome == "permit")
