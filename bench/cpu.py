"""What processes use: processor time, which does not depend on what else the machine does, and memory."""

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
    own, database = _processes(server, folder)
    return Spent(sum(own.values()), sum(database.values()))


def memory(server: int, folder: Path) -> int:
    """Return the bytes of the largest of the server's processes; what is shared is parted among the sharers."""
    return max((_memory(pid) for pid in _processes(server, folder)[0]), default=0)


def _memory(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _processes(server: int, folder: Path) -> tuple[dict[int, int], dict[int, int]]:
    """Return the processor time by process: of the server, and of the database."""
    try:
        postmaster = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    except FileNotFoundError:
        postmaster = 0
    parents, used = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
            used[int(entry.name)] = sum(map(int, fields[11:15])) * TICK_US
    own, database = _below(server, parents), _below(postmaster, parents) if postmaster else set()
    own -= database
    return {p: used.get(p, 0) for p in own}, {p: used.get(p, 0) for p in database}


def _below(root: int, parents: dict[int, int]) -> set[int]:
    found = {root}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found
