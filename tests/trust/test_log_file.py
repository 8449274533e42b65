"""A citizen's own log as a file: who gets it, what is in it, and the page that verifies it, run by node."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from base64 import b64decode
from importlib import resources
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from overblik.store.merkle import extends
from overblik.store.queries import sql
from overblik.trust.log.checkpoint import opened, verifier_key
from overblik.trust.log.entry import NOTHING, record_name
from overblik.trust.log.proofs import log_file
from tests.conftest import NOW
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, encounter, patient, stage, write
from tests.trust.test_log_tampering import changed as tampered
from tests.trust.test_log_tampering import delete, edit_leaf, edit_other, edit_text, fill, insert, reorder
from tests.web.browse import CITIZEN, known, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overblik.store.tree import Source
    from overblik.trust.log.heads import Head
    from tests.conftest import World

PAGE = resources.files("overblik.web").joinpath("static/verify-log.html")
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed (apt install nodejs)")


def verified(cases: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run the page's verifier on cases {"file", "key", "earlier"}."""
    command = ["node", "--no-warnings", str(Path(__file__).with_name("verify.mjs")), str(PAGE)]
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def whole(source: Source, head: Head, key: str) -> dict[str, Any]:
    """Return the whole log as a file, whoever's it is."""
    secret = bytes((await source.fetch(sql("log_secret")))[0].secret)
    rows = await source.fetch(sql("log_leaves"), {"after": -1, "first": True, "limit": 100_000})
    made = [SimpleNamespace(**row._asdict(), before=NOTHING, record=record_name(secret, row.pid)) for row in rows]
    return await log_file(source, made, head, key) | {"whole": True}


async def own(world: World, patient_id: str) -> dict[str, Any]:
    await world.run.drain()
    await world.run.heads.sign()
    response = await world.get(f"/Patient/{patient_id}/$log", world.citizen(CPR))
    assert response.status_code == 200, response.text
    return dict(response.json())


@needs_node
async def test_the_citizen_gets_their_own_log_and_the_page_verifies_it(world: World) -> None:
    patient_id = await stage(world)
    for number in range(4):
        await world.get(f"/Patient/{patient_id}", world.source(f"s{number}"))
        await world.get(f"/Patient/{patient_id}", world.citizen(CPR))
    first = await own(world, patient_id)
    second = await own(world, patient_id)
    said = [json.loads(entry["what"]) for record in second["records"] for entry in record["entries"]]
    assert said[-1]["action"] == "read log"
    assert {what["kind"] for what in said} >= {"citizen", "source"}
    pid = (await world.run.door.locate("Patient", patient_id)).pid
    assert str(pid) not in json.dumps(second)
    key = await world.run.heads.key()
    stranger = await other_key(world)
    found = verified([
        {"file": first}, {"file": second, "key": key, "earlier": first},
        {"file": first, "earlier": second}, {"file": second, "key": stranger},
    ])  # fmt: skip
    assert [len(case["faults"]) for case in found[:2]] == [0, 0]
    assert len(found[1]["entries"]) == len(said)
    assert "the log has become shorter since the earlier file" in found[2]["faults"]
    assert found[3]["faults"] == ["the file cannot be verified: not signed with this key"]


async def other_key(world: World) -> str:
    return verifier_key(await world.run.heads.origin(), Ed25519PrivateKey.generate().public_key().public_bytes_raw())


async def test_nobody_else_gets_it(world: World) -> None:
    patient_id = await stage(world)
    await own(world, patient_id)
    for who in (world.source(), world.system(), world.professional("1")):
        refused = await world.get(f"/Patient/{patient_id}/$log", who)
        absent = await world.get("/Patient/nobody/$log", who)
        assert (refused.status_code, refused.content) == (403, absent.content)
    stranger = world.citizen("0101010101")
    refused, absent = [await world.get(f"/Patient/{who}/$log", stranger) for who in (patient_id, "nobody")]
    assert (refused.status_code, refused.content) == (404, absent.content)
    logged = await world.run.database.fetch(
        "select outcome from access_log where action = 'read log' and actor = '0101010101' order by at"
    )
    assert [row.outcome for row in logged] == ["refuse", "refuse"]


async def test_u15_what_is_public_is_a_head_that_only_grows(world: World) -> None:
    assert (await world.http.get("/log/checkpoint")).status_code == 404
    patient_id = await stage(world)
    await own(world, patient_id)
    key = (await world.http.get("/log/key")).text
    old = opened((await world.http.get("/log/checkpoint")).text, key)
    await write(world, {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
                        "subject": {"reference": f"Patient/{patient_id}"}})  # fmt: skip
    await own(world, patient_id)
    new = opened((await world.http.get("/log/checkpoint")).text, key)
    answer = (await world.http.get(f"/log/consistency?old={old.size}&new={new.size}")).json()
    assert extends(old.size, old.root, new.size, new.root, [b64decode(step) for step in answer["proof"]])
    for wrong in ("old=0", "old=-1", "old=x", f"old=1&new={new.size + 1}", "old=2&new=1", "old=%C2%B2"):
        assert (await world.http.get(f"/log/consistency?{wrong}")).status_code == 400


