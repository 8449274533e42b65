"""Numbered migrations: each file of `migrations/` is applied once, in order, in a transaction."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, LiteralString

from overblik.fhir.errors import Unavailable

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
    async with database.transaction() as transaction:
        await transaction.fetch(_ALONE, {"key": _LOCK})
        await transaction.run(_TABLE)
    applied = {row.number: row.digest for row in await database.fetch("select number, digest from schema_migration")}
    known = {m.number: m for m in migrations()}
    if unknown := set(applied) - set(known):
        raise Unavailable("schema-newer", f"The database has migration {max(unknown)}; upgrade overblik.")
    for number, digest in applied.items():
        if known[number].digest != digest:
            raise Unavailable("schema-changed", f"Migration {number} was changed after it was applied.")
    return [m for m in known.values() if m.number not in applied]


async def migrate(database: Database) -> list[Migration]:
    """Apply what is pending, one migration a transaction, under a lock; return what was applied."""
    done = []
    for migration in await pending(database):
        async with database.transaction() as transaction:
            await transaction.fetch(_ALONE, {"key": _LOCK})
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
