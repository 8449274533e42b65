"""The closures of one type: which parameters to evaluate for which keys of a resource."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from overblik.fhir.fhirpath import Item, branches, joined
from overblik.fhir.index.catalogue import used
from overblik.fhir.index.parameters import KEPT, NOT_KEPT, component_type, kept_as, parameters, standards
from overblik.fhir.index.values import links_of
from overblik.fhir.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from overblik.fhir.definitions import SearchParameter
    from overblik.fhir.index.catalogue import Custom
    from overblik.fhir.references import Reference
    from overblik.fhir.strict_json import Json

Find = "Callable[[list[Item]], list[Item]]"
_RESOURCE = "%resource."


class Simple(NamedTuple):
    """One branch of one parameter: what it finds is kept under `code`."""

    code: str
    kind: str
    find: Callable[[list[Item]], list[Item]]


class Component(NamedTuple):
    """One part of a composite; `whole` where its expression begins at the resource."""

    kind: str
    find: Callable[[list[Item]], list[Item]]
    whole: bool


class Composite(NamedTuple):
    """A composite: for every element found, its components belong together."""

    code: str
    find: Callable[[list[Item]], list[Item]]
    components: tuple[Component, ...]


class Extractors(NamedTuple):
    """What to evaluate of one type: always, and for each key."""

    always: tuple[Simple | Composite, ...]
    by_key: dict[str, tuple[Simple | Composite, ...]]


def extractors(resource_type: str) -> Extractors:
    """Return every parameter of a type that is kept under a name of its own, compiled."""
    return _compiled(resource_type, used().of(resource_type))


@lru_cache(maxsize=1_000)
def _compiled(resource_type: str, customs: tuple[Custom, ...]) -> Extractors:
    always: list[Simple | Composite] = []
    by_key: dict[str, list[Simple | Composite]] = {}
    own = [p for code, p in standards(resource_type).items() if code not in NOT_KEPT]
    own = [param for param in own if kept_as(resource_type, param.code) == (param.code,)]
    for param in [*own, *(replace(custom.param, code=custom.kept) for custom in customs)]:
        for keys, extractor in _extractors(resource_type, param):
            if not keys:
                always.append(extractor)
            for key in keys:
                by_key.setdefault(key, []).append(extractor)
    return Extractors(tuple(always), {key: tuple(found) for key, found in by_key.items()})


@lru_cache(maxsize=10_000)
def _finders(resource_type: str, expression: str) -> tuple[Callable[[list[Item]], list[Item]], ...]:
    return tuple(branch.run for branch in branches(expression, resource_type))


def linked(resource: Json, code: str) -> list[Reference]:
    """Return the resources of this server that a reference parameter names in a resource."""
    kind = str(resource["resourceType"])
    known = parameters(kind)
    kept = known.get(kept_as(kind, code)[0], known[code])
    targets = known[code].target
    items = [Item(kind, resource)]
    stated = (link for find in _finders(kind, kept.expression) for item in find(items) for link in links_of(item))
    found = (reference for link in stated if (reference := parse_reference(link)) is not None)
    return [
        reference
        for reference in found
        if not reference.base and not reference.version and (not targets or reference.type in targets)
    ]


def _extractors(resource_type: str, param: SearchParameter) -> list[tuple[frozenset[str], Simple | Composite]]:
    found = branches(param.expression, resource_type)
    if param.type in KEPT:
        return [(branch.keys, Simple(param.code, param.type, branch.run)) for branch in found]
    if param.type != "composite":
        return []
    components = tuple(_component(resource_type, *stated) for stated in param.component)
    composites = [(branch.keys, Composite(param.code, branch.run, components)) for branch in found]
    # Where the element is the resource itself, its last component's keys say whether there is anything.
    last = param.component[-1][1]
    keys = frozenset().union(*(branch.keys for branch in branches(last, resource_type)))
    return [(own or keys, composite) for own, composite in composites]


def _component(resource_type: str, url: str, expression: str) -> Component:
    if expression.startswith(_RESOURCE):
        return Component(component_type(url), joined(f"{resource_type}.{expression[len(_RESOURCE) :]}"), True)
    return Component(component_type(url), joined(expression), False)
