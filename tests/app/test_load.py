"""A block of lines: what REST would have written, once, whole, with what was refused beside it."""

from __future__ import annotations

import asyncio
import random
import string
from typing import TYPE_CHECKING, Any

import pytest

from overblik.trust.callers.sources import register
from tests.app.loads import CPR, SOR, block, observation, patient, state, take, taker
from tests.conftest import NOW, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from overblik.fhir.strict_json import Json
    from tests.conftest import Clones, FixedClock, World

UNIT = {"reference": "Organization/unit", "identifier": {"system": SOR, "value": "265161000016000"}}
SHARED: list[Json] = [
    {
        "resourceType": "Organization",
        "id": "unit",
        "identifier": [{"system": SOR, "value": "265161000016000"}],
        "name": "Afdelingen",
    },
    {"resourceType": "Practitioner", "id": "dr", "name": [{"family": "Holm"}]},
]
PATIENTS: list[Json] = [
    patient(1, generalPractitioner=[UNIT]),
    patient(2, meta={"source": "https://sor2.sum.dsdn.dk/#id=265161000016000", "tag": [{"code": "x"}]}),
    {"resourceType": "Patient", "id": "p3", "identifier": [{"system": "urn:own", "value": "77"}], "birthDate": "1970"},
    {"resourceType": "Patient", "id": "p4", "name": [{"text": "Uden nummer"}], "deceasedBoolean": True},
]
ABOUT: list[Json] = [
    observation(1, 1, valueQuantity={"value": 7.10, "unit": "mmol/L"}),
    observation(2, 2, performer=[{"reference": "Practitioner/dr"}]),
    observation(3, 3, effectiveDateTime=None, effectivePeriod={"start": "2026-01-01", "end": "2026-02"}),
    {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "class": {"code": "IMP"},
        "subject": {"reference": "Patient/p1"},
        "period": {"start": "2026-04-01T08:00:00Z", "end": "2026-04-03T08:00:00Z"},
        "serviceProvider": UNIT,
    },
    {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "booked",
        "start": "2026-12-01T09:00:00Z",
        "end": "2026-12-01T09:30:00Z",
        "participant": [
            {"actor": {"reference": "Patient/p1"}, "status": "accepted"},
            {"actor": {"reference": "Patient/p2"}, "status": "accepted"},
            {"actor": UNIT, "status": "accepted"},
        ],
    },
    {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"type": "Patient", "identifier": {"system": CPR, "value": "110272-1234"}},
        "code": {"coding": [{"code": "DI10"}], "text": "\u00e6\u00f8\u00e5 \u2013 \U0001f600"},
        "encounter": {"reference": "Encounter/e1"},
    },
    {"resourceType": "Device", "id": "d1", "deviceName": [{"name": "Pumpe", "type": "other"}]},
]


def without_nulls(resource: Json) -> Json:
    return {k: v for k, v in resource.items() if v is not None}


@pytest.fixture
async def other(clones: Clones, tmp_path: Path, clock: FixedClock) -> AsyncIterator[World]:
    """Return a second server with an empty database and the same keys."""
    async with open_world(clones.make(), tmp_path, clock) as opened:
        yield opened


def database_of(world: World) -> str:
    return world.run.database.conninfo


def as_delivered(resource: Json) -> Json:
    """Return a resource of the files as a client would PUT it: ids and links in the source's namespace."""
    own = {f"{r['resourceType']}/{r['id']}" for r in (*SHARED, *PATIENTS, *ABOUT)}

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                k: v.replace("/", "/gateway.") if k == "reference" and v in own else renamed(v)
                for k, v in value.items()
            }
        return [renamed(v) for v in value] if isinstance(value, list) else value

    return without_nulls({**renamed(resource), "id": f"gateway.{resource['id']}"})


async def test_what_is_loaded_is_in_every_table_what_rest_writes(world: World, other: World, clock: FixedClock) -> None:
    """Every table of the schema is compared, so that one that is added later cannot be forgotten here."""
    async with taker(world) as loading:
        for resources in (SHARED, PATIENTS, ABOUT):
            clock.forward(minutes=1)
            done = await loading.take(block(*(without_nulls(r) for r in resources)))
            assert (done.taken, done.refused) == (len(resources), [])
            entries = [
                {
                    "resource": as_delivered(r),
                    "request": {"method": "PUT", "url": f"{r['resourceType']}/gateway.{r['id']}"},
                }
                for r in resources
            ]
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            answer = await other.post("/", other.source(), bundle)
            assert answer.status_code == 200, answer.text
            await other.run.directory.refresh(force=True)
            await world.run.directory.refresh(force=True)
    own = frozenset({"access_log", "load_block"})
    loaded, written = state(database_of(world), own), state(database_of(other), own)
    assert {table for table, rows in written.items() if rows} >= {
        "resource",
        "locator",
        "relation",
        "membership",
        "death",
    }
    for table, rows in written.items():
        assert loaded[table] == rows, table


