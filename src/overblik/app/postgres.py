"""The PostgreSQL a process connects to: the embedded one, or the external one that the settings name."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from overblik.store.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overblik.app.settings import Settings


@contextmanager
def server_of(settings: Settings, *, watch: bool = False) -> Iterator[str]:
    """Have a PostgreSQL to connect to, and give its conninfo: the external one, or the embedded one."""
    if settings.url:
        yield settings.url
        return
    unsafe = {"fsync": "off", "full_page_writes": "off"} if settings.mode == "test" else {}
    server = EmbeddedPostgres(settings.data, unsafe)
    server.start()
    if watch:
        server.watch()
    try:
        yield server.conninfo
    finally:
        server.stop()
