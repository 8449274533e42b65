"""Kill under concurrent writers, again and again, and hold what is left to the ledger.

`./run bench kill` does it a thousand times.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING

from tests.kill.ledger import Ledger
from tests.kill.verdict import Problem, problems
from tests.kill.victim import KINDS, Victim
from tests.kill.writers import Writer, client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

WRITERS = 4
BETWEEN = (4, 16)
"""So many requests are acknowledged between two kills, so that each has something to lose."""
PATIENCE = 100
MOMENT = 0.05
"""A kill comes up to so many seconds later: within the time that a write takes."""
JUDGED_EVERY = 50


@dataclass(slots=True)
class Outcome:
    """What came of it. `away` is how long after each kill the next request was acknowledged, in seconds."""

    kinds: list[str]
    acknowledged: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    away: dict[str, list[float]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def table(self) -> str:
        """Write it as a table in Markdown, one row a kind of kill."""
        head = ["killed", "times", "acknowledged before", "lost", "torn", "log apart", "wrong answers"]
        lines = [[*head, "back after s (median, most)"], ["---"] * 8]
        faults = Counter((self._kind(p), p.fault) for p in self.problems)
        for kind in (*KINDS, *sorted(set(self.kinds) - KINDS.keys()), "?"):
            wrong = [faults[kind, fault] for fault in ("lost", "torn", "log", "answer")]
            times = self.kinds.count(kind)
            if times or any(wrong):
                away = self.away.get(kind) or [0.0]
                cells = [kind, times, self.acknowledged[kind], *wrong, f"{median(away):.1f}, {max(away):.1f}"]
                lines.append([str(cell) for cell in cells])
        total = [sum(n for (_, fault), n in faults.items() if fault == f) for f in ("lost", "torn", "log", "answer")]
        lines.append([str(c) for c in ["**all**", len(self.kinds), self.acknowledged.total(), *total, ""]])
        return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)

    def _kind(self, problem: Problem) -> str:
        return self.kinds[problem.round] if 0 <= problem.round < len(self.kinds) else "?"


def plan(count: int, rng: Random) -> list[str]:
    """Return so many kinds of kill, in the shares of KINDS, in a random order."""
    wanted = [kind for kind, share in KINDS.items() for _ in range(-(-count * share // 100))]
    chosen = rng.sample(wanted, count)
    rng.shuffle(chosen)
    return chosen


async def rounds(
    folder: Path,
    kinds: Sequence[str],
    *,
    victim: Victim | None = None,
    seed: int = 1,
    told: Callable[[int, Outcome], None] = lambda _, __: None,
) -> Outcome:
    """Write and kill, and return what the ledger in `folder` says of it.

    `told` hears the number of each kill that is over.
    """
    rng = Random(seed)
    outcome = Outcome(list(kinds))
    ledger = Ledger(folder / "ledger.jsonl")
    victim = victim or Victim(folder)
    writers = [Writer(victim.address, ledger, n, victim.header) for n in range(WRITERS)]
    try:
        await asyncio.to_thread(victim.start)
        judge = _Judge(victim, ledger, writers, outcome)
        for first in range(0, len(kinds), JUDGED_EVERY):
            async with _writing(writers) as tasks:
                for number, kind in list(enumerate(kinds))[first : first + JUDGED_EVERY]:
                    ledger.round = number
                    await _acknowledged(ledger, rng.randint(*BETWEEN), tasks, writers)
                    await asyncio.sleep(rng.uniform(0, MOMENT))
                    await asyncio.to_thread(victim.kill, kind, rng)
                    dead = monotonic()
                    await _acknowledged(ledger, 1, tasks, writers)
                    outcome.away.setdefault(kind, []).append(monotonic() - dead)
                    told(number + 1, outcome)
            await judge.new()
        await judge.all()
    finally:
        ledger.close()
        await asyncio.to_thread(victim.stop)
    return outcome


@asynccontextmanager
async def _writing(writers: list[Writer]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Let them write; at the end each finishes what it is at."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(writer.write(stop)) for writer in writers]
    try:
        yield tasks
        stop.set()
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _acknowledged(ledger: Ledger, wanted: int, tasks: list[asyncio.Task[None]], writers: list[Writer]) -> None:
    """Wait until so much more has been acknowledged."""
    before, since = ledger.acknowledged, monotonic()
    for writer in writers:
        writer.heard = ""
    while ledger.acknowledged < before + wanted:
        for task in tasks:
            if task.done():
                task.result()
        if monotonic() > since + PATIENCE:
            heard = "\n".join(writer.heard[:500] for writer in writers)
            raise AssertionError(f"nothing has been acknowledged for {PATIENCE} s; they heard:\n{heard}")
        await asyncio.sleep(0.002)


class _Judge:
    """Looks at what is new, now and then, and at the end at everything: a later kill can lose what an earlier left."""

    def __init__(self, victim: Victim, ledger: Ledger, writers: list[Writer], outcome: Outcome) -> None:
        self._victim = victim
        self._ledger = ledger
        self._writers = writers
        self._outcome = outcome
        self._judged: set[str] = set()

    async def new(self) -> None:
        """Judge what has been sent since the last time."""
        await asyncio.to_thread(self._victim.wait_ready)
        outcome, before = self._outcome, set(self._judged)
        self._judged = self._ledger.told.keys() | self._ledger.open.keys()
        outcome.unanswered += len(self._ledger.open.keys() - before)
        await self._send_again()
        for key in self._ledger.told.keys() - before:
            line = self._ledger.told[key]
            outcome.acknowledged[outcome.kinds[line.round]] += 1
        await self._judge(before)

    async def all(self) -> None:
        """Judge everything once more."""
        known = {problem.text for problem in self._outcome.problems}
        found, self._outcome.problems = self._outcome.problems, []
        await self._judge(set())
        self._outcome.problems = found + [p for p in self._outcome.problems if p.text not in known]

    async def _judge(self, before: set[str]) -> None:
        told = [line for key, line in self._ledger.told.items() if key not in before]
        unsure = [line for key, line in self._ledger.open.items() if key not in before]
        victim = self._victim
        with victim.connect() as connection:
            found = await problems(connection, victim.address, victim.header("system"), told, unsure)
        for writer in self._writers:
            found += [Problem("answer", surprise, self._ledger.round) for surprise in writer.surprises]
            writer.surprises.clear()
            self._outcome.refused += writer.refused
            writer.refused.clear()
        self._outcome.problems += found

    async def _send_again(self) -> None:
        """Send the messages again that were never acknowledged, as their senders do."""
        async with client(self._victim.address) as http:
            for writer in self._writers:
                for key in self._ledger.open.keys() & writer.messages.keys():
                    await writer.again(http, key)
                writer.messages.clear()
