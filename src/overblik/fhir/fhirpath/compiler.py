"""FHIRPath tree to closures over typed items.

An item is a pair (type name, JSON value). The types come from the definitions, so that
`Observation.effective` finds `effectivePeriod` and knows that it is a Period.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from overblik.fhir.definitions import r4
from overblik.fhir.fhirpath.parser import (
    Binary,
    Call,
    FhirPathError,
    Index,
    Literal,
    Member,
    Name,
    Node,
    parse,
)
from overblik.fhir.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable


class Item(NamedTuple):
    """A value with the name of its FHIR type (or System type for literals)."""

    type: str
    value: Any


Items = list[Item]


@cache
def compile_path(expression: str) -> Callable[[Items], Items]:
    """Compile an expression; the closure takes the input items and returns the result items."""
    return compile_node(parse(expression))


def compile_node(node: Node) -> Callable[[Items], Items]:
    """Compile a tree."""
    match node:
        case Literal(value):
            item = Item("boolean" if isinstance(value, bool) else type(value).__name__, value)
            return lambda _: [item]
        case Name(name):
            return _name(name)
        case Member():
            return _path(node)
        case Index(target, number):
            inner = compile_node(target)
            return lambda items: inner(items)[number : number + 1]
        case Binary(operator, left, right):
            return _binary(operator, left, right)
        case Call(target, function, arguments):
            return _call(target, function, arguments)
    raise FhirPathError(f"not supported: {node!r}")


def _name(name: str) -> Callable[[Items], Items]:
    if name == "$this":
        return lambda items: items
    if name[0].isupper():
        return lambda items: [item for item in items if derives(item.type, name)]
    return _children(name)


def _path(node: Member) -> Callable[[Items], Items]:
    """Compile a chain of members as one closure; it ends where nothing is found."""
    steps = [_children(node.name)]
    target = node.target
    while isinstance(target, Member):
        steps.insert(0, _children(target.name))
        target = target.target
    first = compile_node(target)

    def run(items: Items) -> Items:
        found = first(items)
        for step in steps:
            if not found:
                break
            found = step(found)
        return found

    return run


def _children(name: str) -> Callable[[Items], Items]:
    """Return the closure that goes to a child element; extraction spends most of its time here."""
    known: dict[str, tuple[tuple[str, str], ...]] = {}

    def run(items: Items) -> Items:
        found: Items = []
        for parent, content in items:
            if not isinstance(content, dict):
                continue
            keys = known.get(parent)
            if keys is None:
                keys = known[parent] = keys_of(parent, name)
            for key, kind in keys:
                value = content.get(key)
                if value is None:
                    continue
                for one in value if isinstance(value, list) else (value,):
                    if one is not None:
                        found.append(Item(kind if kind != "Resource" else _actual(kind, one), one))
        return found

    return run


def _actual(kind: str, value: Any) -> str:
    """Return the type a resource says it is."""
    return str(value.get("resourceType", kind)) if isinstance(value, dict) else kind


@cache
def keys_of(type_name: str, name: str) -> tuple[tuple[str, str], ...]:
    """Return (JSON name, type) of a child element; a choice has one for each of its types."""
    known = r4().types.get(type_name)
    if known is None:
        return ()
    if (element := known.elements.get(name)) is not None:
        return ((name, element.types[0] if element.types else ""),)
    if (choice := known.elements.get(name + "[x]")) is not None:
        return tuple((name + kind[0].upper() + kind[1:], kind) for kind in choice.types)
    return ()


@cache
def derives(type_name: str, wanted: str) -> bool:
    """Say whether a type is another or derives from it."""
    while type_name:
        if type_name == wanted:
            return True
        known = r4().types.get(type_name)
        type_name = known.base if known else ""
    return False


def type_name(node: Node) -> str:
    """Return the type a node names; `DateTime`, as some published expressions write it, is `dateTime`."""
    match node:
        case Name(name) | Member(Name("FHIR" | "System"), name):
            small = name[:1].lower() + name[1:]
            return small if name not in r4().types and small in r4().types else name
    raise FhirPathError(f"a type name is needed, not {node!r}")


def _binary(operator: str, left: Node, right: Node) -> Callable[[Items], Items]:
    one = compile_node(left)
    if operator in {"is", "as"}:
        wanted = type_name(right)
        if operator == "as":
            return lambda items: [item for item in one(items) if derives(item.type, wanted)]
        return lambda items: [_boolean(derives(item.type, wanted)) for item in one(items)[:1]]
    two = compile_node(right)
    if operator == "|":
        return lambda items: _union(one(items), two(items))
    if operator in {"=", "!="}:
        return lambda items: _equal(one(items), two(items), operator == "=")
    if operator == "and":
        return lambda items: [_boolean(_true(one(items)) and _true(two(items)))]
    if operator == "or":
        return lambda items: [_boolean(_true(one(items)) or _true(two(items)))]
    raise FhirPathError(f"operator {operator} is not supported here")


def _boolean(value: bool) -> Item:
    return Item("boolean", value)


def _true(items: Items) -> bool:
    return len(items) == 1 and items[0].value is True


def _union(left: Items, right: Items) -> Items:
    return left + [item for item in right if item not in left] if left else right


def _equal(left: Items, right: Items, wanted: bool) -> Items:
    if not left or not right:
        return []
    return [_boolean(([i.value for i in left] == [i.value for i in right]) is wanted)]


_ARGUMENTS = {
    **dict.fromkeys(("as", "ofType", "is", "where", "extension", "hasExtension"), (1,)),
    **dict.fromkeys(("resolve", "first", "empty"), (0,)),
    "exists": (0, 1),
}


def _call(target: Node | None, function: str, arguments: tuple[Node, ...]) -> Callable[[Items], Items]:
    inner = compile_node(target) if target is not None else (lambda items: items)
    if len(arguments) not in _ARGUMENTS.get(function, ()):
        raise FhirPathError(f"function {function} with {len(arguments)} arguments is not supported here")
    if function in {"as", "ofType"}:
        wanted = type_name(arguments[0])
        return lambda items: [item for item in inner(items) if derives(item.type, wanted)]
    if function == "is":
        wanted = type_name(arguments[0])
        return lambda items: [_boolean(derives(item.type, wanted)) for item in inner(items)[:1]]
    if function == "resolve":
        return lambda items: [_target(item) for item in inner(items)]
    if function in {"where", "exists"}:
        return _where(inner, function, arguments)
    return _small(inner, function, arguments)


def _small(inner: Callable[[Items], Items], function: str, arguments: tuple[Node, ...]) -> Callable[[Items], Items]:
    if function == "first":
        return lambda items: inner(items)[:1]
    if function == "empty":
        return lambda items: [_boolean(not inner(items))]
    if not isinstance(arguments[0], Literal):
        raise FhirPathError(f"{function} is only supported here with a literal url")
    url = arguments[0].value
    child = _children("extension")
    if function == "hasExtension":
        return lambda items: [_boolean(any(i.value.get("url") == url for i in child(inner(items))))]
    return lambda items: [i for i in child(inner(items)) if i.value.get("url") == url]


def _where(inner: Callable[[Items], Items], function: str, arguments: tuple[Node, ...]) -> Callable[[Items], Items]:
    test = compile_node(arguments[0]) if arguments else (lambda _: [_boolean(True)])
    if function == "where":
        return lambda items: [item for item in inner(items) if _true(test([item]))]
    return lambda items: [_boolean(any(_true(test([item])) for item in inner(items)))]


def _target(item: Item) -> Item:
    """Resolve a reference as far as its type goes; the target itself is never fetched."""
    if isinstance(item.value, dict):
        stated = item.value.get("type")
        parsed = parse_reference(str(item.value.get("reference", "")))
        return Item(parsed.type if parsed else str(stated or ""), {})
    return Item("", {})
