"""The log as AuditEvents: who reads them, what they say and what they never say (security-cases § 7: U02–U09, U23)."""

from __future__ import annotations

import json
import re
import time
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import overblik
from overblik.fhir.errors import NotFound
from overblik.fhir.structure import check
from overblik.trust.callers.identity import Caller
from overblik.trust.log.events import KINDS, asked
from tests.conftest import NOW
from tests.trust.balp import broken
from tests.trust.consents import attorney, consent, of_type, permit
from tests.trust.stage import CPR, DAY, DEPARTMENT, MUNICIPALITY, OTHER, about, encounter, patient, stage, write
from tests.trust.test_consent import say

if TYPE_CHECKING:
    from tests.conftest import World

BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."


def observation(**more: Any) -> dict[str, Any]:
    body = {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "X"}]}, "subject": about()}
    return body | more


async def staged(world: World) -> dict[str, str]:
    names = {
        "Patient": await stage(world),
        "Encounter": await write(world, encounter(DEPARTMENT, NOW - DAY, None)),
        "Observation": await write(world, observation()),
    }
    world.clock.forward(seconds=1)
    return names


async def events(world: World, query: str = "", who: dict[str, str] | None = None) -> list[dict[str, Any]]:
    answer = await world.get(f"/AuditEvent{query}", who or world.citizen(CPR))
    assert answer.status_code == 200, answer.text
    found = [entry["resource"] for entry in answer.json().get("entry", [])]
    assert [check(event) + broken(event) for event in found] == [[]] * len(found)
    return found


async def last(world: World, query: str = "") -> dict[str, Any]:
    """Return the newest event that is not of reading the log; the next comes later."""
    found = next(e for e in await events(world, query) if len(e["subtype"]) == 1)
    world.clock.forward(seconds=1)
    return found


def of(event: dict[str, Any], part: str, *codes: str) -> list[dict[str, Any]]:
    """Return the agents or entities of a code."""
    return [one for one in event[part] if one["type"].get("code", "") in codes or coded(one["type"]) in codes]


def coded(concept: dict[str, Any]) -> str:
    return str(concept.get("coding", [{}])[0].get("code", "-"))


async def test_o1_the_log_does_not_tell_its_reader_what_is_hidden_from_them(world: World) -> None:
    """What is refused to the reader stands there as little as what is not there; a hidden Patient opens no log."""
    names = await staged(world)
    made = await write(world, observation(meta={"security": [{"code": "x"}]}))
    await write(world, {**patient(), "id": "gateway.hidden"})
    # Of two Patients of one record an event names the first that its reader may see.
    first, second = await world.run.database.fetch("select id from resource where type = 'Patient' order by pid, rid")
    hidden, shown = first.id, second.id
    assert names["Patient"] in {hidden, shown}
    await world.run.database.run(
        "update resource set labels = '{staff}' where id = any(%(ids)s::text[])", {"ids": [made, hidden]}
    )
    citizen = world.citizen(CPR)
    before = await events(world)
    assert {of(event, "entity", "1")[0]["what"]["reference"] for event in before} == {f"Patient/{shown}"}
    for name in (made, "absent"):
        assert (await world.get(f"/Observation/{name}", citizen)).status_code == 404
    assert await events(world, "?outcome=4") == []
    assert len(await events(world)) <= len(before) + 2, "two looks at the log itself"
    for name in (hidden, "absent"):
        assert await events(world, f"?patient={name}") == []
        assert await world.run.door.log(Caller("citizen", CPR, "Borger"), name, 100) == []
        with pytest.raises(NotFound):
            await world.run.door.sealed_log(Caller("citizen", CPR, "Borger"), name, 10**6, 100)
    assert await world.run.door.log(Caller("citizen", CPR, "Borger"), shown, 100)


async def test_an_apps_scopes_of_its_person_reach_the_log_without_a_patient_in_context(world: World) -> None:
    await staged(world)
    app = {"kind": "citizen", "sub": CPR, "name": "Borger", "app": "Appen"}
    everything = await events(world)
    assert everything
    found = await events(world, who=world.token(**app, scope="user/AuditEvent.rs"))
    assert {e["id"] for e in everything} <= {e["id"] for e in found}
    one = f"/AuditEvent/{everything[0]['id']}"
    reading, finding = (world.token(**app, scope=f"user/AuditEvent.{letter}") for letter in "rs")
    assert [(await world.get(one, who)).status_code for who in (reading, finding)] == [200, 403]
    assert [(await world.get("/AuditEvent", who)).status_code for who in (reading, finding)] == [403, 200]


