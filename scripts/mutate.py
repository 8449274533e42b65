"""Change the decision in one place at a time, and see that a test fails: `.venv/bin/python scripts/mutate.py`.

    scripts/mutate.py                     every mutant of every target
    scripts/mutate.py scopes visibility   those of some
    scripts/mutate.py sql --list          what would be changed, and run nothing
    scripts/mutate.py rules --number 12   one of them, with what pytest says

A mutant (scripts/mutants.py) is a copy of this process (fork) in which one module is replaced, so that nothing is
imported twice and one PostgreSQL serves all of them. The tests run once without a change, and tell which lines and
statements each of them runs: a mutant is tried with those that run what is changed, the likely ones first.
A mutant that no test fails for survives: it needs a test, or a line in docs/decisions/019 that says why it cannot.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import signal
import sys
import traceback
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import pytest  # noqa: E402 - after the path
from tests import conftest  # noqa: E402
from tests.folders import open_folder  # noqa: E402

from mutants import Mutant, mutants, probe  # noqa: E402
from overblik.fhir.definitions import r4  # noqa: E402
from overblik.store import queries  # noqa: E402
from overblik.store.embedded import EmbeddedPostgres  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 600
KEPT = type(queries.sql)
"""What functools keeps answers in."""
_DECIDED = (
    "trust/test_door.py", "trust/test_consent.py", "trust/test_proxies.py", "trust/test_break_glass.py",
    "trust/test_deaths.py", "trust/test_scopes.py", "trust/test_merged_records.py",
)  # fmt: skip
_HIDDEN = ("api/test_hidden.py", "api/test_chains.py", "api/test_include.py")
_MORE = (*_DECIDED, *_HIDDEN, "worlds/test_generated.py")
_ASKED = (
    "api/test_history.py",
    "api/test_everything.py",
    "api/test_relations.py",
    "overview/test_over_http.py",
    "trust/test_log_events.py",
    "trust/test_log_file.py",
    "trust/test_protected.py",
    "trust/test_strangers.py",
    "trust/test_bulk_reading.py",
    "web/test_blocking.py",
    "web/test_proxies.py",
)
_STATED = (
    *_ASKED, "api/test_search_past.py", "api/test_formats.py", "trust/test_stated.py", "web/test_relations.py",
    "web/test_live.py",
)  # fmt: skip
_READ = ("api/test_crud.py", "api/test_etags.py", "api/test_not_storable.py", "security/test_tries.py")
_SEARCHED = ("api/test_totals.py", "api/test_search.py", "api/test_search_system.py", "api/test_lists_and_texts.py")
_TOLD = ("exchange/test_late_facts.py", "exchange/test_hospital_notification_files.py", "overview/test_messages.py")
TARGETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "scopes": ("overblik.trust.callers.scopes", ("trust/test_decision.py",)),
    "identity": ("overblik.trust.callers.identity", ("trust/test_decision.py",)),
    "cursors": ("overblik.trust.door.cursors", ("trust/test_decision.py",)),
    "rules": ("overblik.trust.consent.rules", ("trust/test_consent_rules.py",)),
    "facts": ("overblik.trust.facts", ("trust/test_facts.py", *_TOLD)),
    "access": ("overblik.trust.door.access", (*_READ, *_DECIDED, *_HIDDEN, *_ASKED)),
    "visibility": ("overblik.store.visibility", _DECIDED),
    "searching": ("overblik.trust.door.searching", (*_SEARCHED, "api/test_search_past.py", *_DECIDED, *_HIDDEN)),
    "search": ("overblik.store.search.*", _MORE),
    "sql": ("*.sql", (*_STATED, *_MORE)),
}
"""name: (module, the tests that are to see it)"""


class Shared:
    """Stands for the server that a fork would start: the one there is."""

    server: EmbeddedPostgres

    def __init__(self, *_: Any) -> None:
        self.conninfo = Shared.server.conninfo

    def start(self) -> None:
        """Nothing: it runs, and others use it."""

    stop = start


class Finders:
    """Has pytest run the tests that can see a mutant, those that have found most first; writes which one finds it."""

    known: ClassVar[Counter[str]] = Counter()
    """How many mutants each test has found."""

    def __init__(self, told: int, tests: dict[str, float]) -> None:
        self._told = told
        self._tests = tests

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose and order the tests."""
        items[:] = [item for item in items if item.nodeid in self._tests]
        items.sort(key=lambda item: (-self.known[item.nodeid], self._tests[item.nodeid]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell of a test that fails."""
        if report.failed:
            os.write(self._told, report.nodeid.encode())


class Asked(dict[str, Any]):
    """The named queries, telling which of them are asked for."""

    told: Callable[[str], None]

    def __getitem__(self, name: str) -> Any:
        """Return a query, and tell its name."""
        self.told(name)
        return super().__getitem__(name)


class Runs:
    """Notes which statements of these modules and which named queries each test runs, and for how long it does."""

    def __init__(self, told: int, modules: set[str]) -> None:
        self._told = told
        self._seen: dict[str, set[str]] = defaultdict(set)
        self._seconds: dict[str, float] = defaultdict(float)
        self._now: set[str] = set()
        self._failed = ""
        for module in modules:
            probe(module, self._ran)
        asked = Asked(queries.named_queries())
        asked.told = self._ran
        vars(queries)["named_queries"] = lambda: asked

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Follow one test. What is compiled once and kept is compiled again in each."""
        self._now = self._seen[item.nodeid]
        for kept in [o for o in gc.get_objects() if isinstance(o, KEPT)]:
            if kept.__module__.startswith("overblik.store."):
                kept.cache_clear()

    def _ran(self, what: str) -> None:
        self._now.add(what)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how long a test takes, or why it fails."""
        self._seconds[report.nodeid] += report.duration
        self._failed += f"{report.nodeid}\n{report.longreprtext}\n" if report.failed else ""

    def pytest_sessionfinish(self) -> None:
        """Tell {test: [seconds, what it runs]}, or what failed."""
        told = {test: [self._seconds[test], sorted(seen)] for test, seen in self._seen.items()}
        with os.fdopen(self._told, "w") as pipe:
            pipe.write(self._failed or json.dumps(told))


def forked(mutant: Mutant | None, asked: list[str], plugin: type, given: Any, *, loud: bool = False) -> tuple[int, str]:
    """Run tests in a fork with a mutant; return how pytest ended, and what the plugin told."""
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
            code = pytest.main(
                ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--assert=plain",
                 "--worlds", "200", "--rootdir", str(ROOT), *asked],
                [plugin(told, given)],
            )  # fmt: skip
        except BaseException:  # noqa: BLE001 - what it was is told, and the fork ends
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(code))
    os.close(told)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
    signal.alarm(SECONDS)
    with os.fdopen(heard) as said:
        text = said.read()
    _, status = os.waitpid(child, 0)
    signal.alarm(0)
    return os.waitstatus_to_exitcode(status), text


def survives(mutant: Mutant, known: dict[str, Any], *, loud: bool = False) -> bool:
    """Run the tests that run what a mutant changes; say whether all of them passed."""
    tests = {test: seconds for test, (seconds, runs) in known.items() if mutant.runs in {"", *runs}}
    if not tests:
        return True
    files = sorted({str(ROOT / test.partition("::")[0]) for test in tests})
    code, finder = forked(mutant, files, Finders, tests, loud=loud)
    Finders.known[finder] += 1
    return code == 0


def main() -> int:
    """Run the mutants asked for; print who survives, and return how many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("targets", nargs="*", help="of " + ", ".join(TARGETS))
    parser.add_argument("--list", action="store_true", help="print the mutants only")
    parser.add_argument("--number", type=int, nargs="*", help="these of the target; one with pytest's output")
    parser.add_argument("--every", type=int, default=1, help="only each so manieth")
    parser.add_argument("--tests", nargs="*", help="only these modules of tests, below tests/")
    parser.add_argument("--long", action="store_true", help="the long tests of them too")
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
    module, tests = TARGETS[target]
    tests = tuple(given.tests or tests)
    for test in tests:  # imported here, they are in every fork
        importlib.import_module("tests." + test.removesuffix(".py").replace("/", "."))
    r4()
    wanted = list(enumerate(mutants(module), 1))[:: given.every]
    wanted = [(n, m) for n, m in wanted if not given.number or n in given.number]
    loud = len(given.number or ()) == 1
    if given.list:
        for number, mutant in wanted:
            print(f"{target} {number}: {mutant.where}: {mutant.what}")
        return 0
    modules = {mutant.runs.partition(":")[0] for _, mutant in wanted if ":" in mutant.runs}
    which = [] if given.long else ["-m", "not long"]
    code, told = forked(None, [*which, *(str(ROOT / "tests" / test) for test in tests)], Runs, modules)
    if code != 0:
        sys.exit(f"mutate: the tests of {target} fail without any change:\n{told}")
    known, left = json.loads(told), 0
    for count, (number, mutant) in enumerate(wanted, 1):
        if survives(mutant, known, loud=loud):
            left += 1
            print(f"survives: {target} {number}: {mutant.where}: {mutant.what}", flush=True)
        elif count % 10 == 0:
            print(f"{target}: {count} of {len(wanted)}, {left} survive", file=sys.stderr, flush=True)
    print(f"{target}: {len(wanted)} mutants, {left} survive", flush=True)
    return left


if __name__ == "__main__":
    sys.exit(main())
