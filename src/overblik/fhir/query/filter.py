"""`_filter`: its text to expressions (https://hl7.org/fhir/R4/search_filter.html#grammar).

    given eq "peter" and not (birthdate lt 2014-10-10 or subject.name co "x")

`and` and `or` are of one rank and go from left to right; parentheses make it plain. Whatever cannot be
read is refused with the place of the character that is wrong, and what should stand there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import NamedTuple

from overblik.fhir.errors import Malformed

LONGEST = 4_000
"""Characters of a filter."""
MOST_TESTS = 20
MOST_DEPTH = 10
"""Parentheses and brackets within each other."""
OPERATORS = frozenset({
    "eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le", "ap", "sa", "eb", "pr", "po", "ss", "sb", "in", "ni", "re",
})  # fmt: skip


class Step(NamedTuple):
    """One name of a path: `name`, `name:Type`, or `_has:Type:name`; with `[filter]` it is followed by another.

    `at` counts the characters before it.
    """

    name: str
    at: int
    filter: Expression | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`path operator value`; `value` without its quotes."""

    path: tuple[Step, ...]
    operator: str
    value: str
    at: int
    value_at: int


@dataclass(frozen=True, slots=True)
class Joined:
    """Expressions of which all hold (`and`), one holds (`or`), or the only one does not (`not`)."""

    word: str
    parts: tuple[Expression, ...]


Expression = Comparison | Joined


def refuse(at: int, text: str) -> Malformed:
    """Return the error of a filter: `text` says what is expected at a place, counted from 0."""
    return Malformed("filter-invalid", f"At character {at + 1} of _filter: {text}", expression="http._filter")


def read_filter(text: str) -> Expression:
    """Return the expression of a filter; Malformed says where it is none."""
    if len(text) > LONGEST:
        raise Malformed("search-too-long", f"_filter takes at most {LONGEST} characters.", expression="http._filter")
    reader = _Reader(text)
    found = reader.filter(0)
    if reader.at < len(text):
        raise reader.expected("and, or, or the end")
    return found


_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[^\s()\[\]\"]*")
_NAME = re.compile(r"[_A-Za-z][_A-Za-z0-9-]*(?::[A-Za-z][A-Za-z0-9]*)?")
_HAS = re.compile(r"_has:[A-Za-z][A-Za-z0-9]*:[_A-Za-z][_A-Za-z0-9-]*(?=:)")
_NOT = re.compile(r"not\s*\(")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"')
_TOKEN = re.compile(r"[^\s\])]+")


class _Reader:
    """Reads from left to right; `at` is where it stands."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.tests = 0

    def expected(self, what: str) -> Malformed:
        """Return the error that something else stands here."""
        rest = self.text[self.at : self.at + 20]
        return refuse(self.at, f"expected {what}, found {rest!r}." if rest else f"expected {what}, found the end.")

    def space(self) -> bool:
        """Pass over white space; say whether there was any."""
        begin, self.at = self.at, self.found(_SPACE)
        return self.at > begin

    def found(self, pattern: re.Pattern[str]) -> int:
        """Return where a pattern that begins here ends, 0 where none does."""
        match = pattern.match(self.text, self.at)
        return match.end() if match else 0

    def take(self, mark: str, what: str) -> None:
        if not self.text.startswith(mark, self.at):
            raise self.expected(what)
        self.at += len(mark)

    def filter(self, depth: int) -> Expression:
        """Read expressions with `and` and `or` between them, and the space after them."""
        self.space()
        found = self.term(depth)
        self.space()
        while (word := self.word()) in {"and", "or"}:
            self.at += len(word)
            if not self.space() and not self.text.startswith("(", self.at):
                raise self.expected(f"a space after {word}")
            part = self.term(depth)
            before = found.parts if isinstance(found, Joined) and found.word == word else (found,)
            found = Joined(word, (*before, part))
            self.space()
        return found

    def word(self) -> str:
        return self.text[self.at : self.found(_WORD)]

    def term(self, depth: int) -> Expression:
        if depth > MOST_DEPTH:
            raise refuse(self.at, f"at most {MOST_DEPTH} parentheses stand within each other.")
        negated = self.found(_NOT)
        if negated:
            self.at = negated - 1
        if not self.text.startswith("(", self.at):
            return self.test(depth)
        self.at += 1
        found = self.filter(depth + 1)
        self.take(")", "and, or, or a closing )")
        return Joined("not", (found,)) if negated else found

    def test(self, depth: int) -> Comparison:
        begin = self.at
        path = self.path(depth)
        if not self.space():
            raise self.expected("a space and an operator")
        operator, at = self.word(), self.at
        if operator not in OPERATORS:
            raise self.expected(f"an operator, one of {', '.join(sorted(OPERATORS))}")
        self.at += len(operator)
        if not self.space():
            raise self.expected(f"a space after {operator}")
        self.tests += 1
        if self.tests > MOST_TESTS:
            raise refuse(begin, f"at most {MOST_TESTS} tests stand in one _filter.")
        value_at = self.at
        return Comparison(path, operator, self.value(), at, value_at)

    def path(self, depth: int) -> tuple[Step, ...]:
        steps: list[Step] = []
        while True:
            at, has = self.at, self.found(_HAS)
            if has:
                steps.append(Step(self.text[at:has], at))
                self.at = has + 1
                continue
            end = self.found(_NAME)
            if not end:
                raise self.expected("the name of a search parameter" if steps else "a search parameter, not( or (")
            name, self.at = self.text[at:end], end
            inner = None
            if self.text.startswith("[", self.at):
                self.at += 1
                inner = self.filter(depth + 1)
                self.take("]", "and, or, or a closing ]")
                if not self.text.startswith(".", self.at):
                    raise self.expected("a . and the name of a search parameter")
            steps.append(Step(name, at, inner))
            if not self.text.startswith(".", self.at):
                return tuple(steps)
            self.at += 1

    def value(self) -> str:
        """Read a JSON string, or what stands until a space, ) or ]."""
        if self.text.startswith('"', self.at):
            end = self.found(_STRING)
            if not end:
                raise self.expected("a JSON string with its closing quote")
            text = str(json.loads(self.text[self.at : end]))
        else:
            end = self.found(_TOKEN)
            if not end:
                raise self.expected("a value")
            text = self.text[self.at : end]
        if any(char < " " or "\ud800" <= char <= "\udfff" for char in text):
            raise refuse(self.at, "a control character or half a character cannot be searched for.")
        self.at = end
        if self.at < len(self.text) and self.text[self.at] not in ")]" and not self.text[self.at].isspace():
            raise self.expected("a space after the value")
        return text
