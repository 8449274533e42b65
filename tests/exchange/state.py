"""The end state of a store, told so that two stores can be compared: without what each draws for itself.

Server ids, record keys and versions are drawn by chance or depend on the order of arrival. A resource is
called by the key its source gives it instead, and a record by the identifiers it is found by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from overblik.store.body import unpack
from tests.conftest import DATA

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.conftest import World

Json = Any
_DRAWN = re.compile(r"[0-9A-Za-z-]{20,}")


@dataclass(frozen=True, slots=True)
class Message:
    """What became of one delivered content, its copies included."""

    digest: str
    states: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class State:
    """The current resources by name, what became of each content, and each person's overview."""

    resources: dict[str, str]
    messages: frozenset[Message]
    overviews: dict[str, Json]

    def states_of(self, digest: str) -> frozenset[tuple[str, str]]:
        """Return the (state, code) that a content and its copies ended in."""
        return next(m.states for m in self.messages if m.digest == digest)


def files() -> list[Path]:
    """Return the 45 MedCom bundles and the APD, PDC and CPD documents."""
    found = sorted(DATA.glob("medcom-fhir/*/Bundle-*.json"))
    return found + [p for kind in ("APD", "PDC", "CPD") for p in sorted(DATA.glob(f"cda/*{kind}*.xml"))]


async def state_of(world: World) -> State:
    """Return the end state of a world's store."""
    await world.run.drain()
    rows = await world.run.database.fetch("select * from resource order by pid, rid")
    records = await _records(world)
    names = _names(rows, records)
    resources = {names[row.id]: _told(row, names) for row in rows}
    found = await world.run.database.fetch("select digest, state, code from inbox")
    digests = {bytes(row.digest).hex() for row in found}
    messages = {
        Message(d, frozenset((row.state, row.code) for row in found if bytes(row.digest).hex() == d)) for d in digests
    }
    return State(resources, frozenset(messages), await _overviews(world, rows, records, names))


async def versions(world: World) -> list[tuple[Any, ...]]:
    """Return every version of every resource there is: (record, resource, version), history included."""
    query = "select pid, rid, version from resource union all select pid, rid, version from history order by 1, 2, 3"
    return [(row.pid, row.rid, row.version) for row in await world.run.database.fetch(query)]


async def _records(world: World) -> dict[int, str]:
    rows = await world.run.database.fetch("select pid, system, value, source from person_key")
    keys: dict[int, list[str]] = {}
    for row in rows:
        keys.setdefault(row.pid, []).append(f"{row.system}|{row.value}|{row.source}")
    return {pid: " ".join(sorted(found)) for pid, found in keys.items()}


def _names(rows: Iterable[Any], records: dict[int, str]) -> dict[str, str]:
    """Return {server id: name}; a name drawn by chance (one of several stays) gives way to what the body says."""
    found: dict[str, str] = {}
    for row in rows:
        key = re.sub(r"\|[0-9a-zA-Z-]{22,}$", "", row.fact_key) if "|stay|" in row.fact_key else row.fact_key
        stay = unpack(row.type, row.id, 1, row.received_at, row.body).get("period", {}) if key != row.fact_key else ""
        found[row.id] = f"<{records.get(row.pid, '')}|{key}{stay}>"
    assert len(set(found.values())) == len(found), "two resources have one name"
    return found


def _rename(text: str, names: dict[str, str]) -> str:
    return _DRAWN.sub(lambda match: names.get(match[0], match[0]), text)


def _told(row: Any, names: dict[str, str]) -> str:
    """Return a resource with what blocks and readers are told of it."""
    facts = (row.source, row.origins, row.labels, row.deleted, str(row.clinical_from), str(row.clinical_to),
             str(row.recorded_at))  # fmt: skip
    return f"{facts} {_rename(bytes(row.body).decode(), names)}"


async def _overviews(
    world: World, rows: Iterable[Any], records: dict[int, str], names: dict[str, str]
) -> dict[str, Json]:
    """Return each person's overview as the system reads it, opened by the Patient whose name sorts first."""
    patients = sorted((row for row in rows if row.type == "Patient"), key=lambda row: names[row.id], reverse=True)
    opened = {row.pid: row.id for row in patients}
    found = {}
    for pid, patient in opened.items():
        response = await world.get(f"/Patient/{patient}/$overview", world.system())
        assert response.status_code == 200, response.text
        found[records[pid]] = _sorted(response.json(), names)
    return found


_WHEN = ("received", "at", "start", "last", "written")


def _sorted(value: Json, names: dict[str, str]) -> Json:
    """Rename ids, and order what stands beside each other at one time: there the drawn ids decide."""
    if isinstance(value, dict):
        if "id" in value and "origins" in value:
            # A merged item is called by any one of its members.
            assert value["id"] in {origin["reference"] for origin in value["origins"]}
            value = value | {"id": ""}
        return {key: _sorted(item, names) for key, item in value.items()}
    if isinstance(value, list):
        items = [_sorted(item, names) for item in value]
        groups = [sorted(group, key=str) for _, group in groupby(items, key=_when)]
        return [item for group in groups for item in group]
    return _rename(value, names) if isinstance(value, str) else value


def _when(item: Json) -> str:
    return next((str(item[name]) for name in _WHEN if name in item), "") if isinstance(item, dict) else ""
