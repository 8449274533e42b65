"""Measure Overblik, or any FHIR server, and print a table.

./run bench                                      Overblik, started for it
./run bench --base http://localhost:8090/fhir    a peer that is already running

The last two columns are processor time a request, of the server and of PostgreSQL: they depend
little on what else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cpu import Spent, spent
from bench.loading import load
from bench.machine import machine
from bench.own import served
from bench.population import bundles
from bench.workloads import WORKLOADS
from bench.wrk import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.wrk import Figure


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--base", default="", help="FHIR base URL of a running server; Overblik is started without")
    parser.add_argument("--token", default="", help="bearer token for it")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--resources", type=int, default=200, help="resources a person")
    parser.add_argument("--connections", default="1,16,64")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--only", default=",".join(WORKLOADS))
    return parser.parse_args()


@contextmanager
def _server(given: argparse.Namespace) -> Iterator[tuple[str, dict[str, str], Callable[[], Spent]]]:
    """Give base URL, headers, and what has been spent so far (nothing is known of a peer)."""
    if given.base:
        yield given.base, {"Authorization": f"Bearer {given.token}"} if given.token else {}, lambda: Spent(0, 0)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(folder, given.workers) as (base, headers, process):
            yield base, headers, lambda: spent(process, folder)


def _line(cells: list[str]) -> None:
    sys.stdout.write("| " + " | ".join(cells) + " |\n")
    sys.stdout.flush()


def _row(name: str, connections: str, figure: Figure, cost: Spent, seconds: float) -> None:
    cells = [f"{figure.rate:,.0f}", f"{figure.p50:.1f}", f"{figure.p95:.1f}", f"{figure.p99:.1f}", str(figure.errors)]
    requests = max(1.0, figure.rate * seconds)
    spent_on = [f"{us / requests:,.0f}" if us else "" for us in (cost.server, cost.database)]
    _line([name, connections, *cells, *spent_on])


def main() -> None:
    """Load the population, run every workload at every number of connections."""
    given = _arguments()
    sys.stdout.write(f"{machine()}\n{given.people} people of {given.resources} resources, {given.seconds:g} s each\n\n")
    with _server(given) as (base, headers, so_far):
        loaded = asyncio.run(load(base, headers, bundles(given.people, given.resources)))
        _line(
            ["workload", "connections", "a second", "p50 ms", "p95 ms", "p99 ms", "errors", "server µs", "database µs"]
        )
        _line(["---"] * 9)
        _line(["import, transactions (resources)", "4", f"{loaded.rate:,.0f}", "", "", "", "", "", ""])
        sent = headers | {"Content-Type": "application/fhir+json"}
        for name in given.only.split(","):
            asks = WORKLOADS[name](loaded)
            for connections in given.connections.split(","):
                run(base, sent, asks, connections=int(connections), seconds=1)
                before = so_far()
                figure = run(base, sent, asks, connections=int(connections), seconds=given.seconds)
                _row(name, connections, figure, so_far().since(before), given.seconds)


if __name__ == "__main__":
    main()