@pytest.mark.long
@needs_node
async def test_u14_no_changed_file_is_taken(world: World) -> None:
    """Every member of a file in turn is changed, left out, or swapped with its neighbour."""
    await fill(world, 120)
    head, key = await world.run.heads.latest(), await world.run.heads.key()
    assert head
    file = await whole(world.run.database, head, key)
    cases: list[dict[str, Any]] = [{"file": file, "key": key}]
    draw = Random(7)
    for _ in range(150):
        cases.append({"file": mutated(copy.deepcopy(file), draw), "key": key})
    found = verified(cases)
    assert found[0]["faults"] == []
    assert [
        json.dumps(case["file"])[:99] for case, result in zip(cases, found, strict=True) if not result["faults"]
    ] == [json.dumps(file)[:99]]


def mutated(file: dict[str, Any], draw: Random) -> dict[str, Any]:
    record = draw.choice(file["records"])
    entry = draw.choice(record["entries"])
    place = record["entries"].index(entry)
    member = draw.choice(
        ["n", "place", "seq", "what", "whatSalt", "who", "whoSalt", "hash", "proof", "gone", "moved", "file"]
    )
    if member in {"n", "place", "seq"}:
        entry[member] += draw.choice([-1, 1, 2**40])
    elif member == "proof":
        entry["proof"] = draw.choice(
            [entry["proof"][:-1], [*entry["proof"], entry["proof"][0]], entry["proof"][::-1], []]
        )
    elif member == "gone":
        del record["entries"][place]
    elif member == "moved":
        record["entries"].append(record["entries"].pop(place))
        if place == len(record["entries"]) - 1:
            record["entries"].insert(0, record["entries"].pop())
    elif member == "file":
        part = draw.choice(["checkpoint", "records", "record", "before", "format"])
        if part == "records":
            file["records"].remove(record)
        elif part == "checkpoint":
            lines = file["checkpoint"].split("\n")
            lines[1] = str(int(lines[1]) + 1)
            file["checkpoint"] = "\n".join(lines)
        else:
            target = file if part == "format" else record
            target[part] = target[part][::-1] if part == "record" else "01" + target[part][2:]
    else:
        text = entry[member]
        at = draw.randrange(len(text))
        entry[member] = text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]
    return file


@pytest.mark.long
@needs_node
async def test_the_page_finds_what_was_changed_in_the_database(world: World, request: pytest.FixtureRequest) -> None:
    await fill(world)
    head, key = await world.run.heads.latest(), await world.run.heads.key()
    assert head
    draw, kinds = Random(3), (edit_text, edit_other, edit_leaf, delete, insert, reorder)
    cases, said = [{"file": await whole(world.run.database, head, key), "key": key}], []
    for number in range(int(request.config.getoption("--tampering")) // 3):
        changes = kinds[number % len(kinds)](draw)
        if kinds[number % len(kinds)] is insert and "log_leaf set n" not in changes[-1][0] and len(changes) == 1:
            continue  # beside the tree: no file shows it
        try:
            async with tampered(world, changes) as transaction:
                cases.append({"file": await whole(transaction, head, key), "key": key})
                said.append(changes)
        except AssertionError:
            continue
        except Exception as error:
            if "log-damaged" not in str(error):
                raise
    found = verified(cases)
    assert found[0]["faults"] == []
    assert [changes for changes, result in zip(said, found[1:], strict=True) if not result["faults"]] == []


def test_the_page_asks_for_nothing() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not [word for word in ("http://", "https://", "fetch(", "import(", "XMLHttp", " src=") if word in text]


async def test_minlog_gives_the_same_file_and_the_page_to_save(world: World) -> None:
    await known(world)
    await world.run.drain()
    await world.run.heads.sign()
    citizen = await sign_in(world, CITIZEN)
    answer = await citizen.get("/log/file")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    file = answer.json()
    assert opened(file["checkpoint"], file["key"]).size > 0
    assert file["records"][0]["entries"]
    page = await world.http.get("/static/verify-log.html")
    assert page.headers["content-disposition"].startswith("attachment")
    text = (await citizen.get("/log")).text
    assert "/log/file" in text
    assert "/static/verify-log.html" in text


async def test_a_search_of_several_people_is_in_each_ones_log_without_the_others_numbers(world: World) -> None:
    patient_id = await stage(world)
    await write(world, patient(OTHER))
    for cpr in (CPR, OTHER):
        await write(world, encounter(DEPARTMENT, NOW - DAY, None, cpr))
    nurse, system = world.professional(DEPARTMENT), "urn:oid:1.2.208.176.1.2|"
    for query in (
        f"identifier={system}{CPR},{system}{OTHER}",
        f"identifier={system}{OTHER[:6]}-{OTHER[6:]},{system}{CPR}&_summary=count",
        f"identifier:not={system}{OTHER}&_id={patient_id}",
        f"identifier={system}{CPR}",
    ):
        assert (await world.get(f"/Patient?{query}", nurse)).status_code == 200
    text = json.dumps(await own(world, patient_id))
    assert OTHER not in text.replace("-", "")
    assert "(CPR)" in text
    assert CPR in text
