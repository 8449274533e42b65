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
from tests.kill import disk
from tests.kill.rounds import Outcome, plan, rounds
from tests.kill.victim import FACTORY, PoweredVictim, Victim

from bench.machine import machine


def main(arguments: list[str]) -> int:
    """Run it, print the table, and return 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="bench kill")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument(
        "--power", type=int, default=0, help="cut the power so often, on a disk of its own (needs root)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--factory", default=FACTORY, help="what the workers make their application with")
    given = parser.parse_args(arguments)
    since = monotonic()

    def told(number: int, outcome: Outcome) -> None:
        if number % 10 == 0:
            minutes, wrong = (monotonic() - since) / 60, len(outcome.problems)
            sys.stderr.write(f"\r{number} of {len(outcome.kinds)} kills, {minutes:.1f} min, {wrong} wrong so far ")
            sys.stderr.flush()

    outcomes = []
    if given.rounds:
        kinds = plan(given.rounds, Random(given.seed))
        with open_folder("kills", in_memory=True) as folder:
            victim = Victim(folder, given.factory)
            outcomes.append(asyncio.run(rounds(folder, kinds, victim=victim, seed=given.seed, told=told)))
    if given.power and (reason := disk.missing()):
        sys.exit(f"bench kill: no power can be cut here: {reason}")
    if given.power:
        with open_folder("cuts") as folder, disk.open_disk(8000) as made:
            cut = PoweredVictim(made, given.factory, log=folder / "server.log")
            kinds = ["power"] * given.power
            outcomes.append(asyncio.run(rounds(folder, kinds, victim=cut, seed=given.seed, told=told)))
    minutes = (monotonic() - since) / 60
    sys.stdout.write(f"\n{machine()}\nseed {given.seed}, {minutes:.0f} min\n\n")
    for outcome in outcomes:
        sys.stdout.write(f"{outcome.table()}\n\n{outcome.unanswered} never answered\n\n")
        for problem in outcome.problems[:20]:
            sys.stdout.write(f"{problem.fault}: {problem.text}\n")
    return int(any(outcome.problems for outcome in outcomes))
