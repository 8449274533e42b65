"""The resources of one course, by the part they play, and who carries it in the municipality.

What a source says counts only where it is that source's to say: the municipality accepts, trains,
reports and closes; a hospital that says so for it changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from overblik.courses.episodes import in_error
from overblik.fhir.dates import COPENHAGEN, EARLIEST, LATEST
from overblik.fhir.identifiers import SKS
from overblik.fhir.reading import code_of, extensions, moment, token_of
from overblik.trust.door.entries import once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from overblik.fhir.strict_json import Json
    from overblik.trust.door.entries import Entry
    from overblik.trust.organisations import Organisation

    Find = Callable[[str], Organisation | None]

PLAN_TYPE = "urn:overblik:plan-type"
RECIPIENT = "urn:overblik:extension:recipient"
MUNICIPAL_KINDS = frozenset({"municipality", "municipal-unit"})
OTHER_KINDS = frozenset({"hospital", "department", "gp", "region", "register"})
STAYS = frozenset({"IMP", "EMER", "ACUTE", "NONAC", "OBSENC", "SS"})
"""Classes of contact that one is discharged from; a visit to a clinic is not one."""
REPORT = "training"
"""The category of message in which the municipality reports on training; a nurse's question is no report."""
_NO_STAY = frozenset({"cancelled", "planned"})
_OFFERED = frozenset({"booked", "arrived", "checked-in", "fulfilled", "pending", "noshow"})
_ACCEPTED = frozenset({"accepted", "ready", "in-progress", "on-hold", "completed"})
_REFUSED = frozenset({"rejected", "cancelled", "failed"})


@dataclass(slots=True)
class Parts:
    """The entries of one course, each list oldest first. `asked` are those the plans ask to act."""

    find: Find
    stays: list[Entry] = field(default_factory=list)
    operations: list[Entry] = field(default_factory=list)
    plans: list[Entry] = field(default_factory=list)
    municipal_plans: list[Entry] = field(default_factory=list)
    tasks: list[Entry] = field(default_factory=list)
    sessions: list[Entry] = field(default_factory=list)
    reports: list[Entry] = field(default_factory=list)
    asked: frozenset[str] = frozenset()

    @property
    def plan(self) -> Entry | None:
        """The rehabilitation plan that stands: the one written last."""
        return self.plans[-1] if self.plans else None

    @property
    def accepted(self) -> Entry | None:
        """The municipality's acceptance, unless it has turned the plan away since."""
        task = self.tasks[-1] if self.tasks else None
        return task if task and task.resource.get("status") in _ACCEPTED else None

    @property
    def refused(self) -> bool:
        """Whether the municipality's last word is that it does not take the plan on."""
        return bool(self.tasks) and self.tasks[-1].resource.get("status") in _REFUSED

    @property
    def closing(self) -> Entry | None:
        """The plan that closes the course: one is completed and none of the municipality's is still open."""
        open_ = [p for p in self.municipal_plans if p.resource.get("status") in {"active", "on-hold"}]
        done = [p for p in self.municipal_plans if p.resource.get("status") == "completed"]
        if not done and self.plan and self.plan.resource.get("status") == "completed":
            done = [self.plan]
        return done[-1] if done and not open_ else None

    @property
    def admitted(self) -> bool:
        """Whether the patient is in hospital now, or on leave from it."""
        return bool(self.stays) and self.stays[-1].resource.get("status") != "finished"

    @property
    def admitted_again(self) -> bool:
        """Whether the patient is in a stay that began after the plan was sent."""
        return self.admitted and self.plan is not None and when(self.stays[-1]) > written(self.plan)

    def is_municipal(self, token: str) -> bool:
        """Say whether an organisation carries the course: asked by the plan or below it, or municipal by kind."""
        unit = self.find(token) if token else None
        return (unit is not None and unit.kind in MUNICIPAL_KINDS) or self.is_asked(token)

    def is_asked(self, token: str) -> bool:
        """Say whether an organisation is one that the plan asks, or a unit below it."""
        seen: set[str] = set()
        while token and token not in seen:
            seen.add(token)
            unit = self.find(token)
            if ({token, *_keys(unit)} if unit else {token}) & self.asked:
                return True
            token = unit.parent if unit else ""
        return False

    def is_foreign(self, token: str) -> bool:
        """Say whether an organisation is known to be somebody else than who carries the course."""
        unit = self.find(token) if token else None
        return unit is not None and unit.kind in OTHER_KINDS and not self.is_asked(token)

    def is_sender(self, token: str) -> bool:
        """Say whether an organisation only sent the plan; what it plans itself is not the municipality's doing."""
        senders = {token_of(p.resource.get("author")) or p.source for p in self.plans}
        return token in senders and not self.is_municipal(token)


