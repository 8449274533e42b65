"""Searches through the door: decided, filtered, counted and logged in one statement each.

A page's log entries name what stands on it. A total tells something of everybody it counts, so each
record counted has an entry too, which names no resource; the query in it says that it was a count.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from overblik.fhir.compartment import is_shared
from overblik.fhir.errors import Forbidden, Malformed, Unprocessable
from overblik.fhir.index.catalogue import using
from overblik.fhir.query import FullText, Ids, Patients, searched
from overblik.store.body import unpack
from overblik.store.queries import sql
from overblik.store.search import Compiled, compile_count, compile_search, compile_shared, compile_shared_count
from overblik.store.search.order import reads_bodies
from overblik.store.search.past import Then, in_past, index_of, read_past, records
from overblik.trust.callers.identity import require
from overblik.trust.door.access import Page, disclosed
from overblik.trust.door.cursors import WIDTH
from overblik.trust.door.including import included

if TYPE_CHECKING:
    from overblik.fhir.query import Query
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.access import Door

QUICK = 100
"""Matches of a page that is fetched beside others: what fills a connection is not."""
MOST_COUNTED = 100_000
MOST_ESTIMATED = 10_000
"""A rough total costs no more than to look at so many; beyond them it is left out."""
_CPR = re.compile(r"(?:(?<=%[0-9A-Fa-f]{2})|(?<![0-9]))[0-9]{6}-?[0-9]{4}(?![0-9])")
MOST_PAST = 5_000
"""Superseded versions that a search of the past indexes."""


async def search(door: Door, caller: Caller, query: Query, text: str) -> Page:
    """Return one page of a search, with what its links lead to; `text` is the query as asked, for the log.

    The total is counted for the first page, in the same snapshot; the following ones have none.
    """
    with using(query.catalogue):
        return await _search(door, caller, query, text)


async def _search(door: Door, caller: Caller, query: Query, text: str) -> Page:
    _require(caller, query)
    _require_readable(door, query)
    scope = f"{caller.viewer}|{query.type}|{query.applied}"
    after = door.cursors.open(query.cursor, scope) if query.cursor else ""
    most = 0 if after else {"accurate": MOST_COUNTED, "estimate": MOST_ESTIMATED}.get(query.total, 0)
    shared = is_shared(query.type)
    if shared:
        compiled = compile_shared(query, door.index_key, after, most=most)
    else:
        compiled = compile_search(query, caller.kind, door.index_key, after, most=most)
    params = caller.params(door.clock.now(), "search", of_one(text)) | compiled.params
    rows = await _rows(door, caller, query, compiled, params)
    if not rows and not shared:
        await door.database.fetch_quick(sql("log_disclosure"), params | {"pid": 0, "rule": "no match"})
    total = (rows[0].total if rows else 0) if most else None
    if total is not None and total > most:
        if query.total == "accurate":
            raise _too_many("_total")
        total = None
    shown = rows[: query.count]
    more = len(rows) > query.count and bool(shown)
    cursor = door.cursors.seal(str(shown[-1].place), scope, WIDTH + compiled.width) if more else ""
    matches = await door.shielded(caller, map(disclosed, shown))
    if not query.includes:
        return Page(matches, cursor, total)
    params |= {"action": "include", **caller.reached("r")}

    async def run(linked: Compiled) -> list[Any]:
        return await _rows(door, caller, query, linked, params | linked.params)

    more_of_it = await included(run, caller.kind, door.index_key, matches, query.includes)
    if caller.reach is not None:  # what belongs to no patient is narrowed here; all else was in the statement
        more_of_it = tuple(one for one in more_of_it if caller.reach.covers("r", (one.type,)))
    return Page(matches, cursor, total, await door.shielded(caller, more_of_it))


async def count(door: Door, caller: Caller, query: Query, text: str) -> int:
    """Return how many resources a search finds that the caller may see."""
    _require(caller, query)
    _require_readable(door, query)
    with using(query.catalogue):
        if is_shared(query.type):
            compiled = compile_shared_count(query, door.index_key, MOST_COUNTED)
        else:
            compiled = compile_count(query, caller.kind, door.index_key, MOST_COUNTED)
    params = caller.params(door.clock.now(), "count", of_one(text)) | compiled.params
    total = int((await _rows(door, caller, query, compiled, params))[0].total)
    if total > MOST_COUNTED:
        raise _too_many("_summary")
    return total


def _require(caller: Caller, query: Query) -> None:
    """Refuse what may never be asked, before anything is looked up: by whom, through what, of whose texts.

    Scopes must cover every type that a step may lead to: what belongs to no patient is narrowed by nothing else.
    """
    require(caller, "read", query.type, letters="s")
    if caller.reach is not None and not caller.reach.covers("s", searched(query)):
        text = "Your token has no scope for a type that this search goes through: name the one, as in subject:Patient."
        raise Forbidden("scope-missing", text)
    _require_record(caller, query)


def of_one(text: str) -> str:
    """Return a query as the log keeps it: without CPR numbers, where it may find others than the one it names.

    Each patient found has the query in a log of their own, and would read there whom else it was about.
    """
    named = {number.replace("-", "") for number in _CPR.findall(text)}
    others = len(named) > 1 or (named and any(word in text for word in ("not", "_filter")))
    return _CPR.sub("(CPR)", text) if others else text


def _require_record(caller: Caller, query: Query) -> None:
    """Refuse full text over all records: texts are not indexed, but read in the records that are named."""
    if any(isinstance(c, FullText) for c in query.criteria):
        named = caller.is_citizen or any(
            isinstance(c, Ids) or (isinstance(c, Patients) and c.matching is None) for c in query.criteria
        )
        if is_shared(query.type) or not named:
            text = "_text and _content look into the records of patients: name them by patient, or resources by _id."
            raise Malformed("text-of-whom", text, expression="http._content")


def _require_readable(door: Door, query: Query) -> None:
    """Refuse what PostgreSQL would have to read bodies for, where it cannot: they are sealed."""
    if door.reads_texts or is_shared(query.type):
        return
    if any(isinstance(c, FullText) for c in query.criteria):
        text = "Bodies are sealed here, and _text and _content read bodies: search by codes, dates or names instead."
        raise Unprocessable("sealed", text, kind="not-supported", expression="http._content")
    for sort in query.sort:
        if reads_bodies(query.type, sort):
            text = (
                f"Bodies are sealed here, and an order by {sort.param} reads bodies: sort by dates, numbers or texts."
            )
            raise Unprocessable("sealed", text, kind="not-supported", expression="http._sort")


def _too_many(name: str) -> Unprocessable:
    text = f"More than {MOST_COUNTED} match; make the search narrower to have them counted."
    return Unprocessable("count-too-large", text, kind="too-costly", expression=f"http.{name}")


async def _rows(door: Door, caller: Caller, query: Query, compiled: Compiled, params: dict[str, Any]) -> list[Any]:
    if query.as_of is None or compiled.driver == "linked-shared":
        fetch = door.database.fetch_quick if query.count <= QUICK else door.database.fetch
        return await fetch(compiled.text, params)
    named = None if is_shared(query.type) else records(query, caller.kind, door.index_key, caller.subject)
    if named is None:
        text = "asOf looks into the records of patients: name them by patient, or resources by _id."
        raise Malformed("as-of-of-whom", text, expression="http.asOf")
    params |= named | {"as_of": query.as_of, "past_limit": MOST_PAST + 1}
    async with door.database.transaction() as transaction:
        await transaction.run("set transaction isolation level repeatable read")
        found = await transaction.fetch(read_past(caller.kind), params)
        if len(found) > MOST_PAST:
            text = f"More than {MOST_PAST} resources have been changed since; ask about fewer patients at once."
            raise Unprocessable("past-too-large", text, kind="too-costly", expression="http.asOf")
        params |= await asyncio.to_thread(_indexed, found, door.index_key)
        return await transaction.fetch(in_past(compiled, caller.kind), params)


def _indexed(found: list[Any], key: bytes) -> dict[str, Any]:
    """Index what was superseded; in a thread of its own, because of a large record it takes a while."""
    return index_of((Then(r.pid, r.rid, unpack(r.type, r.id, r.version, r.received_at, r.body)) for r in found), key)
