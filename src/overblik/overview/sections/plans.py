"""Plans and goals, and who is responsible."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from overblik.shown import Shown

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.fhir.strict_json import Json
    from overblik.overview.context import Context, Origin
    from overblik.trust.door.entries import Entry

PLAN_TYPE = "urn:overblik:plan-type"
SECTION = "urn:overblik:extension:plan-section"
CONTACT = "urn:overblik:extension:plan-contact"
CONSENT = "urn:overblik:extension:informed-consent"
RECIPIENT = "urn:overblik:extension:recipient"


class Activity(Shown, frozen=True):
    """Something planned: what, by whom, when."""

    text: str
    performer: str
    performer_token: str
    status: str
    start: datetime | None
    end: datetime | None


class Goal(Shown, frozen=True):
    """A goal and where it stands."""

    id: str
    text: str
    status: str
    achievement: str


class Plan(Shown, frozen=True):
    """A plan with its goals, sections as written, people and telephones."""

    id: str
    kind: str
    title: str
    status: str
    author: str
    written: datetime | None
    ended: datetime | None
    recipients: tuple[str, ...]
    goals: tuple[Goal, ...]
    activities: tuple[Activity, ...]
    sections: tuple[tuple[str, str, str], ...]
    contacts: tuple[tuple[str, str], ...]
    people: tuple[tuple[str, str, str], ...]
    consent: bool | None
    origin: Origin
    episodes: tuple[str, ...]


_ACTIVE_FIRST = ("active", "on-hold", "draft", "unknown", "completed", "revoked")


def plans(ctx: Context) -> list[Plan]:
    """Return the plans, those in force first, the newest first among them."""
    items = [_plan(ctx, entry) for entry in ctx.of("CarePlan")]
    rank = {status: number for number, status in enumerate(_ACTIVE_FIRST)}
    items.sort(key=lambda p: (p.written.timestamp() if p.written else 0, p.id), reverse=True)
    return sorted(items, key=lambda p: rank.get(p.status, 9))


def _plan(ctx: Context, entry: Entry) -> Plan:
    resource = entry.resource
    period = resource.get("period", {})
    return Plan(
        id=entry.reference,
        kind=next((code for c in resource.get("category", ()) if (code := code_of(c, PLAN_TYPE))), "care-plan"),
        title=str(resource.get("title", "")) or next((w for c in resource.get("category", ()) if (w := _words(c))), ""),
        status=str(resource.get("status", "")),
        author=display_of(resource.get("author")) or ctx.source(entry.source).name,
        written=moment(resource.get("created")) or moment(period.get("start")),
        ended=moment(period.get("end")),
        recipients=tuple(display_of(e.get("valueReference")) for e in extensions(resource, RECIPIENT)),
        goals=_goals(ctx, resource),
        activities=tuple(_activity(a.get("detail", {})) for a in resource.get("activity", ()) if a.get("detail")),
        sections=_sections(resource),
        contacts=_contacts(resource),
        people=_people(resource),
        consent=extension(resource, CONSENT).get("valueBoolean"),
        origin=ctx.origin(entry, moment(resource.get("created"))),
        episodes=tuple(sorted(episodes(resource))),
    )


def _words(concept: Json) -> str:
    return "" if code_of(concept, PLAN_TYPE) else words_of(concept)


def _goals(ctx: Context, resource: Json) -> tuple[Goal, ...]:
    """Return the goals a plan refers to and the viewer may see."""
    found = []
    for reference in resource.get("goal", ()):
        entry = ctx.by_reference.get(str(reference.get("reference", "")))
        if entry is not None:
            goal = entry.resource
            found.append(
                Goal(
                    entry.reference,
                    words_of(goal.get("description", {})),
                    str(goal.get("lifecycleStatus", "")),
                    code_of(goal.get("achievementStatus", {})),
                )
            )
    return tuple(found)


def _activity(detail: Json) -> Activity:
    performer: Json = (detail.get("performer") or [{}])[0]
    period = detail.get("scheduledPeriod", {})
    from_words = words_of(detail.get("code", {}))
    text = str(detail.get("description", "")) or from_words
    return Activity(
        text=text,
        performer=display_of(performer),
        performer_token=token_of(performer),
        status=str(detail.get("status", "")),
        start=moment(period.get("start")),
        end=moment(period.get("end")),
    )


def _sections(resource: Json) -> tuple[tuple[str, str, str], ...]:
    found = [parts(section) for section in extensions(resource, SECTION)]
    return tuple((str(s.get("code") or ""), str(s.get("title") or ""), str(s.get("text") or "")) for s in found)


def _contacts(resource: Json) -> tuple[tuple[str, str], ...]:
    found = [parts(contact) for contact in extensions(resource, CONTACT)]
    return tuple((str(c.get("name") or ""), phone_of([c.get("telecom") or {}])) for c in found)


def _people(resource: Json) -> tuple[tuple[str, str, str], ...]:
    """Return (name, profession, telephone) of those who signed the plan or carry it."""
    found = []
    for person in resource.get("contained", ()):
        if person.get("resourceType") == "PractitionerRole":
            roles = [words_of(c) for c in person.get("code", ())]
            name = display_of(person.get("practitioner"))
            found.append((name, next((r for r in roles if r), ""), phone_of(person.get("telecom", []))))
    return tuple(found)
