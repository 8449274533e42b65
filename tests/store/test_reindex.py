"""Making index rows anew: whole afterwards, resumable, and beside writers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from overblik.fhir.errors import Unavailable
from overblik.fhir.index import INDEX_VERSION
from overblik.store import index_rows, reindex
from tests.api.test_search import TABLE, found, write

if TYPE_CHECKING:
    from tests.conftest import World

NARROW = ("index_headline", "index_date", "index_number", "index_string")


async def forget(world: World) -> None:
    """Leave the rows as an older version would: of another number, with nothing to find them by."""
    database = world.run.database
    await database.run(
        "update resource set index_version = 1, tokens = '{1}', headline = 7, sort_at = now(), sort_to = now()"
    )
    await database.run("update shared_resource set index_version = 1, tokens = '{}'")
    for table in NARROW:
        await database.run(f"delete from {table}")


async def kept(world: World) -> dict[str, list[str]]:
    """Return every index row there is, as text."""
    columns = "pid, rid, tokens, headline, sort_at, sort_to, index_version, clinical_from, clinical_to"
    tables = {"resource": columns, "shared_resource": "id, rid, tokens, index_version", **dict.fromkeys(NARROW, "t")}
    return {
        table: sorted(
            row.one for row in await world.run.database.fetch(f"select row({what})::text as one from {table} t")
        )
        for table, what in tables.items()
    }


async def all_of(world: World, batch: int = reindex.BATCH) -> list[int]:
    key = world.run.keyring.key("index")
    return [count async for count in reindex.reindex(world.run.database, key, batch=batch)]


@pytest.mark.parametrize("batch", [1, 3, 500])
async def test_rows_made_anew_are_those_that_were_written(world: World, batch: int) -> None:
    names = await write(world)
    before = await kept(world)
    assert all(before.values()), "the table leaves one of the tables empty"
    await forget(world)
    assert await found(world, names, "Observation?code=W") == []
    assert await reindex.stale(world.run.database) == len(names)
    assert sum(await all_of(world, batch)) == len(names)
    assert await kept(world) == before
    assert await reindex.stale(world.run.database) == 0
    for path, expected in TABLE:
        assert sorted(await found(world, names, path)) == expected.split(), path


async def test_what_is_of_this_version_is_left_alone(world: World) -> None:
    await write(world)
    assert await all_of(world) == []


async def test_an_interrupted_run_goes_on_where_it_stopped(world: World) -> None:
    names = await write(world)
    await forget(world)
    async for _ in reindex.reindex(world.run.database, world.run.keyring.key("index"), batch=2):
        break
    assert await reindex.stale(world.run.database) == len(names) - 2
    assert sum(await all_of(world)) == len(names) - 2


async def test_a_row_that_is_being_written_is_left_to_its_writer(world: World) -> None:
    names = await write(world)
    await forget(world)
    async with world.run.database.transaction() as writer:
        await writer.fetch("select from resource where type = 'Patient' for update")
        assert sum(await all_of(world)) == len(names) - 2
    assert sum(await all_of(world)) == 2


async def test_what_a_deleted_resource_was_found_by_is_gone_for_good(world: World) -> None:
    names = await write(world)
    light = next(identifier for identifier, name in names.items() if name == "light")
    await world.http.delete(f"/fhir/Observation/{light}", headers=world.source())
    await forget(world)
    assert sum(await all_of(world)) == len(names)
    assert await found(world, names, "Observation?code=W") == ["weight"]


async def test_two_words_of_one_digest_are_noticed_when_the_second_is_written(world: World) -> None:
    await write(world)
    database = world.run.database
    dictionary = index_rows.Dictionary()
    async with database.transaction() as transaction:
        await dictionary.note(transaction, [{"words": {5: 1}, "vocabulary": []}])
    async with database.transaction() as transaction:
        await dictionary.note(transaction, [{"words": {5: 1, 6: 1}, "vocabulary": []}])
        with pytest.raises(Unavailable) as refused:
            await index_rows.Dictionary().note(transaction, [{"words": {5: 2}, "vocabulary": []}])
    assert refused.value.code == "index-collision"


async def test_every_digest_that_is_kept_stands_in_the_dictionary(world: World) -> None:
    await write(world)
    rows = await world.run.database.fetch(
        "select count(*) as words, count(d.digest) as known from (select unnest(tokens) as token from resource"
        " union select token from index_headline union select unnest(marks) from index_number"
        " union select unnest(tokens) from shared_resource) w left join token_dictionary d on d.digest = w.token"
    )
    assert rows[0].words == rows[0].known > 50
    newest = await world.run.database.fetch("select max(index_version) as version from resource")
    assert newest[0].version == INDEX_VERSION
