"""What every condition is made with: the scope it holds in, and a text with its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

if TYPE_CHECKING:
    from overblik.store.visibility import Kind

DIGITS: tuple[LiteralString, ...] = (
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20",
)  # fmt: skip


class Scope(NamedTuple):
    """What a search compiles for: the type, the key of its digests, the kind of access, and which table.

    `row` is the alias of the row a condition is on, `home` the record of the search's own row.
    """

    type: str
    key: bytes
    kind: Kind
    shared: bool = False
    row: LiteralString = "r"
    home: LiteralString = "r.pid"
    hops: int = 0


class Condition(NamedTuple):
    """A condition and its parameters, named without their prefix."""

    text: LiteralString
    params: dict[str, Any]


# A stored body begins inside `meta` (store/body.py).
BODY: LiteralString = """'{"meta":{"x":0' || convert_from({r}.body, 'UTF8')"""
# Bodies are what sources wrote: what PostgreSQL cannot read as jsonb, or is very large, is not read.
READABLE: LiteralString = (
    "case when octet_length({r}.body) < 500000 and pg_input_is_valid(" + BODY + ", 'jsonb') then {test} end"
)
JSON: LiteralString = "(" + BODY + ")::jsonb"

LAST = "\U0010ffff"
"""Sorts after every character in the C collation."""


def item(name: LiteralString, kind: LiteralString, number: int) -> LiteralString:
    """Return one member of an array parameter, counted from 0."""
    return "(%({p}" + name + ")s::" + kind + "[])[" + DIGITS[number] + "]"


def any_of(tests: list[LiteralString]) -> LiteralString:
    """Return a condition that holds where one of several does."""
    text: LiteralString = ""
    for test in tests:
        text += (" or " if text else "") + "(" + test + ")"
    return text or "false"