async def test_a_read_is_a_balp_patient_read(world: World) -> None:
    names = await staged(world)
    doctor = world.professional(DEPARTMENT)
    response = await world.get(f"/Observation/{names['Observation']}", doctor)
    event = await last(world)
    assert event["meta"]["profile"] == [f"{BALP}PatientRead"]
    assert (event["type"]["code"], event["subtype"][0]["code"], event["action"]) == ("rest", "read", "R")
    assert (event["outcome"], event["recorded"]) == ("0", "2026-11-23T09:00:01.000Z")
    [user] = of(event, "agent", "IRCP")
    assert (user["name"], user["requestor"], user["role"]) == ("Test Person", True, [{"text": "læge"}])
    assert user["who"]["identifier"] == {"system": "https://autregweb.sst.dk", "value": "TEST1"}
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    assert user["policy"] == ["urn:overblik:rule:contact"]
    assert of(event, "agent", "PROV")[0]["who"]["identifier"]["value"] == DEPARTMENT
    assert [a["requestor"] for a in of(event, "agent", "110152", "110153")] == [False, False]
    assert of(event, "entity", "1")[0]["what"] == {"reference": f"Patient/{names['Patient']}"}
    assert of(event, "entity", "2")[0]["what"] == {"reference": f"Observation/{names['Observation']}/_history/1"}
    assert of(event, "entity", "XrequestId")[0]["what"]["identifier"]["value"] == response.headers["x-request-id"]


async def did(world: World, names: dict[str, str], what: str) -> None:
    """Do one thing that is logged about the citizen."""
    doctor, source, own = world.professional(DEPARTMENT), world.source(), f"/Observation/{names['Observation']}"
    match what:
        case "vread":
            await world.get(f"{own}/_history/1", doctor)
        case "history":
            await world.get(f"{own}/_history", doctor)
        case "search":
            await world.get(f"/Observation?patient={names['Patient']}&code=X", doctor)
        case "create":
            await write(world, observation())
        case "update":
            await world.put(
                own, source, observation(id=names["Observation"], status="amended"), **{"If-Match": 'W/"1"'}
            )
        case "delete":
            await world.http.delete(f"/fhir{own}", headers=source)
        case "$everything" | "$overview":
            await world.get(f"/Patient/{names['Patient']}/{what}", doctor)
        case "refusal":
            await world.get(own, world.professional(MUNICIPALITY))


SAID = [
    ("vread", "R", "vread", "PatientRead", "0"),
    ("history", "R", "history", "", "0"),
    ("search", "E", "search", "PatientQuery", "0"),
    ("create", "C", "create", "PatientCreate", "0"),
    ("update", "U", "update", "PatientUpdate", "0"),
    ("delete", "D", "delete", "PatientDelete", "0"),
    ("$everything", "E", "operation", "", "0"),
    ("$overview", "E", "operation", "", "0"),
    ("refusal", "R", "read", "", "4"),
]


async def test_u23_each_kind_of_entry_has_its_pattern_and_minlog_shows_the_same(world: World) -> None:
    names = await staged(world)
    for what, *told in SAID:
        await did(world, names, what)
        event = await last(world)
        profile = [f"{BALP}{told[2]}"] if told[2] else []
        found = [event["action"], event["subtype"][0]["code"], event["meta"].get("profile", []), event["outcome"]]
        assert found == [told[0], told[1], profile, told[3]], what
        assert sum(agent["requestor"] for agent in event["agent"]) == 1, what
        assert ("outcomeDesc" in event) is (told[3] != "0")
    own = Caller("citizen", CPR, "Borger", purpose="PATRQT")
    shown = await world.run.door.log(own, names["Patient"], 1000)
    world.clock.forward(seconds=1)
    every = (await events(world, "?_count=1000"))[1:]
    requests = [of(one, "entity", "XrequestId")[0]["what"]["identifier"]["value"] for one in every]
    assert sorted(requests) == sorted(str(row.request) for row in shown)
    assert len(every) > len(SAID)
    for one in every:
        [asks] = [agent for agent in one["agent"] if agent["requestor"]]
        said = asks["who"], one["recorded"], one["subtype"], asks["purposeOfUse"], asks["policy"]
        assert all(said), one


