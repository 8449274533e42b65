"""An expression of one type taken apart, so that only what a resource has is evaluated.

Search expressions are unions over many types: `AllergyIntolerance.code | Condition.code | …`. For one
type only its own branches remain, and each names the JSON keys without which it finds nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from overblik.fhir.fhirpath.compiler import compile_node, derives, keys_of, type_name
from overblik.fhir.fhirpath.parser import Binary, Call, Index, Literal, Member, Name, Node, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from overblik.fhir.fhirpath.compiler import Items


class Branch(NamedTuple):
    """One branch of a union; `keys` is empty where it must be evaluated whatever the resource has."""

    keys: frozenset[str]
    run: Callable[[Items], Items]


def branches(expression: str, root: str) -> tuple[Branch, ...]:
    """Return the branches of an expression that can find something in a resource of type `root`."""
    parts = [node for node in _parts(parse(expression)) if _fits(node, root)]
    return tuple(Branch(_keys(node, root), compile_node(_rooted(node))) for node in parts)


def rooted_parts(expression: str, root: str) -> list[Node]:
    """Return the trees of the same branches, which begin at `$this` or at a child of it."""
    return [_rooted(node) for node in _parts(parse(expression)) if _fits(node, root)]


def joined(expression: str) -> Callable[[Items], Items]:
    """Compile a union whose results are not compared with each other: what two alternatives find comes twice."""
    runs = [compile_node(node) for node in _parts(parse(expression))]
    return runs[0] if len(runs) == 1 else lambda items: [item for run in runs for item in run(items)]


def _parts(node: Node) -> Iterator[Node]:
    if isinstance(node, Binary) and node.operator == "|":
        yield from _parts(node.left)
        yield from _parts(node.right)
    else:
        yield node


def _leftmost(node: Node) -> Node:
    while True:
        match node:
            case (
                Member(target, _)
                | Index(target, _)
                | Call(Member() | Name() | Call() | Binary() | Index() as target, _, _)
            ):
                node = target
            case Binary(_, left, _):
                node = left
            case _:
                return node


def _fits(node: Node, root: str) -> bool:
    first = _leftmost(node)
    return not isinstance(first, Name) or not first.name[0].isupper() or derives(root, first.name)


def _rooted(node: Node) -> Node:
    """Replace the type name an expression begins with: it has been compared with the root once and for all."""
    match node:
        case Name(name) if name[0].isupper():
            return Name("$this")
        case Member(target, name):
            return Member(_rooted(target), name)
        case Index(target, number):
            return Index(_rooted(target), number)
        case Call(target, function, arguments) if target is not None:
            return Call(_rooted(target), function, arguments)
        case Binary("as", left, right):
            return Binary("as", _rooted(left), right)
        case _:
            return node


_KEEPS_NOTHING = frozenset({"where", "as", "ofType", "first", "extension", "resolve"})
"""Functions that find nothing in nothing."""


def _keys(node: Node, root: str) -> frozenset[str]:
    """Return the JSON keys of which a resource must have one; empty where that cannot be said."""
    wanted = ""
    while True:
        match node:
            case Member(Name(name), element) if name[0].isupper() and derives(root, name):
                return _json_keys(root, element, wanted)
            case Name(element) if element[0].islower():
                return _json_keys(root, element, wanted)
            case Call(Name(name), "extension", _) if name[0].isupper():
                return frozenset({"extension"})
            case Binary("as", left, right):
                node, wanted = left, type_name(right)
            case Call(target, "as" | "ofType", (right,)) if target is not None:
                node, wanted = target, type_name(right)
            case Call(target, function, _) if target is not None and function in _KEEPS_NOTHING:
                node, wanted = target, ""
            case Member(target, _) | Index(target, _):
                node, wanted = target, ""
            case Literal() | _:
                return frozenset()


def _json_keys(root: str, element: str, wanted: str) -> frozenset[str]:
    found = keys_of(root, element)
    return frozenset(key for key, kind in found if not wanted or derives(kind, wanted) or kind == "Resource")
