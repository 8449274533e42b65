"""Measure Overblik, or any FHIR server, and print tables.

./run bench                                       Overblik, started for it
./run bench --peer hapi                           and HAPI beside it, measured turn about
./run bench --url http://localhost:8090/fhir      a server that is already running (--token for its bearer token)
./run bench report                                everything that docs/performance.md shows; ten to fifteen minutes
./run bench kill                                  a thousand kills of server and database, and what was lost
./run bench rules                                 what rules and log cost, beside a server without
./run bench scale                                 64 000 patients: searches against 1 000, beside the targets
./run bench timing                                whether a clock can tell what is hidden from what does not exist

The columns of microseconds are processor time a request, of the server and of PostgreSQL: they depend
little on what else the machine does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import kill, rules, scale, timing
from bench.peers import PEERS
from bench.report import report
from bench.table import put
from bench.workloads import WORKLOADS

BEGIN = "<!-- written by ./run bench report -->"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("what", nargs="?", choices=["workloads", "report"], default="workloads")
    add("--url", "--base", default="", help="FHIR base URL of a running server; Overblik is started without")
    add("--token", default="", help="bearer token for it")
    add("--peer", action="append", choices=list(PEERS), help="start and measure this too (report: hapi)")
    add("--no-peer", action="store_true", help="a report without a peer")
    add("--workers", type=int, default=2)
    add("--people", type=int, default=100, help="people with large records")
    add("--resources", type=int, default=200, help="resources each of them has")
    add("--small", type=int, default=900, help="people with small records, to be found among")
    add("--ndjson", type=int, default=3000, help="patients of the NDJSON that a report loads")
    add("--connections", default="1,16,64")
    add("--seconds", type=float, default=4)
    add("--only", default=",".join(WORKLOADS), help="workloads, of " + ", ".join(WORKLOADS))
    add("--write", type=Path, help="put the report into this file, between the marks")
    given = parser.parse_args()
    given.whole = given.what == "report"
    given.peer = given.peer or (["hapi"] if given.whole and not given.no_peer else [])
    given.connections = [int(count) for count in given.connections.split(",")]
    given.only = given.only.split(",")
    return given


def main() -> None:
    """Load the population, run every workload at every number of connections."""
    if sys.argv[1:2] == ["scale"]:
        scale.main(sys.argv[2:])
        return
    if sys.argv[1:2] == ["rules"]:
        rules.main(sys.argv[2:])
        return
    if sys.argv[1:2] == ["timing"]:
        sys.exit(timing.main(sys.argv[2:]))
    if sys.argv[1:2] == ["kill"]:
        sys.exit(kill.main(sys.argv[2:]))
    given = _arguments()
    lines: list[str] = []

    def say(text: str) -> None:
        lines.append(text)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    report(given, say)
    if given.write:
        put(given.write, BEGIN, lines)


if __name__ == "__main__":
    main()
