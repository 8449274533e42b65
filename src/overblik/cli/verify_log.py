"""`overblik verify-log`: the whole log against its signed heads."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from overblik.cli.console import err, out
from overblik.cli.opened import with_runtime
from overblik.fhir.errors import Unavailable
from overblik.trust.log.checkpoint import BadNote
from overblik.trust.log.rotation import Rotation
from overblik.trust.log.verify import Report, verify

if TYPE_CHECKING:
    from overblik.app.runtime import Runtime


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
    signed last is compared too, so that a log brought back from a copy is noticed. Nothing is changed.
    """
    kept = [path.read_text(encoding="utf-8") for path in checkpoint or []]

    async def run(runtime: Runtime) -> Report:
        known = await runtime.heads.signer.ask({"last": await runtime.heads.origin()})
        notes = [*kept, *([known["note"]] if known["note"] else [])]
        with Progress(
            SpinnerColumn(), TextColumn("{task.completed} entries"), console=err, transient=True,
            disable=not err.is_terminal,
        ) as progress:  # fmt: skip
            task = progress.add_task("", total=None)
            try:
                return await verify(
                    runtime.database, key or known["key"], notes, progress=lambda n: progress.advance(task, n),
                    rotations=[Rotation(*one) for one in known.get("rotations", ())],
                    witnesses=witness or (),
                )  # fmt: skip
            except BadNote as error:
                raise Unavailable("key-unknown", f"The log's key cannot be read: {error}.") from None

    report = with_runtime(run)
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
