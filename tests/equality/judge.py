"""The log of a server, held against what a proxy saw it send: caller, patient, resource and version."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overblik.fhir.identifiers import CPR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg

    from tests.equality.proxy import Sent

OVER = " #"
"""Stands in the logged question where more than a hundred were shown: then their digest is logged."""


@dataclass(slots=True)
class Log:
    """What the database says: entries by request, and how a row key is called outside."""

    entries: dict[str, list[Any]]
    names: dict[tuple[int, int], tuple[str, str]]
    persons: dict[str, set[int]]
    known: set[str]


def read_log(connection: psycopg.Connection[Any], known: set[str]) -> Log:
    """Read all of it; `known` are requests that went past the proxy before it was there."""
    entries: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(
        "select request::text, pid, outcome, actor_kind || ' ' || actor, action, query, rids, versions from access_log"
    ):
        entries[str(row[0])].append(row[1:])
    names = {(p, r): (t, i) for t, i, p, r in connection.execute("select type, id, pid, rid from locator")}
    persons: dict[str, set[int]] = defaultdict(set)
    for value, pid in connection.execute("select value, pid from person_key where system = %s", [CPR]):
        persons[value].add(pid)
    return Log(entries, names, persons, known)


def differences(log: Log, sent: Iterable[Sent], callers: Mapping[str, str], people: Mapping[str, str]) -> list[str]:
    """Return what left without an entry, what was logged and never left, who stands there as somebody else.

    `callers` are kind and id by their labels, `people` CPRs by the names that pages show.
    """
    found: list[str] = []
    lost, seen = 0, set(log.known)
    for one in sent:
        where = f"{one.caller} {one.method} {one.path} ({one.status}{'' if one.whole else ', cut off'})"
        seen.add(one.request)
        lost += not one.request
        entries = log.entries.get(one.request, []) if one.request else []
        found += [f"{where}: {problem}" for problem in _problems(log, one, entries, callers, people)]
    orphans = {request for request in log.entries if request not in seen}
    if len(orphans) > lost:
        found.append(f"{len(orphans)} requests were logged and never answered; {lost} were cut off")
    return found


def _problems(
    log: Log, one: Sent, entries: list[Any], callers: Mapping[str, str], people: Mapping[str, str]
) -> list[str]:
    problems = [f"logged as {who}" for _, _, who, *_ in entries if who != callers[one.caller]]
    permitted = [entry for entry in entries if entry[1] == "permit"]
    logged = {
        (*log.names[pid, rid], version)
        for pid, _, _, _, _, rids, versions in permitted
        for rid, version in zip(rids, versions, strict=True)
        if (pid, rid) in log.names
    }
    if one.status >= 400 and (one.disclosed or one.named or one.html):
        problems.append("an error discloses")
    if one.status in {404, 410} and not entries:
        problems.append("refused without an entry")
    if any(OVER in entry[4] for entry in entries if entry[3] == "overview"):
        return problems
    known = {f"{kind}/{name}" for kind, name, _ in logged}
    problems += [f"left without an entry: {item}" for item in sorted(map(str, one.disclosed - logged))]
    problems += [f"named without an entry: {item}" for item in sorted(one.named - known)]
    if one.whole and one.status == 200 and one.disclosed and not one.named:
        problems += [f"logged and never left: {item}" for item in sorted(map(str, logged - one.disclosed))]
    if "AuditEvent" in one.path and one.status == 200 and not any(e[3] == "read log" for e in entries):
        problems.append("the log was read without an entry")
    told = {entry[0] for entry in permitted}
    for name, cpr in people.items():
        if one.html and (name in one.html or cpr in one.html) and not log.persons[cpr] & told:
            problems.append(f"a page shows {name} without an entry")
    return problems
