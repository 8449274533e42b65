"""Processor time by process: what one request costs does not depend on what else the machine does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Spent:
    """Microseconds of processor time: of the server's processes, and of PostgreSQL's."""

    server: int
    database: int

    def since(self, before: Spent) -> Spent:
        """Return what was spent after `before`."""
        return Spent(self.server - before.server, self.database - before.database)


def spent(server: int, folder: Path) -> Spent:
    """Return what the server (a process and those below it) and the database of a data folder have used."""
    postmaster = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    parents, used = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
            used[int(entry.name)] = (int(fields[11]) + int(fields[12])) * TICK_US
    own, database = _below(server, parents), _below(postmaster, parents)
    return Spent(sum(used[p] for p in own - database), sum(used[p] for p in database))


def _below(root: int, parents: dict[int, int]) -> set[int]:
    found = {root}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found
