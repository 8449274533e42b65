"""Z38: nobody acts as who has died, or for them; who treated them goes on for a while; errors are undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.errors import NotFound
from overblik.store.replay import replay
from overblik.trust.consent.mandates import held
from overblik.trust.treatment.stated import Rules, state_relation
from tests.conftest import NOW
from tests.trust.consents import CPR_SYSTEM, attorney, consent, deny, permit, unit
from tests.trust.stage import (
    CPR,
    DAY,
    DEPARTMENT,
    MUNICIPALITY,
    OTHER,
    SIBLING,
    UNIT,
    about,
    encounter,
    patient,
    stage,
    write,
)  # fmt: skip
from tests.trust.stage import sees as reads
from tests.trust.stage import unit as named
from tests.trust.test_break_glass import asked, smash
from tests.trust.test_consent import say
from tests.trust.test_merged_records import TWIN, merge
from tests.trust.test_proxies import GUARDIAN, THIRD, acting, related
from tests.trust.test_stated import REASON, doctor, state
from tests.web.browse import sign_in
from tests.web.test_live import called, session_of, watching

if TYPE_CHECKING:
    from tests.conftest import World

TASK = {
    "resourceType": "Task",
    "status": "in-progress",
    "intent": "order",
    "for": about(),
    "owner": named(MUNICIPALITY),
}
"""Gives the municipality a relation without an end."""


async def tell(world: World, identifier: str, who: dict[str, str] | None = None, **said: Any) -> None:
    """Have the source say it of its Patient; an element that is None is taken out."""
    path, who = f"/Patient/{identifier}", who or world.source()
    current = (await world.get(path, who)).json()
    body = {name: value for name, value in (current | said).items() if value is not None}
    assert (await world.put(path, who, body)).status_code == 200


async def opened(world: World, identifier: str) -> set[str]:
    """Return who gets the Patient: the citizen, who holds a power of attorney, the guardian."""
    callers = {"self": world.citizen(CPR), "attorney": acting(world), "guardian": acting(world, THIRD)}
    return {n for n, who in callers.items() if (await world.get(f"/Patient/{identifier}", who)).status_code == 200}


async def sees(world: World, identifier: str, org: str) -> bool:
    """Say whether a unit sees the Patient, which must be the same by reading and by searching everybody."""
    found = (await world.get("/Patient", world.professional(org))).json().get("entry", ())
    listed = identifier in {entry["resource"]["id"] for entry in found}
    assert await reads(world, identifier, org) is listed
    return listed


EVERYBODY = {"self", "attorney", "guardian"}
YESTERDAY, TOMORROW = (str((NOW + days * DAY).date()) for days in (-1, 1))
SAID: list[tuple[dict[str, Any], set[str], set[str]]] = [
    ({"deceasedBoolean": True}, set(), set()),
    ({"deceasedBoolean": False}, EVERYBODY, EVERYBODY),
    ({"deceasedDateTime": YESTERDAY}, set(), set()),
    ({"deceasedDateTime": "2026"}, set(), set()),
    ({"deceasedDateTime": TOMORROW}, EVERYBODY, set()),
    ({}, EVERYBODY, EVERYBODY),
]
"""What the Patient says, and who gets the record at once and two days later."""
NOTHING = {"deceasedBoolean": None, "deceasedDateTime": None}


async def test_z38_a_death_ends_every_power_at_once_and_withdrawn_gives_them_back(world: World) -> None:
    identifier = await stage(world)
    citizen = world.citizen(CPR)
    await say(world, citizen, consent(permit(attorney(OTHER))))
    await world.post("/RelatedPerson", world.system(), related(THIRD, CPR, *GUARDIAN))
    for said, at_once, later in SAID:
        await tell(world, identifier, **NOTHING | said)
        assert await opened(world, identifier) == at_once, said
        world.clock.forward(days=2)
        assert await opened(world, identifier) == later, said
        world.clock.set(NOW)
    await tell(world, identifier, deceasedBoolean=True)
    for who in (citizen, acting(world)):
        for path in ("/Patient/{}", "/Patient/{}/_history", "/Patient/{}/$everything", "/Patient/{}/AuditEvent"):
            absent = await world.get(path.format("0" * 32), who)
            answer = await world.get(path.format(identifier), who)
            assert (answer.status_code, answer.text.replace(identifier, "0" * 32)) == (absent.status_code, absent.text)
        assert "entry" not in (await world.get("/Patient", who)).json()
    assert (await world.post("/Consent", citizen, consent(deny()))).status_code == 404
    assert (await world.get(f"/Patient/{identifier}", world.source())).status_code == 200
    assert replay(world.run.database.conninfo).other == []


async def test_z38_who_has_died_acts_for_nobody_and_nobody_is_offered_their_record(world: World) -> None:
    identifier, holder = await stage(world), await write(world, patient(OTHER))
    await say(world, world.citizen(CPR), consent(permit(attorney(OTHER))))
    caller = await world.run.issuer.caller(world.citizen(OTHER)["Authorization"].split()[1])  # type: ignore[union-attr]  # tests have an issuer
    for dead in (identifier, holder):
        assert [h.cpr for h in await held(world.run.door, caller)] == [CPR]
        await tell(world, dead, deceasedDateTime=YESTERDAY)
        assert (await world.get(f"/Patient/{identifier}", acting(world))).status_code == 404
        assert await held(world.run.door, caller) == []
        await tell(world, dead, **NOTHING)
        assert (await world.get(f"/Patient/{identifier}", acting(world))).status_code == 200


@pytest.mark.long
async def test_z29_relations_run_to_their_end_and_those_without_one_thirty_days(world: World) -> None:
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, NOW))
    await write(world, encounter(UNIT, NOW - DAY, None))
    await write(world, TASK)
    await state(world, doctor(SIBLING), rules=Rules(days=30))
    units = (DEPARTMENT, UNIT, MUNICIPALITY, SIBLING)
    await say(world, world.citizen(CPR), consent(deny(unit(DEPARTMENT))))
    await tell(world, identifier, deceasedDateTime=str((NOW - 10 * DAY).date()))
    assert [await sees(world, identifier, unit) for unit in units] == [False, True, True, False], "stated after it"
    await tell(world, identifier, deceasedDateTime=str((NOW + DAY / 2).isoformat()))
    world.clock.forward(days=1)
    assert [await sees(world, identifier, unit) for unit in units] == [False, True, True, True], "a block stays"
    for who in (doctor("99900016099"), doctor(DEPARTMENT)):
        with pytest.raises(NotFound):
            await state_relation(world.run.door, who, Rules(), (CPR_SYSTEM, CPR), "here", REASON)
    world.clock.forward(days=29, hours=11)
    assert [await sees(world, identifier, unit) for unit in units] == [False, True, True, False]
    world.clock.forward(hours=1)
    assert [await sees(world, identifier, unit) for unit in units] == [False] * 4, "what has no end is over"
    await smash(world, world.professional(SIBLING), asked())
    assert [await sees(world, identifier, unit) for unit in units] == [False, False, False, True], "broken glass"
    world.clock.forward(hours=1)
    await tell(world, identifier, **NOTHING)
    assert [await sees(world, identifier, unit) for unit in units] == [False, True, True, False]
    assert replay(world.run.database.conninfo).other == []


async def test_z30_a_death_that_is_hidden_from_somebody_changes_nothing_for_them(world: World) -> None:
    """O1: a Patient that is blocked, for staff only, or of a record that was never merged, says nothing."""
    identifier = await stage(world)
    await write(world, TASK)
    lab = world.source("lab")
    created = await world.post("/Patient", lab, patient() | {"meta": {"source": "urn:lab"}})
    other = str(created.json()["id"])
    long_ago = str((NOW - 90 * DAY).date())
    await tell(world, other, lab, deceasedDateTime=long_ago)
    assert not await sees(world, identifier, MUNICIPALITY)
    rows = await world.run.database.fetch("select source from resource where id = %(id)s", {"id": other})
    place = await world.run.door.locate("Patient", other)
    await world.run.database.run(
        "insert into deny (pid, did, org, source, sub_units, excepting)"
        " values (%(pid)s, 1, %(org)s, %(source)s, true, false)",
        {"pid": place.pid, "org": MUNICIPALITY, "source": rows[0].source},
    )
    assert await sees(world, identifier, MUNICIPALITY)
    assert (await world.get(f"/Patient/{identifier}", world.citizen(CPR))).status_code == 404
    await world.run.database.run("update resource set labels = '{staff}' where id = %(id)s", {"id": other})
    assert (await world.get(f"/Patient/{identifier}", world.citizen(CPR))).status_code == 200
    twin = await write(world, patient(TWIN))
    await tell(world, twin, deceasedBoolean=True)
    assert (await world.get(f"/Patient/{identifier}", world.citizen(CPR))).status_code == 200
    assert await sees(world, identifier, MUNICIPALITY)
    await tell(world, twin, deceasedBoolean=None, deceasedDateTime=long_ago)
    await tell(world, other, lab, deceasedDateTime=None)
    await merge(world, identifier, twin)
    assert (await world.get(f"/Patient/{identifier}", world.citizen(CPR))).status_code == 404
    assert not await sees(world, identifier, MUNICIPALITY)
    assert replay(world.run.database.conninfo).other == []


@pytest.mark.long
async def test_z36_a_page_of_who_has_died_is_called_and_their_session_opens_nothing_more(world: World) -> None:
    identifier = await stage(world)
    tab = await sign_in(world, {"kind": "citizen", "sub": CPR, "name": "Borger"})
    page = await tab.get()
    assert "251248-9996" in page.text
    with watching(world, page, await session_of(world, tab)) as watched:
        assert not await called(world, watched)
        await tell(world, identifier, deceasedDateTime=(NOW + DAY).isoformat())
        assert not await called(world, watched)
        world.clock.forward(days=1)
        assert await called(world, watched), "due by the clock, within the minute"
    assert "Test" not in (await tab.get()).text
