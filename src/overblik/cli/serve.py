"""`overblik serve` and `overblik migrate`."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Annotated

import typer
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from overblik.app.logs import configure_logs
from overblik.app.postgres import server_of
from overblik.app.settings import Settings
from overblik.app.tls import require_tls
from overblik.cli.console import err, out
from overblik.fhir.errors import Unavailable
from overblik.store.database import Database
from overblik.store.migrate import grant, pending
from overblik.store.migrate import migrate as apply_migrations

STARTS_AGAIN = 60.0
"""Seconds in which an embedded PostgreSQL that died is there again, its log replayed."""
FACTORY = "overblik.app.server:create"
"""What each worker makes its application with."""


def serve() -> None:
    """Serve the API and the pages until stopped; the embedded PostgreSQL runs as long.

    Settings come from OVERBLIK_*: data folder, database URL, host, port, workers (docs/settings.md).
    """
    settings = Settings()
    run_server(settings)


def run_server(settings: Settings, factory: str = FACTORY) -> None:
    """Run the workers in this process's group, with the database watched over from here."""
    configure_logs()
    require_tls(settings)
    with server_of(settings, watch=True) as conninfo:
        patience = 0 if settings.url else STARTS_AGAIN
        asyncio.run(_migrate(conninfo, unsafe=settings.mode == "test", patience=patience))
        err.print(f"Overblik at {settings.address}", markup=False)
        Granian(
            factory,
            factory=True,
            address=settings.host,
            port=settings.port,
            ssl_cert=settings.tls_cert,
            ssl_key=settings.tls_key,
            workers=settings.workers,
            interface=Interfaces.ASGI,
            log_enabled=True,
            log_level=LogLevels.warning,
            respawn_failed_workers=True,
            workers_kill_timeout=15,  # a stop does not wait for a client that never ends
            websockets=False,
        ).serve()


async def _migrate(conninfo: str, *, unsafe: bool, patience: float = 0) -> None:
    """Bring the schema up to date; a database that goes away meanwhile is waited for so many seconds."""
    until = monotonic() + patience
    while True:
        database = Database(conninfo, size=2)
        try:
            await database.open(allow_unsafe=unsafe)
            await apply_migrations(database)
        except Unavailable:
            if monotonic() > until:
                raise
            await asyncio.sleep(0.2)
        else:
            return
        finally:
            await database.close()


def migrate(
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be applied, and apply nothing.")] = False,
    role: Annotated[str, typer.Option("--grant", help="Give this role what `overblik serve` needs, and no more.")] = "",
) -> None:
    """Bring the database's schema to this version.

    With --grant, the role that runs this owns the tables, and the server runs with another that cannot change them.
    """
    settings = Settings()

    async def run(conninfo: str) -> None:
        database = Database(conninfo, size=2)
        await database.open(allow_unsafe=settings.mode == "test")
        try:
            found = await pending(database) if plan else await apply_migrations(database)
            if role and not plan:
                await grant(database, role)
        finally:
            await database.close()
        for migration in found:
            out.print(f"{migration.number:04} {migration.name}", markup=False)
        if not found:
            err.print("Nothing to do: the schema is this version's.")

    with server_of(settings) as conninfo:
        asyncio.run(run(conninfo))
