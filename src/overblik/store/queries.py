"""Named queries: fixed SQL in `sql/*.sql`, each with its name, its scope and what it is for.

    -- name: locate
    -- scope: cross
    -- Where a resource is kept …

Scopes (docs/decisions/004): `patient` names one record and goes whole to one node of a Citus
cluster; `cross` goes by another key or over several records; `shared` only to replicated tables. A test checks
that each declares one.

Placeholders are filled in once: `:permit:`, `:visible:` (row `r`) and `:visible_entry:` (row `q`)
for each kind of access from store/visibility.py; where a statement looks at many rows of the
records `pids` it begins with `blocks as materialized (:blocks:)` and says `:visible_given:`.
`:log_columns:` and `:log_values:` stand for what every log entry has in common. A log entry also
queues itself for its number (`queued`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import LiteralString

from overblik.store.policy import POLICY
from overblik.store.visibility import KINDS, Kind, blocked, blocks, every_relation, permit, visible

_HEAD = re.compile(r"^-- name: (?P<name>\w+)\n-- scope: (?P<scope>patient|cross|shared)\n", re.MULTILINE)


_PARAMETER = re.compile(r"%\((\w+)\)s(?:::text\[\])?")
_BARE = re.compile(r"(--.*\n)*insert into access_log")
_LOGGED = re.compile(r"logged as \(\n(?P<insert>\s+insert into access_log .*?)\n\)", re.DOTALL)

LOG_COLUMNS: LiteralString = """(pid, outcome, rule, evidence, rids, versions, query,
    lid, salt, at, request, channel, action, actor_kind, actor, actor_name, actor_role,
    org, org_name, on_behalf, purpose, reason, orgs, reach, policy, snapshot)"""
LOG_VALUES: LiteralString = """gen_random_uuid(), uuid_send(gen_random_uuid()), %(now)s, %(request)s,
    %(channel)s, %(action)s, %(actor_kind)s, %(actor)s, %(actor_name)s, %(actor_role)s,
    %(org)s, %(org_name)s, %(on_behalf)s, %(purpose)s, %(reason)s, %(orgs)s::text[], %(reach)s, """
LOG_VALUES += f"'{POLICY}', pg_current_snapshot()::text"


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """One statement of a .sql file."""

    name: str
    scope: str
    text: LiteralString


@cache
def named_queries() -> dict[str, NamedQuery]:
    """Read every .sql file beside this module."""
    found: dict[str, NamedQuery] = {}
    for file in sorted(resources.files("overblik.store").joinpath("sql").iterdir(), key=lambda f: f.name):
        text = file.read_text(encoding="utf-8")
        heads = list(_HEAD.finditer(text))
        for head, following in zip(heads, [*heads[1:], None], strict=True):
            body = text[head.end() : following.start() if following else len(text)].strip().rstrip(";")
            body = body.replace(":log_columns:", LOG_COLUMNS).replace(":log_values:", LOG_VALUES)
            if head["name"] in found:
                raise ValueError(f"two queries are named {head['name']}")
            # These files are part of the program: their text is as literal as this source.
            found[head["name"]] = NamedQuery(head["name"], head["scope"], queued(body))
    return found


@cache
def sql(name: str) -> LiteralString:
    """Return a named query that is the same for every kind of access."""
    text = named_queries()[name].text
    if ":permit" in text or ":visible" in text:
        raise ValueError(f"{name} depends on the kind of access; use sql_for")
    return text


@cache
def sql_for_set(name: str, kind: Kind) -> LiteralString:
    """Return a named query that answers many requests of one kind: their parameters are columns of `t`."""
    text = named_queries()[name].text
    head, mark, rest = text.partition(" as u(")
    filled = fill(mark + rest, kind, "t.pids").replace(":log_values:", LOG_VALUES)
    return head + _PARAMETER.sub(r"t.\1", filled)


@cache
def sql_for(name: str, kind: Kind) -> LiteralString:
    """Return a named query for one kind of access."""
    if kind not in KINDS:
        raise ValueError(f"no such kind of access: {kind}")
    text = named_queries()[name].text
    return fill(text, kind, "%(pids)s::bigint[]" if "%(pids)s" in text else "")


def fill(text: LiteralString, kind: Kind, parts: LiteralString = "") -> LiteralString:
    """Fill in the placeholders of one kind of access; `parts` where the statement has the pids of its one record."""
    text = queued(text).replace(":permit:", permit(kind, parts))
    text = text.replace(":permit_whole:", permit(kind, parts, whole=True))
    text = text.replace(":visible_entry:", visible(kind, "q", parts=parts))
    text = text.replace(":visible_given:", visible(kind, given=True, parts=parts))
    text = text.replace(":relations:", every_relation()) if ":relations:" in text else text
    text = text.replace(":blocked:", blocked(parts)) if ":blocked:" in text else text
    return text.replace(":visible:", visible(kind, parts=parts)).replace(":blocks:", blocks(kind, parts))


def queued(text: LiteralString) -> LiteralString:
    """Return a statement whose log entries also stand in the queue of those without a number."""
    queue: LiteralString = "insert into log_queue select pid, at, lid from logged"
    if "insert into access_log" not in text or queue in text:
        return text
    if _BARE.match(text):
        return "with logged as (\n" + text + "\nreturning pid, at, lid)\n" + queue
    if (found := _LOGGED.search(text)) is None:
        raise ValueError("a statement that logs has it in a part `logged as (…)` that ends on a line of its own")
    insert = text[found.start("insert") : found.end("insert")]
    part = "logged as (\n" + insert + "\n    returning pid, at, lid\n),\nqueued as (" + queue + ")"
    return text[: found.start()] + part + text[found.end() :]
