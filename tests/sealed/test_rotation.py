"""Keys are wrapped anew, what was stored before is sealed, an erased record stays erased; what sealing leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import pytest

from overblik.store.queries import sql
from overblik.store.sealing import seal_stored, wrap_anew
from overblik.store.vault import Vault
from overblik.trust.erasure import shred
from overblik.trust.masters import FileMasters
from tests.api.test_crud import CPR, make_patient
from tests.conftest import open_world
from tests.sealed.conftest import all_sealed, plain
from tests.sealed.test_sealed import MESSAGE, OTHER, somebody, vault_of, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Clones, FixedClock, World


async def test_a_rotation_wraps_keys_anew_and_leaves_bodies_as_they_are(world: World, body_keys: Path) -> None:
    patient = await make_patient(world)
    identifier = await write(world, patient, "x")
    database, vault, masters = world.run.database, vault_of(world), FileMasters(body_keys)
    stored: LiteralString = "select pid, rid, md5(body) as body from resource order by rid"
    bodies = await database.fetch(stored)
    keys = await database.fetch("select pid, kid, wrapped from record_key order by kid")
    (old,) = masters.names()
    new = masters.add()
    late = await somebody(world, OTHER)
    assert sum([count async for count in wrap_anew(database, vault)]) == len(keys)
    assert [count async for count in wrap_anew(database, vault)] == [], "it is over, and can be asked again"
    now = await database.fetch("select pid, kid, wrapped from record_key order by kid")
    assert not {bytes(row.wrapped) for row in keys} & {bytes(row.wrapped) for row in now}
    assert [row.master for row in await database.fetch(sql("masters_in_use"))] == [new]
    assert set(bodies) <= set(await database.fetch(stored))
    masters.drop([old])
    assert masters.names() == [new]
    database.vault = Vault(database, FileMasters(body_keys))
    for path in (f"/Observation/{identifier}", f"/Patient/{late}"):
        assert (await world.get(path, world.source())).status_code == 200


async def test_a_key_wrapped_anew_between_two_looks_is_read_again(world: World, body_keys: Path) -> None:
    """A reader that has the row of before the rotation, and whose master key is destroyed, asks once more."""
    identifier = await write(world, await make_patient(world), "x")
    database, masters = world.run.database, FileMasters(body_keys)
    rows = await database.fetch("select pid, kid, master, wrapped from record_key")
    (old,) = masters.names()
    masters.add()
    assert [count async for count in wrap_anew(database, vault_of(world))]
    masters.drop([old])
    fresh = Vault(database, FileMasters(body_keys))
    for row in rows:
        await fresh._unwrapped(row.pid, row.kid, None, row)  # noqa: SLF001 - the row of a moment ago, as a reader has it
    database.vault = fresh
    assert (await world.get(f"/Observation/{identifier}", world.source())).status_code == 200


async def test_a_copy_of_an_erased_key_is_worthless_once_its_master_key_is_destroyed(
    world: World, body_keys: Path
) -> None:
    patient = await make_patient(world)
    database, masters = world.run.database, FileMasters(body_keys)
    await database.run("create table kept as select * from record_key")
    await database.run("create table bodies as select pid, rid, body from resource")
    await shred(world.run.door, patient, "asked for")
    bring_back: LiteralString = (
        "update record_key r set (wrapped, master, destroyed_at) = (k.wrapped, k.master, null)"
        " from kept k where k.kid = r.kid"
    )
    await database.run(bring_back)
    await database.run("update resource r set body = k.body, deleted = false from bodies k where k.rid = r.rid")
    vault_of(world).forget()
    assert (await world.get(f"/Patient/{patient}", world.system())).status_code == 200, "a copy made before opens"
    await database.run("update record_key set wrapped = null, master = null, destroyed_at = now()")
    (old,) = masters.names()
    masters.add()
    masters.drop([old])
    await database.run(bring_back)
    vault_of(world).forget()
    answer = await world.get(f"/Patient/{patient}", world.system())
    assert (answer.status_code, "Nancy" in answer.text) == (503, False)


async def test_a_source_that_delivers_again_begins_with_a_new_key(world: World) -> None:
    patient = await make_patient(world)
    identifier = await write(world, patient, "x")
    await shred(world.run.door, patient, "asked for")
    database = world.run.database
    again = await make_patient(world)
    assert again != patient
    assert (await world.get(f"/Patient/{again}", world.citizen(CPR))).status_code == 200
    assert (await world.get(f"/Observation/{identifier}", world.citizen(CPR))).status_code == 410
    keys = await database.fetch("select wrapped is null as gone from record_key where pid <> 0 order by made_at")
    assert [row.gone for row in keys] == [True, False]


async def test_what_was_stored_before_is_sealed_by_a_command_that_can_be_stopped(
    clones: Clones, tmp_path: Path, clock: FixedClock, body_keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OVERBLIK_TEST_SEALED", raising=False)
    conninfo = clones.make()
    async with open_world(conninfo, tmp_path, clock) as world:
        patient = await make_patient(world)
        identifier = await write(world, patient, "x")
        assert (await world.message(MESSAGE)).status_code == 200
        assert (await world.message(b"{}")).status_code != 200
        paths = [
            f"/Observation/{identifier}/_history",
            f"/Observation?patient={patient}",
            f"/Patient/{patient}/$everything",
        ]
        before = [(await world.get(path, world.source())).content for path in paths]
        held = (await world.run.database.fetch("select iid from inbox where raw is not null"))[0].iid
    async with open_world(conninfo, tmp_path, clock, body_keys=body_keys) as world:
        database, vault = world.run.database, vault_of(world)
        assert [(await world.get(path, world.source())).content for path in paths] == before, "plain ones are read"
        assert sum((await plain(database)).values())
        monkeypatch.setattr("overblik.store.sealing.ROWS", 2)
        await anext(seal_stored(database, vault))
        left = sum((await plain(database)).values())
        assert left, "stopped after one step"
        assert [(await world.get(path, world.source())).content for path in paths] == before, "both kinds beside"
        assert sum([count async for count in seal_stored(database, vault)]) == left
        await all_sealed(world)
        assert [count async for count in seal_stored(database, vault)] == []
        assert [(await world.get(path, world.source())).content for path in paths] == before
        assert (await world.run.inbox.intake.show(held)).raw == b"{}"


async def test_a_message_has_a_key_of_its_own_until_it_has_a_patient(world: World) -> None:
    nobodys: LiteralString = "select count(*) as n from record_key where pid = 0"
    assert (await world.message(MESSAGE)).status_code == 200
    assert (await world.run.database.fetch(nobodys))[0].n == 0
    assert (await world.message(b"{}")).status_code != 200
    assert (await world.run.database.fetch(nobodys))[0].n == 1


@pytest.mark.parametrize(
    ("search", "status"),
    [
        ("_sort=code", 422), ("_sort=-subject", 422), ("_content=x", 422), ("_text=x&_summary=count", 422),
        ("_sort=-date", 200), ("_sort=value-string", 200), ("_sort=_lastUpdated", 200), ("code=NPU02319", 200),
    ],
)  # fmt: skip
async def test_what_reads_bodies_in_the_database_is_refused(world: World, search: str, status: int) -> None:
    patient = await make_patient(world)
    answer = await world.get(f"/Observation?patient={patient}&{search}", world.source())
    assert answer.status_code == status, answer.text
    assert status == 200 or answer.json()["issue"][0]["details"]["coding"][0]["code"] == "sealed"


async def test_the_capability_statement_leaves_out_what_reads_bodies(world: World) -> None:
    stated = (await world.get("/metadata", {})).json()["rest"][0]["searchParam"]
    assert {"_filter", "_list"} <= {one["name"] for one in stated}
    assert not {"_text", "_content"} & {one["name"] for one in stated}
