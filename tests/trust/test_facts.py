"""What messages state, applied: which word stands, which row it goes to, and what is kept beside it, by table."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from overblik.fhir.identifiers import CPR as CPR_SYSTEM
from overblik.fhir.identifiers import Identifier
from overblik.store.body import unpack
from overblik.trust.callers.identity import Caller
from overblik.trust.facts import Fact, apply, order_of
from tests.conftest import NOW
from tests.trust.stage import CPR, DAY, DEPARTMENT, patient, stage, unit, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from overblik.trust.door.work import Work
    from tests.conftest import World

GATEWAY = Caller("source", "gateway", "gateway", organisations=None)


def fact(key: str, resource: dict[str, Any], day: int = 0, **more: Any) -> Fact:
    """Return a fact of the source `gateway` that happened a number of days from now."""
    return Fact(key, resource, "gateway", order_of(NOW + day * DAY, "m"), **more)


def finding(text: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": text}, **more}


async def tell(world: World, *facts: Fact, before_commit: Callable[[Work], Any] | None = None) -> dict[str, str]:
    """Apply facts to the record of one person as one message."""

    async def run(work: Work) -> dict[str, str]:
        told = await apply(work, await work.person([Identifier(CPR_SYSTEM, CPR)], ""), list(facts))
        if before_commit is not None:
            await before_commit(work)
        return told

    return await world.run.writer.write(GATEWAY, "message", "test", run)


async def rows(world: World, resource_type: str = "Observation") -> list[Any]:
    query = "select * from resource where type = %(type)s order by cid, rid"
    return await world.run.database.fetch(query, {"type": resource_type})


def body(row: Any) -> dict[str, Any]:
    return dict(unpack(row.type, row.id, row.version, row.received_at, row.body))


WORDS: list[tuple[str, tuple[tuple[str, int], ...], str, int]] = [
    # what, (text, day) as they come, the text that stands, in which version
    ("alone", (("a", 0),), "a", 1),
    ("newer", (("a", 0), ("b", 1)), "b", 2),
    ("older", (("b", 1), ("a", 0)), "b", 1),
    ("older between", (("a", 0), ("c", 2), ("b", 1)), "c", 2),
    ("the same again", (("a", 0), ("a", 1)), "a", 1),
    ("of the same instant and message", (("a", 0), ("b", 0)), "a", 1),
]


async def test_the_newest_word_stands_in_whatever_order_they_come(world: World) -> None:
    for what, words, stands, version in WORDS:
        ids = {(await tell(world, fact(what, finding(text), day)))[what] for text, day in words}
        assert len(ids) == 1, what
        [row] = [row for row in await rows(world) if f"Observation/{row.id}" in ids]
        assert (body(row)["code"]["text"], row.version) == (stands, version), what
        assert row.clinical_from == NOW + timedelta(days=min(day for _, day in words)), what


async def test_what_a_message_states_together_refers_to_each_other(world: World) -> None:
    told = await tell(
        world,
        fact("who", patient()),
        fact("it", finding("a", subject={"reference": "fact:who"}, performer=[unit("1")])),
    )
    assert {key: reference.partition("/")[0] for key, reference in told.items()} == {
        "who": "Patient",
        "it": "Observation",
    }
    assert body((await rows(world))[0])["subject"] == {"reference": told["who"]}
    assert (await rows(world, "Patient"))[0].clinical_from is None, "who somebody is has no date"


async def test_a_patient_is_stated_in_parts_and_what_a_newer_part_leaves_out_is_gone(world: World) -> None:
    name, phone, born = ({"name": [{"family": "A"}]}, {"telecom": [{"value": "1"}]}, {"birthDate": "1948-12-25"})
    parts = {"name": ("name",), "home": ("telecom", "birthDate")}

    async def stated(day: int, which: tuple[str, ...], **elements: Any) -> dict[str, Any]:
        resource = {"resourceType": "Patient", **elements}
        await tell(world, fact("who", resource, day, facets={p: parts[p] for p in which}))
        [row] = await rows(world, "Patient")
        return {n: v for n, v in body(row).items() if n in {"name", "telecom", "birthDate"}} | {"version": row.version}

    assert await stated(2, ("name", "home"), **name, **phone, **born) == {**name, **phone, **born, "version": 1}
    assert await stated(3, ("home",), **phone) == {**name, **phone, "version": 2}
    later = {"name": [{"family": "B"}]}
    assert await stated(1, ("name",), **later) == {**name, **phone, "version": 2}
    assert await stated(4, ("name",), **later) == {**later, **phone, "version": 3}


async def test_the_authority_alone_registers_and_a_message_says_when_it_was_recorded(world: World) -> None:
    await stage(world)
    asks = {**patient(), "generalPractitioner": [unit(DEPARTMENT)]}
    query = "select org from relation where kind = 'gp'"
    await tell(world, fact("one", asks, recorded=NOW - DAY))
    assert await world.run.database.fetch(query) == []
    await tell(world, fact("two", asks, recorded=NOW - DAY, registered=True))
    await tell(world, fact("three", asks))
    assert len(await world.run.database.fetch(query)) == 1
    stated = {row.fact_key: row.recorded_at for row in await rows(world, "Patient") if row.fact_key}
    assert {key.rpartition("|")[2]: at for key, at in stated.items()} == {
        "one": NOW - DAY,
        "two": NOW - DAY,
        "three": None,
    }


async def test_a_source_that_keeps_the_patient_by_plain_fhir_states_parts_of_the_same(world: World) -> None:
    kept = await write(world, {**patient(), "gender": "female"})
    told = await tell(
        world,
        fact("it", finding("a")),
        fact("who", {"resourceType": "Patient", "name": [{"family": "New"}]}, facets={"name": ("name",)}),
    )
    assert told["who"] == f"Patient/{kept}"
    [row] = await rows(world, "Patient")
    assert (row.id, row.version, body(row)["gender"], body(row)["name"]) == (kept, 2, "female", [{"family": "New"}])
    second = await write(world, patient())
    assert (await tell(world, fact("who", patient(), 1)))["who"] == f"Patient/{kept}", "not the one that came later"
    assert kept != second


async def test_what_its_source_deleted_is_stated_anew_by_a_newer_word_only(world: World) -> None:
    made = (await tell(world, fact("it", finding("a"), raw=("text/plain", b"1"))))["it"]
    assert (await world.http.delete(f"/fhir/{made}", headers=world.source())).status_code == 204
    await tell(world, fact("it", finding("a"), -1))
    assert [(row.version, row.deleted) for row in await rows(world)] == [(2, True)]
    await tell(world, fact("it", finding("a"), 1, raw=("text/other", b"2")))
    assert [(row.version, row.deleted) for row in await rows(world)] == [(3, False)]
    kept = await world.run.database.fetch("select content_type from raw")
    assert [row.content_type for row in kept] == ["text/plain"], "the bytes are those of the first"


async def test_the_same_word_of_one_more_origin_is_a_version(world: World) -> None:
    for day, origins in enumerate((["a"], ["a"], ["b"], ["a"])):
        await tell(world, fact("it", finding("x"), day, origins=origins))
    [row] = await rows(world)
    assert (row.version, row.origins) == (2, ["a", "b", "gateway"])


async def test_where_a_key_is_of_several_the_one_chosen_is_stated_again(world: World) -> None:
    seen: list[list[str]] = []

    def choose(stated: dict[str, Any], known: list[tuple[str, dict[str, Any]]]) -> str | None:
        seen.append([one["code"]["text"] for _, one in known])
        return next((key for key, one in known if one["code"] == stated["code"]), None)

    texts = ("a", "b", "a")
    first, second, third = [
        (await tell(world, fact("it", finding(t), d, choose=choose)))["it"] for d, t in enumerate(texts)
    ]
    assert (first == third, first == second) == (True, False)
    assert [sorted(known) for known in seen] == [[], ["a"], ["a", "b"]]
    await tell(world, fact("it", finding("not chosen among"), 9))
    assert len(await rows(world)) == 3


async def test_a_second_message_of_one_record_waits_for_the_first(world: World) -> None:
    """Both choose among what is there; the second finds what the first has written."""

    def choose(_: dict[str, Any], known: list[tuple[str, Any]]) -> str | None:
        return known[0][0] if known else None

    waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    others: list[asyncio.Task[dict[str, str]]] = []

    async def second(work: Work) -> None:
        await work.flush()
        await work.unit.transaction.send()
        others.append(asyncio.create_task(tell(world, fact("it", finding("b"), 1, choose=choose))))
        while not (others[-1].done() or await world.run.database.fetch(waiting)):  # noqa: ASYNC110 - PostgreSQL alone knows
            await asyncio.sleep(0.01)

    await tell(world, fact("who", patient()))
    first = await tell(world, fact("it", finding("a"), choose=choose), before_commit=second)
    assert await others[-1] == first
    assert [row.version for row in await rows(world)] == [2]
