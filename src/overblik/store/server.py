"""Is this a server that can be used? Asked once at start; what is wrong is said in words that help.

An external PostgreSQL can be missing, closed, too old or set up so that it loses data. libpq says
which in a sentence only, so its sentences are known here.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from overblik.fhir.errors import Unavailable

OLDEST = 180000
_ASKED = """select current_setting('fsync') as fsync, current_setting('full_page_writes') as pages,
    d.datlocprovider::text as provider,
    coalesce(d.datlocale, d.datcollate) as locale
from pg_database d where d.datname = current_database()"""
_CREATE = "createdb --template template0 --encoding UTF8 --locale-provider builtin --builtin-locale C.UTF-8 --locale C"
_LOCALES = frozenset({("b", "C.UTF-8"), ("b", "C"), ("c", "C"), ("c", "C.UTF-8"), ("c", "C.utf8")})
"""Provider (builtin, libc) and locale of the databases in which texts sort by code point."""
_REASONS = (
    ("password authentication failed", "database-password", "The database refuses the role's password."),
    ("no password supplied", "database-password", "The database asks for a password; the URL has none."),
    ("is not permitted to log in", "database-role", "The role may not log in; ALTER ROLE … LOGIN allows it."),
    ("permission denied for database", "database-role", "The role may not connect; GRANT CONNECT allows it."),
    ("pg_hba.conf", "database-closed", "The server lets nobody in from here; look at its pg_hba.conf."),
    ("does not support SSL", "database-tls", "The server speaks no TLS, and the URL asks for it (sslmode)."),
    ("certificate", "database-tls", "The server's TLS certificate does not hold; look at sslrootcert and the host."),
    ("SSL error", "database-tls", "TLS with the server failed."),
    ("root.crt", "database-tls", "The URL asks for a checked certificate; name the authority in sslrootcert."),
    ("the database system is", "database-starting", "The database is starting or stopping; try again shortly."),
    ("too many clients", "database-full", "The server has no connection left; raise max_connections."),
    ("remaining connection slots", "database-full", "The server has no connection left; raise max_connections."),
)
"""What libpq says, our code, our words: the first that fits."""


async def require_usable(conninfo: str, *, allow_unsafe: bool = False, patience: float = 60) -> None:
    """Return when the server can be used; Unavailable with what is wrong otherwise.

    One that is starting is waited for, up to `patience` seconds: after a crash it first makes itself whole.
    """
    until = time.monotonic() + patience
    while True:
        try:
            await _ask(conninfo, allow_unsafe=allow_unsafe)
        except psycopg.ProgrammingError:
            text = "The database URL cannot be read; it begins with postgresql://."
            raise Unavailable("database-url", text) from None
        except psycopg.OperationalError as error:
            refusal = _refusal(str(error))
            if refusal.code != "database-starting" or time.monotonic() > until:
                raise refusal from None
            await asyncio.sleep(0.2)
        else:
            return


async def _ask(conninfo: str, *, allow_unsafe: bool) -> None:
    """Ask a server what it is; Unavailable where it will not do."""
    connection = await psycopg.AsyncConnection.connect(
        conninfo, autocommit=True, row_factory=namedtuple_row, connect_timeout=10
    )
    async with connection:
        if connection.info.server_version < OLDEST:
            raise Unavailable("postgres-too-old", f"PostgreSQL 18 or newer is needed; {_version(connection)} runs.")
        if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
            raise _locale(f"{encoding}")  # its texts would come as bytes
        _require_safe((await (await connection.execute(_ASKED)).fetchall())[0], allow_unsafe=allow_unsafe)


def _refusal(said: str) -> Unavailable:
    """Return the error for what libpq says; the sentence is passed on, and has no password in it."""
    for words, code, text in _REASONS:
        if words in said:
            return Unavailable(code, f"{text} ({_last(said)})")
    if "database" in said and "does not exist" in said:
        return Unavailable("database-missing", f"The database is not there; an administrator makes it with: {_CREATE}")
    if "role" in said and "does not exist" in said:
        return Unavailable("database-role", f"The role is not there. ({_last(said)})")
    return Unavailable("database-down", f"The database cannot be reached. ({_last(said)})")


def _last(said: str) -> str:
    """Return the last line of what libpq says: of several addresses, the last one's."""
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")


def _version(connection: psycopg.AsyncConnection[Any]) -> str:
    return str(connection.info.parameter_status("server_version") or connection.info.server_version)


def _require_safe(row: Any, *, allow_unsafe: bool) -> None:
    """Refuse a server that can lose what it has acknowledged, or whose texts sort otherwise than ours."""
    if (row.fsync, row.pages) != ("on", "on") and not allow_unsafe:
        raise Unavailable("postgres-not-durable", "fsync or full_page_writes is off; switch them on.")
    if (row.provider, row.locale) not in _LOCALES:
        raise _locale(f"{row.locale}")


def _locale(found: str) -> Unavailable:
    text = f"The database needs UTF8 and C.UTF-8, it has {found}. Make it with: {_CREATE}"
    return Unavailable("database-locale", text)
