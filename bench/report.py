"""Everything that is asked of Overblik, measured and written as one report; see docs/performance.md."""

from __future__ import annotations

import asyncio
import re
import tempfile
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import own
from bench.cpu import memory
from bench.disk import asked, size
from bench.floor import floor, told
from bench.loading import populate
from bench.machine import machine
from bench.measure import measure, warm
from bench.page import citizens
from bench.peers import PEERS
from bench.population import SMALL
from bench.table import against, cells_of, head, line
from bench.target import Target

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bench.loading import Loaded
    from bench.measure import Row

    Start = Callable[[], AbstractContextManager[Target]]

_LOADED = re.compile(r"([\d.]+) s, ([\d.]+)/s")


@dataclass
class Facts:
    """What is measured of a server once, in the words of the table."""

    target: Target
    loaded: Loaded
    said: dict[str, str] = field(default_factory=dict)


def report(given: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Measure, and say it line by line; `given.whole` asks for more than the workloads."""
    say(f"{machine()}; {given.workers} workers; {given.people} people of {given.resources} resources among")
    say(f"{given.small} of {SMALL}; {given.seconds:g} s each; wrk and all servers on this machine.\n")
    before = floor(2) if given.whole else 0.0
    with ExitStack() as stack:
        starts = _starts(given, stack)
        with ExitStack() as running:
            facts = [_facts(running.enter_context(start()), given) for start in starts]
            rows = _rows(facts, given, say)
            after = floor(2) if given.whole else 0.0
            for one in facts:
                _of_processes(one)
        if given.whole:
            for one, start in zip(facts, starts, strict=True):
                with start() as again:
                    one.said["start on this store"] = f"{again.seconds:.1f} s"
            facts[0].said["import, NDJSON (`overblik load`)"] = _ndjson(given.ndjson, _folder(stack))
    machines = ["", told(before, after)] if given.whole else []
    for text in ("", *_once(facts), "", *against(rows), *machines):
        say(text)


def _starts(given: argparse.Namespace, stack: ExitStack) -> list[Start]:
    """Return how to start each server, ours first, each on a folder of its own."""
    if given.url:
        headers = {"Authorization": f"Bearer {given.token}"} if given.token else {}
        return [lambda: nullcontext(Target(given.url, given.url, headers))]
    folder = _folder(stack)
    return [partial(own.served, folder, given.workers), *[partial(PEERS[p], _folder(stack)) for p in given.peer]]


def _folder(stack: ExitStack) -> Path:
    """Return a folder that every user can enter: PostgreSQL has its own."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
    folder.chmod(0o755)
    return folder


def _facts(target: Target, given: argparse.Namespace) -> Facts:
    before = size(target.folder) if target.folder else 0
    loaded = asyncio.run(populate(target, given.people, given.resources, given.small))
    facts = Facts(target, loaded, {"start on an empty store": f"{target.seconds:.1f} s"})
    facts.said["import, transactions"] = f"{loaded.rate:,.0f} resources/s"
    if target.folder:
        facts.said["PostgreSQL"] = str(asked(target.folder, "show server_version"))
        facts.said["disk, all of it, a resource"] = f"{(size(target.folder) - before) / loaded.resources / 1000:.1f} kB"
    return facts


def _rows(facts: list[Facts], given: argparse.Namespace, say: Callable[[str], None]) -> list[Row]:
    rows = []
    for text in head([one.target.name for one in facts]):
        say(text)
    servers = [(one.target, one.loaded) for one in facts]
    warm(servers[1:], given.only)
    for row in measure(servers, given.only, given.connections, given.seconds):
        say(line(cells_of(row)))
        rows.append(row)
    return rows


def _of_processes(one: Facts) -> None:
    if one.target.folder:
        megabytes = memory(one.target.process, one.target.folder) / 1e6
        one.said["memory of a worker after all of this"] = f"{megabytes:,.0f} MB"
    if one.target.name == "Overblik":
        first = asyncio.run(citizens(one.target))[1]
        one.said["first view of the web page"] = f"{first / 1000:.0f} kB"


def _ndjson(patients: int, folder: Path) -> str:
    """Load a population of small records into an empty store; return the rate."""
    files = str(folder / "files")
    own.command(folder, "population", "--patients", str(patients), "--out", files, "--quiet")
    found = _LOADED.search(own.command(folder, "load", files))
    return f"{float(found[2]):,.0f} resources/s" if found else "?"


def _once(facts: list[Facts]) -> Iterator[str]:
    names = [one.target.name for one in facts]
    yield line(["once", *names])
    yield line(["---"] + ["---:"] * len(names))
    for what in dict.fromkeys(key for one in facts for key in one.said):
        yield line([what, *[one.said.get(what, "") for one in facts]])
