"""Commands that work with everything opened."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from overblik.app.logs import configure_logs
from overblik.app.postgres import server_of
from overblik.app.runtime import Runtime, runtime
from overblik.cli.console import current_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from overblik.app.settings import Settings

T = TypeVar("T")


def with_runtime(work: Callable[[Runtime], Awaitable[T]], settings: Settings | None = None) -> T:
    """Run `work` with everything opened: on the running embedded server where there is one."""
    used = settings or current_settings()
    configure_logs()

    async def run(conninfo: str) -> T:
        async with runtime(used, conninfo) as opened:
            return await work(opened)

    with server_of(used) as conninfo:
        return asyncio.run(run(conninfo))
