"""Change the decision in one place at a time, and see that a test fails: `.venv/bin/python scripts/mutate.py`.

    scripts/mutate.py                     every mutant of every target
    scripts/mutate.py scopes visibility   those of some
    scripts/mutate.py sql --list          what would be changed, and run nothing
    scripts/mutate.py rules --number 12   one of them, with what pytest says

A mutant is a copy of this process (fork) in which one module is replaced, so that nothing is imported twice and one
PostgreSQL serves all of them. Comparisons, conditions, constants, calls that only refuse, and the words of SQL are
changed; in the statements and in the compiler of searches, each place where the decision stands is left open.
A mutant that no test fails for survives: it needs a test, or a line in docs/decisions/019 that says why it cannot.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import re
import signal
import sys
import traceback
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import pytest  # noqa: E402 - after the path
from tests import conftest  # noqa: E402
from tests.folders import open_folder  # noqa: E402

from overblik.fhir.definitions import r4  # noqa: E402
from overblik.store import queries  # noqa: E402
from overblik.store.embedded import EmbeddedPostgres  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 600
_DECIDED = (
    "trust/test_door.py", "trust/test_consent.py", "trust/test_proxies.py", "trust/test_break_glass.py",
    "trust/test_deaths.py",
)  # fmt: skip
_HIDDEN = ("api/test_hidden.py", "api/test_chains.py", "api/test_include.py", "worlds/test_generated.py")
_MORE = (*_DECIDED, "trust/test_merged_records.py", "trust/test_scopes.py", *_HIDDEN)
_STATED = (
    "api/test_history.py", "api/test_everything.py", "api/test_search_past.py", "api/test_relations.py",
    "overview/test_over_http.py", "trust/test_log_page.py", "trust/test_log_events.py", "trust/test_log_file.py",
    "trust/test_stated.py", "trust/test_protected.py", "trust/test_strangers.py", "trust/test_bulk_reading.py",
    "web/test_relations.py", "web/test_blocking.py", "web/test_live.py",
)  # fmt: skip
TARGETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "scopes": ("overblik.trust.callers.scopes", ("trust/test_decision.py",)),
    "identity": ("overblik.trust.callers.identity", ("trust/test_decision.py",)),
    "cursors": ("overblik.trust.door.cursors", ("trust/test_decision.py",)),
    "rules": ("overblik.trust.consent.rules", ("trust/test_consent_rules.py",)),
    "facts": ("overblik.trust.facts", ("exchange/test_late_facts.py", "exchange/test_orders.py")),
    "access": ("overblik.trust.door.access", (*_MORE, "trust/test_log_page.py", "overview/test_over_http.py")),
    "visibility": ("overblik.store.visibility", (*_DECIDED, "trust/test_scopes.py", "trust/test_merged_records.py")),
    "searching": ("overblik.trust.door.searching", ("api/test_totals.py", "api/test_search_past.py", *_MORE)),
    "search": ("overblik.store.search.*", _MORE),
    "sql": ("*.sql", (*_STATED, *_DECIDED, "trust/test_scopes.py", "trust/test_merged_records.py", *_HIDDEN)),
}
"""name: (module, the tests that are to see it)"""
_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_WORDS = (
    (" and ", " or "), (" or ", " and "), ("not ", ""), ("<=", "<"), (" > ", " >= "), (" < ", " <= "),
    ("is null", "is not null"), ("<@", "@>"), ("'staff'", "'x'"), ("'citizen'", "'x'"), (" <> ", " = "),
)  # fmt: skip
_PLAIN = (str, int, dict, frozenset, tuple, set, re.Pattern)
_PLACES = re.compile(r":(permit|permit_whole|visible|visible_entry|visible_given):")


@dataclass(frozen=True)
class Mutant:
    """One change: where, what becomes what, and how to make it in this process."""

    where: str
    what: str
    make: Callable[[], None]


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
            yield Mutant(f"{name}:{getattr(node, 'lineno', 0)}", text, _replacing(name, tree, number, changed))


def _declared(node: ast.AST) -> list[ast.AST]:
    """Return what says how a class is made, and what only type checkers see."""
    if isinstance(node, ast.ClassDef):
        made = [k for call in node.decorator_list if isinstance(call, ast.Call) for k in call.keywords]
        return [keyword.value for keyword in (*node.keywords, *made)]
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
        return [node.slice]
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
        module = importlib.import_module(name)
        new: dict[str, Any] = {"__name__": name, "__file__": module.__file__}
        exec(compile(ast.fix_missing_locations(copy), str(module.__file__), "exec"), new)  # noqa: S102 - our own source
        _take_over(vars(module), new)

    return make


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
            yield Mutant(f"sql {name}", what, partial(queries.named_queries().__setitem__, name, new))


def _opened(text: str) -> Iterator[tuple[str, str]]:
    """Yield a statement with one of those places open, and which."""
    for found in _PLACES.finditer(text):
        near = " ".join(text[max(0, found.start() - 40) : found.end()].split())
        yield text[: found.start()] + _open(found[1]) + text[found.end() :], f"…{near}: {_open(found[1])[:20]}"


def of_searches() -> Iterator[Mutant]:
    """Yield each place of the search compiler where the decision is put in, left open."""
    for path in sorted((ROOT / "src/overblik/store/search").glob("*.py")):
        name = f"overblik.store.search.{path.stem}"
        tree = ast.parse(path.read_text())
        for number, node in enumerate(ast.walk(tree)):
            found: list[tuple[str, str]] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"visible", "permit"}:
                found = [(_open(node.func.id), ast.unparse(node))]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = list(_opened(node.value))
            for text, what in found:
                change = _replacing(name, tree, number, _opening(text))
                yield Mutant(f"{name}:{getattr(node, 'lineno', 0)}", what, change)


def _opening(text: str) -> Callable[[Any], ast.AST]:
    """Return the change to a text."""
    return lambda _: ast.Constant(text)


def mutants(target: str) -> list[Mutant]:
    """Return the mutants of a target."""
    name = TARGETS[target][0]
    if name == "*.sql":
        return list(of_statements())
    return list(of_searches() if name.endswith("*") else of_module(name))


# -- running them


class Shared:
    """Stands for the server that a fork would start: the one there is."""

    server: EmbeddedPostgres

    def __init__(self, *_: Any) -> None:
        self.conninfo = Shared.server.conninfo

    def start(self) -> None:
        """Nothing: it runs, and others use it."""

    stop = start


class Finders:
    """Has pytest begin with the tests that have found most, and write which one finds this mutant."""

    known: ClassVar[Counter[str]] = Counter()
    """How many mutants each test has found."""

    def __init__(self, told: int) -> None:
        self._told = told

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Order the tests."""
        items.sort(key=lambda item: -self.known[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell of a test that fails."""
        if report.failed:
            os.write(self._told, report.nodeid.encode())


def survives(mutant: Mutant | None, tests: tuple[str, ...], *, loud: bool = False) -> bool:
    """Run tests in a fork with a mutant; say whether all of them passed."""
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        if not loud:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
        code = 1
        try:
            if mutant is not None:
                mutant.make()
            files = [str(ROOT / "tests" / test) for test in tests]
            code = pytest.main(
                ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--assert=plain", "-m", "not long", *files],
                [Finders(told)],
            )
        except BaseException:  # noqa: BLE001 - what it was is told, and the fork ends
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(code))
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
    signal.alarm(SECONDS)
    _, status = os.waitpid(child, 0)
    signal.alarm(0)
    os.close(told)
    with os.fdopen(heard) as finder:
        Finders.known[finder.read()] += 1
    return os.waitstatus_to_exitcode(status) == 0


def main() -> int:
    """Run the mutants asked for; print who survives, and return how many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("targets", nargs="*", help="of " + ", ".join(TARGETS))
    parser.add_argument("--list", action="store_true", help="print the mutants only")
    parser.add_argument("--number", type=int, nargs="*", help="these of the target; one with pytest's output")
    parser.add_argument("--every", type=int, default=1, help="only each so manieth")
    given = parser.parse_args()
    left = 0
    with open_folder("mutants", in_memory=True) as folder:
        if not given.list:
            Shared.server = EmbeddedPostgres(folder, conftest.FOR_TESTS)
            Shared.server.start()
            vars(conftest)["EmbeddedPostgres"] = Shared  # what a fork starts is this one
        try:
            for target in given.targets or TARGETS:
                left += _run(target, given)
        finally:
            if not given.list:
                Shared.server.stop()
    return min(left, 100)


def _run(target: str, given: argparse.Namespace) -> int:
    """Run the mutants of a target; return how many survive."""
    tests = TARGETS[target][1]
    for test in tests:  # imported here, they are in every fork
        importlib.import_module("tests." + test.removesuffix(".py").replace("/", "."))
    r4()
    known = list(enumerate(mutants(target), 1))[:: given.every]
    known = [(n, m) for n, m in known if not given.number or n in given.number]
    loud = len(given.number or ()) == 1
    if given.list:
        for number, mutant in known:
            print(f"{target} {number}: {mutant.where}: {mutant.what}")
        return 0
    if not survives(None, tests, loud=loud):
        sys.exit(f"mutate: the tests of {target} fail without any change; see `pytest {' '.join(tests)}`.")
    left = 0
    for number, mutant in known:
        if survives(mutant, tests, loud=loud):
            left += 1
            print(f"survives: {target} {number}: {mutant.where}: {mutant.what}", flush=True)
        elif number % 10 == 0:
            print(f"{target}: {number} of {len(known)}, {left} survive", file=sys.stderr, flush=True)
    print(f"{target}: {len(known)} mutants, {left} survive", flush=True)
    return left


if __name__ == "__main__":
    sys.exit(main())
