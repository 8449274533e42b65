"""Whoever is master of the database can change anything; both verifiers say so, and cry no wolf."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, LiteralString

import pytest
from psycopg.errors import UndefinedFunction

from overblik.store.queries import sql
from overblik.trust.log.verify import Report, verify
from tests.trust.test_log_entry import entry, log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from overblik.store.database import Transaction
    from tests.conftest import World

ENTRIES = 300
RECORDS = 11
Change = tuple[LiteralString, dict[str, Any]]


async def fill(world: World, count: int = ENTRIES) -> None:
    """Log as a server would: several batches, a head after each."""
    day = datetime(2026, 11, 23, tzinfo=UTC)
    draw = Random(1)
    for start in range(0, count, 60):
        rows = [
            entry(
                n, draw.randrange(RECORDS), at=day + timedelta(seconds=n), query=f"Patient/{n}",
                rids=[draw.getrandbits(62) for _ in range(draw.randrange(3))], evidence=draw.choice([None, 5]),
            )
            for n in range(start, min(start + 60, count))
        ]  # fmt: skip
        rows = [row | {"versions": [1] * len(row["rids"])} for row in rows]
        await log(world, *rows)
        await world.run.drain()
        await world.run.heads.sign()


TEXTS = ["request", "channel", "action", "rule", "actor_kind", "actor", "actor_name", "actor_role", "org", "org_name",
         "on_behalf", "purpose", "reason", "query"]  # fmt: skip


def _at(n: int) -> dict[str, Any]:
    return {"n": n}


THE_ENTRY: LiteralString = """ from log_leaf l where l.n = %(n)s and a.pid = l.pid and a.at = l.at and a.lid = l.lid"""
SWAP: LiteralString = """update log_leaf l set {0} = o.{0} from log_leaf o
    where l.n in (%(n)s, %(o)s) and o.n in (%(n)s, %(o)s) and o.n <> l.n"""


def edit_text(draw: Random) -> list[Change]:
    """Change one word of an entry."""
    column = draw.choice(TEXTS[1:])
    text = draw.choice(["", "nobody", " ", "\u00e5"])
    change: Any = f"update access_log a set {column} = {column} || 'x' || %(text)s" + THE_ENTRY
    return [(change, _at(draw.randrange(ENTRIES)) | {"text": text})]


def edit_other(draw: Random) -> list[Change]:
    """Change what an entry has besides words."""
    change: Any = draw.choice([
        "outcome = case outcome when 'permit' then 'refuse' else 'permit' end", "evidence = coalesce(evidence, 0) + 1",
        "rids = rids || 9::bigint", "versions = versions || 2", "request = gen_random_uuid()", "salt = salt || '\\x00'",
        "salt = uuid_send(gen_random_uuid())", "at = a.at + interval '1 microsecond'", "at = a.at - interval '1 day'",
        "pid = a.pid + 1", "pid = 99", "lid = gen_random_uuid()", "policy = null", "policy = 'p2'",
        "orgs = orgs || array['9']", "orgs = null", "reach = ''", "snapshot = '9:9:'",
    ])  # fmt: skip
    return [("update access_log a set " + change + THE_ENTRY, _at(draw.randrange(ENTRIES)))]


def edit_leaf(draw: Random) -> list[Change]:
    """Change what the tree keeps of an entry."""
    change: Any = draw.choice([
        "pid = pid + 1", "pid = 99", "seq = seq + 100000", "seq = -seq", "at = at + interval '1 second'",
        "lid = gen_random_uuid()", "n = n + 100000", "n = -1 - n", "place = place + 1", "place = place - 1",
        "entry = sha256(entry)", "hash = sha256(hash)", "hash = entry", "entry = hash",
    ])  # fmt: skip
    return [("update log_leaf set " + change + " where n = %(n)s", _at(draw.randrange(ENTRIES)))]


def delete(draw: Random) -> list[Change]:
    """Take an entry out: of the log, of the tree, of both, or with all that came after it."""
    gone: LiteralString = "delete from access_log a using log_leaf l where a.lid = l.lid and l.n"
    leaf: LiteralString = "delete from log_leaf where n"
    n = _at(draw.randrange(ENTRIES))
    which: list[list[Change]] = [
        [(gone + " = %(n)s", n)],
        [(leaf + " = %(n)s", n)],
        [(gone + " = %(n)s", n), (leaf + " = %(n)s", n)],
        [(gone + " >= %(n)s", n), (leaf + " >= %(n)s", n), ("delete from log_head where size > %(n)s", n)],
        [(gone + " = %(n)s", n), (leaf + " = %(n)s", n), ("update log_leaf set n = n - 1 where n > %(n)s", n)],
        [(gone + " = %(n)s", n), ("update log_leaf set entry = decode(repeat('00', 32), 'hex') where n = %(n)s", n)],
    ]
    return draw.choice(which)


def insert(draw: Random) -> list[Change]:
    """Put in an entry that nobody made: beside the tree, or into it."""
    n = _at(draw.randrange(ENTRIES))
    columns = "salt, at, request, channel, action, outcome, rule, actor_kind, actor, actor_name, actor_role, org"
    columns += ", org_name, purpose"
    put: Any = f"""insert into access_log (pid, lid, {columns})
        select a.pid, '00000000-0000-4000-8000-00000000abcd', {columns.replace("salt, at", "a.salt, a.at")}
        from access_log a, log_leaf l where a.lid = l.lid and l.n = %(n)s"""
    room: LiteralString = "update log_leaf set n = n + 1 where n > %(n)s"
    leaf: LiteralString = """insert into log_leaf (pid, seq, at, lid, n, place, entry, hash)
        select pid, (select max(seq) + 1 from log_leaf), at, '00000000-0000-4000-8000-00000000abcd', n + 1, place + 1,
               entry, sha256(hash) from log_leaf where n = %(n)s"""
    return draw.choice([[(put, n)], [(put, n), (room, n), (leaf, n)], [(leaf, n)]])


def reorder(draw: Random) -> list[Change]:
    """Let two entries stand in each other's place."""
    first, second = draw.sample(range(ENTRIES), 2)
    both = {"n": first, "o": second}
    column = draw.choice(["n", "entry", "hash"])
    return [(SWAP.replace("{0}", column), both)]


