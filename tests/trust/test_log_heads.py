"""Signed heads: the form of C2SP, a signer that signs one history, and a server that has it sign."""

from __future__ import annotations

import asyncio
import json
import sys
from base64 import b64encode
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from overblik.fhir.errors import Unavailable
from overblik.store.merkle import consistency_ranges, leaf_hash, root_of
from overblik.store.sequencer import keep_numbering
from overblik.trust.log.checkpoint import BadNote, Checkpoint, opened, parsed, read_key, signed, verifier_key
from overblik.trust.log.heads import Heads, SignerProcess, keep_signing
from overblik.trust.log.signer import Refused, Signer, answer
from tests.trust.test_log_entry import entry, log

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World

LEAVES = [leaf_hash(b"%d" % n) for n in range(40)]
OTHER = [leaf_hash(b"other"), *LEAVES[1:]]
ORIGIN = "overblik/log/test"


def head(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(ORIGIN, size, root_of(leaves[:size]))


def proof(old: int, size: int, leaves: list[bytes] = LEAVES) -> list[bytes]:
    return [root_of(leaves[lo:hi]) for lo, hi in consistency_ranges(old, size)] if old else []


def test_a_note_has_the_form_of_c2sp() -> None:
    name = "example.com/foo"
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = key.public_key().public_bytes_raw()
    note = signed(head(3), name, key)
    lines = note.split("\n")
    assert lines[:4] == [ORIGIN, "3", b64encode(root_of(LEAVES[:3])).decode(), ""]
    assert lines[4].startswith("\u2014 example.com/foo ")
    assert lines[5:] == [""]
    assert opened(note, verifier_key(name, public)) == parsed(note) == head(3)
    assert read_key(verifier_key(name, public)) == (name, public)


def test_no_other_note_is_opened() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    vkey = verifier_key("a", key.public_key().public_bytes_raw())
    note = signed(head(12), "a", key)
    for place in range(len(note)):
        if note[place] == "\n" and place == len(note) - 1:
            continue  # a last line counts with its end or without
        changed = note[:place] + ("B" if note[place] != "B" else "C") + note[place + 1 :]
        with pytest.raises(BadNote):
            opened(changed, vkey)
    for other in ("", "\n\n", note.replace("\n\n", "\n"), note.split("\n\n")[0] + "\n\n"):
        with pytest.raises(BadNote):
            opened(other, vkey)
    stranger = verifier_key("a", Ed25519PrivateKey.from_private_bytes(bytes(31) + b"1").public_key().public_bytes_raw())
    for wrong in (stranger, stranger.replace("a+", "b+"), "", "a+00000000+", vkey[:-4]):
        with pytest.raises(BadNote):
            opened(note, wrong)


def test_u17_the_signer_signs_one_history(tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    for old, size in ((0, 3), (3, 4), (4, 4), (4, 40)):
        assert opened(signer.sign(head(size), old, proof(old, size)), signer.key(ORIGIN)) == head(size)
        signer = Signer(tmp_path)  # it knows after a restart
    refused = [
        (head(30), 0, []),
        (head(40, OTHER), 40, []),
        (head(40, OTHER), 4, proof(4, 40, OTHER)),
        (Checkpoint(ORIGIN, 41, bytes(32)), 40, []),
        (Checkpoint(ORIGIN, 41, bytes(32)), 0, []),
        (Checkpoint(ORIGIN, 0, root_of([])), 0, []),
    ]
    for wrong, old, path in refused:
        with pytest.raises(Refused) as error:
            signer.sign(wrong, old, path)
        assert error.value.size == 40
    assert signer.sign(Checkpoint("overblik/log/another", 3, bytes(32)), 0, [])


def test_the_signer_refuses_after_its_memory_was_changed(tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    signer.sign(head(3), 0, [])
    state = next(tmp_path.glob("*.note"))
    state.write_text(state.read_text().replace("\n3\n", "\n2\n"))
    with pytest.raises(Refused):
        signer.sign(head(4), 2, proof(2, 4))
    (tmp_path / "signer.key").chmod(0o644)
    with pytest.raises(PermissionError):
        Signer(tmp_path)


@pytest.mark.parametrize(
    "line", ["", "{}", "[]", "null", '{"last": 1', '{"origin":"a","size":1,"root":"=","old":0,"proof":[]}',
             '{"origin":"a\\nb","size":1,"root":"' + "A" * 43 + '=","old":0,"proof":[]}',
             '{"origin":"a","size":-1,"root":"' + "A" * 43 + '=","old":0,"proof":[]}']
)  # fmt: skip
def test_the_signer_refuses_what_it_cannot_read(tmp_path: Path, line: str) -> None:
    assert "refused" in json.loads(json.dumps(answer(Signer(tmp_path), line)))


async def test_the_server_has_its_heads_signed(world: World) -> None:
    heads = world.run.heads
    assert await heads.sign() is None
    await log(world, *(entry(n, n % 3) for n in range(5)))
    await world.run.drain()
    first = await heads.sign()
    assert first
    assert opened(first.note, await heads.key()).size == first.size == 5
    assert await heads.sign() == first
    await log(world, *(entry(n, n % 3) for n in range(5, 300)))
    await world.run.drain()
    second = await heads.sign()
    assert second
    assert opened(second.note, await heads.key()).size == 300


async def test_a_head_that_was_signed_and_not_kept_is_no_fork(world: World) -> None:
    """The server ended between the signature and its commit, and the log went on."""
    await log(world, entry(1), entry(2))
    await world.run.drain()
    await world.run.heads.sign()
    database = world.run.database
    await database.run("alter table log_head disable trigger all")
    await database.run("delete from log_head")
    await log(world, entry(3))
    await world.run.drain()
    found = await world.run.heads.sign()
    assert found
    assert found.size == 3


async def test_u17_o06_yesterdays_copy_is_not_signed(world: World) -> None:
    await log(world, *(entry(n) for n in range(9)))
    await world.run.drain()
    await world.run.heads.sign()
    database = world.run.database
    for table in ("log_leaf", "log_head"):
        await database.run(f"alter table {table} disable trigger all")
    await database.run("delete from log_head")
    await database.run("delete from log_leaf where n > 4")
    with pytest.raises(Unavailable) as error:
        await world.run.heads.sign()
    assert error.value.code == "head-refused"
    await log(world, *(entry(n) for n in range(20, 40)))
    await world.run.drain()
    with pytest.raises(Unavailable) as error:
        await world.run.heads.sign()
    assert error.value.code == "head-refused"


@pytest.mark.parametrize("program", ["import sys", "print('what?')", "import time; time.sleep(60)"])
async def test_a_signer_that_does_not_answer_is_away(
    world: World, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overblik.trust.log.heads.PATIENCE", 0.5)
    signer = SignerProcess([sys.executable, "-c", program])
    await log(world, entry(1))
    await world.run.drain()
    with pytest.raises(Unavailable) as error:
        await Heads(world.run.database, world.clock, signer).sign()
    assert error.value.code == "signer-away"
    await signer.close()


async def test_numbers_go_on_where_somebody_took_leaves_away(world: World) -> None:
    """A log that was cut must not stop what else is numbered; it gets no signature."""
    await log(world, *(entry(n) for n in range(200)))
    await world.run.drain()
    await world.run.heads.sign()
    database = world.run.database
    await database.run("alter table log_leaf disable trigger all")
    await database.run("delete from log_leaf where n between 5 and 9")
    await log(world, *(entry(n) for n in range(200, 400)))
    await world.run.drain()
    assert (await database.fetch("select count(*) as n from log_queue"))[0].n == 0
    with pytest.raises(Unavailable) as error:
        await world.run.heads.sign()
    assert error.value.code == "log-damaged"
    assert await world.run.heads.latest()


async def test_numbering_and_signing_outlive_a_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A right that the role lacks, say: the loops go on, and find it given."""
    for place in ("store.sequencer.AFTER_A_FAULT", "store.sequencer.EVERY", "trust.log.heads.AFTER_REFUSAL"):
        monkeypatch.setattr(f"overblik.{place}", 0.01)
    monkeypatch.setattr("overblik.trust.log.heads.EVERY", 0.01)
    tried: dict[str, int] = {}
    again = {"number": asyncio.Event(), "sign": asyncio.Event()}

    async def failing(name: str) -> None:
        tried[name] = tried.get(name, 0) + 1
        if tried[name] == 1:
            raise RuntimeError("once")
        again[name].set()

    monkeypatch.setattr("overblik.store.sequencer.drain", lambda *_, **__: failing("number"))
    monkeypatch.setattr(Heads, "sign", lambda _: failing("sign"))
    works = (keep_numbering(world.run.database, world.clock), keep_signing(world.run.heads))
    tasks = [asyncio.create_task(work) for work in works]
    async with asyncio.timeout(30):
        await again["number"].wait()
        await again["sign"].wait()
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
