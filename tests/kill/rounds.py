"""Kill the server and the postmaster, turn about, under concurrent writers; then hold it to the ledger.

By hand, two hundred times:

    .venv/bin/python -m tests.kill.rounds --rounds 200
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import httpx

from tests.folders import open_folder
from tests.kill.ledger import Ledger
from tests.kill.verdict import problems
from tests.kill.victim import FACTORY, Victim
from tests.kill.writers import Writer

if TYPE_CHECKING:
    from pathlib import Path

WRITERS = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: how much was acknowledged, how much left open, and what was wrong."""

    acknowledged: int
    unanswered: int
    problems: list[str]


async def rounds(folder: Path, count: int, *, factory: str = FACTORY, seed: int = 1) -> Outcome:
    """Write and kill `count` times, and return what the ledger says of the end."""
    rng = Random(seed)
    ledger = Ledger(folder / "ledger.jsonl")
    victim = Victim(folder, factory)
    await asyncio.to_thread(victim.start)
    writers = [Writer(victim.address, ledger, n, victim.header) for n in range(WRITERS)]
    stop = asyncio.Event()
    tasks = [asyncio.create_task(writer.write(stop)) for writer in writers]
    try:
        for number in range(count):
            await _some_answers(ledger, tasks)
            await asyncio.sleep(rng.uniform(0, 0.4))
            if number % 2:
                await asyncio.to_thread(victim.kill_postmaster)
            else:
                await asyncio.to_thread(victim.kill_server)
                await asyncio.to_thread(victim.start)
            await asyncio.to_thread(victim.wait_ready)
        stop.set()
        await asyncio.gather(*tasks)
        return await _judge(victim, ledger, writers)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        ledger.close()
        await asyncio.to_thread(victim.stop)


async def _some_answers(ledger: Ledger, tasks: list[asyncio.Task[None]], wanted: int = 40) -> None:
    """Let the writers get something acknowledged, so that every kill can lose something."""
    before = ledger.acknowledged
    while ledger.acknowledged < before + wanted:
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(0.02)


async def _judge(victim: Victim, ledger: Ledger, writers: list[Writer]) -> Outcome:
    told, unsure = ledger.read()
    async with httpx.AsyncClient(base_url=victim.address, timeout=30) as http:
        for writer in writers:
            for key in unsure & writer.messages.keys():
                await writer.again(http, key)
    told, open_ = ledger.read()
    with victim.connect() as connection:
        found = await asyncio.to_thread(problems, connection, victim.address, victim.header("system"), told, open_)
    found += [surprise for writer in writers for surprise in writer.surprises]
    return Outcome(len(told), len(unsure), found)


def main() -> int:
    """Run rounds from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--factory", default=FACTORY)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with open_folder("kills") as folder:
        outcome = asyncio.run(rounds(folder, given.rounds, factory=given.factory, seed=given.seed))
    sys.stdout.write(f"{given.rounds} kills: {outcome.acknowledged} acknowledged, {outcome.unanswered} unanswered\n")
    for problem in outcome.problems[:20]:
        sys.stdout.write(f"{problem}\n")
    return len(outcome.problems) > 0


if __name__ == "__main__":
    sys.exit(main())
