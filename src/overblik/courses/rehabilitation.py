"""The rehabilitation course: hospital stay, plan, municipality, GP, as one strip.

A pure function of what the viewer may see, fetched through the door. One course per episode of
care; its parts are tied together by the episode's id, whichever format carried them.

    sent → received → first session offered → under way → report to GP → closed

A step is done where a visible resource shows it, or where a later one could not be without it. Where
day 7 passes without an offer (deadline.py) the citizen has the right to a private provider, except
for specialised rehabilitation, which takes place at a hospital.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.courses.deadline import Deadline, next_deadline
from overblik.courses.episodes import by_episode, in_error
from overblik.courses.parts import (
    Parts,
    add_session,
    clinical,
    gp_of,
    loose_home,
    parts_of,
    performers,
    plan_kind,
    receivers,
    when,
    written,
)
from overblik.fhir.reading import code_of, display_of, extensions, moment, parts, phone_of, token_of, words_of
from overblik.shown import Shown
from overblik.trust.door.entries import once

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from overblik.courses.parts import Find
    from overblik.fhir.strict_json import Json
    from overblik.trust.door.entries import Entry

PLAN_CONTACT = "urn:overblik:extension:plan-contact"
STEPS = ("sent", "received", "offered", "underway", "reported", "closed")
_IMPLIES = {"offered": ("received",), "underway": ("offered", "received"), "reported": ("received",)}
_IMPLIES["closed"] = ("received",)
"""What cannot have been without an earlier step. A closure says neither that anybody trained nor reported."""


class Step(Shown, frozen=True):
    """One step of the strip: done with its time and the resource that shows it, or still to come."""

    code: str
    done: bool
    at: datetime | None = None
    reference: str = ""


class Holder(Shown, frozen=True):
    """Who has the ball, and where to call."""

    token: str = ""
    name: str = ""
    phone: str = ""


class Course(Shown, frozen=True):
    """One course of care. `state` is the last step done; `deadline` the next date to keep.

    `in_hospital` says that the patient is in a stay of it now, whatever step the plan has reached;
    `ended` that nothing more is expected of anybody: it is closed, or the patient has died.
    """

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
    in_hospital: bool = False
    ended: bool = False


def courses(entries: Iterable[Entry], now: datetime, find: Find) -> list[Course]:
    """Return the courses of a record, the one that began last first."""
    known = {e.reference: e for e in entries if not e.deleted and not in_error(e)}
    listed = [known[reference] for reference in sorted(known)]
    episodes = by_episode(listed)
    gps = frozenset(
        token_of(r) for e in listed if e.type == "Patient" for r in e.resource.get("generalPractitioner", ())
    )
    sorted_parts = {episode: parts_of(members, find, gps - {""}) for episode, members in sorted(episodes.items())}
    members = {episode: {e.reference for e in found} for episode, found in episodes.items()}
    tied = set().union(*members.values())
    for entry in listed:
        home = None if entry.reference in tied else loose_home(entry, sorted_parts)
        if home is not None:
            add_session(home, entry)
            members[next(k for k, p in sorted_parts.items() if p is home)].add(entry.reference)
    dead = any(_has_died(entry) for entry in listed)
    found = [
        _course(episode, p, [known[r] for r in sorted(members[episode])], known, now, gps=gps, dead=dead)
        for episode, p in sorted_parts.items()
        if p.plans or p.stays
    ]
    return sorted(found, key=lambda c: (c.began.timestamp() if c.began else 0, c.id), reverse=True)


def _course(
    episode: str,
    p: Parts,
    members: list[Entry],
    known: dict[str, Entry],
    now: datetime,
    *,
    gps: frozenset[str],
    dead: bool,
) -> Course:
    plan = p.plan
    steps = [*_stay_steps(p), *(_plan_steps(p, plan, now) if plan else [])]
    state = _state(p, steps, dead=dead)
    ended = dead or state == "closed" or (plan is None and state == "discharged")
    due = Deadline() if ended or state == "returned" else next_deadline(p, now)
    kind = plan_kind(plan) if plan else "stay"
    return Course(
        id=(plan or p.stays[0]).reference,
        kind=kind,
        reason=_reason(p, known),
        state=state,
        steps=tuple(steps),
        holder=Holder() if ended else _holder(p, plan, state, gps),
        deadline=due.day,
        deadline_kind=due.kind,
        overdue=due.overdue,
        private_provider=due.overdue and due.kind == "first-session" and kind != "rehabilitation-specialised",
        episode=episode,
        references=tuple(m.reference for m in members),
        began=min((t for t in map(clinical, members) if t), default=None),
        in_hospital=p.admitted and not dead,
        ended=ended,
    )


@once
def _has_died(entry: Entry) -> bool:
    resource = entry.resource
    if entry.type == "Patient":
        return resource.get("deceasedBoolean") is True or "deceasedDateTime" in resource
    disposition = resource.get("hospitalization", {}).get("dischargeDisposition", {})
    return entry.type == "Encounter" and code_of(disposition) == "exp"


def _state(p: Parts, steps: list[Step], *, dead: bool) -> str:
    """Return the last step done; in hospital again, turned away and ended by death stand above it."""
    state = next((s.code for s in reversed(steps) if s.done), "none")
    if p.plan is None or state == "closed":
        return state
    if dead:
        return "closed"
    if p.admitted_again:
        return "admitted"
    return "returned" if p.refused and state in {"sent", "received"} else state


def _stay_steps(p: Parts) -> list[Step]:
    """Return the steps of the hospital stay that have happened."""
    steps: list[Step] = []
    if p.stays:
        first, last = p.stays[0], p.stays[-1]
        steps.append(Step("admitted", True, moment(first.resource.get("period", {}).get("start")), first.reference))
        steps += [Step("operated", True, clinical(o), o.reference) for o in p.operations[:1]]
        if not p.admitted:
            steps.append(Step("discharged", True, moment(last.resource.get("period", {}).get("end")), last.reference))
    return steps


def _plan_steps(p: Parts, plan: Entry, now: datetime) -> list[Step]:
    """Return the six steps of the plan."""
    first = p.sessions[0] if p.sessions else None
    held = next((s for s in p.sessions if when(s) < now and s.resource.get("status") != "noshow"), None)
    report = p.reports[-1] if p.reports else None
    shown = {
        "sent": (plan, written(plan)),
        "received": (p.accepted, _accepted_at(p.accepted)),
        "offered": (first, (moment(first.resource.get("created")) or first.received) if first else None),
        "underway": (held, when(held) if held else None),
        "reported": (report, when(report) if report else None),
        "closed": (p.closing, _ended(p.closing)),
    }
    implied = {code for later in STEPS if shown[later][0] for code in _IMPLIES.get(later, ())}
    return [
        Step(code, entry is not None or code in implied, at, entry.reference if entry else "")
        for code, (entry, at) in shown.items()
    ]


def _accepted_at(task: Entry | None) -> datetime | None:
    """Return when a plan was accepted: a Task that has moved on was made by then at the latest."""
    if task is None:
        return None
    made, changed = moment(task.resource.get("authoredOn")), moment(task.resource.get("lastModified"))
    times = (changed, made) if task.resource.get("status") == "accepted" else (made, changed)
    return next((t for t in times if t), task.received)


def _ended(plan: Entry | None) -> datetime | None:
    return (moment(plan.resource.get("period", {}).get("end")) or plan.received) if plan else None


def _reason(p: Parts, known: dict[str, Entry]) -> str:
    """Return what the course is about, in the words of its first diagnosis or operation."""
    for address in p.plan.resource.get("addresses", ()) if p.plan else ():
        condition = known.get(str(address.get("reference", "")))
        if condition is not None and condition.type == "Condition":
            return words_of(condition.resource.get("code", {}))
    for operation in p.operations:
        return words_of(operation.resource.get("code", {}))
    return display_of(p.stays[0].resource.get("serviceProvider")) if p.stays else ""


def _holder(p: Parts, plan: Entry | None, state: str, gps: frozenset[str]) -> Holder:
    """Return who has the ball."""
    if plan is None or state == "admitted":
        return _as_holder(p, p.stays[-1].resource.get("serviceProvider"))
    if state == "returned":
        return _as_holder(p, plan.resource.get("author"))
    if state == "reported":
        return _as_holder(p, gp_of(p.reports[-1], p.find, gps))
    owner = p.tasks[-1].resource.get("owner") if p.tasks else None
    asked: Json = owner or next(iter(performers(plan) or receivers(plan)), {})
    holder = _as_holder(p, asked)
    return holder if holder.phone else Holder(holder.token, holder.name, _plan_phone(plan))


def _as_holder(p: Parts, reference: Json | None) -> Holder:
    token = token_of(reference)
    unit = p.find(token) if token else None
    return Holder(token, unit.name if unit else display_of(reference), unit.phone if unit else "")


def _plan_phone(plan: Entry) -> str:
    """Return the telephone the plan gives for questions to the municipality."""
    for contact in extensions(plan.resource, PLAN_CONTACT):
        found = parts(contact)
        if "kommune" in str(found.get("name", "")).lower():
            return phone_of([found.get("telecom") or {}])
    return ""
