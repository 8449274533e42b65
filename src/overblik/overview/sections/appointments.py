"""Appointments across sectors: one line each, merged by business identifier only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from overblik.fhir.reading import code_of, display_of, episodes, moment, phone_of, token_of, words_of
from overblik.overview.merge import alike, disagreements, merge
from overblik.shown import Shown

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.fhir.strict_json import Json
    from overblik.overview.context import Context, Origin
    from overblik.overview.merge import Merged
    from overblik.trust.door.entries import Entry


class Place(Shown, frozen=True):
    """Where, and where to call."""

    name: str = ""
    address: str = ""
    phone: str = ""


class Appointment(Shown, frozen=True):
    """One appointment. `alike` are others at the same time and place: perhaps the same, never merged."""

    id: str
    start: datetime
    end: datetime | None
    status: str
    sector: str
    unit: str
    person: str
    place: Place
    reason: str
    note: str
    requester: str
    upcoming: bool
    origins: tuple[Origin, ...]
    rule: str
    alike: tuple[str, ...] = ()
    clashes: tuple[str, ...] = ()
    disagreement: tuple[tuple[str, str], ...] = ()
    episodes: tuple[str, ...] = ()


def appointments(ctx: Context) -> list[Appointment]:
    """Return every appointment with a start: those to come first, soonest first, then the past, last first."""
    dated = [e for e in ctx.of("Appointment") if moment(e.resource.get("start"))]
    merged = merge(dated, _business_key, "business identifier")
    same_time = alike(merged, lambda e: (str(e.resource.get("start")), _place(e.resource).name))
    items = [_item(ctx, m, same_time.get(m.first.reference, ())) for m in merged]
    clashes = _clashes([i for i in items if i.upcoming and i.status == "booked"])
    items = [_with_clashes(i, clashes.get(i.id, ())) for i in items]
    future = sorted((i for i in items if i.upcoming), key=lambda i: (i.start, i.id))
    past = sorted((i for i in items if not i.upcoming), key=lambda i: (i.start, i.id), reverse=True)
    return future + past


def _business_key(entry: Entry) -> tuple[str, str] | None:
    for identifier in entry.resource.get("identifier", ()):
        if identifier.get("system") and identifier.get("value"):
            return str(identifier["system"]), str(identifier["value"]).lower()
    return None


def _actor(resource: Json, code: str) -> Json:
    for participant in resource.get("participant", ()):
        codes = [c.get("code") for t in participant.get("type", ()) for c in t.get("coding", ())]
        if code in codes:
            return dict(participant.get("actor", {}))
    return {}


def _contained(resource: Json, name: str) -> Json:
    return next((c for c in resource.get("contained", ()) if c.get("id") == name), {})


def _place(resource: Json) -> Place:
    location = _contained(resource, "location")
    address = location.get("address", {})
    town = f"{address.get('postalCode', '')} {address.get('city', '')}".strip()
    lines = [*address.get("line", ()), town]
    phone = phone_of(location.get("telecom", []))
    name = str(location.get("name", "")) or display_of(_actor(resource, "LOC"))
    return Place(name, ", ".join(line for line in lines if line), phone)


_SECTORS = {
    "MunicipalityAppointment": "municipality",
    "RegionalAppointment": "hospital",
    "PractitionerAppointment": "gp",
}
_KINDS = {"municipal-unit": "municipality", "department": "hospital", "hospital": "hospital"}


def _sector(ctx: Context, entry: Entry, token: str) -> str:
    stated = _SECTORS.get(code_of(entry.resource.get("appointmentType", {})))
    unit = ctx.find(token) or ctx.find(entry.source)
    return stated or (_KINDS.get(unit.kind, unit.kind) if unit else "")


def _item(ctx: Context, merged: Merged, others: tuple[str, ...]) -> Appointment:
    entry = merged.newest
    resource = entry.resource
    start, end = moment(resource.get("start")), moment(resource.get("end"))
    performer = _actor(resource, "PPRF")
    place = _place(resource)
    if not place.phone:
        service = _contained(resource, "performer")
        place = Place(place.name, place.address, phone_of(service.get("telecom", [])))
    times = disagreements(merged.members, lambda e: f"{e.resource.get('start')} {e.resource.get('status')}")
    return Appointment(
        id=merged.first.reference,
        start=start or entry.received,
        end=end,
        status=str(resource.get("status", "")),
        sector=_sector(ctx, entry, token_of(performer)),
        unit=display_of(performer) or ctx.source(entry.source).name,
        person=display_of(_actor(resource, "ATND")),
        place=place,
        reason=next((w for c in resource.get("reasonCode", ()) if (w := words_of(c))), ""),
        note=str(resource.get("comment", "")),
        requester=display_of(_actor(resource, "REF")),
        upcoming=(end or start or entry.received) >= ctx.now,
        origins=tuple(ctx.origin(e) for e in merged.members),
        rule=merged.rule,
        alike=others,
        disagreement=tuple((value, ctx.source(e.source).name) for value, e in times),
        episodes=tuple(sorted(episodes(resource))),
    )


def _clashes(items: list[Appointment]) -> dict[str, tuple[str, ...]]:
    """Return {id: ids of visible appointments at overlapping times}."""
    found: dict[str, list[str]] = {}
    for one in items:
        for two in items:
            overlap = one.start < (two.end or two.start) and two.start < (one.end or one.start)
            if one.id != two.id and overlap and two.id not in one.alike:
                found.setdefault(one.id, []).append(two.id)
    return {key: tuple(value) for key, value in found.items()}


def _with_clashes(item: Appointment, clashes: tuple[str, ...]) -> Appointment:
    return structs.replace(item, clashes=clashes) if clashes else item
