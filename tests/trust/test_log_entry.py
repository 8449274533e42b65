"""Entries become leaves: what the sequencer hashed in SQL is what docs/log.md says, written here in Python."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overblik.store import sequencer, tree
from overblik.store.merkle import extends, includes, leaf_hash, root_of
from overblik.trust.log.entry import NOTHING, link_hash, record_name, sealed

if TYPE_CHECKING:
    from tests.conftest import World

COLUMNS = """pid, lid, salt, at, request, channel, action, outcome, rule, evidence, actor_kind, actor, actor_name,
    actor_role, org, org_name, on_behalf, purpose, reason, query, rids, versions, policy,
    orgs, reach, snapshot"""
PUT = f"""with logged as (insert into access_log ({COLUMNS}) values
    ({", ".join(f"%({name.strip()})s" for name in COLUMNS.split(","))}) returning pid, at, lid)
insert into log_queue select pid, at, lid from logged"""
LEAVES = "select l.*, a.lid is null as gone from log_leaf l left join access_log a using (pid, at, lid) order by l.n"
ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NUMBER = st.integers(0, 2**63 - 1)


def entry(n: int, pid: int = 7, **more: Any) -> dict[str, Any]:
    return {
        "pid": pid, "lid": UUID(int=n), "salt": n.to_bytes(16), "at": datetime(2026, 11, 23, tzinfo=UTC),
        "request": UUID(int=n), "channel": "api", "action": "read", "outcome": "permit", "rule": "contact",
        "evidence": None, "actor_kind": "professional", "actor": "X", "actor_name": "Å", "actor_role": "læge",
        "org": "1", "org_name": "H", "on_behalf": "", "purpose": "TREAT", "reason": "", "query": "", "rids": [],
        "versions": [], "policy": "p1", "orgs": ["1"], "reach": None, "snapshot": "5:5:", **more,
    }  # fmt: skip


async def log(world: World, *entries: dict[str, Any]) -> None:
    async with world.run.database.transaction() as transaction:
        await transaction.run_many(PUT, entries)


async def leaves(world: World) -> list[Any]:
    return await world.run.database.fetch(LEAVES)


async def secret(world: World) -> bytes:
    return bytes((await world.run.database.fetch("select secret from log_tree"))[0].secret)


HOSTILE = ['"', "\\", "\x01\x1f\x7f\x80", "\r\n\t\b\f", "/", "\u2028\ufeff", "😀", "</script>", "å" * 200]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries({
        "salt": st.binary(min_size=16, max_size=16), "request": st.uuids(),
        "at": st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC)),
        "evidence": st.none() | NUMBER, "rids": st.lists(NUMBER, max_size=3),
        "versions": st.lists(st.integers(1, 2**31 - 1), max_size=3), "outcome": st.sampled_from(["permit", "refuse"]),
        "orgs": st.none() | st.lists(ANY | st.sampled_from(HOSTILE), max_size=3),
        **{name: st.none() | ANY | st.sampled_from(HOSTILE) for name in ("policy", "reach", "snapshot")},
        **{name: ANY | st.sampled_from(HOSTILE) for name in (
            "channel", "action", "rule", "actor_kind", "actor", "actor_name", "actor_role", "org", "org_name",
            "on_behalf", "purpose", "reason", "query")},
    })
)  # fmt: skip
async def test_whatever_an_entry_says_both_hash_it_alike(world: World, said: dict[str, Any]) -> None:
    said["lid"] = uuid4()
    await log(world, entry(0) | said)
    await world.run.drain()
    row = (await world.run.database.fetch("select * from access_log where lid = %(lid)s", {"lid": said["lid"]}))[0]
    leaf = (await world.run.database.fetch("select * from log_leaf where lid = %(lid)s", {"lid": said["lid"]}))[0]
    assert sealed(row).hash == leaf.entry
    texts = (await world.run.database.fetch(
        "select log_what(a) as what, log_who(a) as who from access_log a where lid = %(lid)s", {"lid": said["lid"]}
    ))[0]  # fmt: skip
    assert (texts.what, texts.who) == (sealed(row).what, sealed(row).who)


def test_an_entry_is_written_as_the_page_says() -> None:
    """The one example whose bytes stand here; the other verifier has the same."""
    at = datetime(2026, 11, 23, 9, 0, 0, 1, UTC)

    class Row:
        pass

    row = Row()
    ground: dict[str, Any] = {"policy": None, "orgs": None, "reach": None, "snapshot": None}
    row.__dict__ = entry(1, at=at, evidence=5, rids=[6, 7], versions=[1, 2], reason='a"\n', **ground)
    found = sealed(row)
    digest = sha256(sha256(b"\x03" + bytes(15) + b"\x01").digest() + b"5;6,7;1,2").hexdigest()
    assert found.what == (
        '{"id":"00000000-0000-0000-0000-000000000001","at":"2026-11-23T09:00:00.000001Z",'
        '"request":"00000000-0000-0000-0000-000000000001","channel":"api","action":"read","outcome":"permit",'
        '"rule":"contact","kind":"professional","role":"læge","org":"1","orgName":"H","purpose":"TREAT",'
        f'"reason":"a\\"\\n","query":"","resources":2,"digest":"{digest}"}}'
    )
    assert found.who == '{"actor":"X","name":"Å","onBehalf":""}'
    row.__dict__ |= {"policy": "p1", "orgs": ["1", "2"], "snapshot": "5:5:"}
    digest = sha256(
        sha256(b"\x03" + bytes(15) + b"\x01").digest() + b'5;6,7;1,2;"p1";["1","2"];null;"5:5:"'
    ).hexdigest()
    assert sealed(row).what.endswith(f'"resources":2,"policy":"p1","digest":"{digest}"}}')


async def test_leaves_are_chained_by_record_and_counted_without_gaps(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(sequencer, "BATCH", 100)
    day = datetime(2026, 11, 23, tzinfo=UTC)
    for start in (0, 250):
        await log(world, *(entry(n, n % 3, at=day + timedelta(seconds=n)) for n in range(start, start + 250)))
        await world.run.drain()
    found = await leaves(world)
    assert [leaf.n for leaf in found] == list(range(500))
    assert sorted(leaf.seq for leaf in found) == [leaf.seq for leaf in found]
    rows = {row.lid: row for row in await world.run.database.fetch("select * from access_log")}
    key = await secret(world)
    before = dict.fromkeys(range(3), NOTHING)
    places = dict.fromkeys(range(3), 0)
    for leaf in found:
        places[leaf.pid] += 1
        row = rows[leaf.lid]
        made = link_hash(record_name(key, leaf.pid), places[leaf.pid], leaf.seq, before[leaf.pid], sealed(row).hash)
        assert (leaf.place, leaf.hash) == (places[leaf.pid], made)
        before[leaf.pid] = made


async def test_an_entry_that_is_gone_before_it_is_sealed_leaves_its_place(world: World) -> None:
    await log(world, entry(1))
    await world.run.database.run("alter table access_log disable trigger all")
    await world.run.database.run("delete from access_log")
    await world.run.drain()
    assert [(leaf.entry, leaf.gone) for leaf in await leaves(world)] == [(NOTHING, True)]


async def test_the_tree_is_kept_in_tiles_whatever_the_batches(world: World) -> None:
    """A tree of three levels: 65 536 leaves and some."""
    size = 65_536 + 300
    hashes = [leaf_hash(b"%d" % n) for n in range(size)]
    row = {"h": [h.hex() for h in hashes]}
    await world.run.database.run(
        "insert into log_leaf (pid, seq, at, lid, n, place, entry, hash) select 1, n, now(), gen_random_uuid(), n - 1,"
        " n, ''::bytea, decode(h, 'hex') from unnest(%(h)s::text[]) with ordinality as u(h, n)",
        row,
    )
    async with world.run.database.transaction() as transaction:
        before = 0
        for after in (1, 255, 256, 257, 600, 40_000, 65_535, 65_536, size):
            await tree.complete(transaction, before, after)
            before = after
    database = world.run.database
    levels = await database.fetch("select level, count(*) as n from log_node group by 1 order by 1")
    assert [(r.level, r.n) for r in levels] == [(1, 257), (2, 1)]
    for wanted in (0, 1, 2, 255, 256, 257, 4097, 65_535, 65_536, 65_537, size):
        assert await tree.root(database, wanted) == root_of(hashes[:wanted])
    some = [0, 255, 256, 4095, 65_535, 65_536, size - 1]
    for n, proof in zip(some, await tree.inclusion(database, some, size), strict=True):
        assert includes(hashes[n], n, size, proof, root_of(hashes))
    for old in (1, 256, 300, 65_535, 65_536, size):
        path = await tree.consistency(database, old, size)
        assert extends(old, root_of(hashes[:old]), size, root_of(hashes), path)


@pytest.mark.parametrize("statement", ["delete from {}", "update {} set {} = {}", "truncate {}"])
@pytest.mark.parametrize(("table", "column"), [("log_leaf", "n"), ("log_tree", "id")])
async def test_what_is_sealed_is_only_added_to(world: World, statement: str, table: str, column: str) -> None:
    await log(world, entry(1))
    await world.run.drain()
    with pytest.raises(Exception, match="append-only"):
        await world.run.database.run(statement.format(table, column, column))
