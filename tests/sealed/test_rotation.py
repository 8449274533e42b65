"""Keys are wrapped anew, what was stored before is sealed, an erased record stays erased; what sealing leaves out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, LiteralString

import pytest

from overblik.app.load.refusals import write_refusals
from overblik.demo.cast import INGER, NURSE
from overblik.store.queries import sql
from overblik.store.sealing import seal_stored, wrap_anew
from overblik.store.vault import Vault
from overblik.trust.keys.erasure import shred
from overblik.trust.keys.masters import FileMasters
from tests.api.test_crud import CPR, make_patient
from tests.app import loads
from tests.conftest import FixedClock, open_world
from tests.sealed.conftest import all_sealed, plain
from tests.sealed.test_sealed import MESSAGE, OTHER, somebody, vault_of, write
from tests.trust.consents import consent, deny, entry
from tests.trust.test_consent import say, take_back
from tests.web.browse import told

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Clones, World


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


async def test_what_a_load_takes_and_refuses_is_sealed(world: World, tmp_path: Path) -> None:
    lines = (loads.patient(1), loads.observation(1, 1), b'{"resourceType":"Observation","note":"lost"')
    for round_ in (1, 2):
        done = await loads.take(world, *lines)
        assert len(done.refused) == 1, round_
        assert await write_refusals(world.run.database, "gateway", tmp_path / "refused.ndjson", world.clock.now()) == 1
        looks = await world.run.database.fetch("select 1 from access_log where query = 'refusals/gateway'")
        assert len(looks) == round_, "whoever has them is in the log"
        assert b"lost" in (tmp_path / "refused.ndjson").read_bytes()
        await all_sealed(world)
        keys = await world.run.database.fetch("select pid from record_key where pid = 0")
        assert len(keys) == 1, "what was refused before is judged anew, under a key anew"
    assert (await loads.take(world, *lines[:2])).known == 2
    answer = await world.get("/Observation?patient=gateway.p1", world.source())
    assert len(answer.json()["entry"]) == 1


async def test_a_block_hides_the_same_messages_whether_or_not_bodies_are_sealed(
    clones: Clones, tmp_path: Path, body_keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Z27 where a Provenance cannot be read: a message that tells a blocked entry again is hidden with it."""
    monkeypatch.delenv("OVERBLIK_TEST_SEALED", raising=False)
    seen: list[dict[str, dict[str, int]]] = []
    for name, keys in (("plain", None), ("sealed", body_keys)):
        (tmp_path / name).mkdir()
        async with open_world(clones.make(), tmp_path / name, FixedClock(), body_keys=keys) as world:
            seen.append(await left_to_the_nurse(world))
    assert seen[0] == seen[1]
    nothing = seen[0].pop("nothing")
    assert any(left["Provenance"] < nothing["Provenance"] for left in seen[0].values())
    assert any(left["Provenance"] == nothing["Provenance"] for left in seen[0].values()), "not all are hidden with it"


async def left_to_the_nurse(world: World) -> dict[str, dict[str, int]]:
    """Return how many resources of each type a nurse sees while one entry is blocked, for each entry of the story."""
    await told(world)
    citizen, nurse = world.citizen(INGER.cpr), world.professional(NURSE.unit.sor, NURSE.id)
    patient = await world.patient_id(INGER.cpr, citizen)

    async def whole(who: dict[str, str]) -> list[dict[str, Any]]:
        page = (await world.get(f"/Patient/{patient}/$everything?_count=500", who)).json()
        return [one["resource"] for one in page.get("entry", ())]

    async def counts() -> dict[str, int]:
        return dict(Counter(one["resourceType"] for one in await whole(nurse)))

    entries: dict[str, list[str]] = {}
    for one in await whole(citizen):
        if one["resourceType"] in {"Encounter", "CarePlan", "Condition", "Goal"}:
            stated = str(one.get("period") or one.get("code") or one.get("description") or one.get("status"))
            entries.setdefault(f"{one['resourceType']} {stated}", []).append(one["id"])
    found = {"nothing": await counts()}
    for told_as, names in sorted(entries.items()):
        if len(names) == 1:
            blocked = deny(entry(f"{told_as.split()[0]}/{names[0]}"))
            said = await say(world, citizen, consent(blocked, INGER.cpr))
            found[told_as] = await counts()
            await take_back(world, citizen, said)
    return found


async def test_what_a_sealed_provenance_names_is_read_from_its_index_row(world: World) -> None:
    """An entry that a later message told again has no version of that message: only its Provenance says so."""
    patient = await make_patient(world)
    told_again = await write(world, patient, "x")
    assert (await world.message(MESSAGE)).status_code == 200
    database = world.run.database
    rows = await database.fetch(
        "select p.id as provenance, x.type, x.id, p.tokens && array(select x.link # digest from index_way) as named"
        " from resource p join resource x on x.pid = p.pid where p.type = 'Provenance'"
    )
    (said,) = {row.provenance for row in rows}
    text = (await world.get(f"/Provenance/{said}", world.system())).text
    assert {row.id for row in rows if row.named} == {row.id for row in rows if f'"{row.type}/{row.id}"' in text}
    assert {row.named for row in rows} == {True, False}
    await database.run(
        "insert into deny (pid, did, rid) select pid, 1, rid from resource where id = %(id)s", {"id": told_again}
    )
    carries: LiteralString = (
        "select block_carries(w.pid, w.rid, w.pid, 1, now(), 'TEST1', 'unit', array['unit']) as hidden from raw w"
    )

    async def hidden() -> set[bool]:
        return {row.hidden for row in await database.fetch(carries)}

    assert await hidden() == {False}
    await database.run("create table way as select * from index_way")
    await database.run("delete from index_way")
    assert await hidden() == {True}, "what cannot be said counts as named"
    await database.run("insert into index_way select * from way")
    assert await hidden() == {False}
    await database.run(
        "update resource p set tokens = array_append(p.tokens,"
        " x.link # (select digest from index_way where param = 'target'))"
        " from resource x where x.id = %(id)s and p.type = 'Provenance'",
        {"id": told_again},
    )
    assert await hidden() == {True}