async def test_the_log_has_one_entry_a_patient_and_block(world: World) -> None:
    await take(world, patient(1), patient(2))
    await take(world, *(observation(n, 1 + n % 2) for n in range(300)))
    rows = await world.run.database.fetch(
        "select action, outcome, rule, actor, channel, cardinality(rids) as few, query,"
        " count(*) over (partition by pid) from access_log order by at, action, query"
    )
    assert [(r.action, r.outcome, r.rule, r.actor, r.channel, r.count) for r in rows] == [
        ("load", "permit", "own delivery", "gateway", "load", 2)
    ] * 4
    assert sorted((r.few, r.query) for r in rows) == [
        (0, "test.ndjson:1-300 #150"), (0, "test.ndjson:1-300 #150"), (1, "test.ndjson:1-2"), (1, "test.ndjson:1-2"),
    ]  # fmt: skip


async def test_the_same_again_changes_nothing(world: World) -> None:
    await take(world, patient(1), observation(1, 1), observation(2, 1))
    before = state(database_of(world))
    again = await take(world, patient(1), observation(1, 1), observation(2, 1))
    assert (again.taken, again.changed, again.known) == (0, 0, 3)
    assert state(database_of(world)) == before
    elsewhere = await take(world, observation(2, 1), patient(1))
    assert (elsewhere.taken, elsewhere.changed, elsewhere.known) == (0, 0, 2)
    assert state(database_of(world), frozenset({"load_block"})) == {
        table: rows for table, rows in before.items() if table != "load_block"
    }


async def test_what_has_changed_is_a_new_version(world: World) -> None:
    await take(world, patient(1), observation(1, 1))
    done = await take(world, patient(1), observation(1, 1, status="amended"))
    assert (done.taken, done.changed, done.known) == (0, 1, 1)
    read = await world.get("/Observation/gateway.o1", world.source())
    assert (read.json()["status"], read.json()["meta"]["versionId"]) == ("amended", "2")
    first = await world.get("/Observation/gateway.o1/_history/1", world.source())
    assert first.json()["status"] == "final"


async def test_a_name_twice_in_a_block_is_two_versions_in_their_order(world: World) -> None:
    done = await take(world, patient(1), observation(1, 1), observation(1, 1), observation(1, 1, status="amended"))
    assert (done.taken, done.known, done.changed) == (2, 1, 1)
    read = await world.get("/Observation/gateway.o1", world.source())
    assert (read.json()["status"], read.json()["meta"]["versionId"]) == ("amended", "2")


