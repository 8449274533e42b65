"""The page of treatment relations: for whom, why, until when; hidden evidence is none, and each shown is logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.demo.cast import INGER, NURSE, STRANGER
from tests.trust.consents import consent, deny, unit
from tests.web.browse import CITIZEN, document, sign_in, told, words

if TYPE_CHECKING:
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
