"""search (https://hl7.org/fhir/R4/http.html#search)."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from overblik.api.http import bundle_response, found_entries, require_json_answer
from overblik.api.parameters import query_string
from overblik.fhir import terminology
from overblik.fhir.definitions import r4
from overblik.fhir.errors import Gone, Malformed, NotFound, Unprocessable
from overblik.fhir.index.catalogue import STANDARD, using
from overblik.fhir.query import MOST_CRITERIA, Ids, named_sets, parse_query
from overblik.fhir.query.includes import INCLUDES
from overblik.fhir.references import parse_reference
from overblik.trust.door import history, searching
from overblik.trust.door.access import Page
from overblik.trust.door.hierarchies import without_levels

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.api.http import Request, Response, Services
    from overblik.fhir.query import Query
    from overblik.fhir.strict_json import Json
    from overblik.trust.door.access import Disclosed

MOST_LISTS = 10
_LOOKED_UP = ("_list", "_filter", ":in", ":not-in", ":above", ":below")
"""Ends of parameters that may name what is to be looked up before a search can be parsed."""
_REMEMBERED = 300
"""Characters of a search that is worth remembering."""
MOST_MEMBERS = 2_000
"""Entries of one List that is searched by."""
MOST_BYTES = 2_000_000
"""Bytes of a List or ValueSet that is read for a search."""
_FORM = frozenset({"_format", "_pretty", "_summary", "_elements"})
"""Parameters that a next page repeats, so that it looks as the first one does."""


async def search(services: Services, request: Request) -> Response:
    """Return one page of what the caller may see, counted where that is asked for; the next link says if more is."""
    require_json_answer(request)
    query = await query_of(services, request, request.type, opened(services, request))
    if not _names_somebody(query):
        return found_bundle(services, request, query, await _found(services, request, query))
    page = Page((), "")
    with suppress(NotFound), services.door.looking_up(request.caller):
        page = await _found(services, request, query)
        if not page.entries and not page.total:
            raise NotFound
    return found_bundle(services, request, query, page)


def _names_somebody(query: Query) -> bool:
    """Say whether a search asks for a person by number: of a Patient, or by a chain to one."""
    return any(
        "identifier" in (value if name == "_filter" else name)
        and (query.type == "Patient" or name == "_filter" or ":" in name or "." in name)
        for name, value in query.applied
    )


async def _found(services: Services, request: Request, query: Query) -> Page:
    if only_counts(request, query):
        total = await searching.count(services.door, request.caller, query, asked(query))
        return Page((), "", total)
    return await searching.search(services.door, request.caller, query, asked(query))


async def of_patient(services: Services, request: Request) -> Response:
    """Search the record that a visible Patient opens (https://hl7.org/fhir/R4/http.html#vsearch, compartments)."""
    return await search(services, replace(request, id="", pairs=(("patient", request.id), *request.pairs)))


async def of_compartment(name: str, services: Services, request: Request) -> Response:
    """Search what is in the compartment of an Encounter, Practitioner, RelatedPerson or Device: what refers to it."""
    codes = r4().within[name].get(request.type, ())
    if not codes:
        text = f"{request.type} is never in the compartment of one {name}; search it by its own parameters."
        raise Malformed("search-parameter-unknown", text, kind="not-supported", expression="http.path")
    own, other = json.dumps(request.id), json.dumps(f"{name}/{request.id}")
    tests = [f"_id eq {own}" if code == "{def}" else f"{code} re {other}" for code in codes]
    pairs = (("_filter", " or ".join(tests)), *request.pairs)
    return await search(services, replace(request, id="", pairs=pairs))


async def query_of(services: Services, request: Request, kind: str, pairs: list[tuple[str, str]]) -> Query:
    """Parse a search of one type; Lists that it names (`_list`) are read as the caller, and stand for their members."""
    if _is_plain(pairs):
        with suppress(Malformed):
            return remembered(request.caller.viewer, request.base, kind, tuple(pairs))
    named = [pair for pair in pairs if pair[0] == "_list" and pair[1]]
    with terminology.holding(await _value_sets(services, request, pairs)):
        query = await parsed(services, request, kind, [pair for pair in pairs if pair[0] != "_list"])
    if len(named) > 1:
        raise Malformed("parameter-twice", "_list may stand only once.", expression="http._list")
    if len(named) + len(query.criteria) > MOST_CRITERIA:
        raise Malformed("search-too-long", f"At most {MOST_CRITERIA} search parameters at once.")
    for _, value in named:
        lists = [name.strip().removeprefix("List/") for name in value.split(",")]
        if len(lists) > MOST_LISTS:
            raise Malformed("search-too-long", f"At most {MOST_LISTS} Lists at once.", expression="http._list")
        members = [await _members(services, request, kind, name, query.as_of) for name in lists]
        query = replace(query, criteria=(Ids(tuple(dict.fromkeys(chain(*members)))), *query.criteria))
    query = await without_levels(services.door, request.caller, query)
    return replace(query, applied=(*query.applied, *named))


@lru_cache(maxsize=1_000)
def remembered(viewer: str, base: str, kind: str, pairs: tuple[tuple[str, str], ...]) -> Query:  # noqa: ARG001 - see below
    """Parse a search by the standard's parameters, once while it is asked again and again.

    Each viewer's by itself: how long an answer takes must not tell whom others have asked about.
    """
    with using(STANDARD):
        return parse_query(kind, pairs)


def _is_plain(pairs: list[tuple[str, str]]) -> bool:
    """Say whether a search means the same whenever it is asked, and is short enough to be kept."""
    looks_up = any(name.endswith(_LOOKED_UP) or _is_wild(name, value) for name, value in pairs)
    return not looks_up and sum(map(len, chain(*pairs))) < _REMEMBERED


def _is_wild(name: str, value: str) -> bool:
    """Say whether an include follows every parameter there is, this server's own among them."""
    return name in INCLUDES and "*" in value


async def parsed(services: Services, request: Request, kind: str, pairs: list[tuple[str, str]]) -> Query:
    """Parse a search. What the standard's parameters do not say may be this server's own, as they are just now."""
    if not any(_is_wild(name, value) for name, value in pairs):
        with suppress(Malformed), using(STANDARD):
            return parse_query(kind, pairs)
    with using(await services.parameters.fresh()):
        return parse_query(kind, pairs, lenient=request.lenient)


async def _value_sets(services: Services, request: Request, pairs: list[tuple[str, str]]) -> dict[str, Json]:
    """Return the ValueSets of this server that a search names, by `ValueSet/id` or their url, read as the caller."""
    found: dict[str, Json] = {}
    for name in named_sets(pairs)[:MOST_CRITERIA]:
        kind, _, known = name.removeprefix(f"{request.base}/").partition("/")
        if kind == "ValueSet":
            with suppress(NotFound, Gone):
                found[name] = _parsed(await services.door.read(request.caller, "ValueSet", known))
            continue
        url, _, version = name.partition("|")
        query = parse_query("ValueSet", [("url", url), ("version", version), ("_count", "2")])
        held = (await searching.search(services.door, request.caller, query, asked(query))).entries
        if len(held) > 1:
            text = f"There are several value sets {url[:100]} here; say which as ValueSet/id or by |version."
            raise Malformed("terminology-unknown", text, expression="http.url")
        if held:
            found[name] = _parsed(held[0])
    return found


def _parsed(found: Disclosed) -> Json:
    """Return a List or ValueSet that a search needs, if it is not too large to be looked through for one."""
    if len(found.body or b"") > MOST_BYTES:
        text = f"This {found.type} is over {MOST_BYTES // 1_000_000} MB, which is too much to search by."
        raise Unprocessable("search-by-too-large", text, kind="too-costly", expression="http.url")
    return found.json()


async def _members(
    services: Services, request: Request, kind: str, name: str, moment: datetime | None
) -> tuple[str, ...]:
    """Return the ids of a List's members of one type; none of a List that is hidden, absent or deleted."""
    if name.startswith("$"):
        text = "Lists are named by their id here; there are none that the server makes, such as $current-problems."
        raise Malformed("search-value-invalid", text, expression="http._list")
    try:
        if moment is not None:
            found = await history.as_of(services.door, request.caller, "List", name, moment)
        else:
            found = await services.door.read(request.caller, "List", name)
    except (NotFound, Gone):
        return ()
    entries = _parsed(found).get("entry", ())
    if len(entries) > MOST_MEMBERS:
        text = f"A List that is searched by has at most {MOST_MEMBERS} entries; this one has more."
        raise Unprocessable("search-by-too-large", text, kind="too-costly", expression="http._list")
    items = (entry.get("item", {}) for entry in entries if not entry.get("deleted"))
    members = (parse_reference(str(item.get("reference", ""))) for item in items)
    return tuple(dict.fromkeys(one.id for one in members if one is not None and one.type == kind and not one.base))


def only_counts(request: Request, query: Query) -> bool:
    """Say whether the number of matches is all that is asked for, in one of the standard's two ways."""
    return request.form.shape.summary == "count" or query.count == 0


def asked(query: Query) -> str:
    """Return a search as it is logged."""
    if "asked" not in query.known:
        pairs = [*query.applied, *([("_total", query.total)] if query.total else [])]
        query.known["asked"] = f"{query.type}?{query_string(pairs)}"
    return str(query.known["asked"])


def found_bundle(services: Services, request: Request, query: Query, page: Page) -> Response:
    """Return one page as a searchset, with its links."""
    links = [{"relation": "self", "url": _link(services, request, query)}]
    if page.cursor:
        links.append({"relation": "next", "url": _link(services, request, query, page.cursor)})
    found = found_entries(request.base, page.entries), found_entries(request.base, page.included, "include")
    entries = b",".join(filter(None, found))
    total = {} if page.total is None else {"total": page.total}
    return bundle_response("searchset", entries, links=links, **total)


_SEALED = "sealed:"
"""Before a value of a link that only the server can read: a CPR that came in is never written into one."""


def _link(services: Services, request: Request, query: Query, cursor: str = "") -> str:
    """Return a link that repeats the search; identifiers stand in it as … or, where it is to be followed, sealed."""
    pairs = []
    for name, value in query.applied:
        unread = "identifier" in (value if name == "_filter" else name)
        shown = _SEALED + services.door.cursors.seal(value, _seal(request, name)) if unread and cursor else "…"
        pairs.append((name, shown if unread else value))
    pairs += [pair for pair in request.pairs if pair[0] in _FORM]
    pairs += [("_count", str(query.count))]
    if cursor:
        pairs.append(("_cursor", cursor))
    elif query.total:
        pairs.append(("_total", query.total))
    return f"{request.base}/{request.type}?{query_string(pairs)}"


def opened(services: Services, request: Request) -> list[tuple[str, str]]:
    """Return the parameters of a request, with what one of our own links has sealed."""
    return [
        (name, services.door.cursors.open(value.removeprefix(_SEALED), _seal(request, name)))
        if value.startswith(_SEALED)
        else (name, value)
        for name, value in request.pairs
    ]


def _seal(request: Request, name: str) -> str:
    return f"{request.caller.viewer}|{request.type}|{name}"
