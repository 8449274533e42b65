"""Under which treatment relations a professional works: for whom, on what evidence, until when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overblik.fhir.errors import Forbidden
from overblik.store.queries import sql_for
from overblik.trust.callers.identity import require
from overblik.trust.door.access import Record
from overblik.trust.door.entries import entry_of
from overblik.trust.live import seen

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.trust.callers.identity import Caller
    from overblik.trust.callers.scopes import Reach
    from overblik.trust.door.access import Door

MOST = 200


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation: the rule, the type and source of its evidence ("" for none), and until when (None: no end)."""

    rule: str
    evidence: str
    source: str
    until: datetime | None


async def relations(door: Door, caller: Caller) -> list[tuple[Record, tuple[Relation, ...]]]:
    """Return the records a professional's unit has a relation to, each as its Patients and its relations.

    An app is told of the evidence, too, where it has a scope to read its type.
    """
    require(caller, "read", "Patient", letters="rs")
    if caller.kind != "professional":
        raise Forbidden("not-for-this-caller", "Your sign-in does not cover this interaction.")
    params = caller.params(door.clock.now(), "relations", "relations") | {"limit": MOST}
    rows = await door.database.fetch(sql_for("relations_of_unit", caller.kind), params)
    by_pid: dict[int, list[Any]] = {}
    for row in rows:
        by_pid.setdefault(row.pid, []).append(row)
    rids = {pid: {row.rid for row in found} for pid, found in by_pid.items()}
    seen.note(caller, rids, ("Patient",), upto=max((row.created_cid for row in rows), default=0), alone=True)
    return [_record(found, caller.reach) for found in by_pid.values()]


def _record(rows: list[Any], reach: Reach | None) -> tuple[Record, tuple[Relation, ...]]:
    """Return one record: a row stands for each Patient in it beside each relation."""
    patients = {row.id: row for row in rows}
    entries = tuple(entry_of(row) for row in patients.values())
    found = [Relation(row.rule, *_evidence(row, reach), row.until) for row in rows]
    first = min(patients)
    return Record(first, found[0].rule, entries), tuple(dict.fromkeys(found))


def _evidence(row: Any, reach: Reach | None) -> tuple[str, str]:
    if not row.evidence_type or (reach is not None and not reach.covers("r", [row.evidence_type])):
        return "", ""
    return row.evidence_type, row.evidence_source
