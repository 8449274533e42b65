"""What was, through the door: history, one resource as of an instant, and the whole of one record.

Each statement decides, fetches and logs in one snapshot, as in access.py. History on type and
system level follows the numbers of the sequencer and trails the present by at most two seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overblik.fhir.compartment import is_shared
from overblik.fhir.errors import Forbidden, Gone, Malformed, NotFound
from overblik.store.history import history_floor, history_of_many
from overblik.store.queries import sql, sql_for
from overblik.trust.callers.identity import require, require_kind
from overblik.trust.door.access import Page, disclosed, storable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from overblik.fhir.dates import Interval
    from overblik.fhir.strict_json import Json
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.access import Disclosed, Door, Place


WALK = 10_000
"""How many changes one page of a type's history looks through, for those who see most of them.

What a page holds then tells a source of its own changes only, and of nobody else's.
"""
HIGHEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Span:
    """Which versions of a history: known since an instant, or current at some time of an interval."""

    since: datetime | None = None
    at: Interval | None = None
    count: int = 50
    cursor: str = ""

    def params(self) -> dict[str, Any]:
        """Return the parameters that every history statement takes; one row more than is shown."""
        return {
            "since": self.since,
            "at_from": self.at.start if self.at else None,
            "at_to": self.at.end if self.at else None,
            "count": self.count,
            "limit": self.count + 1,
        }


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a record `everything` gives; the period is that of care."""

    types: tuple[str, ...] = ()
    since: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    count: int = 50
    cursor: str = ""


async def of_one(door: Door, caller: Caller, resource_type: str, resource_id: str, span: Span) -> Page:
    """Return one page of a resource's versions, newest first; NotFound for hidden and absent alike."""
    require(caller, "read", resource_type)
    scope = f"{caller.viewer}|history|{resource_type}/{resource_id}|{span.since}|{span.at}"
    before = _opened(door, span.cursor, scope)
    params = span.params() | {"before": before[0] if before else None}
    if is_shared(resource_type):
        params |= {"type": resource_type, "id": storable(resource_id)}
        rows = await door.database.fetch_quick(sql("shared_history_of_one"), params)
    else:
        place = await door.locate(resource_type, resource_id)
        params |= _params(door, caller, "history", f"{resource_type}/{resource_id}/_history", place)
        rows = await door.database.fetch_quick(sql_for("history_of_one", caller.kind), params)
    if not rows:
        raise NotFound
    return await _page(
        door, caller, [row for row in rows if row.version is not None], span.count, scope, lambda row: [row.version]
    )


async def of_many(door: Door, caller: Caller, resource_type: str, span: Span) -> Page:
    """Return one page of the versions of a type ("" for every type), the last that became known first."""
    require(caller, "read", resource_type or "*", letters="rs")
    if not resource_type and (caller.is_citizen or caller.kind == "professional"):
        raise Forbidden("not-for-this-caller", "Your sign-in does not cover this interaction.")
    scope = f"{caller.viewer}|history|{resource_type}|{span.since}|{span.at}"
    before: list[int] | list[None] = _opened(door, span.cursor, scope) or [None, None]
    params = span.params() | caller.params(door.clock.now(), "history", f"{resource_type}/_history".lstrip("/"))
    params |= {"type": resource_type, "before": before[0], "before_rid": before[1], "walk": WALK, "floor": None}
    params |= caller.reached("rs")
    shared = bool(resource_type) and is_shared(resource_type)
    below = None
    if caller.kind in {"source", "system"} and not shared:
        found = await door.database.fetch(history_floor(caller.kind, shared=shared), params)
        below = found[0] if found and (span.since is None or found[0].instant >= span.since) else None
        params["floor"] = found[0].seq if found else None
    rows = await door.database.fetch(history_of_many(caller.kind, shared=shared), params)
    if not any(row.pid for row in rows[: span.count]) and not shared:
        await door.database.fetch_quick(sql("log_disclosure"), params | {"pid": 0, "rule": "no match"})
    page = await _page(door, caller, rows, span.count, scope, lambda row: [row.seq, row.rid])
    if below is None or len(rows) > span.count:
        return page
    return Page(page.entries, door.cursors.seal(f"{below.seq}:{HIGHEST}", scope))


