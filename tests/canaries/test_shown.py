"""Whatever may stand in a resource may stand in a record, and whoever may see it is shown it: nothing falls over it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from overblik.demo.cast import GP, INGER, NURSE, SURGEON
from overblik.fhir.identifiers import CPR
from tests.canaries.tokens import KINDS, Canaries, tokens
from tests.conftest import NOW
from tests.journeys.tell import set_the_stage
from tests.web.browse import CITIZEN, sign_in

if TYPE_CHECKING:
    from tests.conftest import World


async def full(world: World, said: Canaries) -> str:
    """Write a record that has every element, with contacts that open it to three units; return the Patient's id."""
    await set_the_stage(world)
    made = await world.post("/Patient", world.source(), said.person(INGER.cpr, INGER.born))
    assert made.status_code == 201, made.text
    patient = str(made.json()["id"])
    for staff in (NURSE, GP, SURGEON):
        await world.post("/Encounter", world.source(), {
            "resourceType": "Encounter", "status": "in-progress", "class": {"code": "AMB"},
            "subject": {"type": "Patient", "identifier": {"system": CPR, "value": INGER.cpr}},
            "serviceProvider": staff.unit.reference(), "period": {"start": (NOW - timedelta(days=1)).isoformat()},
        })  # fmt: skip
    for kind in KINDS:
        made = await world.post(f"/{kind}", world.source(), said.full(kind, f"Patient/{patient}"))
        assert made.status_code == 201, made.text
    return patient


async def test_a_record_that_has_every_element_is_shown_to_whoever_may_see_it(world: World) -> None:
    said = Canaries()
    patient = await full(world, said)
    whole = await world.get(f"/Patient/{patient}/$everything?_count=200", world.citizen(INGER.cpr))
    assert not {said.places[token] for token in said.places.keys() - tokens(whole.content)}
    for claims in (CITIZEN, NURSE.claims(), GP.claims(), SURGEON.claims()):
        tab = await sign_in(world, claims)
        page = await tab.get("/" if claims is CITIZEN else f"/patient/{patient}")
        overview = await world.get(f"/Patient/{patient}/$overview", world.token(**claims))
        assert (page.status_code, overview.status_code) == (200, 200), (claims, page.text[:300], overview.text[:300])
        told = {said.places[token] for token in tokens(page.content) & said.places.keys()}
        assert {"MedicationRequest.medicationCodeableConcept.text", "MedicationStatement.dosage.text"} <= told
