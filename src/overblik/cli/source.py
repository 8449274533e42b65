"""`overblik source`: which sources are registered, and for which organisations they speak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from overblik.cli.console import err, out
from overblik.cli.opened import with_runtime
from overblik.trust.callers import sources

if TYPE_CHECKING:
    from overblik.app.runtime import Runtime

app = typer.Typer(no_args_is_help=True, help="Register the systems that deliver.")


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="The source's name, as in its token.")],
    org: Annotated[list[str], typer.Option(help="SOR code of an organisation it speaks for; repeat for more.")],
) -> None:
    """Register a source, or change which organisations it speaks for."""

    async def run(runtime: Runtime) -> None:
        await sources.register(runtime.database, name, org, runtime.clock.now())

    with_runtime(run)
    err.print(f"{name} delivers for {', '.join(org)}.", markup=False)


@app.command("list")
def list_() -> None:
    """List the registered sources."""

    async def run(runtime: Runtime) -> list[tuple[str, list[str]]]:
        return await sources.listed(runtime.database)

    for name, organisations in with_runtime(run):
        out.print(f"{name}\t{', '.join(organisations)}", markup=False)
