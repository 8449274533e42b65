"""The mutants of a module, of the named queries and of the compiler of searches; scripts/mutate.py runs them.

Comparisons, conditions, constants, calls that only refuse, and the words of SQL are changed; in the statements and
in the compiler of searches, each place where the decision stands is left open.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from overblik.store import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEARCH = Path(str(queries.__file__)).parent / "search"
_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_WORDS = (
    (" and ", " or "), (" or ", " and "), ("not ", ""), ("<=", "<"), (" > ", " >= "), (" < ", " <= "),
    ("is null", "is not null"), ("<@", "@>"), ("'staff'", "'x'"), ("'citizen'", "'x'"), (" <> ", " = "),
)  # fmt: skip
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_PLAIN = (str, int, dict, frozenset, tuple, set, re.Pattern)
_PLACES = re.compile(r":(permit|permit_whole|visible|visible_entry|visible_given):")


@dataclass(frozen=True)
class Mutant:
    """One change: where, what becomes what, how to make it in this process, and what a test that sees it runs.

    `runs` is the place of a statement (`module:7`) or a named query; "" where it runs when the program starts.
    """

    where: str
    what: str
    make: Callable[[], None]
    runs: str


# -- of Python


def of_module(name: str) -> Iterator[Mutant]:
    """Yield the mutants of a module."""
    module = importlib.import_module(name)
    tree = ast.parse(Path(str(module.__file__)).read_text())
    words = {id(found) for node in ast.walk(tree) for found in (*_docstring(node), *_declared(node))}
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in words or (isinstance(node, ast.expr) and not hasattr(node, "lineno")):
            continue
        for changed, text in _changes(node):
            where, make = f"{name}:{getattr(node, 'lineno', 0)}", _replacing(name, tree, number, changed)
            yield Mutant(where, text, make, _statement(name, tree, node))


def _statement(name: str, tree: ast.AST, node: ast.AST) -> str:
    """Return the place of the statement that a node stands in; "" where that runs when the module is imported."""
    around = [n for n in ast.walk(tree) if isinstance(n, ast.stmt) and any(inner is node for inner in ast.walk(n))]
    made = [n for n in around if isinstance(n, _FUNCTIONS)]
    if not made or around[-1] is made[-1]:  # of the module, a decorator or a default
        return ""
    return f"{name}:{around[-1].lineno}"


def probe(name: str, ran: Callable[[str], None]) -> None:
    """Have the functions of a module tell the place of each statement before they run it."""
    module = importlib.import_module(name)
    tree = ast.parse(Path(str(module.__file__)).read_text())
    inside = {id(n): n for made in ast.walk(tree) if isinstance(made, _FUNCTIONS) for n in ast.walk(made)}
    for node in inside.values():
        for field, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                told = [(ast.parse(f"_ran({f'{name}:{s.lineno}'!r})").body[0], s) for s in value]
                setattr(node, field, [statement for pair in told for statement in pair])
    new = _executed(name, tree)
    vars(module)["_ran"] = ran
    _take_over(vars(module), new)


def _declared(node: ast.AST) -> list[ast.AST]:
    """Return what says how a class is made, that lists are of one length, and what only type checkers see."""
    if isinstance(node, ast.ClassDef):
        made = [k for call in node.decorator_list if isinstance(call, ast.Call) for k in call.keywords]
        return [keyword.value for keyword in (*node.keywords, *made)]
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
        return [node.slice]
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return [node.value]
    return [node] if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" else []


def _docstring(node: ast.AST) -> list[ast.AST]:
    """Return the constants of a body that are its documentation."""
    body = getattr(node, "body", [])
    found = [s.value for s in body if isinstance(s, ast.Expr)] if isinstance(body, list) else []
    return [value for value in found if isinstance(value, ast.Constant)]


def _changes(node: ast.AST) -> Iterator[tuple[Callable[[Any], ast.AST | None], str]]:
    """Yield how a node can be changed, in words too; None takes a statement's place by nothing."""
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            if type(op) in _COMPARED:
                yield _compared(place, _COMPARED[type(op)]), f"{ast.unparse(node)}: {_COMPARED[type(op)].__name__}"
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield (lambda n: ast.BoolOp(other(), n.values)), f"{ast.unparse(node)}: {other.__name__}"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield (lambda n: n.operand), f"{ast.unparse(node)}: without not"
    elif isinstance(node, ast.If | ast.IfExp):
        for value in (True, False):
            yield _decided(value=value), f"if {ast.unparse(node.test)}: {value}"
    else:
        yield from _smaller_changes(node)


