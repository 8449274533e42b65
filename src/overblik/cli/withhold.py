"""`overblik withhold`: units whose staff are named to citizens by a pseudonym."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from overblik.cli.console import err, out
from overblik.cli.opened import with_runtime
from overblik.store.queries import sql

if TYPE_CHECKING:
    from overblik.app.runtime import Runtime

app = typer.Typer(no_args_is_help=True, help="Withhold the names of a unit's staff from citizens.")
Unit = Annotated[str, typer.Argument(help="SOR code of the unit; its sub-units are meant too.")]


@app.command("add")
def add(unit: Unit) -> None:
    """Withhold the names of a unit's staff, from the next request on."""

    async def run(runtime: Runtime) -> None:
        await runtime.database.run(sql("put_withheld_unit"), {"sor": unit, "now": runtime.clock.now()})

    with_runtime(run)
    err.print(f"The staff of {unit} are named by pseudonyms.", markup=False)


@app.command("remove")
def remove(unit: Unit) -> None:
    """Name the staff of a unit again, in what was logged before too."""

    async def run(runtime: Runtime) -> int:
        return await runtime.database.run(sql("clear_withheld_unit"), {"sor": unit})

    found = with_runtime(run)
    err.print(f"The staff of {unit} are named." if found else f"{unit} is not on the list.", markup=False)


@app.command("list")
def list_() -> None:
    """List the units whose staff are not named."""

    async def run(runtime: Runtime) -> list[Any]:
        return await runtime.database.fetch(sql("read_withheld_units"))

    for row in with_runtime(run):
        out.print(f"{row.sor}  {row.name}  since {row.since:%Y-%m-%d}", markup=False)
