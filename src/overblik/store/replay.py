"""Decisions made again from what the log holds: the same rules, on what they then saw (docs/log.md, "Decided again").

The rules are the text that was kept under the entry's policy. What they look at is rebuilt as the entry's snapshot
had it, in views of this one connection that stand before the tables: rows of today that were there then, and rows
left behind by what came later. It reads, and changes nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import namedtuple_row

from overblik.fhir.identifiers import CPR
from overblik.store.policy import GROUND

if TYPE_CHECKING:
    from typing import LiteralString

    from psycopg import Connection

_MOST_TOLD = 100
_OWN_WORD = {
    "break glass", "state relation", "relation unconfirmed", "follow-ups", "follow up", "preview", "erase",
}  # fmt: skip
"""Entries of which no decision is the ground: a relation is written with them, or a deadline or an operator acts."""
_THEN = "current_setting('overblik.snapshot')::pg_snapshot"
_GROUND = """create temp view {table} as
    select {columns} from public.{table} x where pg_visible_in_snapshot(x.ground, {then})
    union all
    select {kept} from public.past_ground p, lateral jsonb_populate_record(null::public.{table}, p.was) x
    where p.kind = '{table}' and pg_visible_in_snapshot(p.since, {then})
      and not pg_visible_in_snapshot(p.until, {then})"""
_SEEN = ("source", "via", "origins", "labels", "others", "clinical_from", "clinical_to")
_RESOURCE = """create temp view resource as
    select {columns} from public.resource r left join lateral (
        select x.* from public.past_ground p, lateral jsonb_populate_record(null::public.resource, p.was) x
        where p.kind = 'resource' and p.pid = r.pid and x.rid = r.rid and not pg_visible_in_snapshot(p.until, {then})
        order by p.until, p.ctid limit 1) w on true"""
_DECIDE = """
with t as (select %(pid)s::bigint as pid),
w as (select coalesce((select s.parts from record_alias s where s.pid = %(pid)s), array[%(pid)s::bigint]) as parts),
p as materialized (select e.rule, e.evidence from t, lateral ({permit}) e)
select (select rule from p) as rule, (select evidence from p) as evidence,
       array(select r.rid from p, w, resource r
             where r.pid = any(w.parts) and r.rid = any(%(rids)s::bigint[]) and {visible}) as seen,
       array(select r.rid from p, w, resource r
             where r.pid = any(w.parts) and r.type = %(type)s and r.id = %(id)s and {visible}) as named,
       exists (select from p, w, resource r
               where r.pid = any(w.parts) and r.type = 'Patient' and not r.deleted and {visible}) as person"""
_ENTRIES = """
select pid, lid, at, action, outcome, rule, evidence, actor_kind, actor, org, on_behalf, query, rids, policy, orgs,
       reach, snapshot
from access_log where (%(after)s::timestamptz is null or (at, lid) > (%(after)s, %(lid)s::uuid))
order by at, lid limit %(limit)s"""
_WAS_THERE = """
select from (select version, cid, pid, received_at from public.resource where rid = any(%(rids)s::bigint[])
             union all select version, cid, pid, received_at from public.history where rid = any(%(rids)s::bigint[])) v
