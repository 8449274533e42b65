"""`./run bench scale`: what the size of the store does to a search, and what loading that many patients takes.

Two stores are loaded with `overblik load` from `overblik population`, one of a thousand patients and a
large one, and served beside each other; each search runs on one and the other in turn.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from bench import own
from bench.disk import size
from bench.machine import machine
from bench.table import line
from bench.wrk import Ask, run
from overblik.app.postgres import server_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.target import Target

FEW = 1000
ROUNDS = 3
SECONDS = 3
CODES = ("NPU02319", "NPU18016", "NPU03429", "NPU03230", "NPU27300", "NPU19748", "NPU01566", "NPU19651")
DIAGNOSES = ("DI109", "DE119", "DJ449", "DJ459", "DM179", "DF329", "DI489", "DE039")
FAMILIES = ("Agerskov", "Brinkholt", "Engsig", "Fladbro", "Granlund", "Havbjerg", "Kildemose", "Langtved")
_SEARCHES: dict[str, Callable[[int, Random], str]] = {
    "by patient, newest 50": lambda number, _: f"/Observation?patient=load.p0-{number}&_count=50",
    "by patient and code": lambda number, rng: f"/Observation?patient=load.p0-{number}&code={_code(rng)}",
    "by code, newest 3": lambda _, rng: f"/Observation?code={_code(rng)}&_count=3",
    "by code, newest 20": lambda _, rng: f"/Observation?code={_code(rng)}&_count=20",
    "by code and a month": lambda _, rng: f"/Observation?code={_code(rng)}&date=2025-0{rng.randrange(1, 9)}&_count=20",
    "by diagnosis, newest 20": lambda _, rng: f"/Condition?code={rng.choice(DIAGNOSES)}&_count=20",
    "by name, 20 of a twentieth of all": lambda _, rng: f"/Patient?family={rng.choice(FAMILIES)}&_count=20",
    "by name, 3 of a twentieth of all": lambda _, rng: f"/Patient?family={rng.choice(FAMILIES)}&_count=3",
    "by first and last name": lambda _, rng: f"/Patient?family={rng.choice(FAMILIES)}&given=Mette&_count=3",
    "by patient's birth date, newest 3": lambda _, rng: f"/Observation?patient.birthdate={_born(rng)}&_count=3",
    "by patient's name, newest 3": lambda _, rng: f"/Observation?patient.family={rng.choice(FAMILIES)}&_count=3",
    "_has a diagnosis, 3": lambda _, rng: f"/Patient?_has:Condition:patient:code={rng.choice(DIAGNOSES)}&_count=3",
    "a week, newest 20": lambda _, rng: f"/Observation?{_week(rng)}&_count=20",
    "code and value together, newest 3": lambda _, rng: f"/Observation?code-value-quantity={_code(rng)}$gt5&_count=3",
    "by code, newest 3, with patients": lambda _, rng: (
        f"/Observation?code={_code(rng)}&_count=3&_include=Observation:patient"
    ),
    "born on a day, with diagnoses": lambda _, rng: (
        f"/Patient?birthdate={_born(rng)}&_count=3&_revinclude=Condition:patient"
    ),
    "born on a day, by name": lambda _, rng: f"/Patient?birthdate={_born(rng)}&_sort=family,given&_count=20",
    "of a record, by value": lambda number, _: f"/Observation?patient=load.p0-{number}&_sort=-value-quantity&_count=20",
    "all Patients, by name": lambda _, __: "/Patient?_sort=family&_count=20",
    "how many of a code": lambda _, rng: f"/Observation?code={_code(rng)}&_summary=count",
    "how many of a name": lambda _, rng: f"/Patient?family={rng.choice(FAMILIES)}&_summary=count",
    "how many born on a day": lambda _, rng: f"/Patient?birthdate={_born(rng)}&_summary=count",
    "read by id": lambda number, _: f"/Patient/load.p0-{number}",
    "whole record": lambda number, _: f"/Patient/load.p0-{number}/$everything?_count=1000",
}  # fmt: skip


def _code(rng: Random) -> str:
    return rng.choice(CODES)


def _week(rng: Random) -> str:
    month = f"2025-{rng.randrange(1, 9):02}"
    return f"date=ge{month}-01&date=lt{month}-08"


def _born(rng: Random) -> str:
    return f"{rng.randrange(1935, 2010)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"


def main(arguments: list[str]) -> None:
    """Load, search and print."""
    parser = argparse.ArgumentParser(prog="bench scale", description=__doc__)
    parser.add_argument("--patients", type=int, default=64_000)
    parser.add_argument("--large", type=Path, help="a data folder that was loaded before, kept afterwards")
    parser.add_argument("--only", default="", help="searches whose title has this in it")
    given = parser.parse_args(arguments)
    print(f"{machine()}\n", flush=True)
    with ExitStack() as stack:
        few, many = _folder(stack), given.large or _folder(stack)
        print(line(["loaded", "seconds", "resources a second", "bytes a resource"]))
        print(line(["---"] + ["---:"] * 3))
        _load(few, FEW)
        if not given.large:
            _load(many, given.patients)
        targets = [stack.enter_context(own.served(folder, 1, source="load")) for folder in (few, many)]
        _compare(targets, [FEW, given.patients], given.only)


def _folder(stack: ExitStack) -> Path:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
    folder.chmod(0o755)
    return folder


def _load(folder: Path, patients: int) -> None:
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
    print(
        line(
            [f"{patients:,} patients, {taken:,} resources", f"{seconds:.0f}", f"{taken / seconds:,.0f}", f"{each:,.0f}"]
        )
    )


def _compare(targets: list[Target], sizes: list[int], only: str) -> None:
    print("\n" + line(["search, one connection", *[f"{size:,} patients: p50 ms" for size in sizes], "×", "database ×"]))
    print(line(["---"] + ["---:"] * 4))
    for title, make in ((title, make) for title, make in _SEARCHES.items() if only in title):
        found: list[list[tuple[float, float]]] = [[], []]
        for number in range(ROUNDS):
            for taken, target, patients in zip(found, targets, sizes, strict=True):
                taken.append(_once(target, make, patients, number))
        few, many = (tuple(statistics.median(part) for part in zip(*taken, strict=True)) for taken in found)
        cells = [f"{few[0]:.2f}", f"{many[0]:.2f}", f"{many[0] / few[0]:.2f}", f"{many[1] / max(few[1], 1):.2f}"]
        print(line([title, *cells]), flush=True)


def _once(target: Target, make: Callable[[int, Random], str], patients: int, seed: int) -> tuple[float, float]:
    """Return the p50 in milliseconds, and the database's microseconds for a request."""
    rng = Random(seed)
    asks = [Ask("GET", make(rng.randrange(patients), rng)) for _ in range(1000)]
    run(target.base, target.headers, asks, connections=1, seconds=1)
    before = target.spent()
    figure = run(target.base, target.headers, asks, connections=1, seconds=SECONDS)
    if figure.errors:
        raise SystemExit(f"bench: {asks[0].path} is refused")
    return figure.p50, target.spent().since(before).database / max(1.0, figure.rate * SECONDS)
