"""What was taken before and comes again, later or at the same moment, changes nothing."""

from __future__ import annotations

import asyncio
import gzip
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from overblik.app.loading import take_file
from overblik.fhir.strict_json import loads
from overblik.trust.callers.tokens import caller_from
from tests.conftest import needs_shared, shared_files
from tests.exchange.real import content, one
from tests.exchange.state import files, state_of, versions

if TYPE_CHECKING:
    from pathlib import Path

    from overblik.trust.callers.identity import Caller
    from tests.conftest import World

pytestmark = needs_shared

COPIES = 20
AT_ONCE = {
    "medcom-fhir/hospitalnotification/Bundle-a5e5b880*.json": "clock-behind",
    "medcom-fhir/carecommunication/Bundle-3dcb5618*.json": "clock-behind",
    "medcom-fhir/conditionlist/Bundle-23d8ece4*.json": "",
    "cda/DK-APD_Example_1.xml": "",
    "cda/PDC20_Example-2_2019-08-20.xml": "",
    "cda/CPD-DK_Care_Plan_Diabetes_Example_1_2018-11-02.xml": "",
}
"""Files, and the code of the first of their copies: messages of years ago are flagged, documents may be of any age."""
CLOCKS = {("applied", "clock-behind"): 22, ("applied", "clock-ahead"): 2}
"""How many of the real files are older than a message should be, or say that they were written later than now."""


async def settled(world: World) -> Counter[tuple[str, str]]:
    """Return how many messages ended in each (state, code)."""
    return Counter((row.state, row.code) for row in await world.run.database.fetch("select state, code from inbox"))


async def test_the_same_files_again_get_the_same_answers_and_change_nothing(world: World) -> None:
    first = [await world.message(content(path)) for path in files()]
    assert len(first) == 52
    before, ends, outbox = await versions(world), await settled(world), await owed(world)
    shown = (await state_of(world)).overviews
    world.clock.forward(days=1)
    for path, answer in zip(files(), first, strict=True):
        again = await world.message(content(path))
        assert (again.status_code, again.content) == (answer.status_code, answer.content), path.name
    assert await versions(world) == before
    applied = {end: n for end, n in ends.items() if end[0] == "applied"}
    assert {end: n for end, n in applied.items() if end[1]} == CLOCKS
    assert await settled(world) - ends == ends - Counter(applied) + Counter(
        {("applied", "duplicate"): sum(applied.values())}
    )
    assert await owed(world) == outbox
    world.clock.forward(days=-1)
    assert (await state_of(world)).overviews == shown


async def owed(world: World) -> set[bytes]:
    """Return the answers in the outbox."""
    return {bytes(row.body) for row in await world.run.database.fetch("select body from outbox")}


@pytest.mark.parametrize(("pattern", "code"), AT_ONCE.items())
async def test_twenty_copies_at_once_are_taken_once(world: World, pattern: str, code: str) -> None:
    raw = content(one(pattern))
    answers = await asyncio.gather(*(world.message(raw) for _ in range(COPIES)))
    assert {a.status_code for a in answers} == {200}
    assert len({a.content for a in answers}) == 1
    assert await settled(world) == {("applied", code): 1, ("applied", "duplicate"): COPIES - 1}
    assert {version for _, _, version in await versions(world)} == {1}
    kinds = await world.run.database.fetch("select type, count(*) as n from resource group by type")
    assert {row.type: row.n for row in kinds}["Patient"] == 1
    logged = await world.run.database.fetch("select action from access_log where action = 'deliver'")
    assert len(logged) == 1


# -- Synthea: transaction bundles

SMALLEST = 3


def bundles() -> list[Path]:
    """Return the smallest Synthea bundles."""
    return sorted(shared_files("synthea/*.json.gz"), key=lambda path: path.stat().st_size)[:SMALLEST]


async def loader(world: World) -> Caller:
    """Return the source that `overblik load` delivers as."""
    claims = {"kind": "source", "sub": "load", "name": "load"}
    return await caller_from(claims, world.run.database, world.run.directory)


async def test_loading_transaction_bundles_again_doubles_nothing(world: World) -> None:
    caller = await loader(world)
    wanted: Counter[str] = Counter()
    for path in bundles():
        assert await take_file(world.run, caller, content(path)) == ("applied", "", "")
        wanted.update(e["resource"]["resourceType"] for e in loads(gzip.decompress(path.read_bytes()))["entry"])
    assert await kinds_of(world) == wanted
    before = await versions(world)
    for path in bundles():
        assert await take_file(world.run, caller, content(path)) == ("applied", "duplicate", "Taken before.")
    assert await kinds_of(world) == wanted
    assert await versions(world) == before


async def test_conditional_creates_hold_when_a_transaction_is_posted_again(world: World) -> None:
    """The published bundles state no condition; here each resource with an identifier is created on it."""
    for path in bundles():
        bundle = conditional(loads(content(path)))
        first = await world.post("", world.source("load"), bundle)
        again = await world.post("", world.source("load"), bundle)
        assert (first.status_code, again.status_code) == (200, 200), again.text[:500]
        assert {e["response"]["status"] for e in first.json()["entry"]} == {"201 Created"}
        assert {e["response"]["status"] for e in again.json()["entry"]} == {"200 OK"}
        assert places(again.json()) == places(first.json())
    found = await kinds_of(world)
    assert found["Patient"] == SMALLEST
    assert {version for _, _, version in await versions(world)} == {1}


def conditional(bundle: dict[str, Any]) -> dict[str, Any]:
    """Return the entries that have an identifier and refer to no other, each created only if there is none like it."""
    entries = [
        e for e in bundle["entry"] if e["resource"]["resourceType"] in {"Patient", "Organization", "Practitioner"}
    ]
    for entry in entries:
        identifier = entry["resource"]["identifier"][0]
        entry["request"]["ifNoneExist"] = f"identifier={identifier['system']}|{identifier['value']}"
    return bundle | {"entry": entries}


def places(answer: dict[str, Any]) -> list[str]:
    """Return where each entry went, without the version."""
    return [entry["response"]["location"].split("/_history/")[0] for entry in answer["entry"]]


async def kinds_of(world: World) -> Counter[str]:
    """Return how many resources of each type there are."""
    query = "select type from resource union all select type from shared_resource"
    return Counter(row.type for row in await world.run.database.fetch(query))
