"""How the commands speak: results to standard output, everything else to standard error."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, NoReturn, TypeVar

from rich.console import Console

from overblik.app.logs import configure_logs
from overblik.app.runtime import Runtime, runtime, server_of
from overblik.app.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(text: str) -> NoReturn:
    """End with one sentence that says what to do."""
    err.print(f"overblik: {text}", style="bold red", markup=False)
    sys.exit(1)


def with_runtime(work: Callable[[Runtime], Awaitable[T]], settings: Settings | None = None) -> T:
    """Run `work` with everything opened: on the running embedded server where there is one."""
    used = settings or Settings()
    configure_logs()

    async def run(conninfo: str) -> T:
        async with runtime(used, conninfo) as opened:
            return await work(opened)

    with server_of(used) as conninfo:
        return asyncio.run(run(conninfo))
