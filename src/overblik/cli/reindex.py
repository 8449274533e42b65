"""`overblik reindex`: the search index made anew after an upgrade or a new definition, while the server runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from overblik.cli.console import err, out
from overblik.cli.opened import with_runtime
from overblik.store.passes import going, step
from overblik.store.reindex import reindex as made
from overblik.store.reindex import stale

if TYPE_CHECKING:
    from overblik.app.runtime import Runtime

WAIT = 0.2
"""Seconds before it is tried again, where a transaction or another process is waited for."""


def reindex(
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the total only.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Say how far it is, and do nothing.")] = False,
) -> None:
    """Make every index row anew that an older version of Overblik, or older search parameters, made.

    The server may run meanwhile, and does the second by itself, with rests. After an upgrade a search can miss a row
    that is not made anew yet; by a new search parameter it is refused until all are. Stop and start it at will.
    """
    if status:
        for line in with_runtime(_told):
            out.print(line, markup=False)
        return

    async def run(runtime: Runtime) -> int:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as progress:
            return await _anew(runtime, progress) + await _by_definitions(runtime, progress)

    out.print(f"{with_runtime(run)} rows indexed")


async def _told(runtime: Runtime) -> list[str]:
    """Return a line for each parameter that is defined here, and one for what an older version made."""
    known = await runtime.parameters.fresh()
    codes = [(kind, custom.param.code) for kind, customs in sorted(known.by_type.items()) for custom in customs]
    lines = [f"{kind}?{code}: {known.indexed(kind, code)} %" for kind, code in codes]
    return [*lines, f"{await stale(runtime.database)} rows of an older version"]


async def _anew(runtime: Runtime, progress: Progress) -> int:
    """Make the rows of older versions anew."""
    task = progress.add_task("Indexing", total=await stale(runtime.database))
    done = 0
    async for count in made(runtime.database, runtime.keyring.key("index")):
        done += count
        progress.advance(task, count)
    return done


async def _by_definitions(runtime: Runtime, progress: Progress) -> int:
    """Make the rows by search parameters that were defined since, without rests."""
    done = 0
    task = progress.add_task("Search parameters", total=None)
    while (found := await step(runtime.database, runtime.keyring.key("index"))) is not None:
        done += found
        if (at := await going(runtime.database)) is not None:
            progress.update(task, description=f"Search parameters of {at.type}", total=at.total, completed=at.done)
        if not found:
            await asyncio.sleep(WAIT)
    return done
