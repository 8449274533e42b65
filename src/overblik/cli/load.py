"""`overblik load`: messages, documents and FHIR bundles from files and folders."""

from __future__ import annotations

import gzip
from collections import Counter
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from overblik.app.loading import take_file
from overblik.cli.console import err, fail, out, with_runtime
from overblik.fhir.errors import OverblikError
from overblik.trust.tokens import caller_from

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overblik.app.runtime import Runtime
    from overblik.trust.identity import Caller

SUFFIXES = (".json", ".xml", ".json.gz", ".xml.gz")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    path: Path
    state: str
    code: str
    text: str


def load(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders: FHIR messages and documents, CDA, bundles.")],
    source: Annotated[str, typer.Option(help="The name of the source that delivers.")] = "load",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the totals only.")] = False,
) -> None:
    """Take files in: messages and documents through the inbox, transaction bundles as FHIR.

    Prints one line a file that was not taken, and the totals. Loading the same files again changes nothing.
    """
    files = [file for path in paths for file in _files(path)]
    if not files:
        fail("no files there; .json, .xml and their .gz are read.")

    async def run(runtime: Runtime) -> list[Outcome]:
        claims = {"kind": "source", "sub": source, "name": source}
        caller = await caller_from(claims, runtime.database, runtime.directory)
        if caller.organisations is None and runtime.issuer is None:
            fail(f"{source!r} is not a registered source; `overblik source add` registers one.")
        done = [
            await _one(runtime, caller, file)
            for file in track(files, "Loading", console=err, transient=True, disable=quiet or not err.is_terminal)
        ]
        await runtime.drain()
        return done

    outcomes = with_runtime(run)
    if not quiet:
        for o in outcomes:
            if o.state != "applied" or o.code:
                out.print(f"{o.path.name}: {o.state} ({o.code}) {o.text}", markup=False)
    totals = Counter(f"{o.state}{' (' + o.code + ')' if o.code else ''}" for o in outcomes)
    out.print(", ".join(f"{count} {state}" for state, count in sorted(totals.items())), markup=False)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(p for p in path.rglob("*") if p.is_file() and p.name.endswith(SUFFIXES))
    elif path.exists():
        yield path
    else:
        fail(f"{path} does not exist.")


async def _one(runtime: Runtime, caller: Caller, path: Path) -> Outcome:
    """Take one file in, and say what became of it."""
    raw = path.read_bytes()  # noqa: ASYNC240 - nothing else runs in this process
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    try:
        found = await take_file(runtime, caller.asking(channel="load"), raw)
    except OverblikError as error:
        return Outcome(path, "refused", error.code, error.text)
    return Outcome(path, *found)
