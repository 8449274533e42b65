"""The rehabilitation course: hospital stay, plan, municipality, GP, as one strip.

A pure function of what the viewer may see, fetched through the door. One course per episode of
care; its parts are tied together by the episode's id, whichever format carried them.

    sent → received → first session offered → under way → report to GP → closed

Day 7 counts from discharge, or from the plan's start where that is later. It is flagged from
midnight (Copenhagen) after the seventh day, unless a municipal appointment of the course starts by
then; the citizen then has the right to a private provider, except for specialised rehabilitation,
which takes place at a hospital (Sundhedsloven § 140; bekendtgørelse om genoptræningsplaner).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from overblik.fhir.dates import COPENHAGEN
from overblik.fhir.reading import (
    code_of,
    display_of,
    episodes,
    extension,
    extensions,
    moment,
    parts,
    phone_of,
    token_of,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from overblik.fhir.strict_json import Json
    from overblik.trust.access import Entry
    from overblik.trust.organisations import Organisation

PLAN_TYPE = "urn:overblik:plan-type"
PLAN_CONTACT = "urn:overblik:extension:plan-contact"
HOSPITAL_CONTACT = "urn:overblik:extension:hospital-contact"
RECIPIENT = "urn:overblik:extension:recipient"
DAYS_TO_FIRST_SESSION = 7
STEPS = ("sent", "received", "offered", "underway", "reported", "closed")
MUNICIPAL_KINDS = frozenset({"municipality", "municipal-unit"})
_LIVE_APPOINTMENT = frozenset({"booked", "arrived", "checked-in", "fulfilled", "pending"})
_ACCEPTED = frozenset({"accepted", "ready", "in-progress", "on-hold", "completed"})


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the strip: done with its time and the resource that shows it, or still to come."""

    code: str
    done: bool
    at: datetime | None = None
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the ball, and where to call."""

    token: str = ""
    name: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """One course of care. `state` is the last step done; `deadline` the next date to keep."""

    id: str
    kind: str
    reason: str
    state: str
    steps: tuple[Step, ...]
    holder: Holder
    deadline: date | None
    deadline_kind: str
    overdue: bool
    private_provider: bool
    episode: str
    references: tuple[str, ...]
    began: datetime | None


@dataclass(slots=True)
class _Parts:
    """The resources of one episode, by the part they play."""

    stays: list[Entry] = field(default_factory=list)
    operations: list[Entry] = field(default_factory=list)
    plans: list[Entry] = field(default_factory=list)
    municipal_plans: list[Entry] = field(default_factory=list)
    tasks: list[Entry] = field(default_factory=list)
    sessions: list[Entry] = field(default_factory=list)
    reports: list[Entry] = field(default_factory=list)
    conditions: dict[str, Entry] = field(default_factory=dict)


def courses(entries: Iterable[Entry], now: datetime, find: Callable[[str], Organisation | None]) -> list[Course]:
    """Return the courses of a record, the one that began last first."""
    listed = [entry for entry in entries if not entry.deleted]
    by_episode = _by_episode(listed)
    conditions = {entry.reference: entry for entry in listed if entry.type == "Condition"}
    found = [
        _course(episode, members, listed, conditions, now, find) for episode, members in sorted(by_episode.items())
    ]
    kept = [course for course in found if course is not None]
    return sorted(kept, key=lambda c: (c.began.timestamp() if c.began else 0, c.id), reverse=True)


def _by_episode(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Return {episode: entries}; ids that one resource names together, such as LPR3's and the hospital's, are one."""
    named = [(entry, sorted(episodes(entry.resource))) for entry in entries]
    same: dict[str, str] = {}

    def first(episode: str) -> str:
        while (other := same.setdefault(episode, episode)) != episode:
            episode = other
        return episode

    for _, ids in named:
        for one in ids:
            low, high = sorted((first(ids[0]), first(one)))
            same[high] = low
    found: dict[str, list[Entry]] = {}
    for entry, ids in named:
        if ids:
            found.setdefault(first(ids[0]), []).append(entry)
    return found


def _course(
    episode: str,
    members: list[Entry],
    record: list[Entry],
    conditions: dict[str, Entry],
    now: datetime,
    find: Callable[[str], Organisation | None],
) -> Course | None:
    p = _sorted(members, record, find)
    p.conditions = conditions
    if not p.plans and not p.stays:
        return None
    plan = p.plans[-1] if p.plans else None
    steps = [*_stay_steps(p), *(_plan_steps(p, plan, now) if plan else [])]
    state = next((s.code for s in reversed(steps) if s.done), "none")
    if plan and _refused(p):
        state = "returned"
    deadline, kind, overdue = _deadline(p, plan, state, now)
    specialised = plan is not None and _plan_kind(plan) == "rehabilitation-specialised"
    anchor = plan or p.stays[0]
    return Course(
        id=anchor.reference,
        kind=_plan_kind(plan) if plan else "stay",
        reason=_reason(p, plan),
        state=state,
        steps=tuple(steps),
        holder=_holder(p, plan, state, find),
        deadline=deadline,
        deadline_kind=kind,
        overdue=overdue,
        private_provider=overdue and kind == "first-session" and not specialised,
        episode=episode,
        references=tuple(sorted({m.reference for m in members})),
        began=min((t for t in map(_clinical, members) if t), default=None),
    )


