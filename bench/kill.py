"""Kill the server and its database a thousand times under writers, and count what was lost: `./run bench kill`.

Acknowledged equals present, once, whole, data and log together. The writers, the kills and the
verdict are those of tests/kill; one server and one ledger live through all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from random import Random
from time import monotonic

from tests.folders import open_folder
from tests.kill.rounds import plan, rounds
from tests.kill.victim import FACTORY

from bench.machine import machine


def main(arguments: list[str]) -> int:
    """Run it, print the table, and return 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="bench kill")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--factory", default=FACTORY, help="what the workers make their application with")
    given = parser.parse_args(arguments)
    since = monotonic()

    def told(number: int) -> None:
        if number % 10 == 0:
            sys.stderr.write(f"\r{number} of {given.rounds} kills, {(monotonic() - since) / 60:.1f} min ")
            sys.stderr.flush()

    kinds = plan(given.rounds, Random(given.seed))  # noqa: S311 - the same kills for the same seed
    with open_folder("kills", in_memory=True) as folder:
        outcome = asyncio.run(rounds(folder, kinds, factory=given.factory, seed=given.seed, told=told))
    minutes = (monotonic() - since) / 60
    sys.stdout.write(f"\n{machine()}\nseed {given.seed}, {minutes:.0f} min, {outcome.unanswered} never answered\n\n")
    sys.stdout.write(f"{outcome.table()}\n")
    for problem in outcome.problems[:20]:
        sys.stdout.write(f"{problem.fault}: {problem.text}\n")
    return int(bool(outcome.problems))