async def test_u03_what_was_asked_is_there_in_base64_and_names_nobody(world: World) -> None:
    names = await staged(world)
    doctor = world.professional(DEPARTMENT)
    await world.get(f"/Observation?patient={names['Patient']}&code=X", doctor)
    [query] = of(await last(world), "entity", "2")
    assert b64decode(query["query"]).decode() == f"Observation?patient={names['Patient']}&code=X"
    system = "urn:oid:1.2.208.176.1.2"
    await world.get(f"/Observation?patient.identifier={system}|{CPR},{system}|{OTHER}", doctor)
    [query] = of(await last(world), "entity", "2")
    assert b64decode(query["query"]).decode() == "Observation?patient.identifier=…"


ASKED = [
    ("Patient?name=Hansen&code=X", "Patient?name=…&code=X"),
    ("Observation?subject%3APatient.family=Hansen", "Observation?subject:Patient.family=…"),
    ("Observation?value=a%202512489996", "Observation?value=a+…"),
    ("Patient?_has:Observation:patient:code=1234", "Patient?_has:Observation:patient:code=1234"),
    ('Patient?_filter=family eq "Hansen"', "Patient?_filter=…"),
    ("worklist overdue,new-plan", "worklist overdue,new-plan"),
    ("inbox/251248-9996", "inbox/…"),
    *(
        (text, text)
        for text in (
            "Observation?patient=Patient/e2e335f66d6972512489996be83ede01",
            "Patient/2512489996e335f66d697293e7ffe2bc/$overview",
        )
    ),
    ("Observation?value=e2e335f66d6972512489996be83ede012", "Observation?value=e2e335f66d…996be83ede012"),
    ("Observation?value=00000000000000000000002512489996", "Observation?value=………96"),
]


@pytest.mark.parametrize(("query", "told"), ASKED)
def test_u08_a_question_is_told_without_persons(query: str, told: str) -> None:
    assert asked(query) == told


async def test_u08_no_name_no_number_and_no_content_stands_in_events(world: World) -> None:
    await stage(world)
    person = patient() | {"name": [{"family": "Canaryname"}], "address": [{"city": "Canarycity"}]}
    await world.post("/Patient", world.source("two"), person)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    await write(world, observation(valueString="Canaryvalue", code={"text": "Canarycode"}))
    doctor = world.professional(DEPARTMENT)
    for path in ("/Observation", "/Patient?name=Canaryname", f"/Patient?identifier={CPR}", "/Encounter?_include=*"):
        assert (await world.get(path, doctor)).status_code == 200
    text = json.dumps(await events(world))
    assert text.count("PatientQuery") > 3
    assert [word for word in ("Canary", "canary", CPR) if word in text] == []


async def test_u09_a_broken_reason_is_one_well_formed_event(world: World) -> None:
    names = await staged(world)
    who = world.token(kind="professional", sub="T", name='Dr "\x1b[31m\r\n{}', role="læge", org=DEPARTMENT)
    await world.get(f"/Observation/{names['Observation']}", who)
    event = await last(world)
    assert of(event, "agent", "IRCP")[0]["name"] == 'Dr " [31m  {}'
    found = await world.get(
        f"/AuditEvent/{event['id']}", world.citizen(CPR), headers={"Accept": "application/fhir+xml"}
    )
    assert found.status_code == 200, found.text


async def test_read_and_vread_give_what_the_search_gave(world: World) -> None:
    names = await staged(world)
    await world.get(f"/Observation/{names['Observation']}", world.professional(DEPARTMENT))
    event = await last(world)
    for path in (f"/AuditEvent/{event['id']}", f"/AuditEvent/{event['id']}/_history/1"):
        found = await world.get(path, world.citizen(CPR))
        assert (found.json(), found.headers["ETag"]) == (event, 'W/"1"')
    assert await events(world, f"?_id={event['id']}") == [event]
    for path in (f"{event['id']}/_history/2", event["id"][::-1], "x", event["id"].upper()):
        assert (await world.get(f"/AuditEvent/{path}", world.citizen(CPR))).status_code == 404


