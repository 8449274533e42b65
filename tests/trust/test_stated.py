"""Z29: a relation that a professional states: theirs alone, to be confirmed in time, never prolonged, and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.errors import Forbidden, NotFound, OverblikError
from overblik.trust.callers.identity import Caller
from overblik.trust.callers.scopes import Reach, parse_scopes
from overblik.trust.treatment.stated import Rules, settle, state_relation
from tests.conftest import NOW
from tests.trust.consents import CPR_SYSTEM, consent, deny, unit
from tests.trust.stage import CPR, DAY, DEPARTMENT, HOSPITAL, OTHER, SIBLING, encounter, patient, sees, stage, write

if TYPE_CHECKING:
    from tests.conftest import World

REASON = "Henvist telefonisk fra egen læge"
ABSENT = "0905489971"


def doctor(org: str = DEPARTMENT, **more: Any) -> Caller:
    values: dict[str, Any] = {"id": "TEST1", "name": "Test", "role": "læge", "org": org, "orgs": (org, HOSPITAL)}
    return Caller("professional", **values | more)


async def state(world: World, who: Caller, cpr: str = CPR, reason: str = REASON, rules: Rules | None = None) -> None:
    await state_relation(world.run.door, who, rules or Rules(), (CPR_SYSTEM, cpr), "referred", reason)


async def alerts(world: World) -> list[str]:
    rows = await world.run.database.fetch(
        "select actor_kind, org from access_log where action = 'relation unconfirmed' order by at"
    )
    return [f"{row.actor_kind} {row.org}" for row in rows]


async def status(world: World) -> list[tuple[bool, bool]]:
    rows = await world.run.database.fetch("select confirmed_at, alerted_at from follow_up order by at")
    return [(row.confirmed_at is not None, row.alerted_at is not None) for row in rows]


async def test_z29_it_opens_one_record_to_one_professional_until_the_deadline_and_alerts_once(world: World) -> None:
    identifier, other = await stage(world), await write(world, patient(OTHER))
    assert not await sees(world, identifier, DEPARTMENT)
    await state(world, doctor())
    assert await sees(world, identifier, DEPARTMENT)
    assert not await sees(world, other, DEPARTMENT)
    for who in (world.professional(DEPARTMENT, "TEST2"), world.professional(SIBLING)):
        assert (await world.get(f"/Patient/{identifier}", who)).status_code == 404
    await settle(world.run.door)
    assert await status(world) == [(False, False)]
    world.clock.forward(days=6, hours=23)
    await settle(world.run.door)
    assert await sees(world, identifier, DEPARTMENT)
    assert await alerts(world) == []
    world.clock.forward(hours=1)
    assert not await sees(world, identifier, DEPARTMENT)
    for _ in range(2):
        await settle(world.run.door)
    assert await alerts(world) == [f"system {DEPARTMENT}"]
    logged = await world.run.database.fetch(
        "select action, rule, reason from access_log where actor = 'TEST1' and outcome = 'permit' order by at, action"
    )
    assert ("state relation", "stated", REASON) in [(r.action, r.rule, r.reason) for r in logged]
    assert ("read", "stated", "") in [(r.action, r.rule, r.reason) for r in logged]


EVIDENCE: list[tuple[str, str, bool]] = [
    ("a contact at the unit", DEPARTMENT, True),
    ("a contact of the hospital it is part of", HOSPITAL, True),
    ("a contact at another unit of the hospital", SIBLING, False),
]


@pytest.mark.parametrize(("what", "org", "confirms"), EVIDENCE, ids=[row[0] for row in EVIDENCE])
async def test_z29_evidence_of_the_unit_confirms_it_and_no_other(
    world: World, what: str, org: str, confirms: bool
) -> None:
    await stage(world)
    await state(world, doctor())
    world.clock.forward(days=1)
    await write(world, encounter(org, NOW, None))
    await settle(world.run.door)
    assert await status(world) == [(confirms, False)], what
    world.clock.forward(days=6)
    await settle(world.run.door)
    assert await status(world) == [(confirms, not confirms)]
    assert bool(await alerts(world)) is not confirms


async def test_evidence_that_is_blocked_confirms_nothing(world: World) -> None:
    identifier = await stage(world)
    await state(world, doctor())
    entry = f"Encounter/{await write(world, encounter(DEPARTMENT, NOW, None))}"
    part = {"data": [{"meaning": "instance", "reference": {"reference": entry}}]}
    said = await world.post("/Consent", world.citizen(CPR), consent(deny(unit(DEPARTMENT), part)))
    assert said.status_code == 201
    await settle(world.run.door)
    assert await status(world) == [(False, False)]
    assert await sees(world, identifier, DEPARTMENT)


async def test_a_block_holds_and_is_answered_like_nobody(world: World) -> None:
    """Nothing is kept of it but the refusal, in the citizen's log."""
    identifier = await stage(world)
    await world.post("/Consent", world.citizen(CPR), consent(deny(unit(DEPARTMENT))))
    refusals = []
    for cpr in (CPR, ABSENT):
        with pytest.raises(NotFound) as refused:
            await state(world, doctor(), cpr)
        refusals.append(str(refused.value))
    assert refusals[0] == refusals[1]
    assert not await sees(world, identifier, DEPARTMENT)
    assert await status(world) == []
    assert await world.run.database.fetch("select 1 from relation where kind = 'stated'") == []
    rows = await world.run.database.fetch(
        "select pid > 0 as known, outcome from access_log where action = 'state relation' order by at, pid desc"
    )
    assert [(r.known, r.outcome) for r in rows] == [(True, "refuse"), (False, "refuse")]