async def as_of(door: Door, caller: Caller, resource_type: str, resource_id: str, moment: datetime) -> Disclosed:
    """Return a resource as it was known at an instant; NotFound where it was not known then."""
    require(caller, "read", resource_type)
    if is_shared(resource_type):
        params: dict[str, Any] = {"type": resource_type, "id": storable(resource_id), "as_of": moment}
        rows = await door.database.fetch_quick(sql("read_shared_as_of"), params)
    else:
        place = await door.locate(resource_type, resource_id)
        what = f"{resource_type}/{resource_id}?asOf={moment.isoformat()}"
        params = _params(door, caller, "read", what, place) | {"as_of": moment}
        rows = await door.database.fetch_quick(sql_for("read_as_of", caller.kind), params)
    if not rows:
        raise NotFound
    if rows[0].deleted:
        raise Gone("deleted", "This resource was deleted.")
    return (await door.shielded(caller, [disclosed(rows[0])]))[0]


async def everything(door: Door, caller: Caller, patient_id: str, part: Part, text: str) -> Page:
    """Return one page of the record that a visible Patient opens; `text` is the request, for the log."""
    require(caller, "read", "Patient", *part.types, letters="rs")
    scope = f"{caller.viewer}|everything|{patient_id}|{part.types}|{part.since}|{part.start}|{part.end}"
    after = _opened(door, part.cursor, scope)
    place = await door.locate("Patient", patient_id)
    params = _params(door, caller, "everything", text, place) | {
        "types": list(part.types) or None,
        "since": part.since,
        "start": part.start,
        "end": part.end,
        "after": after[1] if after else None,
        "after_patients": bool(after[0]) if after else None,
        "count": part.count,
        "limit": part.count + 1,
        **caller.reached("rs"),
    }
    rows = await door.database.fetch(sql_for("everything", caller.kind), params)
    if rows[0].rule is None:
        raise NotFound
    found = [row for row in rows if row.rid is not None]
    return await _page(door, caller, found, part.count, scope, lambda row: [int(row.type != "Patient"), row.rid])


async def last_observations(
    door: Door, caller: Caller, patient_id: str, text: str, choose: Callable[[list[Json]], Iterable[int]]
) -> list[Disclosed]:
    """Return those of a record's visible Observations that `choose` picks, by their places in its list.

    Only what is picked is read through the door, decided again and logged.
    """
    require(caller, "read", "Observation", letters="rs")
    place = await door.locate("Patient", patient_id)
    params = _params(door, caller, "lastn", text, place)
    rows = await door.database.fetch(sql_for("observations", caller.kind), params)
    known = [row for row in rows if row.rid is not None]
    picked = [known[number].rid for number in choose([disclosed(row).json() for row in known])]
    rows = await door.database.fetch(sql_for("read_rows", caller.kind), params | {"rids": picked})
    if rows[0].rule is None:
        raise NotFound
    by_rid = {row.rid: disclosed(row) for row in rows if row.rid is not None}
    return [by_rid[rid] for rid in picked if rid in by_rid]


async def shared(door: Door, caller: Caller, named: Iterable[tuple[str, str]]) -> list[Disclosed]:
    """Return those of the named (type, id) that belong to no patient and exist."""
    require_kind(caller, "read")
    wanted = [(kind, name) for kind, name in named if is_shared(kind) and "\x00" not in name]
    if caller.reach is not None:
        wanted = [one for one in wanted if caller.reach.covers("r", one[:1])]
    if not wanted:
        return []
    params = {"types": [kind for kind, _ in wanted], "ids": [name for _, name in wanted]}
    return [disclosed(row) for row in await door.database.fetch(sql("read_shared_many"), params)]


def _params(door: Door, caller: Caller, action: str, what: str, place: Place) -> dict[str, Any]:
    shared = caller.params(door.clock.now(), action, what.replace("\x00", "?"))
    return shared | {"pid": place.pid, "rid": place.rid, "pids": list(place.pids)}


def _opened(door: Door, cursor: str, scope: str) -> list[int]:
    """Return the place a cursor continues after, [] for the first page."""
    if not cursor:
        return []
    try:
        return [int(part) for part in door.cursors.open(cursor, scope).split(":")]
    except ValueError:
        raise Malformed("cursor-invalid", "This page link is not valid here; search again.") from None


async def _page(
    door: Door, caller: Caller, rows: list[Any], count: int, scope: str, key: Callable[[Any], list[int]]
) -> Page:
    shown = rows[:count]
    more = len(rows) > count and bool(shown)
    cursor = door.cursors.seal(":".join(map(str, key(shown[-1]))), scope) if more else ""
    return Page(await door.shielded(caller, map(disclosed, shown)), cursor)
