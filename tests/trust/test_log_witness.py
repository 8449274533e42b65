"""U18: witnesses. Cosignatures in the form of C2SP, a witness that cosigns one history, and who checks that it did."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from overblik.cli.main import commands
from overblik.cli.witness import cosign
from overblik.fhir.errors import Unavailable
from overblik.store.merkle import extends
from overblik.trust.log.checkpoint import BadNote, Checkpoint, opened, signed, verifier_key
from overblik.trust.log.cosignature import cosignatures, cosigned, witness_key, witness_keys
from overblik.trust.log.rotation import Keys
from overblik.trust.log.verify import verify
from overblik.trust.log.witness import Refused, Witness
from tests.trust.stage import stage
from tests.trust.test_log_file import needs_node, own, verified
from tests.trust.test_log_heads import LEAVES, ORIGIN, OTHER, head, proof

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import World

NAME = "witness.example/w1"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
LOG = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"7")
LOG_KEY = verifier_key(ORIGIN, LOG.public_key().public_bytes_raw())
AT = 1_679_315_147


def note(size: int, leaves: list[bytes] = LEAVES, key: Ed25519PrivateKey = LOG) -> str:
    return signed(head(size, leaves), ORIGIN, key)


def test_a_cosignature_has_the_form_of_c2sp() -> None:
    line = cosigned(head(3), NAME, KEY, AT)
    key = witness_key(NAME, KEY)
    data = b64decode(line.removeprefix(f"\u2014 {NAME} "))
    assert (len(data), data[4:12], b64decode(key.split("+", 2)[2])[0]) == (76, AT.to_bytes(8, "big"), 4)
    KEY.public_key().verify(data[12:], f"cosignature/v1\ntime {AT}\n{head(3).text}".encode())
    found = cosignatures(note(3) + cosigned(head(3), NAME, STRANGER, AT) + line, [key])
    assert found == [(key, AT, line)]
    assert opened(note(3) + line, LOG_KEY) == head(3), "the log's own signature is found beside it"
    assert witness_keys(f" {key}, {key},") == (key,)
    for wrong in ("x", LOG_KEY, key.replace("w1", "w2")):
        with pytest.raises(BadNote):
            witness_keys(wrong)


def file_of(old: str, steps: list[bytes], witness: str, new: str) -> dict[str, Any]:
    return {
        "format": "overblik-log-1", "key": LOG_KEY, "checkpoint": new, "records": [], "witnesses": [witness],
        "witnessed": {"note": old, "proof": [b64encode(step).decode() for step in steps]},
    }  # fmt: skip


def is_witnessed(old: str, steps: list[bytes], witness: str, new: str) -> bool:
    """Say what the page must say: the head is cosigned, and the later one extends it."""
    try:
        first, last = opened(old, LOG_KEY), opened(new, LOG_KEY)
        found = cosignatures(old, [witness])
    except BadNote:
        return False
    return bool(found) and extends(first.size, first.root, last.size, last.root, steps)


@needs_node
def test_u14_both_verifiers_take_the_same_cosignatures() -> None:
    """Shared cases: heads of every size below the last, then one of them with something changed in it."""
    key, new = witness_key(NAME, KEY), note(40)
    whole = note(13) + cosigned(head(13), NAME, KEY, AT)
    cases = [(note(n) + cosigned(head(n), NAME, KEY, AT), proof(n, 40), key, new) for n in range(1, 41)]
    taken = len(cases)
    for place in range(0, len(whole) - 1, 2):
        changed = whole[:place] + ("B" if whole[place] != "B" else "C") + whole[place + 1 :]
        cases.append((changed, proof(13, 40), key, new))
    cases += [
        (whole, proof(13, 40)[:-1], key, new), (whole, proof(12, 40), key, new), (whole, [], key, new),
        (whole, [*proof(13, 40), LEAVES[0]], key, new), (whole, proof(13, 40)[::-1], key, new),
        (whole, proof(13, 40), witness_key(NAME, STRANGER), new), (whole, proof(13, 40), witness_key("w2", KEY), new),
        (whole, proof(13, 40), LOG_KEY, new), (note(13), proof(13, 40), key, new),
        (whole, proof(13, 40, OTHER), key, note(40, OTHER)), (whole, proof(13, 40), key, note(12)),
        (note(13) + cosigned(head(13), NAME, KEY, 0), proof(13, 40), key, new),
        (note(13, key=STRANGER) + cosigned(head(13), NAME, KEY, AT), proof(13, 40), key, new),
    ]  # fmt: skip
    found = verified({"file": file_of(*case), "witness": case[2]} for case in cases)
    said = [not one["faults"] and bool(one["cosigned"]) for one in found]
    assert said == [is_witnessed(*case) for case in cases]
    assert (all(said[:taken]), sum(said[taken:])) == (True, 0)
    assert found[12]["cosigned"] == [{"name": NAME, "at": AT, "size": 13}]


def test_u18_a_witness_cosigns_one_history(tmp_path: Path) -> None:
    witness, keys = Witness(tmp_path, NAME), Keys(LOG_KEY)
    for old, size in ((0, 3), (3, 4), (4, 4), (4, 30)):
        made = witness.cosign(ORIGIN, note(size), keys, proof(old, size) if old != size else [], AT)
        assert [one.at for one in cosignatures(made, [witness.key])] == [AT]
        assert opened(made, LOG_KEY) == head(size)
        witness = Witness(tmp_path, NAME)  # it knows after a restart
    for wrong, steps in (
        (note(30, OTHER), []), (note(40, OTHER), proof(30, 40, OTHER)), (note(40), []), (note(29), []),
        (note(40), proof(29, 40)), (signed(Checkpoint("other", 40, bytes(32)), ORIGIN, LOG), []),
    ):  # fmt: skip
        with pytest.raises(Refused):
            witness.cosign(ORIGIN, wrong, keys, steps, AT)
    with pytest.raises(BadNote):
        witness.cosign(ORIGIN, note(40, key=STRANGER), keys, proof(30, 40), AT)
    assert witness.last(ORIGIN) == head(30)
    state = next(tmp_path.glob("*.note"))
    state.write_text(state.read_text().replace("\n30\n", "\n3\n"))
    with pytest.raises(Refused):
        witness.cosign(ORIGIN, note(40), keys, proof(3, 40), AT)
    for name in ("", "a b", "a+b"):
        with pytest.raises(Refused):
            Witness(tmp_path, name)


def test_the_key_of_a_witness_is_printed_to_be_published(tmp_path: Path) -> None:
    found = CliRunner().invoke(commands("witness"), ["witness", str(tmp_path), "--name", NAME])
    assert (found.exit_code, found.stdout.strip()) == (0, Witness(tmp_path, NAME).key)


async def cosigns(world: World, witness: Witness, at: int) -> tuple[str, str]:
    """Have a witness cosign what the server shows, as `overblik witness` does."""
    loop = asyncio.get_running_loop()

    def send(method: str, path: str, body: str) -> str:
        asked = world.http.request(method, path, content=body.encode() or None)
        answer = asyncio.run_coroutine_threadsafe(asked, loop).result(20)
        if not answer.is_success:
            raise Unavailable("log-away", answer.text)
        return answer.text

    return await asyncio.to_thread(cosign, witness, await world.run.heads.key(), at, send)


async def grown(world: World, patient_id: str) -> dict[str, Any]:
    await world.get(f"/Patient/{patient_id}", world.source("one more"))
    return await own(world, patient_id)


@needs_node
async def test_u18_what_a_witness_saw_is_shown_and_both_verifiers_check_it(world: World, tmp_path: Path) -> None:
    patient_id, heads = await stage(world), world.run.heads
    file = await grown(world, patient_id)
    witness, stranger = Witness(tmp_path / "w", NAME), Witness(tmp_path / "s", "stranger")
    assert ("witnessed" in file, (await world.http.get("/log/witnessed")).status_code) == (False, 404)
    _, told = await cosigns(world, stranger, AT)
    assert told, "nobody but whom the operator names is kept"
    heads.witnessed.witnesses = (witness.key,)
    first, told = await cosigns(world, witness, AT)
    assert (told, (await world.http.get("/log/checkpoint")).text) == ("", first)
    await grown(world, patient_id)
    await heads.rotate()
    second, told = await cosigns(world, witness, AT + 60)
    assert (told, (await world.http.get("/log/witnessed")).text) == ("", second)
    file = await grown(world, patient_id)
    assert file["witnesses"] == [witness.key]
    found = verified([{"file": file}, {"file": file, "witness": witness.key}, {"file": file, "witness": stranger.key}])
    assert [len(one["faults"]) for one in found] == [0, 0, 1], found
    assert [[one["at"] for one in case["cosigned"]] for case in found] == [[AT + 60], [AT + 60], []]
    report = await verify(world.run.database, await heads.key(), [first], witnesses=[witness.key])
    assert (report.faults, report.witnessed) == ([], opened(second, await heads.key()).size)
    report = await verify(world.run.database, await heads.key(), witnesses=[stranger.key])
    assert report.faults == ["no head is cosigned by stranger"]


async def test_a_cosignature_that_was_changed_in_the_database_is_found(world: World, tmp_path: Path) -> None:
    await grown(world, await stage(world))
    witness, heads = Witness(tmp_path, NAME), world.run.heads
    heads.witnessed.witnesses = (witness.key,)
    await cosigns(world, witness, AT)
    run: Callable[[Any], Any] = world.run.database.run
    for change in ("delete from log_cosignature", "update log_cosignature set line = ''"):
        with pytest.raises(Exception, match="append"):
            await run(change)
    await run("alter table log_cosignature disable trigger all")
    for change in ("line = replace(line, 'A', 'B')", "size = size - 1", "line = ''"):
        await run("create temp table if not exists x (n int)")
        before = (await world.run.database.fetch("select size, line from log_cosignature"))[0]
        await run(f"update log_cosignature set {change}")
        report = await verify(world.run.database, await heads.key(), witnesses=[witness.key])
        assert report.faults, change
        restore = "update log_cosignature set size = %(size)s, line = %(line)s"
        await world.run.database.run(restore, {"size": before.size, "line": before.line})
    assert (await verify(world.run.database, await heads.key(), witnesses=[witness.key])).faults == []


async def test_nothing_is_kept_but_what_a_witness_that_is_named_cosigned(world: World, tmp_path: Path) -> None:
    await grown(world, await stage(world))
    witness = Witness(tmp_path, NAME)
    world.run.heads.witnessed.witnesses = (witness.key,)
    ours = (await world.http.get("/log/checkpoint")).text
    stranger = Ed25519PrivateKey.generate()
    for body, status in (
        (b"", 400), (b"\xff", 400), (b"x" * 20_000, 413), (ours.encode(), 403), (note(3).encode(), 400),
        ((note(3) + cosigned(head(3), NAME, stranger, AT)).encode(), 400),
        ((ours + f"\u2014 {NAME} AAAA\n").encode(), 403),
    ):  # fmt: skip
        answer = await world.http.post("/log/cosignature", content=body)
        assert answer.status_code == status, (body[:40], answer.text)
    assert (await world.http.get("/log/witnessed")).status_code == 404
