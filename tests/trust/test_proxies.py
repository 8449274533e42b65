"""Z38: who acts for a citizen sees what they were given, as long as they were given it, and the log names both."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.identifiers import cpr_birth_date
from overblik.trust.consent.mandates import held
from tests.conftest import NOW
from tests.trust.consents import attorney, consent, deny, during, of_type, permit
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, about, encounter, patient, stage, write
from tests.trust.test_consent import say, take_back
from tests.trust.test_merged_records import TWIN, merge

if TYPE_CHECKING:
    from tests.conftest import World

THIRD = "1010489993"
TOMORROW, YESTERDAY = (NOW + DAY).isoformat(), (NOW - DAY).isoformat()


def acting(world: World, holder: str = OTHER, whom: str = CPR) -> dict[str, str]:
    return world.token(kind="proxy", sub=holder, name="Fuldmægtig", on_behalf=whom)


async def staged(world: World) -> dict[str, str]:
    names = {"Patient": await stage(world), "Encounter": await write(world, encounter(DEPARTMENT, NOW - DAY, None))}
    body = {"status": "final", "code": {"coding": [{"code": "X"}]}, "subject": about()}
    names["Observation"] = await write(world, {"resourceType": "Observation", **body})
    return names


async def seen(world: World, names: dict[str, str], who: dict[str, str]) -> set[str]:
    """Return the types seen by reading, searching and $everything, which must be the same."""
    read = {kind for kind, name in names.items() if (await world.get(f"/{kind}/{name}", who)).status_code == 200}
    found = set()
    for kind, name in names.items():
        for path in (f"/{kind}?patient={names['Patient']}", f"/{kind}"):
            page = (await world.get(path, who)).json()
            there = name in {e["resource"]["id"] for e in page.get("entry", ())}
            assert there is (kind in read), (path, kind)
    whole = (await world.get(f"/Patient/{names['Patient']}/$everything", who)).json()
    found = {e["resource"]["resourceType"] for e in whole.get("entry", ())} & set(names)
    assert found == read
    return read


ALL = {"Patient", "Encounter", "Observation"}
GIVEN: list[tuple[str, dict[str, Any], set[str]]] = [
    ("the whole record", permit(attorney(OTHER)), ALL),
    ("a type", permit(attorney(OTHER), of_type("Observation")), {"Patient", "Observation"}),
    ("another type", permit(attorney(OTHER), of_type("CarePlan")), {"Patient"}),
    ("two people", permit(attorney(THIRD), attorney(OTHER)), ALL),
    ("somebody else", permit(attorney(THIRD)), set()),
    ("from tomorrow", permit(attorney(OTHER), during(TOMORROW)), set()),
    ("until yesterday", permit(attorney(OTHER), during(end=YESTERDAY)), set()),
    ("until tomorrow", permit(attorney(OTHER), during(end=TOMORROW)), ALL),
]


async def test_z38_a_proxy_sees_the_granted_slice_until_it_is_taken_back(world: World) -> None:
    names = await staged(world)
    citizen, proxy = world.citizen(CPR), acting(world)
    assert await seen(world, names, proxy) == set()
    for what, provision, kinds in GIVEN:
        said = await say(world, citizen, consent(provision))
        assert await seen(world, names, proxy) == kinds, what
        await take_back(world, citizen, said)
        assert await seen(world, names, proxy) == set(), what


async def test_z38_a_mandate_begins_and_ends_by_time(world: World) -> None:
    names = await staged(world)
    hour = during((NOW + DAY).isoformat(), (NOW + DAY + DAY / 24).isoformat())
    await say(world, world.citizen(CPR), consent(permit(attorney(OTHER), hour)))
    for seconds, kinds in ((24 * 60 * 60 - 1, set()), (1, ALL), (60 * 60, ALL), (1, set())):
        world.clock.forward(seconds=seconds)
        assert await seen(world, names, acting(world)) == kinds, seconds


async def test_z38_a_block_hides_nothing_from_a_proxy_and_a_merged_record_is_one(world: World) -> None:
    names = await staged(world)
    twin = await write(world, patient(TWIN))
    citizen = world.citizen(CPR)
    await say(world, citizen, consent(permit(attorney(OTHER))))
    await say(world, citizen, consent(deny()))
    assert await seen(world, names, acting(world)) == ALL
    assert (await world.get(f"/Patient/{twin}", acting(world))).status_code == 404
    await merge(world, names["Patient"], twin)
    assert (await world.get(f"/Patient/{twin}", acting(world))).status_code == 200


async def test_z38_a_proxy_gives_nothing_on_and_blocks_nothing(world: World) -> None:
    names = await staged(world)
    await say(world, world.citizen(CPR), consent(permit(attorney(OTHER))))
    for provision in (permit(attorney(THIRD)), deny()):
        answer = await world.post("/Consent", acting(world), consent(provision))
        assert answer.status_code == 403
    chain = acting(world, THIRD)  # who holds a mandate of the proxy's own holds none of the citizen's
    await write(world, patient(OTHER))
    await say(world, world.citizen(OTHER), consent(permit(attorney(THIRD)), OTHER))
    assert await seen(world, names, chain) == set()
    assert (await world.get(f"/Patient/{names['Patient']}", world.citizen(OTHER))).status_code == 404


@pytest.mark.parametrize("limited", [True, False])
async def test_z38_the_log_is_read_by_who_has_the_whole_record_and_names_both(world: World, limited: bool) -> None:
    names = await staged(world)
    parts = [attorney(OTHER), of_type("Observation")] if limited else [attorney(OTHER)]
    await say(world, world.citizen(CPR), consent(permit(*parts)))
    assert (await world.get(f"/Observation/{names['Observation']}", acting(world))).status_code == 200
    caller = await world.run.issuer.caller(acting(world)["Authorization"].split()[1])  # type: ignore[union-attr]  # tests have an issuer
    rows = await world.run.door.log(caller, names["Patient"], 50)
    assert bool(rows) is not limited
    own = await world.run.issuer.caller(world.citizen(CPR)["Authorization"].split()[1])  # type: ignore[union-attr]  # tests have an issuer
    told = await world.run.door.log(own, names["Patient"], 50)
    looks = [(r.actor, r.on_behalf, r.purpose, r.rule) for r in told if r.actor_kind == "proxy" and r.action == "read"]
    assert looks == [(OTHER, CPR, "FAMRQT", "attorney")]
    await world.run.drain()
    await world.run.heads.sign()
    assert (await world.get(f"/Patient/{names['Patient']}/$log", acting(world))).status_code == (
        404 if limited else 200
    )


async def test_z38_a_refused_proxy_is_in_the_log_and_told_nothing(world: World) -> None:
    names = await staged(world)
    answers = [(await world.get(f"/Patient/{one}", acting(world))).content for one in (names["Patient"], "0" * 32)]
    assert answers[0] == answers[1]
    rows = await world.run.database.fetch("select outcome, on_behalf from access_log where actor_kind = 'proxy'")
    assert [(r.outcome, r.on_behalf) for r in rows] == [("refuse", CPR)] * 2


def related(holder: str, child: str, system: str, code: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "RelatedPerson",
        "patient": about(child),
        "identifier": [{"system": "urn:oid:1.2.208.176.1.2", "value": holder}],
        "relationship": [{"coding": [{"system": system, "code": code}]}],
        **more,
    }


CUSTODY = ("urn:overblik:relation", "custody")
GUARDIAN = ("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "GUARD")
CHILD = "2411114999"
"""Born on 24 November 2011: fifteen at midnight, fifteen hours after the tests' clock begins."""


