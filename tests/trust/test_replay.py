"""U24: every stored decision, made again from what the log holds, is the same; and the replay notices another.

`pytest tests/trust/test_replay.py --replay 100000` makes so many; a few hundred are in the tests.
"""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg

import overblik
from overblik.store.policy import FUNCTIONS, POLICY
from overblik.store.replay import Replayed, replay
from tests.conftest import NOW
from tests.equality.mix import NOBODY, TYPES, Asked, Mix
from tests.trust.consents import attorney, consent, deny, of_type, permit, unit
from tests.trust.stage import CPR, DAY, DEPARTMENT, HOSPITAL, MUNICIPALITY, OTHER, encounter, stage, write
from tests.trust.test_consent import say, take_back
from tests.trust.test_log_events import observation

if TYPE_CHECKING:
    import pytest

    from tests.conftest import World


def conninfo(world: World) -> str:
    return world.run.database.conninfo


def callers(world: World) -> dict[str, dict[str, str]]:
    return {
        "citizen": world.citizen(CPR), "stranger": world.citizen(OTHER), "source": world.source(),
        "proxy": world.token(kind="proxy", sub=OTHER, name="F", on_behalf=CPR), "system": world.system(),
        "department": world.professional(DEPARTMENT), "hospital": world.professional(HOSPITAL, "H"),
        "municipality": world.professional(MUNICIPALITY, "M"),
    }  # fmt: skip


async def changed(world: World, rng: Random, said: list[Any], names: dict[str, list[str]]) -> None:
    """Change something that decisions look at."""
    citizen = world.citizen(CPR)
    while len(said) > 2:
        await take_back(world, citizen, said.pop(0))
    match rng.randrange(6):
        case 0:
            said.append(await say(world, citizen, consent(deny(unit(DEPARTMENT)))))
        case 1:
            said.append(await say(world, citizen, consent(deny(of_type(rng.choice(["Observation", "Encounter"]))))))
        case 2:
            said.append(await say(world, citizen, consent(permit(attorney(OTHER)))))
        case 3 if said:
            await take_back(world, citizen, said.pop(rng.randrange(len(said))))
        case 4:
            unit_of = rng.choice([DEPARTMENT, MUNICIPALITY])
            body = encounter(unit_of, NOW - DAY, rng.choice([None, NOW - DAY / 2]))
            names["Encounter"].append(await write(world, body))
        case _:
            name = rng.choice(names["Encounter"])
            gone = encounter(DEPARTMENT, NOW - DAY, None) | {"id": name, "status": "cancelled"}
            await world.replace(f"/Encounter/{name}", world.source(), gone)
            world.clock.forward(minutes=1)


async def decided(world: World, total: int) -> None:
    """Have so many decisions made, while what they look at changes."""
    rng = Random(24)
    said: list[Any] = []
    names: dict[str, list[str]] = {kind: [NOBODY] for kind in TYPES}
    names["Patient"] = [await stage(world)] * 4
    names["Encounter"] = [await write(world, encounter(DEPARTMENT, NOW - DAY, None))] * 2
    names["Observation"] = [await write(world, observation()) for _ in range(4)]
    mix = Mix(names, tuple(callers(world)), {})
    headers = callers(world)
    for number in range(total):
        if number % 7 == 0:
            await changed(world, rng, said, names)
        who, asked = mix.draw(rng)
        await sent(world, headers[who], asked)


async def sent(world: World, who: dict[str, str], asked: Asked) -> None:
    await world.http.request(asked.method, asked.path, headers=who, json=asked.body)


async def test_u24_every_stored_decision_is_made_again_the_same(world: World, request: pytest.FixtureRequest) -> None:
    total = int(request.config.getoption("--replay"))
    await decided(world, total)
    found = replay(conninfo(world))
    assert found.other == []
    assert found.before == 0
    assert found.same.total() > total // 2
    assert {"permit citizen", "permit professional", "refuse professional", "permit source"} <= found.same.keys()


async def test_u24_a_version_that_came_later_was_rightly_refused(world: World) -> None:
    """Of 100 000 decisions twelve were said to be others: versions that were asked for before they were made."""
    await stage(world)
    name = await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    doctor, asked = world.professional(DEPARTMENT), [f"/Encounter/{name}/_history/{n}" for n in (1, 2)]
    world.clock.forward(minutes=1)
    assert [(await world.get(path, doctor)).status_code for path in asked] == [200, 404]
    world.clock.forward(minutes=1)
    body = encounter(DEPARTMENT, NOW - DAY, None) | {"id": name, "status": "cancelled"}
    assert (await world.replace(f"/Encounter/{name}", world.source(), body)).status_code == 200
    assert replay(conninfo(world)).other == []


CHANGES: list[tuple[str, LiteralString, str, str]] = [
    ("a permit that was none", "update access_log set outcome = 'permit', rids = '{}', rule = 'contact' where lid = %s",
     "refuse", "professional"),
    ("a refusal that was none", "update access_log set outcome = 'refuse', rule = 'none' where lid = %s",
     "permit", "professional"),
    ("another rule", "update access_log set rule = 'gp' where lid = %s", "permit", "professional"),
    ("another's", "update access_log set actor = '0101010101' where lid = %s", "permit", "citizen"),
    ("evidence of another", "update access_log set evidence = 1 where lid = %s", "permit", "professional"),
    ("other units", "update access_log set orgs = '{9}' where lid = %s", "permit", "professional"),
    ("before the evidence was there", "update access_log set snapshot = '3:3:' where lid = %s",
     "permit", "professional"),
]  # fmt: skip


async def test_u24_the_replay_notices_a_decision_that_was_another(world: World) -> None:
    patient = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    name = await write(world, observation())
    for who in (world.professional(DEPARTMENT), world.professional(MUNICIPALITY), world.citizen(CPR)):
        await world.get(f"/Observation/{name}", who)
        await world.get(f"/Patient/{patient}", who)
    assert replay(conninfo(world)).other == []
    with psycopg.connect(conninfo(world)) as connection:
        connection.execute("alter table access_log disable trigger all")
        connection.commit()
        for what, change, outcome, kind in CHANGES:
            [lid] = connection.execute(
                "select lid from access_log where outcome = %s and actor_kind = %s and action = 'read' limit 1",
                [outcome, kind],
            ).fetchone() or [None]
            connection.execute("create temp table if not exists was as select * from access_log with no data")
            connection.execute("insert into was select * from access_log where lid = %s", [lid])
            connection.execute(change, [lid])
            connection.commit()
            found: Replayed = replay(conninfo(world))
            assert [line[:36] for line in found.other] == [str(lid)], what
            connection.execute("delete from access_log where lid = %s", [lid])
            connection.execute("insert into access_log select * from was")
            connection.execute("delete from was")
            connection.commit()


async def test_the_policy_in_force_is_kept_and_its_functions_are_those_of_their_migrations(world: World) -> None:
    rows = await world.run.database.fetch("select distinct version from policy")
    assert [row.version for row in rows] == [POLICY]
    named = await world.run.database.fetch(
        "select distinct proname as name from pg_proc where proname ~ '^(block|death)_'"
    )
    assert {row.name for row in named} == FUNCTIONS.keys()
    last: dict[str, str] = {}
    for path in sorted((Path(overblik.__file__).parent / "store" / "migrations").glob("*.sql")):
        for name in re.findall(r"create (?:or replace )?function ((?:block|death)_\w+)", path.read_text()):
            last[name] = path.name[:4]
    assert last == FUNCTIONS, "a policy is named anew when a function of it is"
