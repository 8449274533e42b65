"""History on type and system level: the same statement for every kind of access, over the records it may concern.

`:records:` narrows the walk over `change c` to records that could be permitted, so that the page of
someone with few patients costs by their patients and not by the system's. It decides nothing: the
decision stands beside it in the statement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from overblik.store.queries import sql, sql_for

if TYPE_CHECKING:
    from overblik.store.visibility import Kind

_ALIASES: LiteralString = """(
    select pid from ({own}) m
    union select s.pid from ({own}) m join record_alias o on o.pid = m.pid join record_alias s on s.root = o.root)"""
_RECORDS: dict[Kind, LiteralString] = {
    "citizen": "c.pid in "
    + _ALIASES.replace(
        "{own}",
        "select k.pid from person_key k where k.system = %(system)s and k.value = %(value)s and k.source = ''",
    ),
    "proxy": "c.pid in "
    + _ALIASES.replace(
        "{own}",
        "select k.pid from person_key k where k.system = %(system)s and k.value = %(value)s and k.source = ''",
    ),
    "professional": "c.pid in "
    + _ALIASES.replace(
        "{own}",
        "select l.pid from relation l where l.org = any(%(orgs)s::text[])"
        " and l.valid_from <= %(now)s and l.valid_until > %(now)s",
    ),
    "source": "c.via = %(via)s",
    "system": "true",
}


def history_of_many(kind: Kind, *, shared: bool) -> LiteralString:
    """Return the statement of one page; `shared` for a type that belongs to no patient."""
    return sql_for("history_of_many", kind).replace(":records:", _records(kind, shared=shared))


def history_floor(kind: Kind, *, shared: bool) -> LiteralString:
    """Return the statement of how far down a page walks."""
    return sql("history_floor").replace(":records:", _records(kind, shared=shared))


def _records(kind: Kind, *, shared: bool) -> LiteralString:
    return "c.pid = 0" if shared else _RECORDS[kind]
