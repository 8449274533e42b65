"""Path to route: the same table answers a request of its own and an entry of a batch."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from overblik.fhir.definitions import r4
from overblik.fhir.errors import NotAllowed, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overblik.api.routes import Route

NOT_KEPT = frozenset({"Parameters", "OperationOutcome"})
"""Resource types that carry a request or an answer and are never stored."""
_PARTS = {"{type}": r"(?P<type>[A-Za-z]+)", "{id}": r"(?P<id>[^/$_][^/]*)", "{version}": r"(?P<version>[^/]+)"}


@cache
def kept_types() -> frozenset[str]:
    """Return the resource types that are stored here."""
    return r4().resource_types - NOT_KEPT


def matches(routes: Iterable[Route], path: str) -> dict[str, tuple[Route, dict[str, str]]]:
    """Return, by method, the routes of a path and what it names; the first of a method counts."""
    known: dict[str, tuple[Route, dict[str, str]]] = {}
    for route in routes:
        match = _pattern(route.path).fullmatch(path)
        if match is None:
            continue
        named = match.groupdict()
        first = path[1:].partition("/")[0]
        if first in kept_types():
            named["type"] = first
        if "type" not in named or named["type"] in kept_types():
            known.setdefault(route.method, (route, named))
    return known


def find(routes: Iterable[Route], method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route of a request and what its path names; HEAD is answered as GET is."""
    known = matches(routes, path)
    if not known:
        raise NotFound
    if (wanted := "GET" if method == "HEAD" else method) not in known:
        text = f"This path takes {', '.join(sorted(known))}."
        raise NotAllowed("method-not-allowed", text, expression="http.method")
    return known[wanted]


@cache
def _pattern(path: str) -> re.Pattern[str]:
    parts = [_PARTS.get(part, re.escape(part)) for part in re.split(r"(\{\w+\})", path)]
    return re.compile("".join(parts))
