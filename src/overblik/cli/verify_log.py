"""`overblik verify-log`: the whole log against its signed heads."""

from __future__ import annotations

import asyncio
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from overblik.app.logs import configure_logs
from overblik.app.postgres import server_of
from overblik.app.runtime import clock_of
from overblik.cli.console import current_settings, err, out
from overblik.fhir.errors import Unavailable
from overblik.store.database import Database
from overblik.store.migrate import migrate
from overblik.trust.log.checkpoint import BadNote
from overblik.trust.log.heads import Heads, SignerProcess
from overblik.trust.log.rotation import Rotation
from overblik.trust.log.verify import Report, verify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def verify_log(
    key: Annotated[str, typer.Option("--key", help="The log's key as it was published; default the signer's.")] = "",
    checkpoint: Annotated[
        list[Path] | None, typer.Option("--checkpoint", help="A checkpoint kept elsewhere, which must still be so.")
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option("--witness", help="The key of a witness who must have cosigned."),
    ] = None,
) -> None:
    """Compute every entry, leaf, chain and node of the log anew, and compare with every head that was signed.

    Names what is wrong, the first place first, and ends with 1. The server may run meanwhile. What the signer
    signed last is compared too, so that a log brought back from a copy is noticed. Nothing is changed. Who verifies
    needs no master key of sealed bodies: entries have no content.
    """
    kept = [path.read_text(encoding="utf-8") for path in checkpoint or []]

    async def run(database: Database, heads: Heads) -> Report:
        known = await heads.signer.ask({"last": await heads.origin()})
        notes = [*kept, *([known["note"]] if known["note"] else [])]
        with Progress(
            SpinnerColumn(), TextColumn("{task.completed} entries"), console=err, transient=True,
            disable=not err.is_terminal,
        ) as progress:  # fmt: skip
            task = progress.add_task("", total=None)
            try:
                return await verify(
                    database, key or known["key"], notes, progress=lambda n: progress.advance(task, n),
                    rotations=[Rotation(*one) for one in known.get("rotations", ())],
                    witnesses=witness or (),
                )  # fmt: skip
            except BadNote as error:
                raise Unavailable("key-unknown", f"The log's key cannot be read: {error}.") from None

    report = _with_log(run)
    for fault in report.faults:
        out.print(fault, markup=False)
    state = "sound" if not report.faults else "NOT what was signed"
    seen = f", cosigned up to {report.witnessed}" if report.witnessed else ""
    err.print(
        f"The log is {state}: {report.entries} entries of {report.records} records, {report.heads} heads, "
        f"signed up to {report.signed}{seen}; {report.waiting} wait to be sealed.",
        markup=False,
    )
    if report.faults:
        raise typer.Exit(1)


def _with_log(work: Callable[[Database, Heads], Awaitable[Report]]) -> Report:
    """Run `work` with the database and the log's heads opened, and nothing that could open a body."""
    settings = current_settings()
    configure_logs()

    async def run(conninfo: str) -> Report:
        database, signer = Database(conninfo, size=2), SignerProcess(settings.signer)
        await database.open(allow_unsafe=settings.mode == "test")
        try:
            await migrate(database)
            return await work(database, Heads(database, clock_of(settings), signer, settings.witness_keys))
        finally:
            await signer.close()
            await database.close()

    with server_of(settings) as conninfo:
        return asyncio.run(run(conninfo))
