"""What a ledger promises, held against what the database has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from tests.kill.ledger import digest_of

if TYPE_CHECKING:
    import psycopg

    from tests.kill.ledger import Line

UNLOGGED = """
with versions as (
    select pid, rid, version from resource union all select pid, rid, version from history
), logged as (
    select a.pid, n.rid, n.version from access_log a, unnest(a.rids, a.versions) as n (rid, version)
    where a.outcome = 'permit' and a.action not in ('read', 'search', 'overview')
)
select l.type, l.id, v.version from versions v join locator l using (pid, rid)
where not exists (select from logged g where (g.pid, g.rid, g.version) = (v.pid, v.rid, v.version))
"""
"""Every version ever written needs the log entry that was written with it."""

ENTRIES = """
select a.request::text, l.type, l.id, n.version
from access_log a, unnest(a.rids, a.versions) as n (rid, version), locator l
where l.pid = a.pid and l.rid = n.rid and a.outcome = 'permit'
"""

MESSAGES = """
select encode(sha256(w.body), 'hex'), count(*),
       min((select count(*) from resource r where r.pid = w.pid and r.fact_key is not null))
from raw w group by 1
"""

TWICE = "select id from (select type, id from resource) r group by type, id having count(*) > 1"


def problems(
    connection: psycopg.Connection[Any], address: str, header: dict[str, str], told: dict[str, Line], unsure: set[str]
) -> list[str]:
    """Return everything that is not as acknowledged: lost, torn, twice, or without its entry."""
    found = [f"written without an entry: {row}" for row in connection.execute(UNLOGGED).fetchall()]
    found += [f"twice: {row}" for row in connection.execute(TWICE).fetchall()]
    entries = {tuple(row) for row in connection.execute(ENTRIES).fetchall()}
    messages = {str(d): (n, facts) for d, n, facts in connection.execute(MESSAGES).fetchall()}
    with httpx.Client(base_url=f"{address}/fhir", headers=header, timeout=30) as http:
        for line in told.values():
            if line.kind == "message":
                if messages.get(line.digest, (0, 0))[0] != 1:
                    found.append(f"message {line.key}: kept {messages.get(line.digest)}")
                continue
            found += _resource(http, line, entries)
        for key in unsure:
            found += _whole_or_absent(http, key)
    facts = {facts for _, facts in messages.values()}
    if len(facts) > 1:
        found.append(f"messages were applied in part: {facts} facts a message")
    return found


def _resource(http: httpx.Client, line: Line, entries: set[tuple[Any, ...]]) -> list[str]:
    found = []
    for index, (kind, identifier, version) in enumerate(line.places):
        if (line.request, kind, identifier, version) not in entries:
            found.append(f"{line.kind} {line.key}: no entry of {kind}/{identifier} in request {line.request}")
        response = http.get(f"/{kind}/{identifier}/_history/{version}")
        if response.status_code != 200:
            found.append(f"{line.kind} {line.key}: lost ({response.status_code})")
        elif index == 0 and digest_of(json.loads(response.content)) != line.digest:
            found.append(f"{line.kind} {line.key}: not what was acknowledged")
    return found


def _whole_or_absent(http: httpx.Client, key: str) -> list[str]:
    """What was sent and never answered may be there or not, but never half, never twice."""
    system = "urn:overblik:kill"
    totals = {
        name: len(http.get("/Observation", params={"identifier": f"{system}|{name}"}).json().get("entry", []))
        for name in (key, f"{key}.a", f"{key}.b")
    }
    alone, a, b = totals.values()
    return [f"{key}: in part or twice: {totals}"] if alone > 1 or a != b or a > 1 else []
