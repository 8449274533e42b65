"""Facts from messages, applied so that the order of arrival does not matter.

A fact is one resource that a message states, under a business key that the same source uses again
when it says something newer of the same thing. It is ordered by when it happened (and by message
id where that is equal), never by when it came: an older fact that comes late changes nothing, and a
correction that comes first stands.

A Patient is stated in parts (`facets`), because each kind of message says only some of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from overblik.fhir.references import rewrite
from overblik.store.body import unpack
from overblik.store.unit import Staged
from overblik.trust.door.rows import REGISTERED, same_content

if TYPE_CHECKING:
    from collections.abc import Callable

    from overblik.fhir.strict_json import Json
    from overblik.trust.door.work import Work

Order = tuple[str, str]
"""(instant in UTC as ISO text, tie-breaking message id): compared as it stands."""


@dataclass(slots=True)
class Fact:
    """One stated resource. Other facts of the same message are referred to as `fact:KEY`.

    `facets` maps the name of a part to its elements; None means the resource is stated whole.
    `choose` picks among rows whose key begins with `key` (newest first) or returns None for a new
    one; without it the key itself decides.
    """

    key: str
    resource: Json
    source: str
    order: Order
    origins: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    recorded: datetime | None = None
    facets: dict[str, tuple[str, ...]] | None = None
    raw: tuple[str, bytes] | None = None
    registered: bool = False
    choose: Callable[[Json, list[tuple[str, Json]]], str | None] | None = None


def order_of(moment: datetime, tie: str) -> Order:
    """Return the order of a fact from the instant it happened."""
    return moment.isoformat(timespec="microseconds"), tie


async def apply(work: Work, pid: int, facts: list[Fact]) -> dict[str, str]:
    """Apply the facts of one message to one record; return {fact key: "Type/id"}."""
    await work.unit.lock(pid)
    keys = [await _full_key(work, pid, fact) for fact in facts]
    rows = {row.fact_key: row for row in await work.unit.rows(pid, facts=tuple(keys))}
    for key, fact in zip(keys, facts, strict=True):
        if fact.resource["resourceType"] == "Patient" and key not in rows:
            rows[key] = await work.unit.own_patient(pid, fact.source, work.caller.via)
    references = {}
    for key, fact in zip(keys, facts, strict=True):
        row = rows.get(key)
        resource_id = row.id if row else work.unit.keys.id()
        references[fact.key] = f"{fact.resource['resourceType']}/{resource_id}"
    for key, fact in zip(keys, facts, strict=True):
        stated = rewrite(fact.resource, lambda text: _resolve(text, references))
        stated["id"] = references[fact.key].split("/", 1)[1]
        _apply_one(work, pid, key, fact, stated, rows.get(key))
    return references


def _resolve(text: str, references: dict[str, str]) -> str:
    return references[text[5:]] if text.startswith("fact:") else text


async def _full_key(work: Work, pid: int, fact: Fact) -> str:
    """Return the stored key of a fact: its source and business key, and which of several it is."""
    key = f"{fact.source}|{fact.resource['resourceType']}|{fact.key}"
    if fact.choose is None:
        return key
    rows = await work.unit.rows_like(pid, key + "|")
    known = [
        (row.fact_key, unpack(row.type, row.id, row.version, row.received_at, row.body)) for row in rows if row.body
    ]
    chosen = fact.choose(fact.resource, sorted(known, key=lambda item: item[0]))
    return chosen if chosen is not None else f"{key}|{work.unit.keys.id()}"


def _apply_one(work: Work, pid: int, key: str, fact: Fact, stated: Json, row: Any) -> None:
    """Stage a fact as a new version, or note it beside the version there is.

    An older fact that comes late, and the same said again, give no version: but who stated it, when and
    under which labels counts for blocks as if it had come in time.
    """
    names = fact.facets or {"": ()}
    known: dict[str, list[str]] = dict(row.facets) if row and row.facets else {}
    newer = [name for name in names if name not in known or tuple(known[name][:2]) < fact.order]
    current = unpack(row.type, row.id, row.version, row.received_at, row.body) if row and row.body else None
    merged = stated if fact.facets is None or current is None else _merge(current, stated, fact.facets, newer)
    facets = known | dict.fromkeys(newer, _stamp(fact))
    staged = _staged(work, pid, key, fact, merged, facets, row)
    if row is not None and not newer:
        staged.resource = stated
        work.unit.touch(staged)
    elif current is not None and same_content(current, merged) and set(row.origins).issuperset(fact.origins):
        work.unit.touch(staged)
    else:
        work.stage(staged, registered=any(REGISTERED in entry[2:] for entry in facets.values()))


def _staged(
    work: Work, pid: int, key: str, fact: Fact, resource: Json, facets: dict[str, list[str]], row: Any
) -> Staged:
    recorded = max((entry[2] for entry in facets.values() if entry[2:]), default="")
    return Staged(
        pid=pid,
        rid=row.rid if row else work.unit.keys.number(),
        type=fact.resource["resourceType"],
        id=resource["id"],
        version=row.version + 1 if row else 1,
        resource=resource,
        source=fact.source,
        via=work.caller.via,
        origins=[fact.source, *fact.origins],
        labels=fact.labels,
        recorded_at=datetime.fromisoformat(recorded) if recorded else fact.recorded,
        happened_at=None if fact.resource["resourceType"] == "Patient" else datetime.fromisoformat(fact.order[0]),
        fact_key=key,
        facets=facets,
        raw=fact.raw if row is None else None,
    )


def _stamp(fact: Fact) -> list[str]:
    """Return what is kept of a facet: its order, when it was recorded, and whether by a register."""
    recorded = fact.recorded.astimezone(UTC).isoformat(timespec="microseconds") if fact.recorded else ""
    return [*fact.order, recorded, REGISTERED if fact.registered else ""]


def _merge(current: Json, stated: Json, facets: dict[str, tuple[str, ...]], newer: list[str]) -> Json:
    """Return the current resource with the newer parts replaced by what is stated of them."""
    merged = dict(current)
    for name in newer:
        for element in facets[name]:
            merged.pop(element, None)
            if element in stated:
                merged[element] = stated[element]
    return merged
