"""What rules and log cost: the server as it is beside one whose statements have neither (bench/bare.py).

./run bench rules [--rounds 5] [--seconds 3] [--write docs/performance.md]

Both have the same data, each a database of its own, and are driven turn about by the same requests of the same
callers. Compared is processor time a request, of the server and of PostgreSQL together, which depends little on what
else the machine does; the ratio is that of the medians over the rounds. What is written after the answer (numbers and
seals of the log) is in it as far as it is done while requests come.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.loading import populate
from bench.own import NURSE, SOURCE, bearer, served
from bench.table import put
from bench.workloads import WORKLOADS
from bench.wrk import run

if TYPE_CHECKING:
    from bench.loading import Loaded
    from bench.target import Target

BEGIN = "<!-- written by ./run bench rules -->"
CONNECTIONS = 16
MOST = 1.6
WHO = {"a source": {"kind": "source", "sub": SOURCE, "name": SOURCE}, "a professional": NURSE}


def main(arguments: list[str]) -> None:
    """Load one population, serve it twice, and print the table."""
    parser = argparse.ArgumentParser(prog="bench rules", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--write", type=Path, help="put the table into this file, between its marks")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="overblik-rules-") as name:
        Path(name).chmod(0o755)
        folders = [Path(name) / "full", Path(name) / "bare"]
        folders[0].mkdir()
        with served(folders[0], 2) as target:
            loaded = asyncio.run(populate(target, given.people, 200, 400))
        subprocess.run(["cp", "-a", *map(str, folders)], check=True)  # noqa: S603, S607 - the system's, on our own
        with served(folders[0], 2) as full, served(folders[1], 2, program="bench.bare") as bare:
            lines = table(measure((full, bare), loaded, given.rounds, given.seconds))
    sys.stdout.write("\n".join(lines) + "\n")
    if given.write:
        put(given.write, BEGIN, lines)


Costs = dict[tuple[str, str], list[tuple[list[float], list[float]]]]
"""By workload and caller, for each round: microseconds of server and database, with rules and log and without."""


def measure(servers: tuple[Target, Target], loaded: Loaded, rounds: int, seconds: float) -> Costs:
    """Drive both servers turn about; the first round warms them, and is not counted."""
    found: Costs = {}
    for number in range(rounds + 1):
        for name in ("read", "overview"):
            for who in WHO:
                pair = [_cost(server, name, who, loaded, seconds) for server in servers[:: 1 if number % 2 else -1]]
                if number:
                    found.setdefault((WORKLOADS[name].title, who), []).append((pair[0], pair[1]))
    return {key: [(a, b) if n % 2 == 0 else (b, a) for n, (a, b) in enumerate(rows)] for key, rows in found.items()}


def _cost(target: Target, name: str, who: str, loaded: Loaded, seconds: float) -> list[float]:
    """Return the microseconds that one request takes, of the server and of the database."""
    assert target.folder is not None  # noqa: S101 - both are ours
    headers = bearer(target.folder, WHO[who])
    before = target.spent()
    figure = run(target.base, headers, WORKLOADS[name].asks(loaded), connections=CONNECTIONS, seconds=seconds)
    if figure.errors:
        raise SystemExit(f"bench: {figure.errors} answers to {name} by {who} were no success")
    cost = target.spent().since(before)
    requests = max(1.0, figure.rate * seconds)
    return [cost.server / requests, cost.database / requests]


def table(costs: Costs) -> list[str]:
    """Return the table: medians over the rounds, and how much more the full ones are."""
    lines = [
        "| request | by | with: server µs | database µs | without: server µs | database µs | × | rounds |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for (title, who), rows in costs.items():
        full, bare = ([median(row[side][part] for row in rows) for part in (0, 1)] for side in (0, 1))
        each = sorted(sum(row[0]) / sum(row[1]) for row in rows)
        ratio = sum(full) / sum(bare)
        lines.append(
            f"| {title} | {who} | {full[0]:,.0f} | {full[1]:,.0f} | {bare[0]:,.0f} | {bare[1]:,.0f}"
            f" | {ratio:.2f} | {each[0]:.2f} to {each[-1]:.2f} |"
        )
    return lines
