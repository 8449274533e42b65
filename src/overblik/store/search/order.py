"""The order of a search as SQL: keys of a row, and the condition that a next page goes on by.

Without `_sort`, or with a type's headline date alone, the order is that of an index (`sort_at`, `rid`).
Any other is computed for each row that matches: dates, numbers and texts from the narrow rows, tokens,
references and uris from the bodies. A row without a value comes before all others where
the order ascends, after them where it descends; of several values the least counts where it ascends,
the greatest where it descends. Every order ends in `rid`, so that pages neither repeat nor miss.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from overblik.fhir.index.ordering import READ, order_paths
from overblik.fhir.index.parameters import headline_date, kept_as, number_of, parameter
from overblik.store.search.scope import JSON, READABLE

if TYPE_CHECKING:
    from overblik.fhir.query import Query, Sort
    from overblik.store.search.scope import Scope

LONGEST = 60
"""Characters of a text that it is ordered by."""
WIDEST = 300
"""Bytes that one key takes in a cursor."""


class Order(NamedTuple):
    """What a statement is ordered by: `keys` are (expression, type, descending), `params` their parameters."""

    keys: tuple[tuple[LiteralString, LiteralString, bool], ...] = ()
    descending: bool = True
    params: dict[str, Any] = {}  # noqa: RUF012 - never changed

    @property
    def width(self) -> int:
        """How many bytes a cursor takes, whatever the row: 0 for the usual."""
        return len(self.keys) * WIDEST


NEWEST = Order()


def order_of(query: Query, scope: Scope) -> Order:
    """Return the order a search asks for."""
    date = "" if scope.shared else headline_date(scope.type)
    match query.sort:
        case ():
            return NEWEST
        case (only,) if only.param == date:
            return Order(descending=only.descending)
    keys: list[tuple[LiteralString, LiteralString, bool]] = []
    params: dict[str, Any] = {}
    for name, sort in zip(_NAMES, query.sort, strict=False):
        expression, kind, values = _key(sort, scope, date)
        keys.append((expression.replace("{p}", name), kind, sort.descending))
        params |= {name + suffix: value for suffix, value in values.items()}
    return Order(tuple(keys), query.sort[-1].descending, params)


_NAMES: tuple[LiteralString, ...] = ("s1", "s2", "s3", "s4")
_LEAST: dict[str, tuple[LiteralString, LiteralString, LiteralString]] = {
    "date": ("index_date x", "x.lo", "'-infinity'::timestamptz"),
    "number": ("index_number x", "x.lo", "'-infinity'::numeric"),
    "quantity": ("index_number x", "x.lo", "'-infinity'::numeric"),
    "string": ("index_string x", 'left(x.value, 60) collate "C"', "''"),
}
_READ: LiteralString = (
    "from (select "
    + READABLE.replace("{test}", JSON).replace("{r}", "r")
    + " as body offset 0) b, unnest(%({p}_paths)s::text[]) p,"
    " jsonb_path_query(b.body, p::jsonpath, '{}', true) v)"
)
_TYPES: dict[str, LiteralString] = {"date": "timestamptz", "string": "text"}


def reads_bodies(resource_type: str, sort: Sort) -> bool:
    """Say whether an order is read from the bodies of what is found: it is of tokens, references and uris."""
    param = parameter(resource_type, sort.param)
    return sort.param not in {"_id", "_lastUpdated"} and param is not None and param.type in READ


def _key(sort: Sort, scope: Scope, date: str) -> tuple[LiteralString, LiteralString, dict[str, Any]]:
    if sort.param == "_id":
        return 'r.id collate "C"', "text", {}
    if sort.param == "_lastUpdated":
        return "date_trunc('milliseconds', r.received_at)", "timestamptz", {}
    if sort.param == date:
        return "r.sort_at", "timestamptz", {}
    param = parameter(scope.type, sort.param)
    kind = param.type if param is not None else ""
    best: LiteralString = "max(" if sort.descending else "min("
    if param is not None and kind in READ:
        text = "coalesce((select " + best + """left(v #>> '{}', 60) collate "C") """ + _READ + ", '')"
        return text, "text", {"_paths": list(order_paths(param, scope.type))}
    table, value, least = _LEAST[kind]
    owner: LiteralString = "0" if scope.shared else "r.pid"
    text = "coalesce((select " + best + value + ") from " + table + " where x.pid = " + owner
    text += " and x.rid = r.rid and x.param = any(%({p}_param)s::integer[])), " + least + ")"
    numbers = [number_of(scope.type, name) for name in kept_as(scope.type, sort.param)]
    return text, _TYPES.get(kind, "numeric"), {"_param": numbers}


def columns(order: Order, alias: LiteralString = "") -> LiteralString:
    """Return the keys as columns of a row that has them, to be added to others."""
    text: LiteralString = ""
    for name, _ in zip(_KEYS, order.keys, strict=False):
        text += ", " + alias + name
    return text


def computed(order: Order) -> LiteralString:
    """Return what computes the keys of a row `r`, once: to be added to its tables."""
    text: LiteralString = ""
    for name, (expression, _, _) in zip(_KEYS, order.keys, strict=False):
        text += (", " if text else "") + expression + " as " + name
    return ", lateral (select " + text + " offset 0) k" if text else ""


def ordered(order: Order, alias: LiteralString, at: LiteralString = "", rid: LiteralString = "") -> LiteralString:
    """Return the list that rows are ordered by; `at` and `rid` where the usual columns are others'."""
    way: LiteralString = " desc" if order.descending else ""
    last = (rid or alias + "rid") + way
    if not order.keys:
        return (at or alias + "sort_at") + way + ", " + last
    text: LiteralString = ""
    for name, (_, _, descending) in zip(_KEYS, order.keys, strict=False):
        text += alias + name + (" desc, " if descending else ", ")
    return text + last


def place(order: Order) -> LiteralString:
    """Return the text that holds where a row `h` stands."""
    if not order.keys:
        return "h.sort_at::text || ' ' || h.rid"
    text: LiteralString = ""
    for name, _ in zip(_KEYS, order.keys, strict=False):
        text += "h." + name + "::text, "
    return "json_build_array(" + text + "h.rid::text)::text"


def following(order: Order, after: str) -> tuple[LiteralString, dict[str, Any]]:
    """Return the condition on what comes after a place, with its parameters."""
    if not after:
        return "", {}
    sign: LiteralString = "<" if order.descending else ">"
    if not order.keys:
        moment, _, rid = after.rpartition(" ")
        text: LiteralString = " and (r.sort_at, r.rid) " + sign + " (%(after_at)s::timestamptz, %(after_rid)s)"
        return text, {"after_at": moment, "after_rid": int(rid)}
    *values, rid = json.loads(after)
    params: dict[str, Any] = {"after_rid": int(rid)}
    text = "r.rid " + sign + " %(after_rid)s"
    for name, (_, kind, descending), value in reversed(list(zip(_KEYS, order.keys, values, strict=False))):
        given: LiteralString = "%(after_" + name + ")s::" + kind
        beyond: LiteralString = "k." + name + (" < " if descending else " > ") + given
        text = "(" + beyond + " or (k." + name + " = " + given + " and " + text + "))"
        params["after_" + name] = value
    return " and " + text, params


_KEYS: tuple[LiteralString, ...] = ("k1", "k2", "k3", "k4")
