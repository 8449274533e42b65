"""`overblik load`: resources as NDJSON, messages, documents and FHIR bundles from files and folders."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from overblik.app.load.blocks import NDJSON, PHASES, blocks, scan
from overblik.app.load.names import Namespace
from overblik.app.load.pool import FileDone, Pool, source_caller
from overblik.app.load.refusals import write_refusals
from overblik.app.logs import configure_logs
from overblik.app.postgres import server_of
from overblik.app.runtime import runtime
from overblik.cli.console import current_settings, err, fail, out
from overblik.fhir.errors import OverblikError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overblik.app.load.blocks import Source
    from overblik.app.load.pool import Done
    from overblik.app.settings import Settings

SUFFIXES = (".json", ".xml", ".json.gz", ".xml.gz", *NDJSON)
MOST_SHOWN = 20
EVERY = 10.0
"""Seconds between the lines that tell of the progress where there is no terminal for a bar."""


@dataclass
class Report:
    """What became of everything, and the first of what was not taken."""

    counts: Counter[str] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)
    unshown: int = 0
    refused: int = 0

    def add(self, done: Done) -> int:
        """Add what became of one job; return how many lines or files it was."""
        if isinstance(done, FileDone):
            self._file(done)
            return 1
        for name in ("taken", "changed", "known"):
            self.counts[name] += getattr(done.taken, name)
        for refused in done.taken.refused:
            self.refused += 1
            self.counts["refused"] += 1
            self._show(f"{done.file}:{refused.line}: refused ({refused.code}) {refused.reason}")
        return done.lines

    def _file(self, done: FileDone) -> None:
        self.counts[f"{done.state} ({done.code})" if done.code else done.state] += 1
        if done.state != "applied" or done.code:
            self._show(f"{done.path.name}: {done.state} ({done.code}) {done.text}")

    def _show(self, text: str) -> None:
        if len(self.shown) < MOST_SHOWN:
            self.shown.append(text)
        else:
            self.unshown += 1

    def totals(self) -> str:
        """Return the totals in one line."""
        return ", ".join(f"{count} {state}" for state, count in sorted(self.counts.items()) if count) or "nothing"


def load(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders: NDJSON, bundles, messages, documents.")],
    source: Annotated[str, typer.Option(help="The name of the source that delivers.")] = "load",
    refusals: Annotated[
        Path | None, typer.Option(help="Write the source's refused lines to this file; it is logged.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes; 0 for one more than there are cores.", min=0, max=64)] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the totals only.")] = False,
) -> None:
    """Take files in: NDJSON line by line, messages and documents through the inbox, bundles as FHIR.

    NDJSON is bulk data: one resource a line, in any order and any number of files, .gz too. Ids come into the
    source's own namespace (SOURCE.id), and links between the files follow. Prints what was not taken, and the
    totals. Loading the same files again changes nothing; after a break the same command goes on where it stopped.
    """
    files = [file for path in paths for file in _files(path)]
    if not files:
        fail("no files there; .ndjson, .jsonl, .json, .xml and their .gz are read.")
    settings = current_settings()
    configure_logs()
    with server_of(settings) as conninfo:
        asyncio.run(_prepare(settings, conninfo, source))
        began = time.monotonic()
        with closing(Pool(settings, conninfo, source, workers or (os.cpu_count() or 1) + 1)) as pool:
            report = _load(pool, files, quiet=quiet)
        if not quiet:
            err.print("Numbering what was loaded …", markup=False)
        written = asyncio.run(_finish(settings, conninfo, source, refusals))
        seconds = time.monotonic() - began
    if not quiet:
        for text in report.shown:
            out.print(text, markup=False)
        if report.unshown:
            out.print(f"… and {report.unshown} more.", markup=False)
        err.print(f"{seconds:.1f} s, {sum(report.counts.values()) / seconds:.0f}/s", markup=False)
    out.print(report.totals(), markup=False)
    if refusals is not None:
        err.print(f"{written} refused lines in {refusals}.", markup=False)
    elif report.refused:
        err.print("Refused lines are kept; --refusals FILE writes them out.", markup=False)


async def _prepare(settings: Settings, conninfo: str, source: str) -> None:
    """Bring the schema to this version, and see that the source may deliver."""
    async with runtime(settings, conninfo) as opened:
        caller = await source_caller(opened, source)
        if caller.organisations is None and opened.issuer is None:
            fail(f"{source!r} is not a registered source; `overblik source add` registers one.")
        Namespace(caller.via)


async def _finish(settings: Settings, conninfo: str, source: str, refusals: Path | None) -> int:
    """Number what was loaded, so that it is seen at once, and write out what was refused."""
    async with runtime(settings, conninfo, migrating=False) as opened:
        await opened.drain()
        if refusals is None:
            return 0
        written = await write_refusals(opened.database, source, refusals, opened.clock.now())
        await opened.drain()
        return written


def _load(pool: Pool, files: list[Path], *, quiet: bool) -> Report:
    report = Report()
    lined = [file for file in files if file.name.endswith(NDJSON)]
    others = [file for file in files if not file.name.endswith(NDJSON)]
    with closing(_Telling(quiet=quiet)) as telling:
        sources = [found for path in lined if (found := _scanned(path, report, telling)) is not None]
        telling.start(sum(sum(s.counts) for s in sources) + len(others))
        for phase in PHASES:
            for done in pool.run(blocks(sources, phase)):
                telling.done(report.add(done))
        _load_files(pool, others, report, telling)
    return report


def _scanned(path: Path, report: Report, telling: _Telling) -> Source | None:
    try:
        return scan(path, telling.scanned)
    except OverblikError as error:
        report.add(FileDone(path, "refused", error.code, error.text))
        return None


def _load_files(pool: Pool, paths: list[Path], report: Report, telling: _Telling) -> None:
    """Take files in, and once more those that name what another file brought."""
    later: list[Path] = []
    for done in pool.run(paths):
        if isinstance(done, FileDone) and done.code == "reference-unresolved":
            later.append(done.path)
        else:
            telling.done(report.add(done))
    for done in pool.run(later):
        telling.done(report.add(done))


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(p for p in path.rglob("*") if p.is_file() and p.name.endswith(SUFFIXES))
    elif path.exists():
        yield path
    else:
        fail(f"{path} does not exist.")


class _Telling:
    """Tells of the progress: a bar with rate and remaining time, or now and then a line."""

    def __init__(self, *, quiet: bool) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
            console=err, transient=True, disable=quiet or not err.is_terminal,
        )  # fmt: skip
        self._lines = not quiet and not err.is_terminal
        self._task = self._bar.add_task("Reading", total=None, rate="")
        self._bar.start()
        self._count = self._total = 0
        self._began = self._told = time.monotonic()

    def scanned(self, lines: int) -> None:
        """Tell that lines were counted."""
        self._bar.advance(self._task, lines)

    def start(self, total: int) -> None:
        """Begin to tell of the loading itself."""
        self._total = total
        self._began = self._told = time.monotonic()
        self._bar.reset(self._task, description="Loading", total=total, rate="")

    def done(self, count: int) -> None:
        """Tell that so many more are done."""
        self._count += count
        now = time.monotonic()
        rate = self._count / max(now - self._began, 0.001)
        self._bar.update(self._task, advance=count, rate=f"{rate:.0f}/s")
        if self._lines and now - self._told > EVERY:
            self._told = now
            left = (self._total - self._count) / max(rate, 0.001)
            err.print(f"{self._count} of {self._total}, {rate:.0f}/s, {left:.0f} s left", markup=False)

    def close(self) -> None:
        """Stop telling."""
        self._bar.stop()