def _keys(unit: Organisation) -> set[str]:
    keys = {unit.sor, f"gln:{unit.gln}" if unit.gln else "", f"yder:{unit.yder}" if unit.yder else ""}
    return keys - {""}


def parts_of(members: Iterable[Entry], find: Find, gps: frozenset[str]) -> Parts:
    """Sort the entries of one episode by the part they play. `gps` are the patient's own clinics."""
    found = Parts(find)
    listed = sorted((m for m in members if not in_error(m)), key=lambda e: (clinical(e) or e.received, e.reference))
    found.stays = sorted((e for e in listed if _is_stay(e, find)), key=_stay_order)
    found.operations = [e for e in listed if _is_operation(e.resource)]
    plans = [e for e in listed if e.type == "CarePlan"]
    found.plans = [e for e in plans if is_rehabilitation(e) and e.resource.get("status") not in {"revoked", "draft"}]
    if not found.plans:
        return found
    found.asked = frozenset(token_of(r) for r in _asked(found.plans)) - {""}
    since = _since(found)
    found.tasks = sorted((e for e in listed if _is_task(e, found) and _said(e) >= since), key=_task_order)
    owners = {token_of(t.resource.get("owner")) for t in found.tasks}
    found.asked |= frozenset(owners - {""})
    found.municipal_plans = [e for e in plans if _is_municipal_plan(e, found) and _said(e) >= since]
    found.sessions = [e for e in listed if _is_session(e, found) and when(e) >= since]
    found.reports = [e for e in listed if _is_report(e, found, gps) and when(e) >= since]
    return found


@once
def clinical(entry: Entry) -> datetime | None:
    """Return when what an entry tells began, so far as it says."""
    resource = entry.resource
    period: Json = resource.get("period") or resource.get("performedPeriod") or {}
    names = ("start", "performedDateTime", "created", "authoredOn", "sent")
    return next((t for name in names if (t := moment(resource.get(name)))), None) or moment(period.get("start"))


def when(entry: Entry) -> datetime:
    """Return when what an entry tells began; when it came, where it does not say."""
    return clinical(entry) or entry.received


def plan_kind(plan: Entry) -> str:
    """Return a plan's type, "" where it has none of ours."""
    return next((code for c in plan.resource.get("category", ()) if (code := code_of(c, PLAN_TYPE))), "")


def is_rehabilitation(plan: Entry) -> bool:
    """Say whether a plan is a rehabilitation plan (genoptræningsplan)."""
    return plan_kind(plan).startswith("rehabilitation")


def performers(plan: Entry) -> list[Json]:
    """Return whom a plan asks to act: the performers of what it requests."""
    details = [activity.get("detail", {}) for activity in plan.resource.get("activity", ())]
    return [p for detail in details if detail.get("kind") == "ServiceRequest" for p in detail.get("performer", ())]


def receivers(plan: Entry) -> list[Json]:
    """Return whom a plan is addressed to, its first receiver first."""
    return [e.get("valueReference", {}) for e in extensions(plan.resource, RECIPIENT)]


def written(plan: Entry) -> datetime:
    """Return when a plan was written."""
    return moment(plan.resource.get("created")) or plan.received


def loose_home(entry: Entry, courses: dict[str, Parts]) -> Parts | None:
    """Return the course that an appointment without an episode belongs to, where it can be only one."""
    if entry.type != "Appointment" or in_error(entry):
        return None
    homes = [parts for parts in courses.values() if _could_hold(parts, entry)]
    return homes[0] if len(homes) == 1 else None


def add_session(parts: Parts, entry: Entry) -> None:
    """Add an appointment that names no episode to the sessions of its only possible course."""
    parts.sessions = sorted([*parts.sessions, entry], key=lambda e: (when(e), e.reference))


def _could_hold(parts: Parts, entry: Entry) -> bool:
    """Say whether an appointment is with those who carry the course, while it runs."""
    if parts.plan is None or not _is_session(entry, parts):
        return False
    closed = parts.closing
    end = _ended(closed) if closed else LATEST
    begins = datetime.combine(written(parts.plan).astimezone(COPENHAGEN).date(), datetime.min.time(), COPENHAGEN)
    return any(parts.is_asked(token) for token in _with(entry)) and begins <= when(entry) <= end


