"""Which types an expression can find, worked out from the definitions without a resource.

An expression that can find nothing, such as one with a misspelt element, compiles all the same: it
finds nothing, in silence. Here it is an error that says where it goes wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.fhir.definitions import r4
from overblik.fhir.fhirpath.compiler import compile_node, derives, keys_of, type_name
from overblik.fhir.fhirpath.parser import Binary, Call, FhirPathError, Index, Literal, Member, Name, Node, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 2_000
"""Characters of an expression that is not the standard's."""
DEEPEST = 20
"""Parentheses and brackets inside each other."""
MOST_PARTS = 100
"""Steps, calls and operators of one branch."""

Kinds = frozenset[str]
_BOOLEAN: Kinds = frozenset({"boolean"})


class Found:
    """What one branch can find: the `kinds` of its result, and the types it has `entered` for an element of them."""

    def __init__(self, node: Node, root: str) -> None:
        self.entered: set[str] = set()
        self.kinds = self._of(node, frozenset({root}))

    def _of(self, node: Node, given: Kinds) -> Kinds:  # noqa: PLR0911 - one line a kind of node
        match node:
            case Literal(value):
                return (
                    _BOOLEAN
                    if isinstance(value, bool)
                    else frozenset({"string" if isinstance(value, str) else "decimal"})
                )
            case Name("$this"):
                return given
            case Name(name) if name[0].isupper():
                return _narrowed(given, name)
            case Name(name):
                return self._children(given, name)
            case Member(target, name):
                return self._children(self._of(target, given), name)
            case Index(target, _):
                return self._of(target, given)
            case Binary():
                return self._binary(node, given)
            case Call():
                return self._call(node, given)

    def _binary(self, node: Binary, given: Kinds) -> Kinds:
        if node.operator == "as":
            return _narrowed(self._of(node.left, given), type_name(node.right))
        left = self._aside(node.left, given)
        if node.operator == "is":
            _narrowed(left, type_name(node.right))
            return _BOOLEAN
        right = self._aside(node.right, given)
        if node.operator == "|":  # to unite two lists takes as long as the one times the other
            raise FhirPathError("| joins whole expressions only; write each alternative out")
        if node.operator in {"and", "or"}:
            _require_boolean(left, node.operator)
            _require_boolean(right, node.operator)
        return _BOOLEAN

    def _call(self, node: Call, given: Kinds) -> Kinds:  # noqa: PLR0911 - one line a function
        inner = self._of(node.target, given) if node.target is not None else given
        match node.function, node.arguments:
            case (("as" | "ofType"), (wanted,)):
                return _narrowed(inner, type_name(wanted))
            case "is", (wanted,):
                _narrowed(inner, type_name(wanted))
                return _BOOLEAN
            case (("where" | "exists"), (test,)):
                _require_boolean(self._aside(test, inner), node.function)
                return inner if node.function == "where" else _BOOLEAN
            case (("exists" | "empty" | "hasExtension"), _):
                return _BOOLEAN
            case "extension", _:
                return self._children(inner, "extension")
            case "resolve", _:
                if not any(derives(kind, "Reference") or kind in {"canonical", "uri"} for kind in inner):
                    raise FhirPathError(f"resolve() needs a reference, not {_said(inner)}")
                return frozenset({"Resource"})
        return inner  # first(), and what the compiler refuses

    def _aside(self, node: Node, given: Kinds) -> Kinds:
        """Return the kinds of what is only compared or tested: what it enters does not show in the result."""
        entered = set(self.entered)
        found = self._of(node, given)
        self.entered = entered
        return found

    def _children(self, given: Kinds, name: str) -> Kinds:
        by_parent = {parent: keys_of(parent, name) for parent in given if not _primitive(parent)}
        found = frozenset(kind for keys in by_parent.values() for _, kind in keys)
        if not found:
            raise FhirPathError(f"{_said(given)} has no {name!r} that can be searched by")
        self.entered |= {parent for parent, keys in by_parent.items() if keys}
        return found


def checked(expression: str, root: str) -> list[Found]:
    """Return what each branch of an expression can find in a resource of type `root`; FhirPathError where it can't.

    Branches that name another resource type first are left out. An expression is bounded in length,
    depth and number of parts, for compiling and running it both recurse.
    """
    if len(expression) > LONGEST or _depth(expression) > DEEPEST:
        raise FhirPathError(f"an expression has at most {LONGEST} characters, and {DEEPEST} parentheses in each other")
    found = []
    for node in _alternatives(parse(expression)):
        if sum(1 for _ in _parts(node)) > MOST_PARTS:
            raise FhirPathError(f"at most {MOST_PARTS} steps in one expression")
        if (first := _first(node)) is not None and first not in r4().types:
            raise FhirPathError(f"there is no type {first!r}")
        if first is None or derives(root, first):
            compile_node(node)
            found.append(Found(node, root))
    return found


def _depth(expression: str) -> int:
    depth = most = 0
    for character in expression:
        depth += (character in "([") - (character in ")]")
        most = max(most, depth)
    return most


def _alternatives(node: Node) -> list[Node]:
    found: list[Node] = []
    while isinstance(node, Binary) and node.operator == "|":
        found.insert(0, node.right)
        node = node.left
    return [node, *found]


def _parts(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        yield (node := waiting.pop())
        match node:
            case Member(target, _) | Index(target, _):
                waiting.append(target)
            case Binary(_, left, right):
                waiting += [left, right]
            case Call(target, _, arguments):
                waiting += [*arguments, *([target] if target is not None else [])]


def _first(node: Node) -> str | None:
    """Return the type that an expression begins with, None where it begins with an element."""
    while True:
        match node:
            case Member(target, _) | Index(target, _):
                node = target
            case Binary(_, left, _):
                node = left
            case Call(target, _, _) if target is not None:
                node = target
            case Name(name) if name[0].isupper():
                return name
            case _:
                return None


def _primitive(kind: str) -> bool:
    """Say whether a type is one JSON value: its extensions stand elsewhere, and are not looked at."""
    known = r4().types.get(kind)
    return known is not None and known.kind == "primitive-type"


def _narrowed(given: Kinds, wanted: str) -> Kinds:
    found = {
        kind if derives(kind, wanted) else wanted for kind in given if derives(kind, wanted) or derives(wanted, kind)
    }
    if not found:
        raise FhirPathError(f"{_said(given)} is never {wanted}")
    return frozenset(found)


def _require_boolean(kinds: Kinds, where: str) -> None:
    if kinds != _BOOLEAN:
        raise FhirPathError(f"{where} needs what is true or false, not {_said(kinds)}")


def _said(kinds: Kinds) -> str:
    few = sorted(kinds)[:3]
    return " or ".join(few) + (" or another" if len(kinds) > len(few) else "")