def _sorted(members: list[Entry], record: list[Entry], find: Callable[[str], Organisation | None]) -> _Parts:
    """Sort the members by the part they play, each list oldest first."""
    p = _Parts()
    for entry in sorted(members, key=lambda e: (_clinical(e) or e.received, e.reference)):
        resource = entry.resource
        if resource.get("status") == "entered-in-error":
            continue
        if entry.type == "Encounter":
            p.stays.append(entry)
        elif entry.type == "Procedure":
            p.operations.append(entry)
        elif entry.type == "Task":
            p.tasks.append(entry)
        elif entry.type == "CarePlan":
            (p.plans if _plan_kind(entry).startswith("rehabilitation") else p.municipal_plans).append(entry)
    municipal = _municipal_tokens(p)
    p.sessions = sorted(
        (e for e in record if e.type == "Appointment" and _is_session(e, members, municipal, find)),
        key=lambda e: (_clinical(e) or e.received, e.reference),
    )
    p.reports = sorted(
        (e for e in record if e.type == "Communication" and _is_report(e, members, municipal, find)),
        key=lambda e: (_clinical(e) or e.received, e.reference),
    )
    return p


def _clinical(entry: Entry) -> datetime | None:
    resource = entry.resource
    period: Json = resource.get("period", {}) or resource.get("performedPeriod", {})
    names = ("start", "performedDateTime", "created", "authoredOn", "sent")
    return next((t for name in names if (t := moment(resource.get(name)))), None) or moment(period.get("start"))


def _plan_kind(plan: Entry) -> str:
    return next((code for c in plan.resource.get("category", ()) if (code := code_of(c, PLAN_TYPE))), "")


def _performers(plan: Entry) -> list[Json]:
    """Return whom a plan asks to act: its activities' performers."""
    return [
        performer
        for activity in plan.resource.get("activity", ())
        for performer in activity.get("detail", {}).get("performer", ())
        if activity.get("detail", {}).get("kind") == "ServiceRequest"
    ]


def _municipal_tokens(p: _Parts) -> set[str]:
    """Return the organisations that carry the course in the municipality: asked, or having accepted."""
    tokens = {token_of(r) for plan in p.plans for r in _performers(plan)}
    tokens |= {token_of(task.resource.get("owner")) for task in p.tasks}
    return tokens - {""}


def _kind(token: str, find: Callable[[str], Organisation | None]) -> str:
    unit = find(token) if token else None
    return unit.kind if unit else ""


def _is_session(
    entry: Entry, members: list[Entry], municipal: set[str], find: Callable[[str], Organisation | None]
) -> bool:
    """Say whether an appointment is a municipal one of the course."""
    resource = entry.resource
    if resource.get("status") not in _LIVE_APPOINTMENT:
        return False
    tokens = {token_of(p.get("actor")) for p in resource.get("participant", ())} - {""}
    by_kind = any(_kind(token, find) in MUNICIPAL_KINDS for token in tokens)
    is_municipal = (
        bool(tokens & municipal) or by_kind or code_of(resource.get("appointmentType", {})) == "MunicipalityAppointment"
    )
    return is_municipal and (entry in members or (not episodes(resource) and bool(tokens & municipal)))


def _is_report(
    entry: Entry, members: list[Entry], municipal: set[str], find: Callable[[str], Organisation | None]
) -> bool:
    """Say whether a message is the municipality's report to the GP."""
    sender = token_of(entry.resource.get("sender"))
    if entry not in members or (sender not in municipal and _kind(sender, find) not in MUNICIPAL_KINDS):
        return False
    receivers = {token_of(r) for r in entry.resource.get("recipient", ())}
    return any(token.startswith("yder:") or _kind(token, find) == "gp" for token in receivers)


def _stay_steps(p: _Parts) -> list[Step]:
    """Return the steps of the hospital stay that have happened."""
    steps: list[Step] = []
    if p.stays:
        first, last = p.stays[0], p.stays[-1]
        steps.append(Step("admitted", True, moment(first.resource.get("period", {}).get("start")), first.reference))
        steps += [Step("operated", True, _clinical(o), o.reference) for o in p.operations[:1]]
        if last.resource.get("status") == "finished":
            steps.append(Step("discharged", True, moment(last.resource.get("period", {}).get("end")), last.reference))
    return steps


