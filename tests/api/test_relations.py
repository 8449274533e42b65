"""$relations, $state-relation, $follow-ups, $follow-up: the page of relations by API, decided by the same code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conftest import NOW
from tests.trust.consents import CPR_SYSTEM, consent, deny, unit
from tests.trust.stage import CPR, DAY, DEPARTMENT, HOSPITAL, OTHER, SIBLING, encounter, patient, stage, write
from tests.trust.stage import deny as deny_row
from tests.trust.test_break_glass import asked, smash
from tests.trust.test_consent import say

if TYPE_CHECKING:
    from tests.conftest import World

REASON = "Henvist telefonisk fra egen læge"
ABSENT = "0905489971"


def said(**values: Any) -> dict[str, Any]:
    kinds = {"identifier": "valueIdentifier", "basis": "valueCode"}
    parts = [{"name": name, kinds.get(name, "valueString"): value} for name, value in values.items()]
    return {"resourceType": "Parameters", "parameter": parts}


def stating(cpr: str = CPR, **more: Any) -> dict[str, Any]:
    return said(**{"identifier": {"system": CPR_SYSTEM, "value": cpr}, "basis": "referred", "reason": REASON} | more)


def told(parameter: list[dict[str, Any]]) -> dict[str, Any]:
    """Return parts by name, whatever kind of value they have."""
    return {p["name"]: next(v for k, v in p.items() if k != "name") for p in parameter}


async def listed(world: World, what: str, who: dict[str, str]) -> list[dict[str, Any]]:
    answer = await world.get(f"/Patient/{what}", who)
    assert answer.status_code == 200, answer.text
    return [told(p["part"]) for p in answer.json().get("parameter", ())]


async def test_a_relation_is_stated_seen_and_followed_up(world: World) -> None:
    identifier, other = await stage(world), await write(world, patient(OTHER))
    doctor, colleague = world.professional(DEPARTMENT), world.professional(DEPARTMENT, "TEST2")
    assert await listed(world, "$relations", doctor) == []
    opened = await world.post("/Patient/$state-relation", doctor, stating())
    assert told(opened.json()["parameter"]) == {
        "patient": {"reference": f"Patient/{identifier}"}, "until": "2026-11-30T09:00:00.000Z",
    }  # fmt: skip
    await write(world, encounter(HOSPITAL, NOW - DAY, NOW, OTHER))
    await write(world, encounter(DEPARTMENT, NOW - DAY, None, OTHER))
    [first, second] = await listed(world, "$relations", doctor)
    assert first == {
        "patient": {"reference": f"Patient/{identifier}"},
        "why": [{"name": "rule", "valueCode": "stated"}, {"name": "until", "valueInstant": "2026-11-30T09:00:00.000Z"}],
    }
    assert second["patient"] == {"reference": f"Patient/{other}"}
    again = await world.post("/Patient/$state-relation", doctor, stating(OTHER))
    assert told(again.json()["parameter"]) == {"patient": {"reference": f"Patient/{other}"}}, "there is one already"
    world.clock.forward(minutes=1)
    await smash(world, doctor, asked(OTHER))
    [glass, stated] = await listed(world, "$follow-ups", colleague)
    assert (glass["kind"], glass["patient"]) == ("break-glass", {"reference": f"Patient/{other}"})
    assert {"patient", "reason"}.isdisjoint(stated), "whose record it is, who may see it anyway is told"
    assert stated["person"] == {"system": "https://autregweb.sst.dk", "value": "TEST1"}
    note = "Talt igennem på konference"
    for who, case, status in ((doctor, glass["id"], 404), (colleague, stated["id"], 404), (colleague, "x", 404),
                              (colleague, glass["id"], 200), (colleague, glass["id"], 404)):  # fmt: skip
        assert (await world.post("/Patient/$follow-up", who, said(case=case, note=note))).status_code == status
    assert (await listed(world, "$follow-ups", doctor))[0]["note"] == note
    await deny_row(world, other, type="Patient")
    [glass, stated] = await listed(world, "$follow-ups", colleague)
    assert "patient" not in glass, "what is blocked is not named to who may see the rest"
    logged = await world.run.database.fetch("select action, channel from access_log where action like '%%relation%%'")
    assert {(row.action, row.channel) for row in logged} == {("relations", "api"), ("state relation", "api")}


async def test_what_is_blocked_or_absent_is_answered_alike(world: World) -> None:
    await stage(world)
    doctor = world.professional(DEPARTMENT)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    await say(world, world.citizen(CPR), consent(deny(unit(DEPARTMENT))))
    assert await listed(world, "$relations", doctor) == []
    answers = [await world.post("/Patient/$state-relation", doctor, stating(cpr)) for cpr in (CPR, ABSENT)]
    assert [a.status_code for a in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert len(await listed(world, "$relations", world.professional(SIBLING))) == 0


REFUSED = [
    ("$state-relation", stating(reason="kort"), 422, "stated-reason"),
    ("$state-relation", stating(basis="x"), 422, "stated-reason"),
    ("$state-relation", said(reason=REASON), 400, "operation-parameters"),
    ("$state-relation", stating(note=REASON), 400, "operation-parameters"),
    ("$state-relation", stating() | {"resourceType": "Patient"}, 400, "operation-parameters"),
    ("$state-relation", said(identifier=CPR, basis="here", reason=REASON), 400, "operation-parameters"),
    ("$state-relation", {"resourceType": "Parameters", "parameter": ["x"]}, 400, "operation-parameters"),
    ("$state-relation", [], 400, "json-not-an-object"),
    ("$follow-up", said(case="x", note="kort"), 422, "follow-up-note"),
    ("$follow-up", said(case="x"), 400, "operation-parameters"),
]


async def test_bad_input_is_refused_with_what_to_send(world: World) -> None:
    for operation, body, status, code in REFUSED:
        answer = await world.post(f"/Patient/{operation}", world.professional(DEPARTMENT), body)
        issue = answer.json()["issue"][0]
        assert (answer.status_code, issue["details"]["coding"][0]["code"]) == (status, code), body
    assert (await world.get("/Patient/$relations?x=1", world.professional(DEPARTMENT))).status_code == 400


async def test_it_is_for_professionals_and_an_app_sees_what_its_scopes_cover(world: World) -> None:
    await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    claims = {"kind": "professional", "sub": "TEST1", "name": "T", "role": "læge", "org": DEPARTMENT, "app": "Appen"}
    scopes = {"user/*.rs": "Encounter", "user/Patient.rs": "", "user/Encounter.rs": None, "user/Patient.r": None}
    for scope, evidence in scopes.items():
        app = world.token(**claims, scope=scope)
        answer = await world.get("/Patient/$relations", app)
        assert (answer.status_code == 200) is (evidence is not None), scope
        if evidence is not None:
            why = told(told(answer.json()["parameter"][0]["part"])["why"])
            assert (why["rule"], why.get("evidence", ""), "source" in why) == ("contact", evidence, bool(evidence))
        for operation, body in (("$state-relation", stating()), ("$follow-up", said(case="x", note=REASON))):
            assert (await world.post(f"/Patient/{operation}", app, body)).status_code == 403
        assert (await world.get("/Patient/$follow-ups", app)).status_code == 403
    for who in (world.citizen(CPR), world.source(), world.system()):
        for name in ("$relations", "$follow-ups"):
            assert (await world.get(f"/Patient/{name}", who)).status_code == 403
        for operation, body in (("$state-relation", stating()), ("$follow-up", said(case="x", note=REASON))):
            assert (await world.post(f"/Patient/{operation}", who, body)).status_code == 403