def nodes(draw: Random) -> list[Change]:
    """Change the tree above its leaves, its heads or its name."""
    which: list[Change] = [
        ("update log_node set hash = sha256(hash)", {}),
        ("delete from log_node", {}),
        ("update log_node set n = n + 7", {}),
        ("update log_head set note = replace(note, 'a', 'b') where size = %(n)s", _at(60 * draw.randint(1, 5))),
        ("update log_head set size = size + 1 where size = %(n)s", _at(60 * draw.randint(1, 5))),
        ("update log_tree set secret = sha256(secret)", {}),
        ("update log_tree set id = gen_random_uuid()", {}),
    ]
    return [draw.choice(which)]


KINDS: tuple[Callable[[Random], list[Change]], ...] = (
    edit_text, edit_other, edit_leaf, delete, insert, reorder, nodes,
)  # fmt: skip


class Undo(Exception):
    pass


@asynccontextmanager
async def changed(world: World, changes: list[Change]) -> AsyncIterator[Transaction]:
    """Make changes as the owner of the tables, with every trigger off; gone afterwards."""
    try:
        async with world.run.database.transaction() as transaction:
            for table in ("access_log", "log_leaf", "log_node", "log_head", "log_tree"):
                await transaction.run(f"alter table {table} disable trigger all")
            for text, params in changes:
                assert await transaction.run(text, params) or "delete from log_head" in text, text
            yield transaction
            await transaction.run("select no_such_function()")
    except UndefinedFunction:
        return


async def check(world: World, source: Any) -> Report:
    known = await world.run.heads.signer.ask({"last": await world.run.heads.origin()})
    return await verify(source, known["key"], [known["note"]] if known["note"] else [])


async def test_an_untouched_log_is_sound(world: World) -> None:
    assert (await check(world, world.run.database)).faults == []
    await fill(world)
    report = await check(world, world.run.database)
    assert report == Report(entries=ENTRIES, records=RECORDS, heads=ENTRIES // 60, signed=ENTRIES)
    await log(world, entry(ENTRIES), entry(ENTRIES + 1))
    assert (await check(world, world.run.database)).waiting == 2
    await world.run.drain()
    report = await check(world, world.run.database)
    assert (report.faults, report.entries, report.signed, report.waiting) == ([], ENTRIES + 2, ENTRIES, 0)


@pytest.mark.long
async def test_u12_whatever_is_changed_is_found(world: World, request: pytest.FixtureRequest) -> None:
    await fill(world)
    draw = Random(request.config.getoption("--tampering"))
    missed = []
    for number in range(int(request.config.getoption("--tampering"))):
        kind = KINDS[number % len(KINDS)]
        changes = kind(draw)
        try:
            async with changed(world, changes) as transaction:
                if not (await check(world, transaction)).faults:
                    missed.append(changes)
        except AssertionError:
            assert kind in {insert, delete}, changes  # nothing to change: there was no such row
    assert missed == []
    assert (await check(world, world.run.database)).faults == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "update access_log set reason = 'x' where lid = (select lid from log_leaf where n = 7)",
            "leaf 7: the entry is",
        ),
        ("delete from access_log where lid = (select lid from log_leaf where n = 8)", "leaf 8: the entry is gone"),
        ("delete from log_leaf where n = 9", "leaf 10: leaf 9 should stand here"),
        ("delete from log_leaf where n >= 290", "a head of 300 leaves was signed, and the log has 290"),
        ("update log_node set hash = sha256(hash)", "level 1, node 0: not the hash of what is below"),
        ("insert into log_queue select pid, at, lid from log_leaf where n = 3", ""),
    ],
)
async def test_the_first_fault_tells_where(world: World, change: LiteralString, words: str) -> None:
    await fill(world)
    async with changed(world, [(change, {})]) as transaction:
        faults = (await check(world, transaction)).faults
        assert words in faults[0] if words else faults == []


async def test_an_entry_that_is_sealed_again_is_found(world: World) -> None:
    await fill(world)
    await world.run.database.run("insert into log_queue select pid, at, lid from log_leaf where n = 3")
    await world.run.drain()
    assert [fault for fault in (await check(world, world.run.database)).faults if "more than once" in fault]


async def test_u12_another_history_that_is_right_in_itself_is_found(world: World) -> None:
    """Everything sealed anew by the sequencer itself, after an entry was changed."""
    await fill(world)
    changes: list[Change] = [
        ("update access_log set actor = 'nobody' where lid = (select lid from log_leaf where n = 7)", {}),
        ("insert into log_queue select pid, at, lid from log_leaf order by n", {}),
        ("delete from log_leaf", {}),
        ("delete from log_node", {}),
        ("update sequencer set seq = 0", {}),
    ]
    async with changed(world, changes) as transaction:
        sealed = (await transaction.fetch(sql("sequence_log"), {"limit": ENTRIES, "now": world.clock.now()}))[0]
        assert sealed.numbered == ENTRIES
        faults = (await check(world, transaction)).faults
    assert "the signed head of 60 leaves is not that of the log" in faults
