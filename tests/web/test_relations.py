"""The page of treatment relations: for whom, why, until when; hidden evidence is none, and each shown is logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.demo.cast import INGER, NURSE, STRANGER
from tests.conftest import NOW
from tests.trust.consents import consent, deny, unit
from tests.trust.stage import CPR, DAY, DEPARTMENT, encounter, patient, stage, write
from tests.web.browse import CITIZEN, document, section, sign_in, told, words

if TYPE_CHECKING:
    import pytest

    from tests.conftest import World

REASON = "Bevidstløs i modtagelsen, kan ikke spørges"


async def test_a_professional_sees_under_which_relation_they_work_and_until_when(world: World) -> None:
    await told(world)
    nurse, stranger = await sign_in(world, NURSE.claims()), await sign_in(world, STRANGER.claims())
    page = words(document(await nurse.get("/relations")).xpath("//main")[0])
    assert INGER.name in page
    assert "Plan eller besked til enheden · Plan fra Ortopædkirurgisk Afdeling" in page
    assert "til 18. feb. 2027" in page
    assert "Din enhed har ingen behandlingsrelation lige nu." in (await stranger.get("/relations")).text
    logged = await world.run.database.fetch(
        "select actor, outcome, cardinality(rids) as rids from access_log where action = 'relations'"
    )
    assert [(r.actor, r.outcome, r.rids > 0) for r in logged] == [(NURSE.id, "permit", True)]
    assert (await (await sign_in(world, CITIZEN)).get("/relations")).status_code == 404


async def test_broken_glass_is_a_relation_of_one_and_blocked_evidence_is_none(world: World) -> None:
    await told(world)
    stranger = await sign_in(world, STRANGER.claims())
    await stranger.post("/break-glass", {"cpr": INGER.cpr, "reason": REASON})
    assert "Værdispring · til" in words(document(await stranger.get("/relations")).xpath("//main")[0])
    colleague = await sign_in(world, {**STRANGER.claims(), "sub": "DEM99"})
    assert INGER.name not in (await colleague.get("/relations")).text
    said = await world.post("/Consent", world.citizen(INGER.cpr), consent(deny(unit(NURSE.unit.sor)), INGER.cpr))
    assert said.status_code == 201
    page = await (await sign_in(world, NURSE.claims())).get("/relations")
    assert INGER.name not in page.text
    assert "Din enhed har ingen behandlingsrelation lige nu." in page.text


async def test_s16_a_record_that_is_hidden_takes_no_place_on_a_list(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more records than a list holds, one that is blocked gives its place to the next: the list is as full."""
    monkeypatch.setattr("overblik.trust.door.access.MOST_WORK", 2)
    monkeypatch.setattr("overblik.trust.treatment.relations.MOST", 2)
    await stage(world)
    cprs = ["2512489996", "0905489998", "1010489993"]
    for age, cpr in enumerate(cprs):
        if cpr != CPR:
            await write(world, patient(cpr))
        await write(world, encounter(DEPARTMENT, NOW - DAY - age * DAY, None, cpr))
    nurse = await sign_in(world, {"kind": "professional", "sub": "TEST1", "name": "T", "org": DEPARTMENT})

    async def listed() -> list[set[str]]:
        pages = [(await nurse.get(path)).text for path in ("/relations", "/")]
        return [{cpr for cpr in cprs if f"{cpr[:6]}-{cpr[6:]}" in page} for page in pages]

    assert await listed() == [set(cprs[:2])] * 2
    assert (await world.post("/Consent", world.citizen(cprs[0]), consent(deny(), cprs[0]))).status_code == 201
    assert await listed() == [set(cprs[1:])] * 2


async def test_u05_broken_glass_is_followed_up_by_a_colleague_and_the_citizen_reads_it(world: World) -> None:
    await told(world)
    stranger = await sign_in(world, STRANGER.claims())
    await stranger.post("/break-glass", {"cpr": INGER.cpr, "reason": REASON})
    own = section(await stranger.get("/relations"), "follow-up")
    assert "Skal følges op" in own
    assert REASON in own
    assert "En kollega skal afslutte opfølgningen." in own
    colleague = await sign_in(world, {**STRANGER.claims(), "sub": "DEM99", "name": "Karen Kollega"})
    page = await colleague.get("/relations")
    seen = section(page, "follow-up")
    assert STRANGER.name in seen
    assert REASON not in page.text, "who has no access reads neither whose record it is nor why"
    assert INGER.name not in page.text
    case = {
        "case": str(document(page).xpath("string(//input[@name='case']/@value)")),
        "note": "Talt igennem på konference",
    }
    nurse = await sign_in(world, NURSE.claims())
    for tab in (stranger, nurse):
        assert (await tab.post("/relations/follow-up", case)).status_code == 404
    assert (await colleague.post("/relations/follow-up", case | {"note": "ok"})).status_code == 422
    assert "Talt igennem på konference" in section(await colleague.post("/relations/follow-up", case), "follow-up")
    assert (await colleague.post("/relations/follow-up", case)).status_code == 404
    log = words(document(await (await sign_in(world, CITIZEN)).get("/log")).xpath("//main")[0])
    assert "fulgte op på, at en kollega så dine oplysninger" in log
    assert "Talt igennem på konference" in log


async def test_z29_a_relation_is_stated_on_the_page_and_told_to_the_citizen(world: World) -> None:
    await told(world)
    stranger = await sign_in(world, STRANGER.claims())
    page = await stranger.get("/relations")
    assert "Fristen er 7 dage." in section(page, "state")
    asked = {"cpr": INGER.cpr, "basis": "referred", "reason": "Henvist telefonisk fra egen læge"}
    assert (await stranger.post("/relations/state", asked | {"reason": "ja"})).status_code == 422
    opened = await stranger.post("/relations/state", asked)
    assert "Åbnet på din egen oplysning, og endnu ikke bekræftet." in opened.text
    assert INGER.name in opened.text
    mine = words(document(await stranger.get("/relations")).xpath("//main")[0])
    assert "Oplyst af fagpersonen selv, skal bekræftes · til" in mine
    assert "Skal bekræftes senest" in mine
    log = words(document(await (await sign_in(world, CITIZEN)).get("/log")).xpath("//main")[0])
    assert "oplyste selv at behandle dig; det skal bekræftes" in log
    assert "Henvist telefonisk fra egen læge" in log
    absent = await stranger.post("/relations/state", asked | {"cpr": "0905489971"})
    assert absent.status_code == 404
