"""What lies on disk, asked of the database of a data folder while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from overblik.store.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from pathlib import Path
    from typing import LiteralString


def asked(folder: Path, statement: LiteralString) -> Any:
    """Return the one value that a statement gives."""
    with psycopg.connect(EmbeddedPostgres(folder).conninfo) as connection:
        return next(row[0] for row in connection.execute(statement))


def size(folder: Path) -> int:
    """Return the bytes of the database, every index, the history and the log in it."""
    return int(asked(folder, "select pg_database_size(current_database())"))