left join public.change c on c.pid = v.pid and c.cid = v.cid
where v.received_at < %(at)s and (%(version)s::integer is null or v.version = %(version)s)
  and (%(as_of)s::timestamptz is null or c.instant <= %(as_of)s) limit 1"""


@dataclass(slots=True)
class Replayed:
    """What came of it: how many decisions were the same, by what they were, and those that were not (the first 100).

    Not decided again: `nobody`, where no record was named; `before`, entries older than policies.
    """

    same: Counter[str] = field(default_factory=Counter)
    other: list[str] = field(default_factory=list)
    others: int = 0
    nobody: int = 0
    before: int = 0


def replay(conninfo: str, *, most: int | None = None, at_once: int = 1000) -> Replayed:
    """Decide every stored decision again, the oldest first; `most` bounds how many."""
    found = Replayed()
    with psycopg.connect(conninfo, row_factory=namedtuple_row, autocommit=True) as connection:
        _stand_before(connection)
        texts = _policies(connection)
        last: dict[str, Any] = {"after": None, "lid": None}
        left = most if most is not None else 2**62
        while left > 0:
            rows: list[Any] = connection.execute(_ENTRIES, last | {"limit": min(at_once, left)}).fetchall()
            for row in rows:
                _again(connection, texts, row, found)
            if not rows:
                break
            last, left = {"after": rows[-1].at, "lid": rows[-1].lid}, left - len(rows)
    return found


def _stand_before(connection: Connection[Any]) -> None:
    """Make the views; they are found before the tables of the same names, by functions too."""
    for table in (*GROUND, "resource"):
        names = [row.name for row in connection.execute(
            "select column_name as name from information_schema.columns where table_schema = 'public'"
            " and table_name = %s order by ordinal_position", [table])]  # fmt: skip
        if table == "resource":
            columns = ", ".join(
                f"case when w.rid is null then r.{n} else w.{n} end as {n}" if n in _SEEN else f"r.{n}" for n in names
            )
            text = _RESOURCE.format(columns=columns, then=_THEN)
        else:
            columns, kept = (", ".join(f"{own if n == 'pid' else 'x'}.{n}" for n in names) for own in ("x", "p"))
            text = _GROUND.format(table=table, columns=columns, kept=kept, then=_THEN)
        made: Any = text
        connection.execute(made)  # names of this schema's own tables and columns


def _policies(connection: Connection[Any]) -> dict[tuple[str, str, bool], LiteralString]:
    """Return the statement that decides, by policy, kind of access, and whether the whole record is asked for."""
    found = {}
    for row in connection.execute("select version, kind, permit, whole, visible from policy"):
        visible = row.visible.replace("{row}", "r")
        for whole in (False, True):
            text: Any = _DECIDE.format(permit=row.whole if whole else row.permit, visible=visible)
            found[row.version, row.kind, whole] = text  # the policy's own text, in a table that is only added to
    return found


def _again(connection: Connection[Any], texts: dict[Any, LiteralString], row: Any, found: Replayed) -> None:
    """Decide one entry again."""
    if row.policy is None:
        found.before += 1
        return
    if row.pid == 0:
        found.nobody += 1
        return
    decide = texts.get((row.policy, row.actor_kind, row.action == "read log"))
    problem = f"its policy {row.policy} is not kept" if decide is None else ""
    if decide is not None:
        connection.execute("select set_config('overblik.snapshot', %s, false)", [row.snapshot])
        now = connection.execute(decide, _params(row)).fetchone()
        problem = _permitted(row, now) if row.outcome == "permit" else _refused(connection, row, now)
    if not problem:
        found.same[f"{row.outcome} {row.actor_kind}"] += 1
        return
    found.others += 1
    if len(found.other) < _MOST_TOLD:
        found.other.append(f"{row.lid} {row.actor_kind} {row.action} {row.outcome} by {row.rule}: {problem}")


def _params(row: Any) -> dict[str, Any]:
    """Return the parameters of the decision, all from the entry."""
    kind, _, rest = row.query.partition("?")[0].partition("/")
    reach = json.loads(row.reach) if row.reach else {}
    return {
        "pid": row.pid, "rids": list(row.rids), "type": kind, "id": rest.partition("/")[0], "now": row.at,
        "system": CPR, "value": {"citizen": row.actor, "proxy": row.on_behalf}.get(row.actor_kind, ""),
        "person": row.actor, "org": row.org, "orgs": row.orgs,
        "via": row.actor if row.actor_kind == "source" else row.actor_kind,
        "reach_user": reach.get("reach_user"), "reach_patient": reach.get("reach_patient"),
        "reach_pids": reach.get("reach_pids"),
    }  # fmt: skip


def _permitted(row: Any, now: Any) -> str:
    """Return how a permit would not be one again, "" where it would."""
    if row.action in _OWN_WORD:
        return ""
    if now.rule is None:
        return "nothing permits it"
    if (now.rule, now.evidence) != (row.rule, row.evidence):
        return f"now by {now.rule} ({now.evidence}), then by {row.rule} ({row.evidence})"
    hidden = set(row.rids) - set(now.seen)
    return f"{len(hidden)} of {len(row.rids)} resources are hidden" if hidden else ""


def _refused(connection: Connection[Any], row: Any, now: Any) -> str:
    """Return how a refusal would not be one again, "" where it would."""
    if now.rule is None or row.rule not in {"none", "no match"}:
        return ""
    if row.action == "look up":
        return "its Patient is visible" if now.person else ""
    if not now.named:
        return ""
    path, _, asked = row.query.partition("?")
    version = path.partition("/_history/")[2]
    as_of = asked.partition("asOf=")[2]
    if version or as_of:
        wanted = {"rids": now.named, "version": version or None, "as_of": as_of or None, "at": row.at}
        return "" if connection.execute(_WAS_THERE, wanted).fetchone() is None else "that version is visible"
    return "what was asked for is visible"
