"""Z33: one door for every patient, one patient, one professional, an hour, a reason; and the citizen is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from overblik.store.queries import sql
from tests.conftest import NOW
from tests.trust import stage as staging
from tests.trust.consents import CPR_SYSTEM, consent, deny, of_type
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, SIBLING, about, encounter, patient, stage, write
from tests.web.browse import section, sign_in

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World

REASON = "Bevidstløs i modtagelsen, kan ikke spørges"
ABSENT = "0905489971"


def asked(cpr: str = CPR, reason: str | None = REASON) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"name": "identifier", "valueIdentifier": {"system": CPR_SYSTEM, "value": cpr}}]
    parts += [{"name": "reason", "valueString": reason}] if reason is not None else []
    return {"resourceType": "Parameters", "parameter": parts}


async def smash(world: World, who: dict[str, str], body: dict[str, Any]) -> httpx.Response:
    return await world.post("/Patient/$break-glass", who, body)


async def test_it_opens_one_record_to_one_professional_for_an_hour(world: World) -> None:
    identifier, other = await stage(world), await write(world, patient(OTHER))
    stranger, colleague = world.professional(SIBLING), world.professional(SIBLING, "TEST2")
    elsewhere = world.professional(DEPARTMENT)
    answer = (await smash(world, stranger, asked())).json()["parameter"]
    assert answer[0]["valueReference"]["reference"] == f"Patient/{identifier}"
    assert answer[1]["valueInstant"] == "2026-11-23T10:00:00.000Z"
    assert (await world.get(f"/Patient/{identifier}", stranger)).status_code == 200
    for who, path in ((colleague, identifier), (elsewhere, identifier), (stranger, other)):
        assert (await world.get(f"/Patient/{path}", who)).status_code == 404
    world.clock.forward(minutes=59, seconds=59)
    assert (await world.get(f"/Patient/{identifier}", stranger)).status_code == 200
    world.clock.forward(seconds=1)
    assert (await world.get(f"/Patient/{identifier}", stranger)).status_code == 404


async def test_it_sets_blocks_aside_from_its_first_instant_until_before_its_end(world: World) -> None:
    patient_id, nurse = await stage(world), world.professional(DEPARTMENT)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    made = await write(
        world, {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": about()}
    )
    await staging.deny(world, patient_id, type="Observation")
    statuses = []
    for seconds in (0, 0, 60 * 60 - 1, 1):
        world.clock.forward(seconds=seconds)
        statuses.append((await world.get(f"/Observation/{made}", nurse)).status_code)
        if len(statuses) == 1:
            await smash(world, nurse, asked())
    assert statuses == [404, 200, 200, 404]


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], int]] = [
    # what, who, Parameters, status
    ("without a reason", {}, asked(reason=None), 400),
    ("an empty reason", {}, asked(reason=""), 422),
    ("a blank reason", {}, asked(reason=" " * 20), 422),
    ("a reason of no width", {}, asked(reason="\u200b" * 20), 422),
    ("a reason of dots", {}, asked(reason="." * 20), 422),
    ("a reason that is a list", {}, asked() | {"parameter": [asked()["parameter"][0], {"name": "reason",
                                                            "valueString": [REASON]}]}, 400),
    ("texts for parameters", {}, {"resourceType": "Parameters", "parameter": ["x", "y"]}, 400),
    ("no list of parameters", {}, {"resourceType": "Parameters", "parameter": 5}, 400),
    ("a reason of a word", {}, asked(reason="akut"), 422),
    ("a reason without end", {}, asked(reason="x" * 1001), 422),
    ("a list of patients", {}, {"resourceType": "Parameters", "parameter": asked()["parameter"][:1] * 2}, 400),
    ("two patients", {}, asked() | {"parameter": [*asked()["parameter"], asked(OTHER)["parameter"][0]]}, 400),
    ("nothing", {}, {"resourceType": "Parameters"}, 400),
    ("a citizen", {"kind": "citizen", "sub": CPR}, asked(), 403),
    ("a source", {"kind": "source", "sub": "gateway"}, asked(), 403),
    ("the system", {"kind": "system", "sub": "system"}, asked(), 403),
    ("somebody of no unit", {"org": ""}, asked(), 403),
    ("for operations", {"purpose": "HSYSADMIN"}, asked(), 403),
]  # fmt: skip


@pytest.mark.parametrize(("what", "claims", "body", "status"), REFUSED, ids=[row[0] for row in REFUSED])
async def test_z33_what_is_refused_opens_nothing(
    world: World, what: str, claims: dict[str, Any], body: dict[str, Any], status: int
) -> None:
    identifier = await stage(world)
    who = world.token(**{"kind": "professional", "sub": "TEST1", "name": "x", "org": SIBLING, **claims})
    assert (await smash(world, who, body)).status_code == status, what
    assert await world.run.database.fetch("select 1 from relation where kind = 'break-glass'") == []
    assert (await world.get(f"/Patient/{identifier}", world.professional(SIBLING))).status_code == 404


async def test_the_answer_is_one_whether_or_not_anything_is_hidden(world: World) -> None:
    """With a relation and without, blocked and not: the same bytes; and nobody is told what was hidden."""
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    bodies = set()
    for org, blocked in ((DEPARTMENT, False), (SIBLING, False), (DEPARTMENT, True), (SIBLING, True)):
        if blocked:
            said = await world.post("/Consent", world.citizen(CPR), consent(deny(of_type("Encounter"))))
            assert said.status_code == 201
        answer = await smash(world, world.professional(org, f"T{org[-1]}{blocked}"), asked())
        headers = {k: v for k, v in answer.headers.items() if k != "x-request-id"}
        bodies.add((answer.status_code, answer.content, tuple(sorted(headers.items()))))
    assert len(bodies) == 1
    assert identifier.encode() in next(iter(bodies))[1]
    absent = await smash(world, world.professional(SIBLING), asked(ABSENT))
    assert (absent.status_code, ABSENT in absent.text) == (404, False)


async def test_u05_it_is_in_the_log_and_so_is_all_that_was_seen_by_it(world: World) -> None:
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    nurse = world.professional(DEPARTMENT)
    await smash(world, nurse, asked())
    await world.get(f"/Encounter?patient={identifier}", nurse)
    rows = await world.run.database.fetch(
        "select action, rule, purpose, reason from access_log where actor = 'TEST1' order by at, action"
    )
    assert ("break glass", "break-glass", "BTG", REASON) in [(r.action, r.rule, r.purpose, r.reason) for r in rows]
    assert {r.rule for r in rows} == {"break-glass"}, "also where there is a relation: it may show what is blocked"
    world.clock.forward(minutes=60)
    await world.get(f"/Encounter?patient={identifier}", nurse)
    rows = await world.run.database.fetch("select rule from access_log where actor = 'TEST1' order by at desc limit 1")
    assert rows[0].rule == "contact"


async def test_z32_nothing_that_a_client_says_breaks_it(world: World) -> None:
    identifier = await stage(world)
    stranger = world.token(kind="professional", sub="TEST1", name="x", org=SIBLING, purpose="BTG", reason=REASON)
    headers = {"X-Consent-Override": "true", "Purpose-Of-Use": "BTG", "X-Break-Glass": "yes"}
    for path in (f"/Patient/{identifier}", f"/Patient/{identifier}/$overview", f"/Patient?_id={identifier}"):
        answer = await world.get(path, stranger, headers=headers)
        assert identifier not in answer.text.replace(f"_id={identifier}", "")


async def test_u05_nothing_that_comes_after_it_pushes_it_out_of_the_citizens_sight(world: World) -> None:
    """Not two hundred reads by whoever broke it, nor as many of the citizen's own, on the overview and in the log."""
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    citizen = await sign_in(world, {"kind": "citizen", "sub": CPR, "name": "Borger"})
    await smash(world, world.professional(SIBLING), asked())
    nurse = await world.run.issuer.caller(world.professional(DEPARTMENT)["Authorization"].split()[1])  # type: ignore[union-attr]  # tests have an issuer
    own = await world.run.issuer.caller(world.citizen(CPR)["Authorization"].split()[1])  # type: ignore[union-attr]  # tests have an issuer
    place = await world.run.door.locate("Patient", identifier)
    for caller in (nurse, own):
        rows = [
            caller.params(world.clock.forward(seconds=1), "read", "x") | {"pid": place.pid, "rule": "contact"}
            for _ in range(210)
        ]
        async with world.run.database.transaction() as transaction:
            await transaction.run_many(sql("log_disclosure"), rows)
    page = await citizen.get()
    assert REASON in page.text
    assert "Test Person" in section(page, "seen"), "the citizen's own looks hide nobody else's"
    assert REASON in (await citizen.get("/log")).text
    world.clock.forward(days=31)
    assert REASON not in (await citizen.get()).text


PROOFS: list[tuple[str, object, int]] = [
    # what, how many seconds ago the person showed who they are, status
    ("just now", 0, 200),
    ("fourteen minutes ago", 14 * 60, 200),
    ("sixteen minutes ago", 16 * 60, 403),
    ("in no known time", None, 403),
    ("in no time at all", "now", 403),
]


@pytest.mark.parametrize(("what", "ago", "status"), PROOFS, ids=[row[0] for row in PROOFS])
async def test_z33_a_token_too_must_be_of_somebody_who_has_shown_who_they_are(
    world: World, what: str, ago: object, status: int
) -> None:
    await stage(world)
    proved = int(time.time()) - ago if isinstance(ago, int) else ago
    who = world.token(kind="professional", sub="TEST1", name="x", org=SIBLING, auth_time=proved)
    answer = await smash(world, who, asked())
    assert answer.status_code == status, what
    if status == 403:
        assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "proof-needed"
    opened = await world.run.database.fetch("select kind, org, closed_at from follow_up")
    assert [(row.kind, row.org, row.closed_at) for row in opened] == [("break-glass", SIBLING, None)] * (status == 200)
