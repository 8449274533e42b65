"""A path of FHIRPath as paths of SQL/JSON, for what the database itself reads of a stored body.

Only members, choices, and what search expressions filter by: `where(system='phone')` and
`where(resolve() is Patient)`. In lax mode SQL/JSON looks into lists as FHIRPath does.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from overblik.fhir.fhirpath.branches import rooted_parts
from overblik.fhir.fhirpath.compiler import derives, keys_of, type_name
from overblik.fhir.fhirpath.parser import Binary, Call, Literal, Member, Name, Node


class JsonPath(NamedTuple):
    """Where values lie, and of which type they are."""

    path: str
    type: str


def json_paths(expression: str, root: str) -> tuple[JsonPath, ...]:
    """Return the paths of an expression in a resource of type `root`; () where one cannot be said so."""
    found: list[JsonPath] = []
    for part in rooted_parts(expression, root):
        paths = _paths(part, root)
        if paths is None:
            return ()
        found += paths
    return tuple(dict.fromkeys(found))


def _paths(node: Node, root: str) -> list[JsonPath] | None:
    """Return where a node's values lie, None where it is no such path."""
    match node:
        case Name("$this"):
            return [JsonPath("$", root)]
        case Name(name):
            return _children([JsonPath("$", root)], name)
        case Member(target, name):
            return _children(_paths(target, root), name)
        case Binary("as", target, kind) | Call(Member() | Name() | Call() as target, "as" | "ofType", (kind,)):
            wanted = type_name(kind)
            return [one for one in _paths(target, root) or () if derives(one.type, wanted)]
        case Call(Member() | Name() | Call() | Binary() as target, "where", (condition,)):
            return _filtered(_paths(target, root), condition)
    return None


def _children(parents: list[JsonPath] | None, name: str) -> list[JsonPath] | None:
    if parents is None:
        return None
    return [
        JsonPath(f"{parent.path}.{json.dumps(key)}", kind)
        for parent in parents
        for key, kind in keys_of(parent.type, name)
    ]


def _filtered(found: list[JsonPath] | None, condition: Node) -> list[JsonPath] | None:
    match condition:
        case Binary("=", Name(key), Literal(str(value))):
            test = f"@.{json.dumps(key)} == {json.dumps(value)}"
        case Binary("is", Call(None, "resolve", ()), Name(kind)) if kind.isalpha():
            test = f'@."reference" like_regex "(^|/){kind}/"'
        case _:
            return None
    return None if found is None else [JsonPath(f"{one.path} ? ({test})", one.type) for one in found]