def _ended(plan: Entry) -> datetime:
    return moment(plan.resource.get("period", {}).get("end")) or plan.received


def _asked(plans: list[Entry]) -> list[Json]:
    """Return whom the plans ask to take the course on; their receivers where no activity says it."""
    return [r for plan in plans for r in performers(plan) or receivers(plan)[:1]]


def _since(parts: Parts) -> datetime:
    """Return from when on what is said is about the plan that stands: its writing, where it replaced another."""
    assert parts.plan is not None  # noqa: S101 - called with a plan
    return written(parts.plan) if len(parts.plans) > 1 else EARLIEST


def _is_stay(entry: Entry, find: Find) -> bool:
    resource = entry.resource
    if entry.type != "Encounter" or resource.get("status") in _NO_STAY:
        return False
    unit = find(token_of(resource.get("serviceProvider")))
    return resource.get("class", {}).get("code") in STAYS and (
        unit is None or unit.kind not in {*MUNICIPAL_KINDS, "gp"}
    )


def _stay_order(stay: Entry) -> tuple[datetime, bool, datetime, str]:
    """Order stays by their start; of those that begin together, the admission after the emergency contact."""
    end = moment(stay.resource.get("period", {}).get("end")) or LATEST
    return when(stay), stay.resource.get("class", {}).get("code") != "EMER", end, stay.reference


def _is_operation(resource: Json) -> bool:
    """Say whether a Procedure is an operation that was done: of SKS's procedures, those under K."""
    if resource.get("resourceType") != "Procedure" or resource.get("status") != "completed":
        return False
    code = code_of(resource.get("code", {}), SKS)
    return not code or code.startswith("K")


def _said(entry: Entry) -> datetime:
    """Return when an entry says what it now says."""
    resource = entry.resource
    times = [moment(resource.get("lastModified")), moment(resource.get("period", {}).get("end")), clinical(entry)]
    return next((t for t in times if t), entry.received)


def _is_task(entry: Entry, parts: Parts) -> bool:
    """Say whether a Task is the municipality's own about the plan."""
    owner = token_of(entry.resource.get("owner"))
    if entry.type != "Task" or parts.is_foreign(owner) or parts.is_sender(owner):
        return False
    return not parts.is_foreign(entry.source)


def _task_order(task: Entry) -> tuple[datetime, str]:
    return _said(task), task.reference


def _is_municipal_plan(entry: Entry, parts: Parts) -> bool:
    """Say whether a CarePlan is the municipality's own, not another one of those who sent the plan."""
    if is_rehabilitation(entry) or entry in parts.plans:
        return False
    author = token_of(entry.resource.get("author")) or entry.source
    return not (parts.is_foreign(author) or parts.is_sender(author) or parts.is_foreign(entry.source))


def _with(entry: Entry) -> set[str]:
    """Return whom an appointment is with: not who asked for it."""
    found = set()
    for participant in entry.resource.get("participant", ()):
        codes = {c.get("code") for t in participant.get("type", ()) for c in t.get("coding", ())}
        if "REF" not in codes:
            found.add(token_of(participant.get("actor")))
    return found - {""} or {entry.source}


def _is_session(entry: Entry, parts: Parts) -> bool:
    """Say whether an appointment is a municipal one that stands: offered, held or missed."""
    if entry.type != "Appointment" or entry.resource.get("status") not in _OFFERED:
        return False
    stated = code_of(entry.resource.get("appointmentType", {})) == "MunicipalityAppointment"
    return stated or any(parts.is_municipal(token) for token in _with(entry))


def _is_report(entry: Entry, parts: Parts, gps: frozenset[str]) -> bool:
    """Say whether a message is the municipality's report on training to the GP."""
    if entry.type != "Communication" or not any(code_of(c) == REPORT for c in entry.resource.get("category", ())):
        return False
    sender = token_of(entry.resource.get("sender")) or entry.source
    return parts.is_municipal(sender) and gp_of(entry, parts.find, gps) is not None


def gp_of(message: Entry, find: Find, gps: frozenset[str]) -> Json | None:
    """Return the GP among those a message is sent to."""
    for receiver in message.resource.get("recipient", ()):
        token = token_of(receiver)
        unit = find(token) if token else None
        if token.startswith("yder:") or token in gps or (unit is not None and unit.kind == "gp"):
            return dict(receiver)
    return None