LONG = "".join(random.Random(1).choices(string.ascii_letters, k=9000))
REFUSED: dict[str, tuple[dict[str, Any] | bytes, str]] = {
    "not JSON": (b'{"resourceType": "Observation", ', "json-invalid"),
    "a list": (b"[]", "json-not-an-object"),
    "not UTF-8": (b'{"resourceType":"Observation","status":"\xff"}', "json-not-utf8"),
    "no type": (b"{}", "resource-type-missing"),
    "an unknown type": (b'{"resourceType":"Nothing","id":"x"}', "resource-type-unknown"),
    "an id that is none": (observation(9, 1, id="a b"), "wrong-value"),
    "an id that is a number": (observation(9, 1, id=7), "wrong-value"),
    "meta that is none": (observation(9, 1, meta=[]), "wrong-json-type"),
    "an unknown element": (observation(9, 1, colour="red"), "unknown-element"),
    "a patient nobody knows": (observation(9, 99), "patient-unknown"),
    "an impossible CPR": (patient(9, identifier=[{"system": CPR, "value": "3113661234"}]), "cpr-impossible"),
    "too long to be found by": (
        patient(
            9,
            identifier=[{"system": "urn:x", "value": "".join(random.Random(1).choices(string.printable[:90], k=9000))}],
        ),
        "not-storable",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_line_that_is_refused_is_kept_and_its_neighbours_are_taken(world: World, case: str) -> None:
    line, code = REFUSED[case]
    bad = block(line).lines[0]
    done = await take(world, patient(1), bad, patient(2), patient(3))
    assert (done.taken, [(r.line, r.code) for r in done.refused]) == (3, [(2, code)])
    rows = await world.run.database.fetch("select file, line, code, raw from load_refusal")
    assert [(r.file, r.line, r.code, bytes(r.raw)) for r in rows] == [("test.ndjson", 2, code, bad)]
    records = await world.run.database.fetch("select count(*) as n from record")
    assert records[0].n == 3, "a refused line opens no record"


async def test_a_refused_line_is_taken_when_it_comes_again_and_can_be(world: World) -> None:
    assert (await take(world, observation(1, 1), observation(2, 1))).taken == 0
    await take(world, patient(1))
    again = await take(world, observation(1, 1), observation(2, 1))
    assert (again.taken, again.refused) == (2, [])
    assert await world.run.database.fetch("select from load_refusal") == []


async def test_a_registered_source_speaks_for_its_own_only(world: World) -> None:
    await register(world.run.database, "clinic", ["265161000016000"], NOW)
    own = {"meta": {"source": "https://sor2.sum.dsdn.dk/#id=265161000016000"}}
    others = {"meta": {"source": "https://sor2.sum.dsdn.dk/#id=999161000016000"}}
    done = await take(world, patient(1, **own), patient(2, **others), patient(3), source="clinic")
    assert [(r.line, r.code) for r in done.refused] == [(2, "not-your-organisation")]
    rows = await world.run.database.fetch("select id, source, via from resource order by id")
    assert [tuple(r) for r in rows] == [
        ("clinic.p1", "265161000016000", "clinic"), ("clinic.p3", "265161000016000", "clinic"),
    ]  # fmt: skip


async def test_no_source_reaches_what_another_delivered(world: World) -> None:
    """The same ids in two sources' files are two resources, and neither can be written about by the other."""
    await take(world, patient(1), source="one")
    done = await take(world, observation(1, 1), patient(2), source="two")
    assert [r.code for r in done.refused] == ["patient-unknown"]
    done = await take(world, {**patient(1), "id": "one.p1"}, source="two")
    assert done.taken == 1
    rows = await world.run.database.fetch("select id, via, version from resource order by id")
    assert [tuple(r) for r in rows] == [("one.p1", "one", 1), ("two.one.p1", "two", 1), ("two.p2", "two", 1)]


async def test_what_was_delivered_by_rest_can_be_named_by_its_id(world: World) -> None:
    created = await world.post("/Patient", world.source(), {k: v for k, v in patient(1).items() if k != "id"})
    place = created.json()["id"]
    done = await take(
        world,
        observation(1, 1, subject={"reference": f"Patient/{place}"}),
        observation(2, 2, subject={"reference": f"Patient/{place}/_history/1"}),
        {**patient(1), "id": place},
    )
    assert (done.taken, done.known, done.refused) == (2, 1, [])
    read = await world.get("/Observation/gateway.o1", world.source())
    assert read.json()["subject"] == {"reference": f"Patient/{place}"}


async def test_a_line_without_an_id_is_known_by_its_content(world: World) -> None:
    line = {k: v for k, v in observation(1, 1).items() if k != "id"}
    assert (await take(world, patient(1), line, line)).taken == 2
    assert (await take(world, line)).known == 1


async def test_a_deleted_resource_stays_deleted_until_other_lines_bring_it(world: World) -> None:
    await take(world, patient(1), observation(1, 1))
    await world.http.delete("/fhir/Observation/gateway.o1", headers=world.source())
    await take(world, patient(1), observation(1, 1))
    assert (await world.get("/Observation/gateway.o1", world.source())).status_code == 410
    assert (await take(world, observation(1, 1))).known == 0
    assert (await world.get("/Observation/gateway.o1", world.source())).status_code == 200


async def test_blocks_at_the_same_time_open_one_record_a_person(world: World) -> None:
    async with taker(world) as one, taker(world) as two, taker(world) as three:
        blocks = [
            block(*(patient(n, id=f"{name}{n}") for n in random.Random(name).sample(range(60), 60)))
            for name in ("a", "b", "c")
        ]
        done = await asyncio.gather(*(t.take(b) for t, b in zip((one, two, three), blocks, strict=True)))
    assert [d.taken for d in done] == [60, 60, 60]
    rows = await world.run.database.fetch("select count(*) as n, count(distinct pid) as pids from resource")
    assert tuple(rows[0]) == (180, 60)
    assert (await world.run.database.fetch("select count(*) as n from record"))[0].n == 60


async def test_a_transaction_among_the_lines_is_carried_out_once(world: World) -> None:
    entry = {"resource": {k: v for k, v in patient(1).items() if k != "id"}}
    entry["request"] = {"method": "POST", "url": "Patient"}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert (await take(world, bundle)).taken == 1
    assert (await take(world, bundle, patient(2))).known == 1
    rows = await world.run.database.fetch("select type from resource")
    assert [r.type for r in rows] == ["Patient", "Patient"]
