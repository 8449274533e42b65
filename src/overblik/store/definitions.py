"""The search parameters that are defined in the database: read as a catalogue, begun and ended.

Everything happens in the transaction of the SearchParameter resource that defines. Rows that others
write at the same time by the definitions before are either refused (write.sql, put_resource) or seen by
the pass that follows (passes.py).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from overblik.fhir.definitions import SearchParameter, r4
from overblik.fhir.errors import Unprocessable
from overblik.fhir.index.catalogue import FIRST_PLACE, LAST_PLACE, MOST_OF_TYPE, Catalogue, Custom, kept_name
from overblik.fhir.index.parameters import measured, number_of, standards
from overblik.store.queries import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overblik.store.database import Database, Transaction

LOCK = 7_013_202
MOST_UNTIL_DONE = 99


async def read_catalogue(database: Database | Transaction) -> Catalogue:
    """Return the definitions in force."""
    rows = await database.fetch(sql("read_catalogue"))
    places: dict[int, list[tuple[str, int]]] = {}
    params: dict[int, SearchParameter] = {}
    progress: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.number is None:
            continue
        param = params.setdefault(row.number, _param(row.definition))
        places.setdefault(row.number, []).append((row.type, row.place))
        if not row.indexed:
            done = 100 * row.done // row.total if row.total else 0
            progress[row.type, param.code] = min(done, MOST_UNTIL_DONE)
    by_type: dict[str, list[Custom]] = {}
    for number, param in params.items():
        custom = Custom(number, param, tuple(places[number]))
        for kind, _ in places[number]:
            by_type.setdefault(kind, []).append(custom)
    return Catalogue(rows[0].generation, {kind: tuple(found) for kind, found in by_type.items()}, progress)


def _param(stated: dict[str, Any]) -> SearchParameter:
    lists = {name: tuple(stated[name]) for name in ("base", "target")}
    return SearchParameter(**stated | lists | {"component": tuple((url, path) for url, path in stated["component"])})


async def define(transaction: Transaction, resource_id: str, param: SearchParameter | None) -> bool:
    """Let a SearchParameter resource define `param` from now on, or nothing; say whether that changes anything.

    Unprocessable where another defines that code, or a type has no room for one more.
    """
    await transaction.fetch(sql("lock_key"), {"key": LOCK})
    known = await transaction.fetch(sql("read_definitions"))
    own = {row.number: row.definition for row in known if row.id == resource_id and not row.ended}
    stated = _stated(param) if param is not None else None
    if list(own.values()) == ([stated] if stated is not None else []):
        return False
    generation = (await transaction.fetch(sql("next_generation")))[0].generation
    for number in own:
        await transaction.run(sql("end_definition"), {"number": number, "generation": generation})
    if param is not None:
        places = _places(param, [row for row in known if row.number not in own], known)
        number = await _number(transaction, param)
        row = {"number": number, "id": resource_id, "definition": Jsonb(stated), "generation": generation}
        await transaction.run(sql("put_definition"), row)
        placed = [{"type": kind, "place": place, "number": number} for kind, place in places.items()]
        await transaction.run_many(sql("put_place"), placed)
    return True


def _stated(param: SearchParameter) -> dict[str, Any]:
    """Return a definition as JSON keeps it: lists where it has tuples."""
    lists = {"base": list(param.base), "target": list(param.target)}
    return asdict(param) | lists | {"component": [list(part) for part in param.component]}


def _places(param: SearchParameter, others: Iterable[Any], known: Iterable[Any]) -> dict[str, int]:
    """Return a free bit of each type; a code can be defined once, and a bit is free once no row has it."""
    for row in others:
        if not row.ended and row.definition["code"] == param.code and row.type in param.base:
            text = f"{row.type} has a parameter {param.code!r} already: SearchParameter/{row.id} defines it."
            raise Unprocessable("search-parameter-taken", text, expression="SearchParameter.code", kind="duplicate")
    found = {}
    for kind in param.base:
        taken = {row.place for row in known if row.type == kind}
        free = [place for place in range(LAST_PLACE, FIRST_PLACE - 1, -1) if place not in taken]
        if not free:
            text = f"{kind} has room for {MOST_OF_TYPE} parameters beside the standard's, with those that ended lately."
            raise Unprocessable("search-parameter-limit", text, expression="SearchParameter.base", kind="too-costly")
        found[kind] = free[0]
    return found


async def _number(transaction: Transaction, param: SearchParameter) -> int:
    """Draw a number by which no row of the definition can be taken for one of the standard's parameters."""
    while True:
        number = int((await transaction.fetch(sql("draw_parameter_number")))[0].number)
        own = {number_of(kind, form) for kind in param.base for form in _forms(kept_name(param.code, number))}
        if not own & _numbers():
            return number


def _forms(code: str) -> tuple[str, ...]:
    names = (code, f"{code}$", f"{code}$$", f"{code}:text")
    return names + tuple(measured(name) for name in names[:3])


def _numbers() -> set[int]:
    every = ((kind, code) for kind in r4().resource_types for code in standards(kind))
    return {number_of(kind, form) for kind, code in every for form in _forms(code)}
