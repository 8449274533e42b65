"""The overview of one record, and the worklist of one unit: gathered through the door, then pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from overblik.courses.rehabilitation import Course, courses
from overblik.overview.composed import Composed
from overblik.overview.context import TYPES, Context, Viewer
from overblik.overview.sections import appointments as appointment_section
from overblik.overview.sections import clinical, documents, master_data, medication, messages, news, plans
from overblik.overview.sections.asked import Asked, asked
from overblik.shown import Shown

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.access import Door, Record
    from overblik.trust.organisations import Connection, Directory

WORK_KINDS = ("addressed", "course", "contact", "appointment", "gp")
WORK_TYPES = ("Patient", "Encounter", "Procedure", "CarePlan", "Task", "Appointment", "Communication", "Condition")


class Overview(Shown, frozen=True):
    """Everything the page and the API show of one record to one viewer.

    `as_of` is the instant of knowledge asked for, None for now. `before` is when this viewer looked
    the last time. `sources` are the connected systems and their health: the same for every patient.
    """

    patient_id: str
    retrieved: datetime
    as_of: datetime | None
    rule: str
    before: datetime | None
    person: master_data.Person
    courses: tuple[Course, ...]
    new: tuple[news.News, ...]
    appointments: tuple[appointment_section.Appointment, ...]
    allergies: tuple[clinical.Allergy, ...]
    medication: tuple[medication.Medication, ...]
    problems: tuple[clinical.Problem, ...]
    plans: tuple[plans.Plan, ...]
    asked: tuple[Asked, ...]
    results: tuple[clinical.Result, ...]
    contacts: tuple[clinical.Contact, ...]
    messages: tuple[messages.Thread, ...]
    documents: tuple[documents.Document, ...]
    master_data: master_data.MasterData
    sources: tuple[Connection, ...]


class Work(Shown, frozen=True):
    """One patient on a unit's worklist."""

    patient_id: str
    person: master_data.Person
    groups: tuple[str, ...]
    course: Course | None
    last: datetime | None
    unanswered: int


GROUPS = ("overdue", "new-plan", "discharged", "unacknowledged", "admitted", "underway", "other")


class Overviews:
    """Builds overviews and worklists."""

    def __init__(self, door: Door, directory: Directory) -> None:
        self._door = door
        self._directory = directory
        self._composed = Composed(compose)

    async def build(self, caller: Caller, patient_id: str, as_of: datetime | None = None) -> Overview:
        """Return the overview of a record; NotFound where the caller may not see it.

        With `as_of`, as it was known then, under today's rules; nothing is noted as looked at.
        """
        await self._directory.refresh()
        now = as_of or self._door.clock.now()
        looking = as_of is None and (caller.is_citizen or caller.kind == "professional")
        first = now - news.FIRST_LOOK if looking else None
        record = await self._door.gather(caller, patient_id, TYPES, "overview", as_of=as_of, first=first)
        viewer, units = Viewer.of(caller), self._directory.units
        if as_of is None:
            ctx, overview = self._composed.of(record, viewer, now, units)
        else:
            ctx = Context(record, viewer, now, units.get)
            overview = compose(ctx)
        return looked(ctx, overview, record, now, as_of, tuple(self._directory.connections))

    async def worklist(self, caller: Caller) -> list[Work]:
        """Return the patients the caller's unit has work with, what needs attention first."""
        await self._directory.refresh()
        records = await self._door.worklist(caller, WORK_KINDS, WORK_TYPES)
        now = self._door.clock.now()
        items = [self._work(caller, record, now) for record in records]
        rank = {group: number for number, group in enumerate(GROUPS)}
        return sorted(items, key=lambda w: (rank[w.groups[0]], w.person.name.casefold(), w.patient_id))

    def _work(self, caller: Caller, record: Record, now: datetime) -> Work:
        ctx = Context(record, Viewer.of(caller), now, self._directory.find)
        found = courses(record.entries, now, self._directory.find)
        threads = messages.messages(ctx)
        mine = set(caller.orgs)
        unanswered = sum(t.awaits_token in mine and (now - t.last).days < 90 for t in threads)
        course = found[0] if found else None
        return Work(
            patient_id=record.patient_id,
            person=master_data.master_data(ctx).person,
            groups=_groups(course, mine, unanswered),
            course=course,
            last=news.last_received(ctx),
            unanswered=unanswered,
        )


def _groups(course: Course | None, mine: set[str], unanswered: int) -> tuple[str, ...]:
    """Return the groups of a worklist a patient belongs to, the most pressing first."""
    found = []
    if course is not None:
        if course.overdue:
            found.append("overdue")
        if course.state == "sent" and (course.holder.token in mine or not course.holder.token):
            found.append("new-plan")
        if course.state in {"discharged", "sent"} and any(s.code == "discharged" for s in course.steps):
            found.append("discharged")
        if course.in_hospital:
            found.append("admitted")
        if course.state in {"received", "offered", "underway", "reported"}:
            found.append("underway")
    if unanswered:
        found.append("unacknowledged")
    order = {group: number for number, group in enumerate(GROUPS)}
    return tuple(sorted(found, key=order.__getitem__)) or ("other",)


def compose(ctx: Context) -> Overview:
    """Return what a context gives whoever looks and whenever within the minute; pure. `looked` adds the look."""
    card = master_data.master_data(ctx)
    threads = messages.messages(ctx)
    all_plans = plans.plans(ctx)
    found = courses(ctx.record.entries, ctx.now, ctx.find)
    return Overview(
        patient_id=ctx.record.patient_id,
        retrieved=ctx.now,
        as_of=None,
        rule=ctx.record.rule,
        before=None,
        person=card.person,
        courses=tuple(found),
        new=(),
        appointments=tuple(appointment_section.appointments(ctx)),
        allergies=tuple(clinical.allergies(ctx)),
        medication=tuple(medication.medication(ctx)),
        problems=tuple(clinical.problems(ctx)),
        plans=tuple(all_plans),
        asked=tuple(asked(ctx, all_plans, threads, found)) if ctx.viewer.kind == "professional" else (),
        results=tuple(clinical.results(ctx)),
        contacts=tuple(clinical.contacts(ctx)),
        messages=tuple(threads),
        documents=tuple(documents.documents(ctx)),
        master_data=card,
        sources=(),
    )


def looked(
    ctx: Context, overview: Overview, record: Record, now: datetime, as_of: datetime | None,
    sources: tuple[Connection, ...],
) -> Overview:  # fmt: skip
    """Return an overview with what belongs to one look at it: when, by what rule, and what is new to the viewer."""
    new = news.news(ctx, record) if as_of is None else ()
    return replace(
        overview, retrieved=now, as_of=as_of, rule=record.rule, before=record.before, new=new, sources=sources
    )
