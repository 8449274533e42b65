"""FHIRPath text to a frozen tree."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:\\.|[^'\\])*')|(?P<number>\d+(?:\.\d+)?)|(?P<name>\$?[A-Za-z_]\w*|`[^`]+`)"""
    r"""|(?P<op>!=|<=|>=|!~|[|.()\[\],=<>~+\-*/&%]))"""
)
_BINARY = (("or", "xor"), ("and",), ("=", "!="), ("|",), ("is", "as"))


class FhirPathError(ValueError):
    """The expression cannot be read, or uses what is not supported here."""


@dataclass(frozen=True, slots=True)
class Name:
    """A type name, or a child element of the input."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, number or boolean."""

    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Member:
    """`target.name`."""

    target: Node
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """`target.function(arguments)`; no target means the input."""

    target: Node | None
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """`target[number]`."""

    target: Node
    number: int


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`; for `is` and `as` the right side is a type name."""

    operator: str
    left: Node
    right: Node


Node = Name | Literal | Member | Call | Index | Binary


def parse(text: str) -> Node:
    """Return the tree of an expression; raise FhirPathError."""
    parser = _Parser(_tokens(text), text)
    node = parser.binary(0)
    if parser.kind != "end":
        raise FhirPathError(f"unexpected {parser.value!r} in {text!r}")
    return node


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise FhirPathError(f"cannot read {text[position : position + 20]!r}")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return [*tokens, ("end", "")]


class _Parser:
    """Recursive descent over the tokens; operators by precedence, loosest first."""

    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self.tokens = tokens
        self.text = text
        self.position = 0

    @property
    def kind(self) -> str:
        return self.tokens[self.position][0]

    @property
    def value(self) -> str:
        return self.tokens[self.position][1]

    def take(self) -> str:
        value = self.value
        if self.kind == "end":
            raise FhirPathError(f"unexpected end of {self.text!r}")
        self.position += 1
        return value

    def expect(self, value: str) -> None:
        if self.value != value or self.kind == "string":
            raise FhirPathError(f"expected {value!r}, found {self.value!r} in {self.text!r}")
        self.position += 1

    def binary(self, level: int) -> Node:
        if level == len(_BINARY):
            return self.postfix()
        node = self.binary(level + 1)
        while self.kind in {"name", "op"} and self.value in _BINARY[level]:
            node = Binary(self.take(), node, self.binary(level + 1))
        return node

    def postfix(self) -> Node:
        node = self.term()
        while True:
            if self.value == "." and self.kind == "op":
                self.take()
                name = self.name()
                node = self.call(node, name) if self.value == "(" else Member(node, name)
            elif self.value == "[":
                self.take()
                node = Index(node, self.number())
                self.expect("]")
            else:
                return node

    def name(self) -> str:
        if self.kind != "name":
            raise FhirPathError(f"a name is needed, not {self.value!r}, in {self.text!r}")
        return self.take().strip("`")

    def number(self) -> int:
        if not self.value.isdecimal():
            raise FhirPathError(f"an index is needed, not {self.value!r}, in {self.text!r}")
        return int(self.take())

    def call(self, target: Node | None, function: str) -> Call:
        self.expect("(")
        arguments = []
        while self.value != ")":
            arguments.append(self.binary(0))
            if self.value != ")":
                self.expect(",")
        self.expect(")")
        return Call(target, function, tuple(arguments))

    def term(self) -> Node:
        kind, value = self.kind, self.take()
        if kind == "op" and value == "(":
            node = self.binary(0)
            self.expect(")")
            return node
        if kind == "string":
            return Literal(re.sub(r"\\(.)", r"\1", value[1:-1]))
        if kind == "number":
            return Literal(float(value) if "." in value else int(value))
        if kind != "name":
            raise FhirPathError(f"unexpected {value!r} in {self.text!r}")
        if value in {"true", "false"}:
            return Literal(value == "true")
        name = value.strip("`")
        return self.call(None, name) if self.value == "(" else Name(name)
