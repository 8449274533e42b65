"""`./run bench scale`: what the size of the store does to a search, and what loading that many patients takes.

Two stores are loaded with `overblik load` from `overblik population`, one of a thousand patients and a
large one, and served beside each other; each search runs on one and the other in turn, beside what is asked of it.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from bench import own
from bench.disk import size
from bench.machine import machine
from bench.searches import SEARCHES
from bench.table import line, put
from bench.wrk import Ask, run
from overblik.app.postgres import server_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bench.searches import Search
    from bench.target import Target

BEGIN = "<!-- written by ./run bench scale -->"
MUST, AIM = 1.3, 1.1
"""How many times as long the median search may take in the large store as in the small one."""
MANY = 16
ASKS = 1000


@dataclass(frozen=True, slots=True)
class Cell:
    """One search on one store: alone, the database's processor time for it, and 16 at once (0: not asked)."""

    p50: float
    database: float
    rate: float = 0.0


def main(arguments: list[str]) -> None:
    """Load, search and print."""
    given = _arguments(arguments)
    lines: list[str] = []

    def say(text: str) -> None:
        lines.append(text)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    with ExitStack() as stack:
        folders = [given.small or _folder(stack), given.large or _folder(stack)]
        sizes = [given.few, given.patients]
        say(f"{machine()}; {given.workers} workers of each store; each {given.rounds} times {given.seconds:g} s.\n")
        _load_all([one for one in zip([given.small, given.large], folders, sizes, strict=True) if not one[0]], say)
        targets = [stack.enter_context(own.served(one, given.workers, source="load")) for one in folders]
        for text in table(sizes, _compared(targets, given, sizes)):
            say(text)
    if given.write:
        put(given.write, BEGIN, lines)


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench scale", description=__doc__)
    add = parser.add_argument
    add("--few", type=int, default=1000, help="patients of the small store")
    add("--patients", type=int, default=64_000, help="patients of the large store")
    add("--small", type=Path, help="a data folder of so few that was loaded before, kept afterwards")
    add("--large", type=Path, help="a data folder of so many that was loaded before, kept afterwards")
    add("--only", default="", help="searches whose title has this in it")
    add("--workers", type=int, default=2)
    add("--rounds", type=int, default=3)
    add("--seconds", type=float, default=2)
    add("--write", type=Path, help="put what was found into this file, between the marks")
    return parser.parse_args(arguments)


def _folder(stack: ExitStack) -> Path:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
    folder.chmod(0o755)
    return folder


def _load_all(wanted: Sequence[tuple[None, Path, int]], say: Callable[[str], None]) -> None:
    if wanted:
        say(line(["loaded", "seconds", "resources a second", "bytes a resource"]))
        say(line(["---"] + ["---:"] * 3))
        for _, folder, patients in wanted:
            say(_load(folder, patients))
        say("")


def _load(folder: Path, patients: int) -> str:
    """Write a population and load it."""
    files = folder / "files"
    own.command(folder, "population", "--patients", str(patients), "--out", str(files), "--quiet")
    began = time.monotonic()
    said = own.command(folder, "load", str(files))
    seconds = time.monotonic() - began
    taken = int(re.findall(r"(\d+) taken", said)[-1])
    for file in files.iterdir():
        file.unlink()
    with server_of(own.settings(folder)):
        each = size(folder) / taken
    return line(
        [f"{patients:,} patients, {taken:,} resources", f"{seconds:.0f}", f"{taken / seconds:,.0f}", f"{each:,.0f}"]
    )


def _compared(
    targets: list[Target], given: argparse.Namespace, sizes: list[int]
) -> Iterator[tuple[str, Search, list[Cell]]]:
    """Walk the searches as they are measured, turn about."""
    for title, search in SEARCHES.items():
        if given.only not in title:
            continue
        alone: list[list[tuple[float, float]]] = [[] for _ in targets]
        for number in range(given.rounds):
            for taken, target, patients in zip(alone, targets, sizes, strict=True):
                taken.append(_alone(target, _asks(search, patients, number), given.seconds))
        cells = []
        for taken, target, patients in zip(alone, targets, sizes, strict=True):
            p50, database = (statistics.median(part) for part in zip(*taken, strict=True))
            rate = _at_once(target, _asks(search, patients, given.rounds), given.seconds) if search.must else 0.0
            cells.append(Cell(p50, database, rate))
        yield title, search, cells


def _asks(search: Search, patients: int, seed: int) -> list[Ask]:
    rng = Random(seed)
    return [Ask("GET", search.make(rng.randrange(patients), rng)) for _ in range(ASKS)]


def _alone(target: Target, asks: list[Ask], seconds: float) -> tuple[float, float]:
    """Return the p50 in milliseconds (without end where none is answered in time), and the database's µs a request."""
    run(target.base, target.headers, asks, connections=1, seconds=1)
    before = target.spent()
    figure = run(target.base, target.headers, asks, connections=1, seconds=seconds)
    if figure.errors:
        raise SystemExit(f"bench: {asks[0].path} is refused")
    database = target.spent().since(before).database / max(1.0, figure.rate * seconds)
    return figure.p50 if figure.rate else math.inf, database


def _at_once(target: Target, asks: list[Ask], seconds: float) -> float:
    run(target.base, target.headers, asks, connections=MANY, seconds=1)
    return run(target.base, target.headers, asks, connections=MANY, seconds=seconds).rate


def _told(number: float) -> str:
    return "none in time" if math.isinf(number) else f"{number:.2f}"


def table(sizes: Sequence[int], rows: Iterable[tuple[str, Search, list[Cell]]]) -> Iterator[str]:
    """Walk the lines of the table: both stores, the ratio, and what of it is asked.

    `of must` and `of aim` are 1 or more where it is met: of the ratio, and of the lower rate of both stores.
    """
    titles = [f"{size:,} patients: p50 ms" for size in sizes] + ["p50 ×", f"of {MUST:g}", f"of {AIM:g}", "database ×"]
    titles += [f"{size:,}: a second at {MANY}" for size in sizes] + ["must", "of must", "aim", "of aim"]
    yield line(["search, one connection", *titles])
    yield line(["---"] + ["---:"] * len(titles))
    for title, search, (few, many) in rows:
        ratio = many.p50 / max(few.p50, 0.001)
        cells = [_told(few.p50), _told(many.p50), _told(ratio), f"{MUST / ratio:.2f}", f"{AIM / ratio:.2f}"]
        cells.append(f"{many.database / max(few.database, 1):.2f}")
        rates = [""] * 6
        if search.must:
            least = min(few.rate, many.rate)
            rates = [f"{few.rate:,.0f}", f"{many.rate:,.0f}", f"{search.must:,}", f"{least / search.must:.2f}"]
            rates += [f"{search.aim:,}", f"{least / search.aim:.2f}"]
        yield line([title, *cells, *rates])
