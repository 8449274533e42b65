"""The log through the door, for those whose record it is about: the entries that AuditEvents are made of.

Who may read it is who may read MinLog: the citizen, and who acts for them without limits. Everybody else is
refused before anything is looked up; another's record is as one that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from overblik.fhir.errors import Forbidden, Malformed, NotFound
from overblik.fhir.identifiers import AUTHORISATION, CPR, SOR
from overblik.store.queries import sql, sql_for
from overblik.trust.callers.identity import require
from overblik.trust.door.access import NOWHERE, Place
from overblik.trust.log.events import SINGLE, SOURCE
from overblik.trust.withheld import named, withheld_units

if TYPE_CHECKING:
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.access import Door


@dataclass(frozen=True, slots=True)
class Asked:
    """What a search of the log asks for; None is anything. `patient` is "" for the caller's own record.

    `agents` are (system or None, value), `agent` and `about` (type, id), `names` beginnings of words.
    """

    patient: str = ""
    start: datetime | None = None
    end: datetime | None = None
    outcomes: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None
    agents: tuple[tuple[str | None, str], ...] | None = None
    agent: tuple[str, str] | None = None
    names: tuple[str, ...] | None = None
    about: tuple[str, str] | None = None
    count: int = 50
    cursor: str = ""
    text: str = ""

    def params(self, own: str) -> dict[str, Any]:
        """Return the parameters of what is asked; `own` is the number of the person whose record it is."""
        agents = self.agents or ()
        return {
            "start": self.start,
            "end": self.end,
            "outcomes": _listed(self.outcomes),
            "done": _listed(self.actions),
            "agents": None
            if self.agents is None and self.agent is None
            else [v for s, v in agents if s in {None, AUTHORISATION, SOURCE}],
            "units": [v for s, v in agents if s in {None, SOR}],
            "own": any(s in {None, CPR} and v == own for s, v in agents),
            "called": _listed(self.names),
        }


def _listed(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)


async def search(door: Door, caller: Caller, asked: Asked) -> tuple[list[Any], str]:
    """Return one page of entries, newest first, and the cursor of the next one ("" on the last).

    Another's record, and one that is not there, have none.
    """
    _require(caller, "s")
    scope = f"{caller.viewer}|{caller.subject}|events|{asked.text}"
    before = _opened(door, asked.cursor, scope)
    rows = await _rows(door, caller, asked, before, asked.count + 1, f"AuditEvent?{asked.text}")
    shown = rows[: asked.count]
    more = len(rows) > asked.count and bool(shown)
    return shown, _sealed(door, shown[-1], scope) if more else ""


async def read(door: Door, caller: Caller, event_id: str) -> Any:
    """Return one entry of the caller's record; NotFound for another's and for one that is not there."""
    _require(caller, "r")
    try:
        lid = UUID(event_id)
    except ValueError:
        lid = UUID(int=0)
    rows = await _rows(door, caller, Asked(), None, 1, f"AuditEvent/{event_id}", lid=lid)
    if not rows or str(rows[0].lid) != event_id:
        raise NotFound
    return rows[0]


def _require(caller: Caller, letter: str) -> None:
    require(caller, "read", "AuditEvent", letters=letter)
    if not caller.is_citizen:
        raise Forbidden("not-for-this-caller", "Your sign-in does not cover this interaction.")


async def _rows(
    door: Door, caller: Caller, asked: Asked, before: tuple[datetime, UUID] | None, limit: int, text: str,
    *, lid: UUID | None = None,
) -> list[Any]:  # fmt: skip
    place = await door.locate("Patient", asked.patient) if asked.patient else await _own(door, caller)
    about = await door.locate(*asked.about) if asked.about else None
    found = asked.params(caller.subject)
    if asked.agent:
        found["own"] = (await door.locate(*asked.agent)).pid in place.pids if asked.agent[0] == "Patient" else False
    if asked.about and asked.about[0] == "Patient" and about and about.pid in place.pids:
        about = None  # every entry is about the patient
    params = caller.params(door.clock.now(), "read log", text.replace("\x00", "?")) | found
    params |= {
        "pid": place.pid,
        "rid": place.rid,
        "pids": list(place.pids),
        "parts": _reached(caller, place, "r" if lid else "s"),
    }
    params |= {"about": [about.rid] if about else None, "single": SINGLE, "limit": limit, "lid": lid}
    params |= {"before": before[0] if before else None, "before_lid": before[1] if before else None}
    params["withheld"] = sorted(await withheld_units(door.database))
    return await named(door, caller, await door.database.fetch_quick(sql_for("read_events", caller.kind), params))


async def _own(door: Door, caller: Caller) -> Place:
    params = {"system": CPR, "value": caller.subject}
    rows = await door.database.look_up(sql("own_record"), params)
    return Place(rows[0].pid, 0, tuple(rows[0].pids)) if rows else NOWHERE


def _reached(caller: Caller, place: Place, letter: str) -> list[int]:
    """Return the parts of a record whose log an app's scopes reach."""
    if caller.reach is None or {"*", "AuditEvent"} & set(caller.reach.scopes.types(letter, "user", "system")):
        return list(place.pids)
    return [pid for pid in place.pids if pid in caller.reach.pids]


def _sealed(door: Door, row: Any, scope: str) -> str:
    return door.cursors.seal(f"{row.at.isoformat()} {row.lid.hex}", scope)


def _opened(door: Door, cursor: str, scope: str) -> tuple[datetime, UUID] | None:
    if not cursor:
        return None
    at, _, lid = door.cursors.open(cursor, scope).partition(" ")
    try:
        return datetime.fromisoformat(at), UUID(lid)
    except ValueError:
        raise Malformed("cursor-invalid", "This page link is not valid here; search again.") from None
