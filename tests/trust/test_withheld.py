"""W23, W24: staff of some units are named to citizens by a pseudonym, in every channel; the proofs hold."""

from __future__ import annotations

import shutil
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tests.conftest import NOW
from tests.trust.stage import CPR, DAY, DEPARTMENT, HOSPITAL, OTHER, UNIT, encounter, patient, stage, write
from tests.trust.test_log_file import verified
from tests.web.browse import document, sign_in, words

if TYPE_CHECKING:
    from tests.conftest import World

NAME, OTHERS = "Sanne Hemmelig", "Anna Kendt"


async def looked(world: World) -> tuple[str, str]:
    """Have one of a unit that is withheld, and one that is not, look at two citizens; return the citizens' ids."""
    first = await stage(world)
    second = await write(world, patient(OTHER))
    for cpr in (CPR, OTHER):
        await write(world, encounter(DEPARTMENT, NOW - DAY, None, cpr))
        await write(world, encounter(UNIT, NOW - DAY, None, cpr))
    await world.run.database.run(
        "insert into withheld_unit (sor, since) values (%(sor)s, %(now)s)", {"sor": HOSPITAL, "now": NOW}
    )
    for name, sub, org in ((NAME, "TESTA", DEPARTMENT), (OTHERS, "TESTB", UNIT)):
        who = world.token(kind="professional", sub=sub, name=name, role="læge", org=org)
        for identifier in (first, second):
            assert (await world.get(f"/Patient/{identifier}", who)).status_code == 200
    return first, second


def agents(bundle: dict[str, Any]) -> set[tuple[str, str]]:
    found = [a for e in bundle.get("entry", []) for a in e["resource"].get("agent", [])]
    mine = [a for a in found if a.get("who", {}).get("type") == "Practitioner"]
    return {(a["who"]["identifier"]["value"], a["name"]) for a in mine}


async def test_w23_no_channel_names_them_and_the_same_person_is_another_to_each_citizen(world: World) -> None:
    first, second = await looked(world)
    await world.run.drain()
    told = {}
    for cpr, identifier in ((CPR, first), (OTHER, second)):
        tab = await sign_in(world, {"kind": "citizen", "sub": cpr, "name": "Test"})
        for path in ("/", "/log", "/blocks"):
            page = await tab.get(path)
            assert page.status_code == 200
            assert NAME not in page.text, path
            assert "TESTA" not in page.text, path
        log = words(document(await tab.get("/log")).xpath("//main")[0])
        assert "Medarbejder " in log
        assert OTHERS in log
        events = await world.get(f"/AuditEvent?patient=Patient/{identifier}", world.citizen(cpr))
        assert NAME not in events.text
        assert "TESTA" not in events.text
        told[cpr] = {who for who in agents(events.json()) if who[0].startswith("urn:uuid:")}
        assert len(told[cpr]) == 1
        assert ("TESTB", OTHERS) in agents(events.json())
    assert not told[CPR] & told[OTHER]


async def test_w24_nobody_finds_out_by_asking_for_a_name_or_a_number(world: World) -> None:
    await looked(world)
    me = world.citizen(CPR)
    for asked in ("agent-name=Sanne", "agent:identifier=https://autregweb.sst.dk|TESTA", "agent:identifier=TESTA"):
        found = await world.get(f"/AuditEvent?{asked}", me)
        assert found.status_code == 200, found.text
        assert agents(found.json()) == set(), asked
    found = await world.get("/AuditEvent?agent-name=Anna", me)
    assert agents(found.json()) == {("TESTB", OTHERS)}


async def test_w23_the_file_of_ones_log_has_a_hash_for_who_it_was_and_verifies(world: World) -> None:
    first, _ = await looked(world)
    await world.run.drain()
    await world.run.heads.sign()
    file = await world.get(f"/Patient/{first}/$log", world.citizen(CPR))
    assert NAME not in file.text
    entries = [e for record in file.json()["records"] for e in record["entries"]]
    withheld = [e for e in entries if "whoHash" in e]
    assert len(withheld) == 1
    assert any(OTHERS in e.get("who", "") for e in entries)
    for entry in withheld:
        assert "who" not in entry
        what = sha256(bytes.fromhex(entry["whatSalt"]) + entry["what"].encode()).digest()
        assert sha256(what + bytes.fromhex(entry["whoHash"])).hexdigest() == entry["hash"]
    if shutil.which("node"):
        assert verified([{"file": file.json(), "key": file.json()["key"]}])[0]["faults"] == []
