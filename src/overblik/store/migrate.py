"""Numbered migrations: each file of `migrations/` is applied once, in order, in a transaction."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, LiteralString

import psycopg

from overblik.fhir.errors import Unavailable
from overblik.store.queries import sql

if TYPE_CHECKING:
    from overblik.store.database import Database

_LOCK = 7_013_201
_ALONE: LiteralString = "select pg_advisory_xact_lock(%(key)s)"
_TABLE: LiteralString = """
create table if not exists schema_migration (
    number      integer primary key,
    name        text not null,
    digest      text not null,
    applied_at  timestamptz not null default clock_timestamp()
)"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    text: LiteralString

    @property
    def digest(self) -> str:
        """The SHA-256 of the text; an applied migration must never change."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return the migrations of this version, in order."""
    found = []
    for file in resources.files("overblik.store").joinpath("migrations").iterdir():
        number, _, rest = file.name.partition("_")
        if number.isdigit():
            text = file.read_text(encoding="utf-8")  # part of the program
            found.append(Migration(int(number), rest.removesuffix(".sql"), text))
    return sorted(found, key=lambda m: m.number)


async def pending(database: Database) -> list[Migration]:
    """Return what is still to be applied; raise where the database is newer or was changed."""
    applied = await _applied(database)
    known = {m.number: m for m in migrations()}
    if unknown := set(applied) - set(known):
        raise Unavailable("schema-newer", f"The database has migration {max(unknown)}; upgrade overblik.")
    for number, digest in applied.items():
        if known[number].digest != digest:
            raise Unavailable("schema-changed", f"Migration {number} was changed after it was applied.")
    return [m for m in known.values() if m.number not in applied]


async def _applied(database: Database) -> dict[int, str]:
    """Return {number: digest} of what was applied; a role that may change nothing can ask, too."""
    if (await database.fetch("select to_regclass('schema_migration') is null as new"))[0].new:
        return {}
    return {row.number: row.digest for row in await database.fetch("select number, digest from schema_migration")}


async def migrate(database: Database) -> list[Migration]:
    """Apply what is pending, one migration a transaction, under a lock; return what was applied.

    A role that may not change the schema is told who can, and changes nothing.
    """
    waiting = await pending(database)
    try:
        return await _apply(database, waiting)
    except psycopg.errors.InsufficientPrivilege:
        names = ", ".join(f"{m.number:04} {m.name}" for m in waiting)
        text = f"The schema lacks {names}; run `overblik migrate` with the role that owns it."
        raise Unavailable("schema-behind", text) from None


async def _apply(database: Database, waiting: list[Migration]) -> list[Migration]:
    done = []
    for migration in waiting:
        async with database.transaction() as transaction:
            await transaction.fetch(_ALONE, {"key": _LOCK})
            await transaction.run(_TABLE)
            number = {"number": migration.number}
            if await transaction.fetch("select number from schema_migration where number = %(number)s", number):
                continue
            await transaction.script(migration.text)
            await transaction.run(
                "insert into schema_migration (number, name, digest) values (%(number)s, %(name)s, %(digest)s)",
                {**number, "name": migration.name, "digest": migration.digest},
            )
            done.append(migration)
    return done


async def grant(database: Database, role: str) -> None:
    """Give a role what a running server needs and no more; what it had beyond that is taken away.

    It reads and writes rows, but changes no table; the log and the superseded versions it only adds to.
    """
    async with database.transaction() as transaction:
        if not await transaction.fetch("select 1 as found from pg_roles where rolname = %(role)s", {"role": role}):
            raise Unavailable("role-missing", f"There is no role {role}; an administrator makes it.")
        for row in await transaction.fetch(sql("grants"), {"role": role}):
            await transaction.run(row.statement)
