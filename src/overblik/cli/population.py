"""`overblik population`: synthetic patients as NDJSON, to load and to measure with."""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import IO, TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from overblik.cli.console import err, fail, out
from overblik.demo.population_records import TYPES, UNTIL, organisations, patients
from overblik.fhir.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overblik.fhir.strict_json import Json


def population(
    patients_wanted: Annotated[int, typer.Option("--patients", help="How many patients.", min=1)],
    folder: Annotated[Path, typer.Option("--out", help="The folder to write to; made if it is not there.")],
    seed: Annotated[int, typer.Option(help="Another number gives other people.", min=0)] = 0,
    until: Annotated[
        datetime, typer.Option(help="The last day anything is known of.", formats=["%Y-%m-%d"])
    ] = datetime(UNTIL.year, UNTIL.month, UNTIL.day),  # noqa: DTZ001 - a day
    compress: Annotated[bool, typer.Option("--gzip", help="Write .ndjson.gz.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the totals only.")] = False,
) -> None:
    """Write synthetic patients with small records as NDJSON, one file a type, for `overblik load`.

    The same number, seed and day give the same bytes. Nobody here can be real: no CPR passes modulus 11.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if taken := [p.name for p in folder.iterdir() if ".ndjson" in p.name]:
        fail(f"{folder} has {taken[0]} already; name an empty folder.")
    counts = dict.fromkeys(TYPES, 0)
    with ExitStack() as stack:
        files = {kind: stack.enter_context(_create(folder, kind, compress=compress)) for kind in TYPES}
        _write(files, counts, organisations())
        everyone = patients(patients_wanted, seed, until.date())
        silent = quiet or not err.is_terminal
        for record in track(everyone, "Writing", total=patients_wanted, console=err, transient=True, disable=silent):
            _write(files, counts, record)
    out.print(", ".join(f"{count} {kind}" for kind, count in counts.items()), markup=False)


def _create(folder: Path, kind: str, *, compress: bool) -> IO[bytes]:
    name = folder / f"{kind}.ndjson"
    if not compress:
        return name.open("wb")
    return gzip.GzipFile(name.with_suffix(".ndjson.gz"), "wb", compresslevel=5, mtime=0)  # type: ignore[return-value]


def _write(files: dict[str, IO[bytes]], counts: dict[str, int], resources: Iterable[Json]) -> None:
    for resource in resources:
        files[resource["resourceType"]].write(dumps(resource) + b"\n")
        counts[resource["resourceType"]] += 1
