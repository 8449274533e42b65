"""`overblik replay-log`: every stored decision, decided again."""

from __future__ import annotations

from typing import Annotated

import typer

from overblik.app.postgres import server_of
from overblik.cli.console import current_settings, err, out
from overblik.store.replay import replay


def replay_log(
    most: Annotated[int, typer.Option("--most", help="So many entries at the most, the oldest first; 0 for all.")] = 0,
) -> None:
    """Decide every permit and refusal of the log again, by the policy it was decided by, on what was then so.

    Names what comes out otherwise, and ends with 1. The server may run meanwhile. Nothing is changed.
    """
    with server_of(current_settings()) as conninfo:
        found = replay(conninfo, most=most or None)
    for problem in found.other:
        out.print(problem, markup=False)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.same.items()))
    err.print(
        f"{found.same.total()} decisions are the same ({kinds}), {found.others} are not; "
        f"{found.nobody} named no record, {found.before} are older than policies.",
        markup=False,
    )
    if found.others:
        raise typer.Exit(1)
