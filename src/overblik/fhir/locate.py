"""FHIRPath to places: where in the JSON an expression's elements stand, so that they can be changed.

Taken are names, indexes, `first()`, `where(…)`, `ofType(…)` and `as(…)`, and `extension('url')`; that
is what patches use.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from overblik.fhir.definitions import r4
from overblik.fhir.fhirpath import FhirPathError, Item, compile_path
from overblik.fhir.fhirpath.parser import Binary, Call, Index, Literal, Member, Name

if TYPE_CHECKING:
    from overblik.fhir.fhirpath.parser import Node
    from overblik.fhir.strict_json import Json


@dataclass(frozen=True, slots=True)
class Place:
    """One element: in which object, under which JSON name, where in its list, of which type.

    `choice` is (type, name) of the `name[x]` it stands for, if it does.
    """

    holder: Json
    key: str
    index: int | None
    type: str
    choice: tuple[str, str] | None = None

    @property
    def value(self) -> Any:
        """Return what stands here."""
        value = self.holder.get(self.key)
        return value if self.index is None or not isinstance(value, list) else value[self.index]

    def lists(self) -> list[list[Any]]:
        """Return the list this stands in, and the one that extends its primitives, made as long."""
        own = self.holder[self.key]
        extended = self.holder.get("_" + self.key)
        if not isinstance(extended, list):
            return [own]
        extended += [None] * (len(own) - len(extended))
        return [own, extended]


def locate(node: Node, root: Place) -> list[Place]:
    """Return where the elements of an expression stand; raise FhirPathError for what cannot be followed."""
    match node:
        case Name("$this" | "%resource"):
            return [root]
        case Name(name):
            return ([root] if root.type == name else []) if name[:1].isupper() else _down([root], name)
        case Member(target, name):
            return _down(locate(target, root), name)
        case Index(target, number):
            return locate(target, root)[number : number + 1]
        case Call(Name() | Member() | Index() | Call() as target, function, arguments):
            return _called(locate(target, root), function, arguments)
        case Binary("as", left, kind):
            return _called(locate(left, root), "as", (kind,))
    raise FhirPathError("only paths, indexes, where, ofType, first and extension")


def _down(places: list[Place], name: str) -> list[Place]:
    found: list[Place] = []
    for place in places:
        value = place.value
        if not isinstance(value, dict):
            continue
        kinds = children(_actual(place.type, value), name)
        choice = (place.type, name) if len(kinds) > 1 else None
        for key, kind, _ in kinds:
            item = value.get(key)
            if isinstance(item, list):
                found += [Place(value, key, number, kind, choice) for number in range(len(item))]
            elif item is not None or "_" + key in value:
                found.append(Place(value, key, None, kind, choice))
    return found


def _called(places: list[Place], function: str, arguments: tuple[Node, ...]) -> list[Place]:
    match function, arguments:
        case "first", ():
            return places[:1]
        case "where", (condition,):
            test = compile_path(_text(condition))
            return [place for place in places if _holds(test([Item(place.type, place.value)]))]
        case (("ofType" | "as"), (Name(kind) | Member(_, kind),)):
            return [place for place in places if place.type == kind]
        case "extension", (Literal(url),):
            return [place for place in _down(places, "extension") if place.value.get("url") == url]
    raise FhirPathError(f"{function}() cannot be followed to a place")


def _text(node: Node) -> str:  # noqa: PLR0911 - one a kind of node
    """Return the expression of a tree again."""
    match node:
        case Name(name):
            return name
        case Literal(bool() as value):
            return str(value).lower()
        case Literal(str() as value):
            return "'" + value.replace("\\", r"\\").replace("'", r"\'") + "'"
        case Literal(value):
            return str(value)
        case Member(target, name):
            return f"{_text(target)}.{name}"
        case Index(target, number):
            return f"{_text(target)}[{number}]"
        case Binary(operator, left, right):
            return f"({_text(left)} {operator} {_text(right)})"
        case Call(target, function, arguments):
            before = f"{_text(target)}." if target is not None else ""
            return f"{before}{function}({', '.join(map(_text, arguments))})"


def _holds(result: list[Item]) -> bool:
    return len(result) == 1 and result[0].value is True


def _actual(kind: str, value: Json) -> str:
    return str(value.get("resourceType", kind)) if kind == "Resource" else kind


@cache
def children(type_name: str, name: str) -> tuple[tuple[str, str, bool], ...]:
    """Return (JSON name, type, list or not) of a child element; a choice has one for each of its types."""
    known = r4().types.get(type_name)
    if known is None:
        return ()
    if (element := known.elements.get(name)) is not None:
        return ((name, element.types[0] if element.types else "", element.max != 1),)
    if (choice := known.elements.get(name + "[x]")) is not None:
        return tuple((name + kind[0].upper() + kind[1:], kind, False) for kind in choice.types)
    return ()
