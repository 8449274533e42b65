"""Blocks as Consents: by the citizen and on the citizen's word, in force on the next request, ended by the next."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from overblik.demo.cast import INGER, NURSE
from tests.conftest import NOW
from tests.trust.consents import (
    attorney,
    coded,
    consent,
    deny,
    during,
    entry,
    nested,
    of_time,
    of_type,
    permit,
    person,
    source,
    unit,
    verified,
)
from tests.trust.stage import (
    CPR,
    DAY,
    DEPARTMENT,
    HOSPITAL,
    OTHER,
    SIBLING,
    about,
    encounter,
    organisation,
    patient,
    stage,
    write,
)
from tests.web.browse import told

if TYPE_CHECKING:
    from tests.conftest import World


async def staged(world: World) -> dict[str, str]:
    """Write one patient with a contact, two observations and a condition; return their ids."""
    names = {"patient": await stage(world), "contact": await write(world, encounter(DEPARTMENT, NOW - DAY, None))}
    about_them = {"status": "final", "code": {"coding": [{"code": "X"}]}, "subject": about()}
    lately = {"effectiveDateTime": (NOW - 2 * DAY).isoformat()}
    names["new"] = await write(world, {"resourceType": "Observation", **about_them, **lately})
    names["old"] = await write(world, {"resourceType": "Observation", **about_them, "effectiveDateTime": "2020-05-05"})
    return names


async def seen(world: World, names: dict[str, str], who: dict[str, str]) -> set[str]:
    """Return what a caller sees by reading and by searching, which must be the same."""
    kinds = {"patient": "Patient", "contact": "Encounter", "new": "Observation", "old": "Observation"}
    read = {n for n, kind in kinds.items() if (await world.get(f"/{kind}/{names[n]}", who)).status_code == 200}
    found: set[str] = set()
    for kind in sorted(set(kinds.values())):
        page = (await world.get(f"/{kind}?patient={names['patient']}", who)).json()
        listed = {e["resource"]["id"] for e in page.get("entry", ())}
        found |= {n for n in kinds if kinds[n] == kind and names[n] in listed}
    assert read == found
    return read


async def say(world: World, who: dict[str, str], body: dict[str, Any]) -> str:
    created = await world.post("/Consent", who, body)
    assert created.status_code == 201, created.text
    return str(created.json()["id"])


async def take_back(world: World, who: dict[str, str], identifier: str) -> None:
    body = (await world.get(f"/Consent/{identifier}", who)).json()
    ended = await world.put(f"/Consent/{identifier}", who, body | {"status": "inactive"})
    assert ended.status_code == 200, ended.text


ALL = {"patient", "contact", "new", "old"}
TOMORROW, YESTERDAY = (NOW + DAY).isoformat(), (NOW - DAY).isoformat()


async def test_z30_z36_a_block_is_in_force_on_the_next_request_and_gone_on_the_next(world: World) -> None:
    """By person, unit, unit with sub-units, period, source, type, entry, time; each set, seen, taken back, seen."""
    names = await staged(world)
    citizen, nurse = world.citizen(CPR), world.professional(DEPARTMENT)
    rows: list[tuple[str, dict[str, Any], set[str]]] = [
        ("everything", deny(), set()),
        ("the person", deny(person("TEST1")), set()),
        ("another person", deny(person("TEST2")), ALL),
        ("the unit", deny(unit(DEPARTMENT)), set()),
        ("the hospital with sub-units", deny(unit(HOSPITAL)), set()),
        ("the hospital alone", deny(unit(HOSPITAL, sub_units=False)), ALL),
        ("the unit beside", deny(unit(SIBLING)), ALL),
        ("a type", deny(of_type("Observation")), ALL - {"new", "old"}),
        ("data of a period", deny(of_time("2020-05-01", "2020-05-31")), ALL - {"old"}),
        ("data of the day after", deny(of_time("2020-05-06", "2020-05-31")), ALL),
        ("another source", deny(source(HOSPITAL)), ALL),
        ("an entry", deny(entry(f"Observation/{names['new']}")), ALL - {"new"}),
        ("the evidence", deny(entry(f"Encounter/{names['contact']}")), set()),
        ("from tomorrow", deny(during(TOMORROW)), ALL),
        ("until yesterday", deny(during(end=YESTERDAY)), ALL),
        ("all but a type", deny(nested(permit(of_type("Encounter")))), {"patient", "contact"}),
        ("all but the data of a day", deny(nested(permit(of_time("2020-05-05", "2020-05-05")))), set()),  # no evidence
        ("a type but for one entry", deny(of_type("Observation"), nested(permit(entry(f"Observation/{names['old']}")))),
         ALL - {"new"}),
        ("a type but for this person", deny(of_type("Observation"), nested(permit(person("TEST1")))), ALL),
    ]  # fmt: skip
    assert await seen(world, names, nurse) == ALL
    for what, provision, left in rows:
        said = await say(world, citizen, consent(provision))
        assert await seen(world, names, nurse) == left, what
        assert await seen(world, names, citizen) == ALL, what
        await take_back(world, citizen, said)
        assert await seen(world, names, nurse) == ALL, what


async def test_z35_two_that_contradict_each_other_block(world: World) -> None:
    names = await staged(world)
    citizen, nurse = world.citizen(CPR), world.professional(DEPARTMENT)
    await say(world, citizen, consent(deny(of_type("Observation"))))
    await say(
        world, citizen, consent(deny(nested(permit(of_type("Observation", "Encounter"))), of_type("Observation")))
    )
    assert await seen(world, names, nurse) == ALL - {"new", "old"}


async def test_a_block_begins_and_ends_by_time(world: World) -> None:
    """With the first instant, and before its end: of data too, which a block that ends as they begin leaves alone."""
    names = await staged(world)
    nurse = world.professional(DEPARTMENT)
    new, second = NOW - 2 * DAY, timedelta(seconds=1)
    for beside in (of_time((new - DAY).isoformat(), (new - second).isoformat()), of_time((new + second).isoformat())):
        await say(world, world.citizen(CPR), consent(deny(of_type("Observation"), beside)))
    await say(world, world.citizen(CPR), consent(deny(of_type("Observation"), during(TOMORROW, TOMORROW))))
    at = {}
    for seconds in (0, 24 * 60 * 60 - 1, 1, 1, 60):
        world.clock.forward(seconds=seconds)
        at[world.clock.now() - NOW] = await seen(world, names, nurse) == ALL
    assert list(at.values()) == [True, True, False, True, True]


async def test_blocks_are_told_to_nobody_but_the_citizen(world: World) -> None:
    """EHDS art. 8(3), S16: a professional meets no Consent, no count of it and no trace in what is left."""
    names = await staged(world)
    citizen, nurse = world.citizen(CPR), world.professional(DEPARTMENT)
    paths = (
        "/Consent", f"/Consent?patient={names['patient']}", f"/Patient/{names['patient']}/$everything",
        f"/Consent?patient={names['patient']}&_summary=count", f"/Patient/{names['patient']}/Consent",
        f"/Patient?_id={names['patient']}&_revinclude=Consent:patient", f"/Patient/{names['patient']}/$overview",
    )  # fmt: skip
    await world.get(paths[-1], nurse)  # what an overview calls new depends on the look before
    before = [(await world.get(path, nurse)).content for path in paths]
    said = await say(world, citizen, consent(deny(unit(SIBLING)), patient={"reference": f"Patient/{names['patient']}"}))
    assert [(await world.get(path, nurse)).content for path in paths] == before
    for path in (f"/Consent/{said}", f"/Consent/{said}/_history", f"/Consent/{said}/_history/1"):
        assert (await world.get(path, nurse)).status_code == 404
        assert (await world.get(path, world.source())).status_code == 404
        assert (await world.get(path, citizen)).status_code == 200
    assert (await world.get(f"/Consent?patient={names['patient']}", citizen)).json()["entry"]


async def test_a_citizen_speaks_for_the_own_record_only(world: World) -> None:
    names = await staged(world)
    other = await write(world, patient(OTHER))
    mine = {"reference": f"Patient/{names['patient']}"}
    answers = []
    for target in (
        {"reference": f"Patient/{other}"},
        {"reference": "Patient/" + "0" * 32},
        about(OTHER),
        about("0905489971"),
    ):
        answer = await world.post("/Consent", world.citizen(CPR), consent(deny(), patient=target))
        answers.append((answer.status_code, answer.content))
    assert set(answers) == {(404, answers[0][1])}
    said = await say(world, world.citizen(CPR), consent(deny(unit(DEPARTMENT)), patient=mine))
    body = (await world.get(f"/Consent/{said}", world.citizen(CPR))).json() | {"status": "inactive"}
    for who in (world.citizen(OTHER), world.professional(DEPARTMENT), world.source()):
        assert (await world.put(f"/Consent/{said}", who, body)).status_code in {404, 422}
    assert await seen(world, names, world.professional(DEPARTMENT)) == set()


@pytest.mark.parametrize("path", ["create", "transaction", "update"])
async def test_no_system_says_who_may_look(world: World, path: str) -> None:
    names = await staged(world)
    body = consent(deny())
    if path == "create":
        answer = await world.post("/Consent", world.source(), body)
    elif path == "update":
        answer = await world.put("/Consent/gateway.1", world.source(), body | {"id": "gateway.1"})
    else:
        entry = {"resource": body, "request": {"method": "POST", "url": "Consent"}}
        answer = await world.post(
            "", world.source(), {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        )
    assert answer.status_code == 422
    assert "consent-whose-word" in answer.text
    assert await seen(world, names, world.professional(DEPARTMENT)) == ALL
    other = body | {"scope": coded("consentscope", "treatment")}
    assert (await world.post("/Consent", world.source(), other)).status_code == 201
    assert await seen(world, names, world.professional(DEPARTMENT)) == ALL


async def test_staff_enter_what_the_citizen_said_and_whose_word_it_was(world: World) -> None:
    names = await staged(world)
    nurse, colleague = world.professional(DEPARTMENT), world.professional(DEPARTMENT, "TEST2")
    bare = await world.post("/Consent", nurse, consent(deny(unit(SIBLING))))
    assert (bare.status_code, "consent-word-missing" in bare.text) == (422, True)
    stranger = await world.post("/Consent", world.professional(SIBLING), consent(deny(unit(SIBLING)), **verified()))
    assert stranger.status_code == 404
    said = await say(world, nurse, consent(deny(unit(SIBLING)), **verified()))
    stored = (await world.get(f"/Consent/{said}", world.citizen(CPR))).json()
    who = stored["extension"][0]["valueReference"]
    assert who["identifier"]["value"] == "TEST1"
    assert who["display"] == f"Test Person, læge, Enhed {DEPARTMENT}"
    assert stored["verification"][0]["verifiedWith"]["display"] == "Borgeren selv, i telefonen"
    mandate = await world.post("/Consent", nurse, consent(permit(attorney(OTHER)), **verified()))
    assert mandate.status_code == 403
    ended = stored | {"status": "inactive"}
    assert (await world.put(f"/Consent/{said}", colleague, ended)).status_code == 404
    assert (await world.put(f"/Consent/{said}", nurse, ended)).status_code == 200
    assert names


async def test_a_refused_consent_says_where_and_leaves_nothing(world: World) -> None:
    names = await staged(world)
    answer = await world.post("/Consent", world.citizen(CPR), consent(deny({"purpose": [{"code": "TREAT"}]})))
    issue = answer.json()["issue"][0]
    assert answer.status_code == 422
    assert (issue["details"]["coding"][0]["code"], issue["expression"]) == (
        "consent-not-evaluated", ["Consent.provision.purpose"],
    )  # fmt: skip
    hidden = await write(world, patient(OTHER))
    staff = await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    label = "update resource set labels = '{staff}' where id = %(id)s"
    await world.run.database.run(label, {"id": staff})
    absent_ones = (
        f"Observation/{hidden}",
        "Observation/" + "0" * 32,
        f"Encounter/{staff}",
        "Encounter/" + names["new"],
    )
    for reference in absent_ones:
        absent = await world.post("/Consent", world.citizen(CPR), consent(deny(entry(reference))))
        assert (absent.status_code, "consent-entry-unknown" in absent.text) == (422, True)
        assert "Consent.provision.data[0].reference" in absent.text
    assert await world.run.database.fetch("select 1 from deny") == []
    assert await seen(world, names, world.professional(DEPARTMENT)) == ALL


async def test_a_change_names_the_version_it_replaces_and_is_in_the_log(world: World) -> None:
    await staged(world)
    citizen = world.citizen(CPR)
    said = await say(world, citizen, consent(deny(unit(SIBLING))))
    body = (await world.get(f"/Consent/{said}", citizen)).json()
    unversioned = {k: v for k, v in body.items() if k != "meta"}
    assert (await world.put(f"/Consent/{said}", citizen, unversioned)).status_code == 400
    assert (await world.put(f"/Consent/{said}", citizen, body, **{"If-Match": 'W/"2"'})).status_code == 412
    changed = await world.put(f"/Consent/{said}", citizen, body | {"provision": deny(unit(DEPARTMENT))})
    assert changed.status_code == 200
    rows = await world.run.database.fetch("select org from deny")
    assert [row.org for row in rows] == [DEPARTMENT]
    await take_back(world, citizen, said)
    logged = await world.run.database.fetch(
        "select action, rule, outcome from access_log where action in ('block', 'unblock') order by at, lid"
    )
    assert sorted((r.action, r.rule, r.outcome) for r in logged) == [
        ("block", "self", "permit"), ("block", "self", "permit"), ("unblock", "self", "permit"),
    ]  # fmt: skip


@pytest.mark.parametrize("by", ["type", "entry"])
async def test_z27_what_brought_a_blocked_entry_is_blocked_with_it(world: World, by: str) -> None:
    """The bytes, document and Provenance of a message, also of one that comes after the block."""
    await told(world)
    citizen, nurse = world.citizen(INGER.cpr), world.professional(NURSE.unit.sor, NURSE.id)
    plans = (await world.get("/CarePlan", citizen)).json()["entry"]
    plan = f"CarePlan/{plans[0]['resource']['id']}"
    provision = deny(of_type("CarePlan")) if by == "type" else deny(entry(plan))

    async def carriers(who: dict[str, str]) -> dict[str, int]:
        found = {}
        for kind in ("Binary", "DocumentReference", "Provenance", "CarePlan"):
            patient_id = await world.patient_id(INGER.cpr, who)
            page = (await world.get(f"/Patient/{patient_id}/$everything?_type={kind}&_count=200", who)).json()
            found[kind] = sum(e["search"]["mode"] == "match" for e in page.get("entry", ())) if "entry" in page else 0
        return found

    whole, before = await carriers(citizen), await carriers(nurse)
    await say(world, citizen, consent(provision, INGER.cpr))
    after = await carriers(nurse)
    assert await carriers(citizen) == whole
    assert all(after[kind] < before[kind] for kind in before), (before, after)
    assert after["Provenance"] > 0, "other messages are still seen"


BY_TIME_AND_SOURCE: list[tuple[str, dict[str, Any]]] = [
    ("the days before the message", deny(of_time("2026-11-14", "2026-11-15"))),
    ("a type in those days", deny(of_type("Condition"), of_time("2026-11-14", "2026-11-15"))),
    ("all but the day of the message", deny(nested(permit(of_time("2026-11-20", "2026-12-31"))))),
    ("another's data of old", deny(source(NURSE.unit.sor), of_time(end="2020-01-01"))),
]


async def test_z27_what_is_blocked_by_time_or_source_is_not_read_in_the_message_it_came_in(world: World) -> None:
    """A message of one day tells of other days: its bytes and its Provenance go with what it brought."""
    await told(world)
    citizen = world.citizen(INGER.cpr)
    nurse = world.professional(NURSE.unit.sor, NURSE.id)
    patient_id = await world.patient_id(INGER.cpr, citizen)

    async def whole(who: dict[str, str]) -> dict[str, Any]:
        page = (await world.get(f"/Patient/{patient_id}/$everything?_count=500", who)).json()
        return {f"{e['resource']['resourceType']}/{e['resource']['id']}": e["resource"] for e in page.get("entry", ())}

    own = await whole(citizen)
    named = {
        name: {t["reference"] for t in one["target"]} | {e["what"].get("reference", name) for e in one["entity"]}
        for name, one in own.items()
        if name.startswith("Provenance/")
    }
    for what, provision in BY_TIME_AND_SOURCE:
        said = await say(world, citizen, consent(provision, INGER.cpr))
        left = await whole(nurse)
        hidden = own.keys() - left.keys() - named.keys()
        for provenance, names in named.items():
            brought = {name for name in names & hidden if not name.startswith(("Binary/", "DocumentReference/"))}
            carriers = {provenance} | {name for name in names if name.startswith(("Binary/", "DocumentReference/"))}
            assert not (brought and carriers & left.keys()), (what, brought, carriers & left.keys())
        await take_back(world, citizen, said)
    assert named
    assert (await whole(nurse)).keys() > named.keys()


async def test_a_block_finds_whom_it_names_however_they_are_written_or_signed_in(world: World) -> None:
    """An authorisation id in small letters or with a blank, and a clinic by its ydernummer, are the same ones."""
    names = await staged(world)
    citizen, yder = world.citizen(CPR), {"system": "urn:oid:1.2.208.176.1.4", "value": "123456"}
    clinic = organisation("99900001600977")
    await world.post("/Organization", world.system(), clinic | {"identifier": [*clinic["identifier"], yder]})
    await world.run.directory.refresh(force=True)
    await write(world, encounter("99900001600977", NOW - DAY, None))
    for provision, who in (
        (deny(person("test1")), world.professional(DEPARTMENT, "TEST1")),
        (deny(person(" TEST1 ")), world.professional(DEPARTMENT, "TEST1")),
        (deny(person("TEST1")), world.professional(DEPARTMENT, "test1 ")),
        (deny(unit("99900001600977", sub_units=False)), world.professional("yder:123456")),
    ):
        assert await seen(world, names, who) == ALL
        said = await say(world, citizen, consent(provision))
        assert await seen(world, names, who) == set(), provision
        await take_back(world, citizen, said)


async def test_z36_a_token_of_before_opens_nothing_that_was_blocked_since(world: World) -> None:
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    token = world.professional(DEPARTMENT)
    assert (await world.get(f"/Patient/{identifier}", token)).status_code == 200
    assert (await world.post("/Consent", world.citizen(CPR), consent(deny(unit(DEPARTMENT))))).status_code == 201
    assert (await world.get(f"/Patient/{identifier}", token)).status_code == 404
