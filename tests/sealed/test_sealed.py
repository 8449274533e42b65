"""Bodies sealed at rest: what is changed or moved does not open, keys rotate, one record can be erased for good."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, LiteralString

from overblik.app.runtime import runtime
from overblik.fhir.errors import OverblikError, Unavailable
from overblik.store.database import counting
from overblik.store.vault import LIFETIME, Vault
from overblik.trust.keys.erasure import shred
from overblik.trust.keys.masters import FileMasters
from overblik.trust.log.verify import verify
from tests.api.test_crud import CPR, PATIENT, make_patient, observation
from tests.exchange.documents import apd

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import FixedClock, World

OTHER = "0201800002"
MESSAGE = apd(CPR, born='<birthTime value="19481225"/>')


async def write(world: World, patient: str, note: str) -> str:
    """Write an Observation in two versions; return its id."""
    made = await world.post("/Observation", world.source(), observation(patient, note=[{"text": "before"}]))
    assert made.status_code == 201, made.text
    identifier = str(made.json()["id"])
    changed = observation(patient, id=identifier, note=[{"text": note}])
    answer = await world.replace(f"/Observation/{identifier}", world.source(), changed)
    assert answer.status_code == 200, answer.text
    return identifier


async def somebody(world: World, cpr: str) -> str:
    identifier = [{"system": "urn:oid:1.2.208.176.1.2", "value": cpr}]
    made = await world.post("/Patient", world.source(), PATIENT | {"identifier": identifier})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def vault_of(world: World) -> Vault:
    vault = world.run.database.vault
    assert vault is not None
    return vault


CHANGES: list[tuple[str, LiteralString]] = [
    ("one bit of it", "set_byte(body, 60, get_byte(body, 60) # 1)"),
    ("its last byte", "set_byte(body, length(body) - 1, get_byte(body, length(body) - 1) # 128)"),
    ("its nonce", "set_byte(body, 12, get_byte(body, 12) # 1)"),
    ("the number of its key", "set_byte(body, 5, get_byte(body, 5) # 1)"),
    ("cut short", "substring(body from 1 for 50)"),
    ("cut to almost nothing", "substring(body from 1 for 3)"),
    ("an older version's", "(select h.body from history h where h.pid = r.pid and h.rid = r.rid)"),
    ("another resource's of the patient", "(select o.body from resource o where o.id = %(b)s)"),
    ("another patient's", "(select o.body from resource o where o.id = %(c)s)"),
]


async def test_what_was_changed_or_moved_is_an_error_and_shows_nothing(world: World) -> None:
    patient, other = await make_patient(world), await somebody(world, OTHER)
    ids = {"a": await write(world, patient, "a"), "b": await write(world, patient, "b"),
           "c": await write(world, other, "c")}  # fmt: skip
    database = world.run.database
    for what, value in CHANGES:
        await database.run("create table kept as select pid, rid, body from resource")
        await database.run(f"update resource r set body = {value} where r.id = %(a)s", ids)
        for path in (f"/Observation/{ids['a']}", f"/Observation?patient={patient}", f"/Patient/{patient}/$everything"):
            answer = await world.get(path, world.source())
            assert answer.status_code == 500, (what, path, answer.text)
            assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "body-damaged", (what, path)
            assert "note" not in answer.text
        assert (await world.get(f"/Observation/{ids['b']}", world.source())).status_code == 200, what
        await database.run("update resource r set body = k.body from kept k where k.pid = r.pid and k.rid = r.rid")
        await database.run("drop table kept")
        assert (await world.get(f"/Observation/{ids['a']}", world.source())).status_code == 200, what


async def test_a_row_moved_to_another_patient_is_noticed(world: World) -> None:
    patient, other = await make_patient(world), await somebody(world, OTHER)
    identifier = await write(world, patient, "mine")
    to = {"id": identifier, "other": other}
    for table in ("resource", "locator"):
        await world.run.database.run(
            f"update {table} set pid = (select pid from locator where type = 'Patient' and id = %(other)s)"
            " where id = %(id)s", to,
        )  # fmt: skip
    answer = await world.get(f"/Observation/{identifier}", world.source())
    assert (answer.status_code, "mine" in answer.text) == (500, False)


async def test_o09_no_key_or_another_key_and_the_server_does_not_start(
    world: World, body_keys: Path, tmp_path: Path, clock: FixedClock
) -> None:
    await make_patient(world)
    shutil.copy(body_keys, tmp_path / "copy")
    settings = world.run.settings

    async def starting(keys: Path | None) -> str:
        changed = settings.model_copy(update={"body_keys": keys})
        try:
            async with runtime(changed, world.run.database.conninfo, clock=clock, migrating=False):
                return "started"
        except OverblikError as error:
            return error.code

    assert await starting(body_keys) == "started"
    assert await starting(None) == "body-keys-needed"
    assert await starting(tmp_path / "nowhere") == "body-keys-away"
    FileMasters(tmp_path / "another").add()
    assert await starting(tmp_path / "another") == "body-key-missing"
    (tmp_path / "copy").chmod(0o644)
    assert await starting(tmp_path / "copy") == "key-readable"
    (tmp_path / "short").write_text("c2hvcnQ=\n")
    (tmp_path / "short").chmod(0o600)
    assert await starting(tmp_path / "short") == "body-key-unreadable"


class Service:
    """Master keys that can be away."""

    def __init__(self, inner: FileMasters) -> None:
        self.inner, self.away, self.asked = inner, False, 0

    def _ask(self) -> FileMasters:
        self.asked += 1
        if self.away:
            raise Unavailable("body-keys-away", "The master keys cannot be reached.")
        return self.inner

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        return await self._ask().wrap(key, context)

    async def unwrap(self, master: str, wrapped: bytes, context: bytes) -> bytes:
        return await self._ask().unwrap(master, wrapped, context)

    async def current(self) -> str:
        return await self._ask().current()


async def test_o09_without_the_master_keys_what_is_known_opens_for_fifteen_minutes(
    world: World, body_keys: Path
) -> None:
    """O09: cached keys for at most 15 minutes, then 503; nothing but the keys coming back is needed to go on."""
    patient, other = await make_patient(world), await somebody(world, OTHER)
    identifier = await write(world, patient, "x")
    now, service = [1000.0], Service(FileMasters(body_keys))
    world.run.database.vault = Vault(world.run.database, service, now=lambda: now[0])
    paths = [f"/Observation/{identifier}", f"/Patient/{patient}/$overview", f"/Observation?patient={patient}"]

    async def answers(*asked: str) -> set[int]:
        return {(await world.get(path, world.source())).status_code for path in asked}

    assert await answers(*paths[::2]) == {200}
    assert (await world.get(paths[1], world.citizen(CPR))).status_code == 200
    service.away = True
    now[0] += LIFETIME - 1
    assert await answers(*paths[::2]) == {200}
    assert (await world.get(paths[1], world.citizen(CPR))).status_code == 200
    assert await answers(f"/Patient/{other}") == {503}, "a key that nobody has asked for yet"
    now[0] += 2
    assert await answers(*paths[::2]) == {503}
    overview = await world.get(paths[1], world.citizen(CPR))
    assert overview.status_code == 503, "what the process still has parsed is not shown either"
    written = await world.post("/Observation", world.source(), observation(patient))
    assert written.status_code == 503
    assert "body-keys-away" in written.text
    service.away = False
    assert await answers(*paths[::2]) == {200}
    assert (await world.get(paths[1], world.citizen(CPR))).status_code == 200


async def test_keys_are_asked_for_once(world: World, body_keys: Path) -> None:
    patient = await make_patient(world)
    identifier = await write(world, patient, "x")
    service = Service(FileMasters(body_keys))
    world.run.database.vault = Vault(world.run.database, service)
    counts = []
    for _ in range(3):
        with counting() as sent:
            assert (await world.get(f"/Observation/{identifier}", world.source())).status_code == 200
        counts.append(len(sent))
    assert service.asked == 1
    assert counts == [counts[1] + 1, counts[1], counts[1]]


async def everything_of(world: World, patient: str, identifier: str) -> dict[str, int]:
    """Return the status of each way to what one patient has."""
    system, citizen = world.system(), world.citizen(CPR)
    paths = {
        "read": (f"/Observation/{identifier}", system),
        "vread": (f"/Observation/{identifier}/_history/1", system),
        "own": (f"/Observation/{identifier}", citizen),
        "Patient": (f"/Patient/{patient}", system),
        "everything": (f"/Patient/{patient}/$everything", system),
        "overview": (f"/Patient/{patient}/$overview", citizen),
        "past": (f"/Patient/{patient}/$overview?asOf={world.clock.now().isoformat()[:-6]}Z", citizen),
    }
    return {name: (await world.get(path, who)).status_code for name, (path, who) in paths.items()}


async def found(world: World, path: str) -> int:
    answer = await world.get(path, world.system())
    assert answer.status_code == 200, answer.text
    return len(answer.json().get("entry", []))


async def test_o10_u21_an_erased_record_is_gone_and_the_log_holds(world: World) -> None:
    """U21, O10: bodies are unreadable wherever they lie; tree, chains and counts still verify."""
    patient, other = await make_patient(world), await somebody(world, OTHER)
    assert (await world.message(MESSAGE)).status_code == 200
    identifier, neighbour = await write(world, patient, "x"), await write(world, other, "y")
    await world.run.drain()
    assert set((await everything_of(world, patient, identifier)).values()) == {200}
    database = world.run.database
    await database.run("create table kept as select pid, rid, body from resource where body is not null")
    entries = (await database.fetch("select count(*) as n from access_log"))[0].n
    receipt = await shred(world.run.door, patient, "asked for by the citizen")
    await world.run.drain()
    assert len(receipt.keys) == 1
    assert (receipt.bodies >= 4, receipt.plain, receipt.elsewhere) == (True, 0, 0)
    gone = await everything_of(world, patient, identifier)
    assert gone == {
        "read": 410,
        "vread": 410,
        "own": 410,
        "Patient": 410,
        "everything": 404,
        "overview": 404,
        "past": 404,
    }
    for path in (f"/Observation?patient={patient}", f"/Patient?identifier={CPR}", f"/Patient?_id={patient}"):
        assert await found(world, path) == 0, path
    assert await found(world, "/Observation?code=NPU02319") == 1, "the neighbour's is there"
    assert (await world.get(f"/Observation/{neighbour}", world.system())).status_code == 200
    for table in ("index_string", "index_date", "index_number", "index_headline", "raw"):
        pids = await database.fetch(
            f"select 1 from {table} where pid = (select pid from locator where id = %(id)s)", {"id": patient}
        )
        assert not pids, table
    log = (await database.fetch("select query, reason from access_log where action = 'erase'"))[0]
    assert receipt.keys[0][0] in log.query
    assert receipt.keys[0][1] in log.query
    assert log.reason == "asked for by the citizen"
    await world.run.heads.sign()
    head = await world.run.heads.latest()
    assert head is not None
    report = await verify(database, await world.run.heads.key(), [head.note])
    assert not report.faults
    assert report.entries > entries
    await database.run("update resource r set body = k.body, deleted = false from kept k where k.rid = r.rid")
    for body in ("Observation/" + identifier, "Patient/" + patient):
        brought_back = await world.get("/" + body, world.system())
        assert (brought_back.status_code, brought_back.json()["issue"][0]["details"]["coding"][0]["code"]) == (
            410, "record-erased",
        )  # fmt: skip


async def test_a_plain_body_in_the_place_of_a_sealed_one_is_refused_where_all_are(
    world: World, body_keys: Path
) -> None:
    patient = await make_patient(world)
    identifier = await write(world, patient, "true")
    database = world.run.database
    database.vault = Vault(database, FileMasters(body_keys), only=True)
    unit = {"resourceType": "Organization", "name": "Afdeling", "active": True}
    made = await world.post("/Organization", world.system(), unit)
    paths = [f"/Observation/{identifier}", f"/Observation?patient={patient}", f"/Observation/{identifier}/_history"]
    ours = [f"/Patient/{patient}", f"/Organization/{made.json()['id']}", "/Organization?name=afd", "/_history"]
    assert {(await world.get(path, world.system())).status_code for path in [*paths, *ours]} == {200}
    await database.run(
        """update resource set body = convert_to('},"status":"forged"', 'UTF8') where type = 'Observation'"""
    )
    for path in paths:
        answer = await world.get(path, world.system())
        assert (answer.status_code, "forged" in answer.text) == (500, False), path
    assert {(await world.get(path, world.system())).status_code for path in ours[:-1]} == {200}
    await database.run("delete from resource where type = 'Observation'")