def _plan_steps(p: _Parts, plan: Entry, now: datetime) -> list[Step]:
    """Return the six steps of the plan. A later step done implies the earlier ones."""
    task = p.tasks[-1] if p.tasks else None
    accepted = task if task and task.resource.get("status") in _ACCEPTED else None
    first = p.sessions[0] if p.sessions else None
    held = next((s for s in p.sessions if (_clinical(s) or now) < now), None)
    report = p.reports[0] if p.reports else None
    closed = next((c for c in reversed(p.municipal_plans) if c.resource.get("status") == "completed"), None)
    done = {
        "sent": (plan, moment(plan.resource.get("created")) or plan.received),
        "received": (accepted, _changed(accepted)),
        "offered": (first, (moment(first.resource.get("created")) or first.received) if first else None),
        "underway": (held, _clinical(held) if held else None),
        "reported": (report, _clinical(report) if report else None),
        "closed": (closed, _ended(closed)),
    }
    reached = max((n for n, code in enumerate(STEPS) if done[code][0] is not None), default=0)
    return [
        Step(code, n <= reached, done[code][1], done[code][0].reference if done[code][0] else "")  # type: ignore[union-attr]
        for n, code in enumerate(STEPS)
    ]


def _changed(task: Entry | None) -> datetime | None:
    if task is None:
        return None
    return moment(task.resource.get("lastModified")) or moment(task.resource.get("authoredOn")) or task.received


def _ended(plan: Entry | None) -> datetime | None:
    if plan is None:
        return None
    return moment(plan.resource.get("period", {}).get("end")) or plan.received


def _refused(p: _Parts) -> bool:
    return bool(p.tasks) and p.tasks[-1].resource.get("status") in {"rejected", "cancelled"}


def counting_from(p_stays: list[Entry], plan: Entry) -> date | None:
    """Return the day that day 7 counts from: discharge, or the plan's start where it is later."""
    ends = [moment(s.resource.get("period", {}).get("end")) for s in p_stays if s.resource.get("status") == "finished"]
    discharged = max((e for e in ends if e), default=None)
    if discharged is None and not p_stays:
        contact = extension(plan.resource, HOSPITAL_CONTACT).get("valuePeriod", {})
        discharged = moment(contact.get("end"))
    if discharged is None:
        return None
    starts = [
        moment(a.get("detail", {}).get("scheduledPeriod", {}).get("start"))
        for a in plan.resource.get("activity", ())
        if a.get("detail", {}).get("kind") == "ServiceRequest"
    ]
    latest = max([discharged, *(s for s in starts if s)])
    return latest.astimezone(COPENHAGEN).date()


def _deadline(p: _Parts, plan: Entry | None, state: str, now: datetime) -> tuple[date | None, str, bool]:
    """Return (next deadline, what it is, whether it has passed)."""
    if plan is None or state in {"closed", "returned"}:
        return None, "", False
    start = counting_from(p.stays, plan)
    first = _clinical(p.sessions[0]) if p.sessions else None
    if start is not None:
        last_day = start + timedelta(days=DAYS_TO_FIRST_SESSION)
        midnight = datetime.combine(last_day + timedelta(days=1), time(), COPENHAGEN)
        kept = first is not None and first < midnight
        begun = first is not None and first < now
        if not kept and not begun:
            return last_day, "first-session", now >= midnight
    upcoming = [t for s in p.sessions if (t := _clinical(s)) and t >= now]
    if upcoming:
        return upcoming[0].astimezone(COPENHAGEN).date(), "next-session", False
    return None, "", False


def _reason(p: _Parts, plan: Entry | None) -> str:
    """Return what the course is about, in the words of its first diagnosis or operation."""
    for address in plan.resource.get("addresses", ()) if plan else ():
        condition = p.conditions.get(str(address.get("reference", "")))
        if condition is not None:
            return words_of(condition.resource.get("code", {}))
    for operation in p.operations:
        return words_of(operation.resource.get("code", {}))
    return display_of(p.stays[0].resource.get("serviceProvider")) if p.stays else ""


def _holder(p: _Parts, plan: Entry | None, state: str, find: Callable[[str], Organisation | None]) -> Holder:
    """Return who has the ball."""
    hospital = p.stays[-1].resource.get("serviceProvider") if p.stays else plan.resource.get("author") if plan else None
    if plan is None:
        return _as_holder(hospital, find) if state != "discharged" else Holder()
    if state == "closed":
        return Holder()
    if state == "returned":
        return _as_holder(plan.resource.get("author"), find)
    if state == "reported":
        return _as_holder((p.reports[0].resource.get("recipient") or [None])[0], find)
    owner = p.tasks[-1].resource.get("owner") if p.tasks else None
    receivers = [e.get("valueReference", {}) for e in extensions(plan.resource, RECIPIENT)]
    asked: Json = owner or next(iter(_performers(plan) or receivers), {})
    holder = _as_holder(asked, find)
    if holder.phone:
        return holder
    return Holder(holder.token, holder.name, _plan_phone(plan))


def _as_holder(reference: Json | None, find: Callable[[str], Organisation | None]) -> Holder:
    token = token_of(reference)
    unit = find(token) if token else None
    return Holder(token, unit.name if unit else display_of(reference), unit.phone if unit else "")


def _plan_phone(plan: Entry) -> str:
    """Return the telephone the plan gives for questions to the municipality."""
    for contact in extensions(plan.resource, PLAN_CONTACT):
        found = parts(contact)
        if "kommune" in str(found.get("name", "")).lower():
            return phone_of([found.get("telecom") or {}])
    return ""