async def opens(world: World, identifier: str, holder: str, whom: str) -> bool:
    return (await world.get(f"/Patient/{identifier}", acting(world, holder, whom))).status_code == 200


async def test_z39_custody_ends_the_second_the_child_is_fifteen_in_copenhagen(world: World) -> None:
    child = await write(world, patient(CHILD))
    for holder in (OTHER, THIRD):
        said = await world.post("/RelatedPerson", world.system(), related(holder, CHILD, *CUSTODY))
        assert said.status_code == 201, said.text
    assert await opens(world, child, OTHER, CHILD)
    world.clock.set(datetime(2026, 11, 23, 22, 59, 59, tzinfo=UTC))
    assert await opens(world, child, OTHER, CHILD)
    world.clock.forward(seconds=1)
    assert not await opens(world, child, OTHER, CHILD)
    assert not await opens(world, child, THIRD, CHILD)


@pytest.mark.parametrize(
    "change", [{"active": False}, {"period": {"end": "2026-11-22"}}, {"relationship": [{"text": "Far"}]}, None]
)
async def test_z39_one_parent_loses_custody_and_the_other_keeps_it(world: World, change: dict[str, Any] | None) -> None:
    child = await write(world, patient(CHILD))
    made = [
        (await world.post("/RelatedPerson", world.system(), related(holder, CHILD, *CUSTODY))).json()
        for holder in (OTHER, THIRD)
    ]
    path = f"/RelatedPerson/{made[0]['id']}"
    if change is None:
        assert (await world.http.delete(f"/fhir{path}", headers=world.system())).status_code in {200, 204}
    else:
        assert (await world.put(path, world.system(), made[0] | change)).status_code == 200
    assert not await opens(world, child, OTHER, CHILD)
    assert await opens(world, child, THIRD, CHILD)
    logged = await world.run.database.fetch("select action from access_log where query like 'RelatedPerson%'")
    assert len(logged) == 3


