"""Path to route: the same table answers a request of its own and an entry of a batch."""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING

from overblik.fhir.definitions import r4
from overblik.fhir.errors import NotAllowed, NotFound

if TYPE_CHECKING:
    from overblik.api.routes import Route

Fixed = tuple[tuple[int, str], ...]
NOT_KEPT = frozenset({"Parameters", "OperationOutcome"})
"""Resource types that carry a request or an answer and are never stored."""
MADE = frozenset({"AuditEvent"})
"""Resource types that are made when they are asked for: they have routes of their own, and nobody writes them."""


@cache
def kept_types() -> frozenset[str]:
    """Return the resource types that are stored here."""
    return r4().resource_types - NOT_KEPT - MADE


class Table(tuple["Route", ...]):  # noqa: SLOT001 - a slot could not keep what it has counted
    """The routes in their order, and by their paths."""

    @cached_property
    def by_length(self) -> dict[int, list[tuple[Fixed, tuple[str, ...], dict[str, Route]]]]:
        """Return {number of parts: [(the fixed parts of a path with their places, its parts, {method: route})]}."""
        found: dict[int, dict[tuple[str, ...], dict[str, Route]]] = {}
        for route in self:
            parts = tuple(route.path.split("/"))
            found.setdefault(len(parts), {}).setdefault(parts, {}).setdefault(route.method, route)
        return {
            length: [(_fixed(parts), parts, by_method) for parts, by_method in paths.items()]
            for length, paths in found.items()
        }


def matches(routes: Table, path: str) -> dict[str, tuple[Route, dict[str, str]]]:
    """Return, by method, the routes of a path and what it names; the first of a method counts."""
    known: dict[str, tuple[Route, dict[str, str]]] = {}
    parts = path.split("/")
    kept = kept_types()
    for fixed, pattern, by_method in routes.by_length.get(len(parts), ()):
        for place, wanted in fixed:  # a loop, for this runs at every request and a generator costs as much as the rest
            if parts[place] != wanted:
                break
        else:
            _take(known, by_method, _named(pattern, parts), parts, kept)
    return known


def _take(
    known: dict[str, tuple[Route, dict[str, str]]], by_method: dict[str, Route], named: dict[str, str] | None,
    parts: list[str], kept: frozenset[str],
) -> None:  # fmt: skip
    """Add the routes of a pattern that a path is of, unless it names something that is not there."""
    if named is None:
        return
    if parts[1:2] and parts[1] in kept:
        named.setdefault("type", parts[1])
    if "type" not in named or named["type"] in kept:
        for method, route in by_method.items():
            known.setdefault(method, (route, named))


def find(routes: Table, method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route of a request and what its path names; HEAD is answered as GET is."""
    return choose(matches(routes, path), method)


def choose(known: dict[str, tuple[Route, dict[str, str]]], method: str) -> tuple[Route, dict[str, str]]:
    """Return the route of a method among those of a path."""
    if not known:
        raise NotFound
    if (wanted := "GET" if method == "HEAD" else method) not in known:
        text = f"This path takes {', '.join(sorted(known))}."
        raise NotAllowed("method-not-allowed", text, expression="http.method")
    return known[wanted]


def _fixed(pattern: tuple[str, ...]) -> Fixed:
    return tuple((place, part) for place, part in enumerate(pattern) if part[:1] != "{")


def _named(pattern: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    """Return what the parts of a path name by a pattern; None where they name nothing."""
    named: dict[str, str] = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted[:1] != "{":
            continue
        if not part or (wanted == "{id}" and part[0] in "$_"):
            return None
        named[wanted[1:-1]] = part
    return named
