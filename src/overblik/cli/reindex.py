"""`overblik reindex`: the search index made anew after an upgrade, while the server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from overblik.cli.console import err, out
from overblik.cli.opened import with_runtime
from overblik.store.reindex import reindex as made
from overblik.store.reindex import stale

if TYPE_CHECKING:
    from overblik.app.runtime import Runtime


def reindex(
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the total only.")] = False,
) -> None:
    """Make every index row anew that an older version of Overblik made; nothing where all are of this one.

    The server may run meanwhile; a search can miss a row that is not made anew yet. Stop and start it at will.
    """

    async def run(runtime: Runtime) -> int:
        total = await stale(runtime.database)
        columns = (TextColumn("Indexing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        done = 0
        with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as progress:
            task = progress.add_task("", total=total)
            async for count in made(runtime.database, runtime.keyring.key("index")):
                done += count
                progress.advance(task, count)
        return done

    out.print(f"{with_runtime(run)} rows indexed")
