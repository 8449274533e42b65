"""Medication: one line an order, with what was started, changed and stopped.

Merged by order identifier only. The same ATC code without it stays two lines and says so ("mulig
dobbeltordination"); an active order never merges with a stopped one, nor with another strength or dose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.fhir.identifiers import ATC
from overblik.fhir.reading import code_of, display_of, moment, words_of
from overblik.overview.context import end_of
from overblik.overview.merge import alike, disagreements, merge
from overblik.shown import Shown
from overblik.trust.door.entries import once

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from overblik.fhir.strict_json import Json
    from overblik.overview.context import Context, Origin
    from overblik.overview.merge import Merged
    from overblik.trust.door.entries import Entry

ANTICOAGULANT = "B01"


class Medication(Shown, frozen=True):
    """One order. `change` is started, changed, stopped or "" when nothing happened lately."""

    id: str
    name: str
    atc: str
    dose: str
    indication: str
    status: str
    active: bool
    started: datetime | None
    ends: datetime | None
    prescriber: str
    change: str
    change_reason: str
    anticoagulant: bool
    origins: tuple[Origin, ...]
    rule: str
    alike: tuple[str, ...] = ()
    disagreement: tuple[tuple[str, str], ...] = ()


RECENT_DAYS = 90
_OVER = frozenset({"stopped", "completed", "cancelled", "ended"})


def medication(ctx: Context) -> list[Medication]:
    """Return the orders: disagreeing first, then active by name, then those that have ended."""
    orders = [*ctx.of("MedicationRequest"), *ctx.of("MedicationStatement")]
    merged = merge(orders, _order_key, "order identifier")
    doubles = alike([m for m in merged if _is_active(ctx, m.newest)], lambda e: _atc(e.resource) or None)
    items = [_item(ctx, m, doubles.get(m.first.reference, ())) for m in merged]
    return sorted(items, key=lambda i: (not (i.alike or i.disagreement), not i.active, i.name.casefold(), i.id))


@once
def _order_key(entry: Entry) -> tuple[str, str, str] | None:
    """Return the order's identifier; only orders of one kind and life merge."""
    over = "over" if entry.resource.get("status") in _OVER else "active"
    for identifier in entry.resource.get("identifier", ()):
        if identifier.get("system") and identifier.get("value"):
            return f"{entry.type}|{identifier['system']}", str(identifier["value"]), over
    return None


def _atc(resource: Json) -> str:
    return code_of(resource.get("medicationCodeableConcept", {}), ATC)


def dose_of(resource: Json) -> str:
    """Return the dosage as text."""
    dosages = resource.get("dosageInstruction") or resource.get("dosage") or []
    return "; ".join(str(d["text"]) for d in dosages if d.get("text"))


def _period(resource: Json) -> Json:
    return dict(resource.get("dispenseRequest", {}).get("validityPeriod") or resource.get("effectivePeriod") or {})


def _is_active(ctx: Context, entry: Entry) -> bool:
    end = end_of(_period(entry.resource))
    return entry.resource.get("status") == "active" and (end is None or end > ctx.now)


def _item(ctx: Context, merged: Merged, others: tuple[str, ...]) -> Medication:
    entry = merged.newest
    resource = entry.resource
    doses = dict.fromkeys(dose for e in merged.members if (dose := dose_of(e.resource)))
    said = disagreements(merged.members, _stated(merged))
    change, reason = _change(ctx, resource)
    reasons = [words_of(c) for c in resource.get("reasonCode", ())]
    atc = _atc(resource)
    names = dict.fromkeys(words_of(e.resource.get("medicationCodeableConcept", {})) for e in merged.members)
    return Medication(
        id=merged.first.reference,
        name=" / ".join(sorted(names)),
        atc=atc,
        dose=next(iter(doses), "") if not said else "",
        indication=next((r for r in reasons if r), ""),
        status=str(resource.get("status", "")),
        active=_is_active(ctx, entry),
        started=moment(resource.get("authoredOn")) or moment(_period(resource).get("start")),
        ends=moment(_period(resource).get("end")),
        prescriber=display_of(resource.get("requester")) or ctx.source(entry.source).name,
        change=change,
        change_reason=reason,
        anticoagulant=atc.startswith(ANTICOAGULANT),
        origins=tuple(ctx.origin(e) for e in merged.members),
        rule=merged.rule,
        alike=others,
        disagreement=tuple((value, ctx.source(e.source).name) for value, e in said),
    )


def _stated(merged: Merged) -> Callable[[Entry], str]:
    """Return how to read what a member states: its dose, and its name where names differ, as strengths do."""

    def name(entry: Entry) -> str:
        return words_of(entry.resource.get("medicationCodeableConcept", {}))

    if len({name(e) for e in merged.members} - {""}) <= 1:
        return lambda e: dose_of(e.resource)
    return lambda e: ": ".join(part for part in (name(e), dose_of(e.resource)) if part)


def _change(ctx: Context, resource: Json) -> tuple[str, str]:
    """Return what happened to an order in the last ninety days, and why."""
    stated = resource.get("statusReason", {})  # of a MedicationStatement several
    reason = next((r for c in (stated if isinstance(stated, list) else [stated]) if (r := words_of(c))), "")
    if resource.get("status") in _OVER:
        end = end_of(_period(resource))
        return ("stopped", reason) if end is None or (ctx.now - end).days <= RECENT_DAYS else ("", "")
    written = moment(resource.get("authoredOn"))
    if written is None or (ctx.now - written).days > RECENT_DAYS:
        return "", ""
    return ("changed", reason) if resource.get("priorPrescription") else ("started", reason)
