"""What is above or below a resource, asked through the door: a search for each level, decided and logged as any.

So what is hidden links nothing, as if it were not there; who is on the way has a log entry; and a citizen,
a professional and a source each follow what they see (https://hl7.org/fhir/R4/search.html#recursive).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from overblik.fhir.compartment import is_shared
from overblik.fhir.errors import Malformed, Unprocessable
from overblik.fhir.query import MOST_COUNT, Ids, Links, Query
from overblik.fhir.query.hierarchies import PART_OF, asked_of, resolved
from overblik.fhir.references import elsewhere, parse_reference
from overblik.trust.door import searching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overblik.fhir.query.tree import Levels
    from overblik.fhir.strict_json import Json
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.access import Disclosed, Door

DEEPEST = 20
MOST_NODES = MOST_COUNT
"""Levels that are followed, and resources that one value may stand for."""


async def without_levels(door: Door, caller: Caller, query: Query) -> Query:
    """Return a query whose hierarchies have been followed as the caller."""
    asked = list(dict.fromkeys(asked_of(query.criteria)))
    if not asked:
        return query
    if query.as_of is not None and any(not is_shared(kind) for one in asked for kind, _ in one.start):
        text = "asOf does not go with :above and :below of what belongs to patients; ask for the resources themselves."
        raise Malformed("as-of-of-whom", text, expression="http.asOf")
    known = {one: await _references(door, caller, one) for one in asked}
    return replace(query, criteria=tuple(resolved(criterion, known) for criterion in query.criteria))


async def _references(door: Door, caller: Caller, asked: Levels) -> tuple[str, ...]:
    """Return `Type/id` of what a criterion starts from, and of all that the caller sees above or below it."""
    follow = _upwards if asked.up else _downwards
    found: list[str] = []
    for kind in dict.fromkeys(kind for kind, _ in asked.start):
        start = [identifier for one, identifier in asked.start if one == kind]
        found += [f"{kind}/{identifier}" for identifier in await follow(door, caller, kind, start, asked)]
    return tuple(found)


async def _downwards(door: Door, caller: Caller, kind: str, start: list[str], asked: Levels) -> list[str]:
    """Collect whatever is part of one of `start`, or of one that is."""
    known, level = dict.fromkeys(start), start
    for _ in range(DEEPEST):
        criterion = Links(PART_OF[kind], tuple(f"{kind}/{identifier}" for identifier in level))
        level = [one.id for one in await _found(door, caller, Query(kind, (criterion,), MOST_NODES), asked)]
        level = [identifier for identifier in level if identifier not in known]
        known |= dict.fromkeys(level)
        if len(known) > MOST_NODES:
            break
        if not level:
            return list(known)
    raise _too_large(asked.param)


async def _upwards(door: Door, caller: Caller, kind: str, start: list[str], asked: Levels) -> list[str]:
    """Collect whatever one of `start` is part of, and what that is."""
    known, level = dict.fromkeys(start), start
    for _ in range(DEEPEST):
        read = await _found(door, caller, Query(kind, (Ids(tuple(level)),), MOST_NODES), asked)
        known |= dict.fromkeys(one.id for one in read)
        above = [parse_reference(text) for one in read for text in _wholes(one.json())]
        level = [one.id for one in above if one is not None and one.type == kind and not elsewhere(one)]
        level = [identifier for identifier in dict.fromkeys(level) if identifier not in known]
        if len(known) > MOST_NODES:
            break
        if not level:
            return list(known)
    raise _too_large(asked.param)


def _wholes(resource: Json) -> Iterator[str]:
    """Walk the references to what a resource is part of; a CarePlan may be part of several."""
    stated = resource.get("partOf", ())
    for part in stated if isinstance(stated, list) else [stated]:
        yield str(part.get("reference", "") if part else "")


async def _found(door: Door, caller: Caller, query: Query, asked: Levels) -> tuple[Disclosed, ...]:
    """Search one level; the log says what it was for."""
    start = ",".join(identifier for kind, identifier in asked.start if kind == query.type)
    text = f"{query.type}?{PART_OF[query.type]}:{'above' if asked.up else 'below'}={start}"
    page = await searching.search(door, caller, query, text)
    if page.cursor:
        raise _too_large(asked.param)
    return page.entries


def _too_large(param: str) -> Unprocessable:
    text = f"{param} leads through more than {DEEPEST} levels or {MOST_NODES} resources; begin further down."
    return Unprocessable("hierarchy-too-large", text, kind="too-costly", expression=f"http.{param}")
