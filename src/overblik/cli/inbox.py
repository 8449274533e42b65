"""`overblik inbox`: what came in, what is held and why."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.table import Table

from overblik.cli.console import err, fail, out
from overblik.cli.opened import with_runtime

if TYPE_CHECKING:
    from overblik.app.runtime import Runtime

app = typer.Typer(no_args_is_help=True, help="What came in, what is held in quarantine, and why.")


@app.command("list")
def list_(
    state: Annotated[
        list[str] | None, typer.Option(help="received, applied, held or refused; default held and refused.")
    ] = None,
    code: Annotated[str, typer.Option(help="Only those with this code, such as clock-ahead of what was applied.")] = "",
) -> None:
    """List messages in quarantine (or in any state), newest first; never their content."""

    async def run(runtime: Runtime) -> None:
        table = Table("id", "received", "via", "format", "state", "code", "what to do", box=None)
        for row in await runtime.inbox.intake.listed(state or ["held", "refused"], code=code):
            received = row.received_at.strftime("%Y-%m-%d %H:%M:%S")
            table.add_row(str(row.iid), received, row.via, row.format, row.state, row.code, row.reason)
        out.print(table)

    with_runtime(run)


@app.command("counts")
def counts() -> None:
    """Count messages by state and reason."""

    async def run(runtime: Runtime) -> None:
        for row in await runtime.inbox.intake.counts():
            out.print(f"{row.count}\t{row.state}\t{row.code or '-'}", markup=False)

    with_runtime(run)


@app.command("show")
def show(iid: Annotated[str, typer.Argument(help="The message's id, from the list.")]) -> None:
    """Write one message to standard output exactly as it came; the look is logged."""
    try:
        wanted = UUID(iid)
    except ValueError:
        fail("that is no message id; `overblik inbox list` shows them.")

    async def run(runtime: Runtime) -> None:
        row = await runtime.inbox.intake.show(wanted)
        if row is None:
            fail("there is no such message.")
        err.print(f"{row.format or 'unknown format'} · {row.state} {row.code} · {row.reason}", markup=False)
        sys.stdout.buffer.write(bytes(row.raw))
        sys.stdout.buffer.flush()

    with_runtime(run)