def _smaller_changes(node: ast.AST) -> Iterator[tuple[Callable[[Any], ast.AST | None], str]]:
    """Yield changes of constants, of statements that only do something, and of literal collections."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield (lambda n: ast.Constant(not n.value)), f"{node.value}: {not node.value}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from _sql_changes(node.value)
    elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)):
        yield (lambda _: ast.Pass()), f"{ast.unparse(node)[:70]}: left out"
    elif isinstance(node, ast.Set | ast.Tuple | ast.List) and isinstance(getattr(node, "ctx", None), ast.Load | None):
        for place, element in enumerate(node.elts):
            if isinstance(element, ast.Constant) and isinstance(element.value, str) and " " not in element.value:
                yield _without(place), f"{ast.unparse(node)[:60]}: without {element.value!r}"


def _compared(place: int, op: type[ast.cmpop]) -> Callable[[Any], ast.AST]:
    return lambda n: ast.Compare(n.left, [op() if i == place else o for i, o in enumerate(n.ops)], n.comparators)


def _decided(*, value: bool) -> Callable[[Any], ast.AST]:
    return lambda n: type(n)(ast.Constant(value), n.body, n.orelse)  # a statement or an expression


def _without(place: int) -> Callable[[Any], ast.AST]:
    def change(node: Any) -> ast.AST:
        node.elts = [element for i, element in enumerate(node.elts) if i != place]
        return node  # type: ignore[no-any-return]  # a node as it came

    return change


def _sql_changes(text: str) -> Iterator[tuple[Callable[[Any], ast.AST], str]]:
    """Yield the changes of words in a text that is SQL."""
    if not re.search(r"\b(select|exists|and|any)\b", text) or ("%(" not in text and "{" not in text):
        return
    for word, other in _WORDS:
        for found in re.finditer(re.escape(word), text):
            changed = text[: found.start()] + other + text[found.end() :]
            near = " ".join(text[max(0, found.start() - 30) : found.end() + 30].split())
            yield _opening(changed), f"…{near}…: {word!r} {other!r}"


def _replacing(name: str, tree: ast.Module, number: int, change: Callable[[Any], ast.AST | None]) -> Callable[[], None]:
    """Return what puts a changed module in the place of the one that is imported."""

    def make() -> None:
        copy = deepcopy(tree)
        node = next(n for i, n in enumerate(ast.walk(copy)) if i == number)
        _put(copy, node, change(node))
        _take_over(vars(importlib.import_module(name)), _executed(name, copy))

    return make


def _executed(name: str, tree: ast.Module) -> dict[str, Any]:
    """Return what a module's changed source makes."""
    path = str(importlib.import_module(name).__file__)
    new: dict[str, Any] = {"__name__": name, "__file__": path}
    exec(compile(ast.fix_missing_locations(tree), path, "exec"), new)  # noqa: S102 - our own source
    return new


def _put(tree: ast.AST, node: ast.AST, new: ast.AST | None) -> None:
    """Put a node in another's place."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, field, new)
            elif isinstance(value, list) and any(item is node for item in value):
                setattr(parent, field, [new if item is node else item for item in value])


def _take_over(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Have functions that are there run the new code, wherever they were imported to; and constants be the new ones."""
    for name, value in new.items():
        before = old.get(name)
        if name.startswith("__") or before is None:
            continue
        if isinstance(value, type) and isinstance(before, type):
            for attribute, item in vars(value).items():
                _recode(vars(before).get(attribute), item)
        elif (
            not _recode(before, value) and type(before) is type(value) and isinstance(value, _PLAIN) and before != value
        ):
            for module in list(sys.modules.values()):
                for known, held in list(vars(module).items()) if hasattr(module, "__dict__") else ():
                    if held is before:
                        setattr(module, known, value)


def _recode(before: Any, value: Any) -> bool:
    """Give a function, property or method the code of another; say whether it is one."""
    for inner in ("fget", "__func__", "__wrapped__", "func"):
        if hasattr(value, inner) and hasattr(before, inner):
            return _recode(getattr(before, inner), getattr(value, inner))
    if not (isinstance(before, FunctionType) and isinstance(value, FunctionType)):
        return False
    before.__code__, before.__defaults__, before.__kwdefaults__ = (
        value.__code__, value.__defaults__, value.__kwdefaults__,
    )  # fmt: skip
    return True


# -- of statements


def _open(place: str) -> str:
    return "select 'self' as rule, null::bigint as evidence" if place.startswith("permit") else "(true)"


def of_statements() -> Iterator[Mutant]:
    """Yield each place of each named query where the decision stands, left open."""
    for name, query in sorted(queries.named_queries().items()):
        for text, what in _opened(query.text):
            new = type(query)(query.name, query.scope, text)
            make = partial(queries.named_queries().__setitem__, name, new)
            yield Mutant(f"sql {name}", what, make, name)


def _opened(text: str) -> Iterator[tuple[str, str]]:
    """Yield a statement with one of those places open, and which."""
    for found in _PLACES.finditer(text):
        near = " ".join(text[max(0, found.start() - 40) : found.end()].split())
        yield text[: found.start()] + _open(found[1]) + text[found.end() :], f"…{near}: {_open(found[1])[:20]}"


def of_searches() -> Iterator[Mutant]:
    """Yield each place of the search compiler where the decision is put in, left open."""
    for path in sorted(SEARCH.glob("*.py")):
        name = f"overblik.store.search.{path.stem}"
        tree = ast.parse(path.read_text())
        for number, node in enumerate(ast.walk(tree)):
            found: list[tuple[str, str]] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"visible", "permit"}:
                found = [(_open(node.func.id), ast.unparse(node))]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = list(_opened(node.value))
            for text, what in found:
                make = _replacing(name, tree, number, _opening(text))
                yield Mutant(f"{name}:{getattr(node, 'lineno', 0)}", what, make, _statement(name, tree, node))


def _opening(text: str) -> Callable[[Any], ast.AST]:
    """Return the change to a text."""
    return lambda _: ast.Constant(text)


def mutants(name: str) -> list[Mutant]:
    """Return the mutants of a module, of the named queries (`*.sql`) or of the compiler of searches."""
    if name == "*.sql":
        return list(of_statements())
    return list(of_searches() if name.endswith("*") else of_module(name))