async def test_where_there_is_a_relation_nothing_is_stated(world: World) -> None:
    await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    await state(world, doctor())
    assert await status(world) == []


REFUSED: list[tuple[str, Caller, str, Rules, str]] = [
    ("a citizen", Caller("citizen", CPR, "x"), REASON, Rules(), "stated-not-for-you"),
    ("nobody's unit", doctor(org=""), REASON, Rules(), "stated-not-for-you"),
    ("for research", doctor(purpose="HSYSADMIN"), REASON, Rules(), "stated-not-for-you"),
    ("an app", doctor(reach=Reach(parse_scopes("user/*.rs"), ())), REASON, Rules(), "scope-missing"),
    ("a role that may not", doctor(role="sekretær"), REASON, Rules(roles=("læge",)), "stated-not-for-you"),
    ("no reason", doctor(), " " * 20, Rules(), "stated-reason"),
    ("none allowed", doctor(), REASON, Rules(most=0), "stated-many"),
]


@pytest.mark.parametrize(("what", "who", "reason", "rules", "code"), REFUSED, ids=[row[0] for row in REFUSED])
async def test_who_may_not_is_refused_whoever_it_is_about(
    world: World, what: str, who: Caller, reason: str, rules: Rules, code: str
) -> None:
    await stage(world)
    for cpr in (CPR, ABSENT):
        with pytest.raises(OverblikError) as refused:
            await state(world, who, cpr, reason, rules)
        assert refused.value.status in {403, 422, 429}, what
        assert refused.value.issues[0].code == code
    assert await world.run.database.fetch("select 1 from relation where kind = 'stated'") == []


async def test_so_many_may_wait_and_an_alert_counts_until_somebody_has_dealt_with_it(world: World) -> None:
    await stage(world)
    await write(world, patient(OTHER))
    one = Rules(most=1)
    await state(world, doctor(), rules=one)
    with pytest.raises(OverblikError, match="stated-many"):
        await state(world, doctor(), OTHER, rules=one)
    world.clock.forward(days=8)
    await settle(world.run.door)
    with pytest.raises(OverblikError, match="stated-many"):
        await state(world, doctor(), OTHER, rules=one)
    await world.run.database.run("update follow_up set closed_at = at, closed_by = 'TEST2'")
    await state(world, doctor(), OTHER, rules=one)
    with pytest.raises(Forbidden):
        await state(world, doctor(org=""), OTHER)
