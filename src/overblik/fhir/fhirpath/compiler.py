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
    return _compile(parse(expression))


def _compile(node: Node) -> Callable[[Items], Items]:
    match node:
        case Literal(value):
            item = Item("boolean" if isinstance(value, bool) else type(value).__name__, value)
            return lambda _: [item]
        case Name(name):
            return _name(name)
        case Member(target, name):
            inner = _compile(target)
            return lambda items: _children(inner(items), name)
        case Index(target, number):
            inner = _compile(target)
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
        return lambda items: [item for item in items if _is(item.type, name)]
    return lambda items: _children(items, name)


def _children(items: Items, name: str) -> Items:
    found: Items = []
    for item in items:
        if not isinstance(item.value, dict):
            continue
        for key, kind in _keys(item.type, name):
            value = item.value.get(key)
            if isinstance(value, list):
                found += [Item(_actual(kind, v), v) for v in value if v is not None]
            elif value is not None:
                found.append(Item(_actual(kind, value), value))
    return found


def _actual(kind: str, value: Any) -> str:
    """Return the type of a value; a resource says its own."""
    return str(value.get("resourceType", kind)) if kind == "Resource" and isinstance(value, dict) else kind


@cache
def _keys(type_name: str, name: str) -> tuple[tuple[str, str], ...]:
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
def _is(type_name: str, wanted: str) -> bool:
    """Say whether a type is another or derives from it."""
    while type_name:
        if type_name == wanted:
            return True
        known = r4().types.get(type_name)
        type_name = known.base if known else ""
    return False


def _type_name(node: Node) -> str:
    match node:
        case Name(name):
            return name
        case Member(Name("FHIR" | "System"), name):
            return name
    raise FhirPathError(f"a type name is needed, not {node!r}")


def _binary(operator: str, left: Node, right: Node) -> Callable[[Items], Items]:
    one = _compile(left)
    if operator in {"is", "as"}:
        wanted = _type_name(right)
        if operator == "as":
            return lambda items: [item for item in one(items) if _is(item.type, wanted)]
        return lambda items: [_boolean(_is(item.type, wanted)) for item in one(items)[:1]]
    two = _compile(right)
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
    **dict.fromkeys(("as", "ofType", "is", "where", "extension"), (1,)),
    **dict.fromkeys(("resolve", "first", "empty"), (0,)),
    "exists": (0, 1),
}


def _call(target: Node | None, function: str, arguments: tuple[Node, ...]) -> Callable[[Items], Items]:
    inner = _compile(target) if target is not None else (lambda items: items)
    if len(arguments) not in _ARGUMENTS.get(function, ()):
        raise FhirPathError(f"function {function} with {len(arguments)} arguments is not supported here")
    if function in {"as", "ofType"}:
        wanted = _type_name(arguments[0])
        return lambda items: [item for item in inner(items) if _is(item.type, wanted)]
    if function == "is":
        wanted = _type_name(arguments[0])
        return lambda items: [_boolean(_is(item.type, wanted)) for item in inner(items)[:1]]
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
        raise FhirPathError("extension is only supported here with a literal url")
    url = arguments[0].value
    return lambda items: [i for i in _children(inner(items), "extension") if i.value.get("url") == url]


def _where(inner: Callable[[Items], Items], function: str, arguments: tuple[Node, ...]) -> Callable[[Items], Items]:
    test = _compile(arguments[0]) if arguments else (lambda _: [_boolean(True)])
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
