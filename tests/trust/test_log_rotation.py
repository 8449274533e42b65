"""U18: the log's key is replaced: both sign the head, history verifies with either, the old key signs nothing more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from overblik.trust.log.checkpoint import BadNote, Checkpoint, opened, signed, verifier_key
from overblik.trust.log.rotation import Keys, Rotation
from overblik.trust.log.signer import Refused, Signer, answer
from overblik.trust.log.verify import verify
from tests.trust.stage import stage
from tests.trust.test_log_entry import entry, log
from tests.trust.test_log_file import needs_node, own, verified
from tests.trust.test_log_heads import ORIGIN, head, proof

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World

KEYS = [Ed25519PrivateKey.from_private_bytes(bytes(31) + bytes([n])) for n in range(1, 5)]
FIRST, SECOND, THIRD, STRANGER = (verifier_key(ORIGIN, key.public_key().public_bytes_raw()) for key in KEYS)


def turned(old: int, new: int, size: int, name: str = ORIGIN) -> Rotation:
    """Return how one of KEYS gave way to another at a size of the log."""
    before, after = (verifier_key(name, KEYS[n].public_key().public_bytes_raw()) for n in (old, new))
    return Rotation(before, after, signed(head(size), name, KEYS[old], KEYS[new]))


TURNED = [turned(0, 1, 10), turned(1, 2, 20)]
HEADS = [(0, 3, True), (0, 10, True), (0, 11, False), (1, 9, False), (1, 10, True), (1, 20, True), (1, 21, False),
         (2, 19, False), (2, 20, True), (2, 40, True), (3, 10, False), (3, 40, False)]  # fmt: skip
"""By which key, of how many leaves, and whether it is good."""
BROKEN = [
    [turned(0, 1, 10), turned(2, 1, 20)],
    [turned(0, 1, 20), turned(1, 2, 10)],
    [turned(0, 1, 10), TURNED[1]._replace(note=signed(head(20), ORIGIN, KEYS[1]))],
    [turned(0, 1, 10), TURNED[1]._replace(note=signed(head(20), ORIGIN, KEYS[2]))],
    [turned(0, 1, 10), TURNED[1]._replace(note=TURNED[0].note)],
    [turned(0, 1, 10)._replace(new=STRANGER), turned(1, 2, 20)],
    [turned(0, 1, 10), turned(1, 2, 20, "overblik/log/another")],
]


@pytest.mark.parametrize("trusted", [FIRST, SECOND, THIRD])
def test_u18_each_key_is_good_for_its_time_whichever_of_them_is_trusted(trusted: str) -> None:
    keys = Keys(trusted, TURNED)
    for by, size, good in HEADS:
        note = signed(head(size), ORIGIN, KEYS[by])
        if good:
            assert keys.opened(note) == head(size)
        else:
            with pytest.raises(BadNote):
                keys.opened(note)
    assert keys.opened(TURNED[0].note) == head(10)


@pytest.mark.parametrize("rotations", BROKEN)
def test_u18_keys_that_are_not_signed_for_are_not_followed(rotations: list[Rotation]) -> None:
    for trusted in (FIRST, SECOND, THIRD, STRANGER):
        with pytest.raises(BadNote):
            Keys(trusted, rotations)
    with pytest.raises(BadNote):
        Keys(STRANGER, TURNED)


@needs_node
def test_u18_the_page_follows_the_same_keys() -> None:
    """The same cases as above, in the other language."""

    def case(note: str, key: str, rotations: list[Rotation]) -> dict[str, Any]:
        turns = [rotation._asdict() for rotation in rotations]
        return {"file": {"format": "overblik-log-1", "key": key, "checkpoint": note, "rotations": turns, "records": []}}

    good = [(case(signed(head(size), ORIGIN, KEYS[by]), key, TURNED), right)
            for key in (FIRST, SECOND, THIRD) for by, size, right in HEADS]  # fmt: skip
    good += [(case(TURNED[0].note, key, TURNED), True) for key in (FIRST, SECOND, THIRD)]
    bad = [(case(signed(head(40), ORIGIN, KEYS[2]), key, rotations), False)
           for rotations in BROKEN for key in (FIRST, SECOND, THIRD)]  # fmt: skip
    found = verified(one for one, _ in good + bad)
    assert [not result["faults"] for result in found] == [right for _, right in good + bad]


def test_u18_the_signer_hands_over_and_goes_on(tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    signer.sign(head(10), 0, [])
    old, private = signer.key(ORIGIN), (tmp_path / "signer.key").read_bytes()
    assert answer(signer, '{"rotate": true}') == {"rotated": True}
    new = signer.key(ORIGIN)
    assert new != old
    assert (tmp_path / "signer.key").read_bytes() != private
    assert [file.name for file in tmp_path.iterdir() if private in file.read_bytes()] == []
    known = answer(Signer(tmp_path), json.dumps({"last": ORIGIN}))
    rotations = [Rotation(*one) for one in known["rotations"]]
    assert [(r.old, r.new) for r in rotations] == [(old, new)]
    assert opened(known["note"], old) == opened(known["note"], new) == head(10)
    with pytest.raises(Refused):
        signer.sign(head(9), 10, [])
    note = signer.sign(head(40), 10, proof(10, 40))
    for trusted in (old, new):
        assert Keys(trusted, rotations).opened(note) == head(40)


@pytest.mark.parametrize("stopped", range(5))
def test_u18_a_rotation_that_was_cut_off_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: int
) -> None:
    """At whichever file it ended: another process of the same folder goes on, and there is one history of keys."""
    signer, beside = Signer(tmp_path), Signer(tmp_path)
    signer.sign(head(10), 0, [])
    signer.sign(Checkpoint("overblik/log/another", 3, bytes(32)), 0, [])
    old, written = signer.key(ORIGIN), 0

    def write(path: Path, data: bytes) -> None:
        nonlocal written
        if written == stopped:
            raise OSError
        written += 1
        path.write_bytes(data)
        path.chmod(0o600)

    monkeypatch.setattr("overblik.trust.log.signer.write_safely", write)
    try:
        signer.rotate()
    except OSError:
        monkeypatch.undo()
    note = beside.sign(head(40), 10, proof(10, 40))
    rotations = beside.rotations(ORIGIN)
    assert [r.old for r in rotations] == ([] if stopped == 0 else [old])
    assert Keys(old, rotations).opened(note) == head(40)
    assert len(beside.rotations("overblik/log/another")) == len(rotations)
    assert not (tmp_path / "next.key").exists()


@pytest.mark.long
@needs_node
async def test_u18_history_verifies_with_the_key_before_and_the_key_after(world: World) -> None:
    patient, heads = await stage(world), world.run.heads
    first = await own(world, patient)
    old = await heads.key()
    for turn in range(2):
        rotations = await heads.rotate()
        assert len(rotations) == turn + 1
        assert (await world.http.get("/log/key")).text.strip() == await heads.key() == rotations[-1].new != old
        assert (await world.http.get("/log/checkpoint")).text == rotations[-1].note
        file = await own(world, patient)
        assert len(file["rotations"]) == turn + 1
        await log(world, entry(turn))
    await world.run.drain()
    await heads.sign()
    for key in (old, rotations[0].new, rotations[1].new):
        report = await verify(world.run.database, key, [first["checkpoint"], file["checkpoint"]])
        assert report.faults == []
        assert verified([{"file": file, "key": key, "earlier": first}])[0]["faults"] == []
    await world.run.database.run("alter table log_rotation disable trigger all")
    await world.run.database.run("update log_rotation set note = replace(note, 'A', 'B') where n = 1")
    known = [Rotation(*one) for one in (await heads.signer.ask({"last": await heads.origin()}))["rotations"]]
    report = await verify(world.run.database, old, rotations=known)
    assert report.faults == ["how the key was replaced is not what the signer knows"]
    await world.run.database.run("delete from log_rotation")
    with pytest.raises(BadNote):
        await verify(world.run.database, "x", rotations=known)
    assert (await verify(world.run.database, await heads.key())).faults, "heads of a key that nobody vouches for"


async def test_u18_a_key_that_was_replaced_signs_nothing_more(world: World) -> None:
    """Stolen before it was replaced: what it signs later is found, by whoever has any key of the log."""
    await log(world, entry(1))
    await world.run.drain()
    heads = world.run.heads
    await heads.sign()
    path = world.run.settings.data / "keys" / "log" / "signer.key"
    stolen = Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    old = await heads.key()
    await heads.rotate()
    await log(world, entry(2))
    await world.run.drain()
    found = await heads.sign()
    assert found
    origin, database = await heads.origin(), world.run.database
    forged = signed(opened(found.note, await heads.key()), origin, stolen)
    await database.run("alter table log_head disable trigger all")
    await database.run(
        "update log_head set note = %(note)s where size = %(size)s", {"note": forged, "size": found.size}
    )
    for key in (old, await heads.key()):
        assert "not in force" in (await verify(database, key)).faults[0]
