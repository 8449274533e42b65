"""Migrations: once each, in order, by many processes at once, and never behind one's back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest

from overblik.fhir.errors import Unavailable
from overblik.store.database import Database
from overblik.store.migrate import migrate, migrations, pending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from overblik.store.embedded import EmbeddedPostgres


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[str]:
    admin = postgres.conninfo.replace("dbname=overblik", "dbname=postgres")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("create database empty_one")
        yield postgres.conninfo.replace("dbname=overblik", "dbname=empty_one")
        connection.execute("drop database empty_one with (force)")


@pytest.fixture
async def database(empty: str) -> AsyncIterator[Database]:
    opened = Database(empty, size=4)
    await opened.open(allow_unsafe=True)
    yield opened
    await opened.close()


def test_numbers_follow_each_other() -> None:
    assert [m.number for m in migrations()] == list(range(1, len(migrations()) + 1))


async def test_each_is_applied_once(database: Database) -> None:
    assert [m.number for m in await pending(database)] == [m.number for m in migrations()]
    assert await migrate(database) == migrations()
    assert await migrate(database) == []


async def test_several_processes_may_start_at_once(database: Database) -> None:
    done = await asyncio.gather(*(migrate(database) for _ in range(4)))
    assert sorted(m.number for one in done for m in one) == [m.number for m in migrations()]


async def test_a_changed_migration_is_refused(database: Database) -> None:
    await migrate(database)
    await database.run("update schema_migration set digest = 'other' where number = 1")
    with pytest.raises(Unavailable, match="Migration 1 was changed"):
        await migrate(database)


async def test_o12_a_newer_database_is_refused(database: Database) -> None:
    await migrate(database)
    await database.run("insert into schema_migration (number, name, digest) values (9999, 'later', '')")
    with pytest.raises(Unavailable, match="upgrade"):
        await migrate(database)