async def test_nobody_else_reads_them(world: World) -> None:
    names = await staged(world)
    event = await last(world)
    stranger = world.citizen("0101010101")
    paths = (f"/AuditEvent/{event['id']}", f"/AuditEvent/{event['id'].replace('0', '1')}")
    first, second = [await world.get(path, stranger) for path in paths]
    assert (first.status_code, first.content) == (404, second.content)
    found = [await world.get(f"/AuditEvent?patient={name}", stranger) for name in (names["Patient"], "nobody")]
    assert [(f.status_code, f.json().get("entry")) for f in found] == [(200, None)] * 2
    for who in (world.source(), world.system(), world.professional(DEPARTMENT)):
        for path in (*paths, "/AuditEvent", f"/Patient/{names['Patient']}/AuditEvent"):
            assert (await world.get(path, who)).status_code == 403
    world.clock.forward(seconds=1)
    told = await events(world, f"?patient=Patient/{names['Patient']}")
    world.clock.forward(seconds=1)
    assert told == (await events(world))[1:]


async def test_u06_reading_the_log_is_an_entry_and_a_refusal_too(world: World) -> None:
    await stage(world)
    world.clock.forward(seconds=1)
    await events(world)
    [first, *_] = await events(world)
    assert [code["code"] for code in first["subtype"]] == ["search", "110101"]
    patient_id = await world.patient_id(CPR)
    world.clock.forward(seconds=1)
    await world.get(f"/AuditEvent?patient={patient_id}", world.citizen("0101010101"))
    [first, *_] = await events(world)
    assert (first["outcome"], first["agent"][2]["name"]) == ("4", "Borger")


async def test_a_proxy_reads_it_by_a_whole_mandate_and_both_are_named(world: World) -> None:
    names = await staged(world)
    proxy = world.token(kind="proxy", sub=OTHER, name="Fuldmægtig", on_behalf=CPR)
    assert await events(world, who=proxy) == []
    await say(world, world.citizen(CPR), consent(permit(attorney(OTHER), of_type("Observation"))))
    assert await events(world, who=proxy) == []
    await say(world, world.citizen(CPR), consent(permit(attorney(OTHER))))
    assert await events(world, who=proxy)
    world.clock.forward(seconds=1)
    await world.get(f"/Observation/{names['Observation']}", proxy)
    event = await last(world)
    [user] = of(event, "agent", "IRCP")
    assert (user["who"], user["name"]) == ({"display": "Fuldmægtig"}, "Fuldmægtig")
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "FAMRQT" or user["policy"] == ["urn:overblik:rule:attorney"]
    assert of(event, "agent", "PAT")[0]["who"] == {"reference": f"Patient/{names['Patient']}"}
    assert OTHER not in json.dumps(await events(world))


async def test_u05_broken_glass_says_so_with_its_reason(world: World) -> None:
    await stage(world)
    who = world.token(
        kind="professional", sub="T", name="Læge", role="læge", org=MUNICIPALITY, auth_time=int(time.time())
    )
    asks = {"resourceType": "Parameters", "parameter": [
        {"name": "identifier", "valueIdentifier": about()["identifier"]},
        {"name": "reason", "valueString": "Bevidstløs i modtagelsen"},
    ]}  # fmt: skip
    answer = await world.post("/Patient/$break-glass", who, asks)
    assert answer.status_code == 200, answer.text
    told = [e for e in await events(world) if "purposeOfEvent" in e]
    assert {e["purposeOfEvent"][0]["coding"][0]["code"] for e in told} == {"BTG"}
    assert "Bevidstløs i modtagelsen" in json.dumps(told, ensure_ascii=False)


ENTRIES = [
    ("?action=R", {"R"}), ("?action=C,E", {"C", "E"}), ("?subtype=read", {"R"}), ("?outcome=4", {"R"}),
    ("?type=rest&action=C", {"C"}), ("?type=logout", set()), ("?outcome=8", set()),
    ("?agent:identifier=https://autregweb.sst.dk|TEST1", {"R", "E"}), ("?agent:identifier=gateway", {"C"}),
    (f"?agent:identifier=urn:oid:1.2.208.176.1.1|{DEPARTMENT}", {"R", "E"}), ("?agent-name=test", {"R", "E"}),
    ("?agent-name=pers", {"R", "E"}), ("?agent-name=nobody", set()), ("?entity=Observation/{Observation}", {"C", "R"}),
    ("?entity=Patient/{Patient}&action=C", {"C"}), ("?entity=Observation/none", set()),
    ("?date=2026-11-23T10:00:02", {"E"}), ("?date=ge2026-11-23T10:00:02&date=lt2026-11-23T10:00:03", {"E"}),
    ("?date=gt2027", set()), ("?date=eb2026-11-23T10:00:00", set()), ("?agent=Patient/{Patient}", set()),
    ("?agent=Practitioner/x", set()),
]  # fmt: skip