async def test_z39_a_guardian_acts_as_long_as_the_authority_says_and_no_source_says_so(world: World) -> None:
    identifier = await stage(world)
    for relation in (CUSTODY, GUARDIAN):
        await world.post("/RelatedPerson", world.source(), related(OTHER, CPR, *relation))
        assert not await opens(world, identifier, OTHER, CPR), "a source's word opens nothing"
    await world.post("/RelatedPerson", world.system(), related(OTHER, CPR, *CUSTODY))
    assert not await opens(world, identifier, OTHER, CPR), "nobody has custody of a grown-up"
    until: dict[str, Any] = {"period": {"end": (NOW + DAY).isoformat()}}
    await world.post("/RelatedPerson", world.system(), related(OTHER, CPR, *GUARDIAN, **until))
    assert await opens(world, identifier, OTHER, CPR)
    world.clock.forward(days=1, seconds=1)
    assert not await opens(world, identifier, OTHER, CPR)
    nobody = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}]}
    unknown = await world.post("/Patient", world.source(), nobody)
    body = related(OTHER, CPR, *CUSTODY) | {"patient": {"reference": f"Patient/{unknown.json()['id']}"}}
    assert (await world.post("/RelatedPerson", world.system(), body)).status_code == 201
    rows = await world.run.database.fetch("select 1 from mandate where valid_until > now() and kind = 'custody'")
    assert rows == [], "whose age is not known has no custody to give"


NUMBERS = "2411114999 0101010101 2902001234 3102991234 0101361234 0101364999 0101374999 x 0105576000 0105586000"


@pytest.mark.parametrize("value", NUMBERS.split())
async def test_birth_dates_are_read_alike_here_and_in_the_database(world: World, value: str) -> None:
    rows = await world.run.database.fetch("select cpr_birth_date(%(value)s) as born", {"value": value})
    assert rows[0].born == cpr_birth_date(value)


async def test_z38_who_acts_for_a_citizen_is_not_told_of_blocks_and_other_proxies(world: World) -> None:
    """Nobody but the citizen reads what they have said: not who else may act, nor that a mandate is to be ended."""
    names = await staged(world)
    citizen = world.citizen(CPR)
    said = [
        await say(world, citizen, consent(one)) for one in (permit(attorney(OTHER)), permit(attorney(THIRD)), deny())
    ]
    for path in (
        "/Consent",
        f"/Patient/{names['Patient']}/$everything?_type=Consent",
        f"/Consent?patient={names['Patient']}",
    ):
        assert "entry" not in (await world.get(path, acting(world))).json(), path
    for identifier in said:
        assert (await world.get(f"/Consent/{identifier}", acting(world))).status_code == 404
        assert (await world.get(f"/Consent/{identifier}/_history/1", acting(world))).status_code == 404
    assert len((await world.get("/Consent", citizen)).json()["entry"]) == len(said)


async def test_nobody_fills_the_list_of_whom_one_may_act_for(world: World) -> None:
    """Who gives somebody a hundred powers of attorney does not hide the one that was asked for."""
    await staged(world)
    first, second = sorted((CPR, THIRD))
    await write(world, patient(THIRD))
    await say(world, world.citizen(first), consent(permit(*[attorney(OTHER)] * 60), first))
    await say(world, world.citizen(second), consent(permit(attorney(OTHER)), second))
    holder = await world.run.issuer.caller(world.citizen(OTHER)["Authorization"].split()[1])  # type: ignore[union-attr]  # tests have an issuer
    assert {one.cpr for one in await held(world.run.door, holder)} == {first, second}
