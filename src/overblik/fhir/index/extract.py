"""The closures of one type: which parameters to evaluate for which keys of a resource."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from overblik.fhir.fhirpath import Item, branches, compile_path
from overblik.fhir.index.parameters import KEPT, NOT_KEPT, component_type, kept_as, parameters
from overblik.fhir.index.values import links_of
from overblik.fhir.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from overblik.fhir.definitions import SearchParameter
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


@cache
def extractors(resource_type: str) -> Extractors:
    """Compile every parameter of a type that is kept under its own name."""
    always: list[Simple | Composite] = []
    by_key: dict[str, list[Simple | Composite]] = {}
    for code, param in parameters(resource_type).items():
        if code in NOT_KEPT or kept_as(resource_type, code) != (code,):
            continue
        for keys, extractor in _extractors(resource_type, param):
            if not keys:
                always.append(extractor)
            for key in keys:
                by_key.setdefault(key, []).append(extractor)
    return Extractors(tuple(always), {key: tuple(found) for key, found in by_key.items()})


@cache
def _links(resource_type: str, code: str) -> tuple[tuple[Callable[[list[Item]], list[Item]], ...], frozenset[str]]:
    """Return what finds the references of a parameter, and the types they may name (none: any)."""
    known = parameters(resource_type)
    kept = known[kept_as(resource_type, code)[0]]
    return tuple(branch.run for branch in branches(kept.expression, resource_type)), frozenset(known[code].target)


def linked(resource: Json, code: str) -> list[Reference]:
    """Return the resources of this server that a reference parameter names in a resource."""
    finders, targets = _links(str(resource["resourceType"]), code)
    items = [Item(str(resource["resourceType"]), resource)]
    stated = (link for find in finders for item in find(items) for link in links_of(item))
    found = (reference for link in stated if (reference := parse_reference(link)) is not None)
    return [reference for reference in found if not reference.base and (not targets or reference.type in targets)]


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
        return Component(component_type(url), compile_path(f"{resource_type}.{expression[len(_RESOURCE) :]}"), True)
    return Component(component_type(url), compile_path(expression), False)