async def test_a_search_finds_what_it_names_and_no_more(world: World) -> None:
    names = await staged(world)
    doctor = world.professional(DEPARTMENT)
    await world.get(f"/Observation/{names['Observation']}", doctor)
    await world.get(f"/Observation/{names['Observation']}", world.professional(MUNICIPALITY, "TEST1"))
    world.clock.forward(seconds=1)
    await world.get("/Observation", doctor)
    world.clock.forward(seconds=1)
    for query, actions in ENTRIES:
        found = await events(
            world, query.format(**names) + ("&" if "?" in query else "?") + "date=lt2026-11-23T10:00:03"
        )
        assert {event["action"] for event in found} == actions, query
    whole = [e["id"] for e in await events(world, "?date=lt2026-11-23T10:00:03")]
    paged, path = [], "/AuditEvent?_count=2&date=lt2026-11-23T10:00:03"
    while path:
        page = (await world.get(path, world.citizen(CPR))).json()
        paged += [entry["resource"]["id"] for entry in page.get("entry", ())]
        path = next((n["url"].partition("/fhir")[2] for n in page["link"] if n["relation"] == "next"), "")
    assert (paged, len(paged)) == (whole, len(set(whole)))


REFUSED = [
    "?x=1", "?date=soon", "?date=ap2026", "?_sort=date", "?_summary=count", "?agent=x", "?entity=x", "?action=",
    "?patient=Observation/1", "?_id=1&action=R", "?_cursor=x", "?agent:identifier=a&agent:identifier=b",
]  # fmt: skip


async def test_what_is_not_understood_is_refused_by_name(world: World) -> None:
    for query in REFUSED:
        answer = await world.get(f"/AuditEvent{query}", world.citizen(CPR))
        name = query[1:].partition("=")[0]
        assert (answer.status_code, name in answer.text or name == "_cursor") == (400, True), query


async def test_nobody_writes_one(world: World) -> None:
    names = await staged(world)
    event = await last(world)
    body = {k: v for k, v in event.items() if k != "id"}
    for who in (world.system(), world.source(), world.citizen(CPR)):
        answers = [
            await world.post("/AuditEvent", who, body),
            await world.put(f"/AuditEvent/{event['id']}", who, event),
            await world.http.delete(f"/fhir/AuditEvent/{event['id']}", headers=who),
            await world.http.patch(f"/fhir/AuditEvent/{event['id']}", headers=who),
        ]
        assert [(a.status_code, a.headers["Allow"]) for a in answers] == [(405, "GET")] * 4
    asks = {"method": "POST", "url": "AuditEvent"}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": body, "request": asks}]}
    assert (await world.post("/", world.source(), bundle)).status_code in {400, 404, 405, 422}
    assert {e["id"] for e in await events(world, f"?entity=Patient/{names['Patient']}")} >= {event["id"]}


async def test_what_is_hidden_from_the_citizen_is_not_named_by_who_read_it(world: World) -> None:
    names = await staged(world)
    await world.run.database.run(
        "update resource set labels = array['staff'] where id = %(id)s", {"id": names["Observation"]}
    )
    await world.get(f"/Observation/{names['Observation']}", world.professional(DEPARTMENT))
    event = await last(world)
    assert (event["action"], len(of(event, "entity", "2")), "profile" in event["meta"]) == ("R", 0, False)
    assert await events(world, f"?entity=Observation/{names['Observation']}") == []


def test_every_action_that_is_logged_is_known() -> None:
    """Whatever the door or a writer is told to log as stands in KINDS."""
    before = r"\.params\([\w. ()]+, |_params\((?:door, )?caller, |\.write\((?:request\.)?caller, |, types, "
    logged = re.compile(f'(?:{before})"([a-z ]+)"')
    folder = Path(overblik.__file__).parent
    found = {name for file in folder.rglob("*.py") for name in logged.findall(file.read_text(encoding="utf-8"))}
    assert len(found) > 12
    assert found <= KINDS.keys()
