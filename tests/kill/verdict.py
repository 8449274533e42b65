"""What a ledger promises, held against what the server and its database have."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import httpx

from tests.kill.ledger import digest_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    import psycopg

    from tests.kill.ledger import Line

    Report = Callable[..., None]

Fault = Literal["lost", "torn", "log", "answer"]
"""Not there; not whole, or twice; data and log apart; an answer that should not have been."""

AT_ONCE = 8
KEYS = "urn:overblik:kill"

EVERYWHERE: dict[str, tuple[Fault, str]] = {
    "written without an entry": (
        "log",
        """with versions as (
               select pid, rid, version from resource union all select pid, rid, version from history
           ), logged as (
               select a.pid, n.rid, n.version from access_log a, unnest(a.rids, a.versions) as n (rid, version)
               where a.outcome = 'permit' and a.action not in ('read', 'search', 'overview')
           )
           select l.type, l.id, v.version from versions v join locator l using (pid, rid)
           left join logged g on (g.pid, g.rid, g.version) = (v.pid, v.rid, v.version) where g.pid is null""",
    ),
    "an entry of what was never written": (
        "log",
        """with versions as (
               select pid, rid, version from resource union all select pid, rid, version from history
           )
           select a.request::text, n.rid, n.version
           from access_log a cross join unnest(a.rids, a.versions) as n (rid, version)
           left join versions v on (v.pid, v.rid, v.version) = (a.pid, n.rid, n.version)
           where a.outcome = 'permit' and a.pid <> 0 and v.pid is null""",
    ),
    "an entry that has not one number, or one place in the queue": (
        "log",
        """select a.lid::text, count(g.lid) from access_log a
           left join (select lid from log_leaf union all select lid from log_queue) g using (lid)
           group by a.lid having count(g.lid) <> 1""",
    ),
    "a number given twice": (
        "log",
        """select seq, count(*) from (select seq from log_leaf union all select seq from change where seq is not null) n
           group by seq having count(*) > 1""",
    ),
    "an instant that steps back": (
        "log",
        """select seq from (
               select seq, instant, lag(instant) over (order by seq) as before from change where seq is not null
           ) c where instant < before""",
    ),
    "there twice": ("torn", "select type, id from resource group by type, id having count(*) > 1"),
    "a version that is missing": (
        "torn",
        """select pid, rid, max(version), count(*) from (
               select pid, rid, version from resource union all select pid, rid, version from history
           ) v group by pid, rid having count(*) <> max(version)""",
    ),
    "messages applied in part": (
        "torn",
        """select facts, count(*) from (
               select (select count(*) from resource r where r.pid = w.pid and r.fact_key is not null) as facts
               from raw w
           ) f group by facts having count(*) < (select count(*) from raw)""",
    ),
}
"""What must find nothing, whenever it is asked: of which kind of fault it is, and how to ask."""

ENTRIES = """
select a.request::text, l.type, l.id, n.version
from access_log a cross join unnest(a.rids, a.versions) as n (rid, version)
join locator l on (l.pid, l.rid) = (a.pid, n.rid)
where a.outcome = 'permit' and a.request = any(%s::uuid[])
"""

KEPT = "select encode(sha256(body), 'hex'), count(*) from raw group by 1"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as acknowledged; `round` is the kill it came before, -1 where nobody knows."""

    fault: Fault
    text: str
    round: int = -1


async def problems(
    connection: psycopg.Connection[Any],
    address: str,
    header: dict[str, str],
    told: Iterable[Line],
    unsure: Iterable[Line],
) -> list[Problem]:
    """Return everything that is not as these lines say, and all that is wrong of itself."""
    lines = list(told)
    found = [
        Problem(fault, f"{name}: {row}")
        for name, (fault, text) in EVERYWHERE.items()
        for row in connection.execute(text.encode()).fetchmany(20)
    ]
    entries = {tuple(row) for row in connection.execute(ENTRIES, [[line.request for line in lines]]).fetchall()}
    kept = {str(row[0]): int(row[1]) for row in connection.execute(KEPT).fetchall()}
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(work: Awaitable[list[Problem]]) -> list[Problem]:
        async with turn:
            return await work

    async with httpx.AsyncClient(base_url=f"{address}/fhir", headers=header, timeout=60, verify=False) as http:
        works = [_message(line, kept) if line.kind == "message" else _resource(http, line, entries) for line in lines]
        works += [_whole_or_absent(http, line) for line in unsure if line.kind in SENT_AS]
        for result in await asyncio.gather(*map(one, works)):
            found += result
    return found


async def _message(line: Line, kept: dict[str, int]) -> list[Problem]:
    times = kept.get(line.digest, 0)
    fault: Fault = "lost" if not times else "torn"
    return [] if times == 1 else [Problem(fault, f"message {line.key}: kept {times} times", line.round)]


async def _resource(http: httpx.AsyncClient, line: Line, entries: set[tuple[Any, ...]]) -> list[Problem]:
    found = []
    for index, (kind, identifier, version) in enumerate(line.places):
        name = f"{line.kind} {line.key}"
        if (line.request, kind, identifier, version) not in entries:
            text = f"{name}: no entry of {kind}/{identifier} in request {line.request}"
            found.append(Problem("log", text, line.round))
        response = await http.get(f"/{kind}/{identifier}/_history/{version}")
        if response.status_code != 200:
            found.append(Problem("lost", f"{name}: lost ({response.status_code})", line.round))
        elif index == 0 and digest_of(json.loads(response.content)) != line.digest:
            found.append(Problem("torn", f"{name}: not what was acknowledged", line.round))
    return found


SENT_AS = {"create": ("",), "update": ("",), "transaction": (".a", ".b")}
"""What a request's resources are called after its key."""


async def _whole_or_absent(http: httpx.AsyncClient, line: Line) -> list[Problem]:
    """What was sent and never answered may be there or not, but never half, never twice."""
    totals = []
    for name in SENT_AS[line.kind]:
        found = await http.get("/Observation", params={"identifier": f"{KEYS}|{line.key}{name}"})
        totals.append(len(found.json().get("entry", [])))
    if max(totals) > 1 or len(set(totals)) > 1:
        return [Problem("torn", f"{line.key}: in part or twice: {totals}", line.round)]
    return []
