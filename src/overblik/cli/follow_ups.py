"""`overblik follow-ups`: what units have not followed up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overblik.cli.console import err, out
from overblik.cli.opened import with_runtime
from overblik.trust.treatment.follow_up import waiting

if TYPE_CHECKING:
    from overblik.app.runtime import Runtime


def follow_ups() -> None:
    """List broken glass, unconfirmed relations and reading in bulk that nobody has dealt with; no patient is named."""

    async def run(runtime: Runtime) -> list[Any]:
        return await waiting(runtime.database, runtime.clock.now())

    found = with_runtime(run)
    for row in found:
        state = "unconfirmed since" if row.kind == "stated" and row.alerted_at else "open since"
        many = f"  {row.many} patients in an hour by one {row.basis}" if row.many else ""
        out.print(
            f"{row.fid}  {row.kind:11}  {state} {row.alerted_at or row.at:%Y-%m-%d %H:%M}  "
            f"{row.org_name} ({row.org})  {row.person_name} ({row.person}){many}",
            markup=False,
            soft_wrap=True,
        )
    err.print(f"{len(found)} to be followed up.", markup=False)
