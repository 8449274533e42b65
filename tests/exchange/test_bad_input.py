"""Bad input: each gets a clear answer, nothing is a server error, and what was received is kept as it came."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

from overblik.demo.cast import Staff
from overblik.demo.formats.medcom import Words, care_communication
from overblik.demo.people import Person
from overblik.fhir.strict_json import MAX_BYTES, dumps, loads
from overblik.trust.callers.sources import register
from tests.conftest import NOW, needs_shared, shared_files
from tests.exchange.documents import apd
from tests.exchange.notifications import START, TOWN, WARD, Told, seeded, write_all
from tests.exchange.real import Answer, answer_of, content

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.conftest import World

CPR = "0403441234"
ADMITTED = Told("admit-inpatient", 0.01)


def notification() -> dict[str, Any]:
    return dict(loads(write_all((ADMITTED,), CPR)[0]))


def conversation() -> dict[str, Any]:
    person = Person(CPR, "Prøve", "Person", True, START.date(), "", "", "", "", "", "", "")
    nurse = Staff("TEST2", "Ina Prøve", "sygeplejerske", WARD)
    return dict(loads(care_communication(person, "carecoordination", [Words(nurse, START, "Hej")], TOWN)))


def part(bundle: dict[str, Any], resource_type: str) -> dict[str, Any]:
    """Return the first resource of a type, to change."""
    return next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == resource_type)


def changed(make: Callable[[], dict[str, Any]], change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return a message with one thing changed in it."""
    bundle = make()
    change(bundle)
    return dumps(bundle)


def told(change: Callable[[dict[str, Any]], object]) -> bytes:
    return changed(notification, change)


def said(change: Callable[[dict[str, Any]], object]) -> bytes:
    return changed(conversation, change)


def without(resource_type: str) -> Callable[[dict[str, Any]], object]:
    """Return a change that takes a kind of resource out."""

    def change(bundle: dict[str, Any]) -> None:
        bundle["entry"] = [e for e in bundle["entry"] if e["resource"]["resourceType"] != resource_type]

    return change


def cpr_of(value: str, system: str = "urn:oid:1.2.208.176.1.2", **more: str) -> Callable[[dict[str, Any]], object]:
    """Return a change of the patient's identifier, and of what else is said of them."""
    return lambda b: part(b, "Patient").update({"identifier": [{"system": system, "value": value}], **more})


def another_patient(bundle: dict[str, Any]) -> None:
    other = copy.deepcopy(part(bundle, "Patient")) | {"id": "another"}
    other["identifier"][0]["value"] = "0403445678"
    bundle["entry"].append({"fullUrl": "urn:uuid:another", "resource": other})


def nameless_sender(bundle: dict[str, Any]) -> None:
    part(bundle, "MessageHeader")["sender"] = {"reference": "Organization/nowhere"}
    part(bundle, "MessageHeader")["source"]["endpoint"] = "https://example.org/"


def decimal(bundle: dict[str, Any]) -> None:
    part(bundle, "Encounter")["extension"] = [{"url": "urn:test:number", "valueDecimal": 17}]


def attach(data: str) -> Callable[[dict[str, Any]], object]:
    attachment = {"contentType": "application/pdf", "title": "Brev", "data": data}
    return lambda b: part(b, "Communication")["payload"].append({"contentAttachment": attachment})


DEEP = b'{"resourceType":"Bundle","type":"message","entry":' + b"[" * 300 + b"]" * 300 + b"}"
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BILLION = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><x>&l9;</x>'.encode()
XXE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><ClinicalDocument>&f;</ClinicalDocument>'
DEEP_XML = b"<a>" * 5000 + b"</a>" * 5000
EDIFACT = b"UNA:+.? 'UNB+UNOC:3+5790000121526:14+5790001348120:14+140901:1201+1'UNZ+0+1'"

UNREAD: list[tuple[str, bytes, int, str]] = [
    ("broken JSON", b'{"resourceType": "Bundle", "type": ', 400, "json-invalid"),
    ("text after the JSON", dumps(notification()) + b"{}", 400, "json-invalid"),
    ("NaN", b'{"resourceType":"Bundle","type":"message","total":NaN}', 400, "json-invalid"),
    ("duplicate keys", b'{"resourceType":"Bundle","type":"message","type":"document"}', 400, "json-duplicate-key"),
    ("300 levels of JSON", DEEP, 400, "json-too-deep"),
    ("JSON not in UTF-8", '{"resourceType":"Bundle","id":"ø"}'.encode("latin-1"), 400, "json-not-utf8"),
    ("a whole number of 30 digits", told(decimal).replace(b":17}", b":" + b"9" * 30 + b"}"), 400, "number-too-large"),
    ("a JSON list", b"[1, 2]", 400, "json-not-an-object"),
    ("an empty body", b"", 400, "body-empty"),
    ("white space only", b" \r\n\t", 400, "body-empty"),
    ("broken XML", apd(CPR)[:-9], 400, "xml-invalid"),
    ("5000 levels of XML", DEEP_XML, 400, "xml-invalid"),
    ("XML of another encoding than it says", apd(CPR).replace("ø".encode(), b"\xf8"), 400, "xml-invalid"),
    ("DOCTYPE", apd(CPR, declaration="<!DOCTYPE ClinicalDocument>"), 400, "xml-doctype"),
    ("an external entity", XXE, 400, "xml-doctype"),
    ("a billion laughs", BILLION, 400, "xml-doctype"),
    ("a resource that is no Bundle", dumps({"resourceType": "Patient"}), 415, "bundle-expected"),
    ("a transaction", dumps({"resourceType": "Bundle", "type": "transaction"}), 415, "bundle-expected"),
    ("EDIFACT", EDIFACT, 415, "format-unknown"),
    ("a PDF", b"%PDF-1.7\n", 415, "format-unknown"),
    ("text", b"Kaere kollega", 415, "format-unknown"),
]  # fmt: skip

HELD: list[tuple[str, bytes, str]] = [
    ("a date no calendar has", told(lambda b: part(b, "Encounter")["period"].update(start="2026-02-30")),
     "wrong-value"),
    ("an activity at no time", told(lambda b: part(b, "Provenance").update(occurredDateTime="2026-13-01")),
     "wrong-value"),
    ("an impossible CPR", told(cpr_of("3502441234")), "cpr-impossible"),
    ("a CPR of nine digits", told(cpr_of("040344123")), "cpr-impossible"),
    ("an impossible replacement number", told(cpr_of("0403441234", "urn:oid:1.2.208.176.1.6.1.3")), "ecpr-impossible"),
    ("a CPR that contradicts the birth date", told(cpr_of(CPR, birthDate="1945-03-04")), "cpr-contradicts-birth-date"),
    ("a patient without identifier", told(lambda b: part(b, "Patient").pop("identifier")), "patient-unidentified"),
    ("no patient", told(without("Patient")), "patient-missing"),
    ("several patients", told(another_patient), "several-patients"),
    ("no sender", told(nameless_sender), "sender-missing"),
    ("no header", told(without("MessageHeader")), "message-header-missing"),
    ("no provenance", told(without("Provenance")), "provenance-missing"),
    (
        "a provenance of another message",
        told(lambda b: part(b, "Provenance")["target"][0].update(reference="MessageHeader/other")),
        "provenance-missing",
    ),
    (
        "an unknown activity",
        told(lambda b: part(b, "Provenance")["activity"]["coding"][0].update(code="teleport")),
        "activity-unknown",
    ),
    (
        "an activity of another kind of message",
        said(lambda b: part(b, "Provenance")["activity"]["coding"][0].update(code="admit-inpatient")),
        "activity-unknown",
    ),
    ("no focus", told(lambda b: part(b, "MessageHeader").pop("focus")), "focus-missing"),
    (
        "a focus on what is not there",
        said(lambda b: part(b, "MessageHeader")["focus"][0].update(reference="Communication/other")),
        "focus-missing",
    ),
    ("no episode of care", told(lambda b: part(b, "Encounter").pop("episodeOfCare")), "episode-missing"),
    ("no category", said(lambda b: part(b, "Communication").pop("category")), "category-missing"),
    ("an attachment that is no base64", said(attach("JVBERi0#")), "wrong-value"),
    ("an attachment cut off", said(attach("JVBER")), "wrong-value"),
    ("an element FHIR does not have", told(lambda b: part(b, "Encounter").update(mood="good")), "unknown-element"),
    ("a resource type FHIR does not have", told(lambda b: b["entry"].append({"resource": {"resourceType": "Visit"}})),
     "resource-type-unknown"),
    ("entries that are no list", told(lambda b: b.update(entry={"resource": {}})), "wrong-json-type"),
    ("a document that begins with something else", told(lambda b: b.update(type="document")), "composition-missing"),
    ("CDA: a date no calendar has", apd(CPR, written='<effectiveTime value="20260230"/>'), "date-impossible"),
    ("CDA: a date in words", apd(CPR, starts='<low value="tomorrow"/>'), "date-impossible"),
    ("CDA: no date", apd(CPR, written=""), "date-missing"),
    ("CDA: an appointment without a start", apd(CPR, starts=""), "date-missing"),
    ("CDA: no appointment", apd(CPR, encounter='moodCode="EVN"'), "appointment-missing"),
    ("CDA: no patient", apd(CPR, patient_id=""), "patient-missing"),
    ("CDA: an impossible CPR", apd("3502441234"), "cpr-impossible"),
    ("CDA: a CPR that contradicts the birth date", apd(CPR, born='<birthTime value="19450304"/>'),
     "cpr-contradicts-birth-date"),
    ("CDA: a CPR under another root",
     apd(CPR, patient_id='<id root="1.2.3" extension="1" assigningAuthorityName="CPR"/>'),
     "cpr-root-wrong"),
    ("CDA: no sender", apd(CPR, author="", organisation=""), "sender-missing"),
]  # fmt: skip


async def kept(world: World, raw: bytes) -> Any:
    """Return the one message in quarantine; its bytes must be those that were sent."""
    (row,) = await world.run.inbox.intake.listed(["held", "refused"])
    shown = await world.run.inbox.intake.show(row.iid)
    assert bytes(shown.raw) == raw
    assert await nothing_stored(world)
    return shown


async def nothing_stored(world: World) -> bool:
    rows = await world.run.database.fetch("select 1 as one from resource union all select 1 from record limit 1")
    return not rows


@pytest.mark.parametrize(("what", "raw", "status", "code"), UNREAD, ids=[row[0] for row in UNREAD])
async def test_what_cannot_be_read_is_refused_and_kept(
    world: World, what: str, raw: bytes, status: int, code: str
) -> None:
    response = await world.message(raw)
    answer = answer_of(response)
    assert (answer.status, answer.issue, answer.body["resourceType"]) == (status, code, "OperationOutcome"), what
    assert "root:" not in response.text
    shown = await kept(world, raw)
    assert (shown.state, shown.code) == ("refused", code)
    assert shown.reason == answer.body["issue"][0]["details"]["text"]


@pytest.mark.parametrize(("what", "raw", "code"), HELD, ids=[row[0] for row in HELD])
async def test_what_breaks_a_rule_is_answered_with_a_fatal_error_and_held(
    world: World, what: str, raw: bytes, code: str
) -> None:
    answer = answer_of(await world.message(raw))
    assert (answer.status, answer.code, answer.issue) == (200, "fatal-error", code), what
    shown = await kept(world, raw)
    assert (shown.state, shown.code) == ("held", code)
    named = _header(answer)["response"]["identifier"]
    assert (named == "unknown") == (code == "message-header-missing" or "entries that are no list" in what)
    # The answer quotes no CPR number; it may travel through other hands than the message did.
    assert CPR not in json.dumps(answer.body).replace(named, "")


def _header(answer: Answer) -> dict[str, Any]:
    return dict(answer.body["entry"][0]["resource"])


async def test_m13_a_registered_source_delivers_only_for_its_own_organisations(world: World) -> None:
    await register(world.run.database, "ward", [WARD.sor], NOW)
    await register(world.run.database, "town", [TOWN.sor], NOW)
    raw = dumps(notification())
    answer = answer_of(await world.message(raw, world.source("town")))
    assert (answer.status, answer.code, answer.issue) == (200, "fatal-error", "not-your-organisation")
    shown = await kept(world, raw)
    assert (shown.state, shown.via, shown.sender) == ("refused", "town", WARD.sor)
    assert answer_of(await world.message(raw, world.source("ward"))).code == "ok"


async def test_a_body_above_the_limit_is_refused_before_it_is_read(world: World) -> None:
    raw = b" " * (MAX_BYTES + 1024 * 1024)
    answer = answer_of(await world.message(raw))
    assert (answer.status, answer.issue) == (413, "body-too-large")
    rows = await world.run.database.fetch("select 1 as one from inbox")
    assert not rows


async def test_a_body_that_does_not_say_how_long_it_is_is_refused_too(world: World) -> None:
    async def chunks() -> Any:
        for _ in range(52):
            yield b" " * 1024 * 1024

    response = await world.http.post("/fhir/$process-message", headers=world.source(), content=chunks())
    assert (response.status_code, answer_of(response).issue) == (413, "body-too-large")


@pytest.mark.parametrize("who", ["citizen", "professional"])
async def test_only_sources_deliver(world: World, who: str) -> None:
    caller = world.citizen(CPR) if who == "citizen" else world.professional(WARD.sor)
    answer = answer_of(await world.message(dumps(notification()), caller))
    assert (answer.status, answer.issue) == (403, "not-for-this-caller")
    assert await nothing_stored(world)


@needs_shared
@pytest.mark.parametrize("pattern", ["edifact/edi/*.edi", "edifact/xml/*.xml", "ehdsi/**/*.xml"])
async def test_real_files_of_formats_not_read_yet_are_refused_and_kept(world: World, pattern: str) -> None:
    """EDIFACT and its XML, and the national services' answers; the CDA among them is read like any other."""
    files = [path for path in shared_files(pattern) if b"ClinicalDocument" not in content(path)]
    assert len(files) > 10
    for path in files:
        answer = answer_of(await world.message(content(path)))
        assert (answer.status, answer.issue) in {(415, "format-unknown"), (415, "xml-unknown")}, path.name
    rows = await world.run.inbox.intake.listed(["refused"], 1000)
    found = {bytes((await world.run.inbox.intake.show(row.iid)).raw) for row in rows}
    assert found == {content(path) for path in files}
    assert await nothing_stored(world)


# -- anything at all


def damaged(value: Any, rng: Random) -> Any:
    """Return a JSON value with one thing in it changed, taken out or put in another shape."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key, item in node.items() if isinstance(node, dict) else enumerate(node):
            places.append((node, key))
            if isinstance(item, (dict, list)):
                walk(item)

    result = loads(dumps(value))  # a copy; decimals cannot be copied otherwise
    walk(result)
    node, key = rng.choice(places)
    junk: list[Any] = [
        None,
        True,
        0,
        -1,
        "",
        " ",
        "x" * 300,
        "\u0000",
        [],
        {},
        [[]],
        {"a": 1},
        "2026-02-30",
        "#",
        "urn:uuid:",
    ]
    action = rng.randrange(3)
    if action == 0:
        del node[key]
    elif action == 1:
        node[key] = rng.choice(junk)
    else:
        node[key] = [node[key]] if rng.random() < 0.5 else {"value": node[key]}
    return result


def damaged_xml(raw: bytes, rng: Random) -> bytes:
    """Return XML with one element taken out, emptied or doubled, or one attribute changed."""
    root = etree.fromstring(raw)
    element = rng.choice([e for e in root.iter() if isinstance(e.tag, str)][1:])
    parent = element.getparent()
    assert parent is not None
    action = rng.randrange(5)
    if action == 0:
        parent.remove(element)
    elif action == 1:
        element.clear()
    elif action == 2:
        parent.append(copy.deepcopy(element))
    elif action == 3:
        element.set("nullFlavor", "NI")
    else:
        for name in element.attrib:
            element.set(name, rng.choice(["", "x", "99999999", "urn:oid:", "1.2.3", "é" * 200]))
    return etree.tostring(root)


async def assert_answered(world: World, raw: bytes) -> None:
    """Whatever was sent: an answer below 500, and the message is settled."""
    response = await world.message(raw)
    assert response.status_code < 500, raw[:3000]
    assert answer_of(response).body["resourceType"] in {"Bundle", "OperationOutcome"}


async def test_no_damage_to_a_message_is_a_server_error(world: World) -> None:
    rng = seeded("damage")
    for make in (notification, conversation):
        for _ in range(150):
            await assert_answered(world, dumps(damaged(damaged(make(), rng), rng)))
    for _ in range(150):
        await assert_answered(world, damaged_xml(damaged_xml(apd(CPR), rng), rng))
    unsettled = await world.run.database.fetch("select 1 as one from inbox where state = 'received'")
    assert not unsettled


@needs_shared
@pytest.mark.long
@pytest.mark.parametrize("pattern", ["medcom-fhir/*/Bundle*.json", "cda/*.xml"])
async def test_no_damage_to_a_real_file_is_a_server_error(world: World, pattern: str) -> None:
    rng = seeded(pattern)
    for path in shared_files(pattern):
        raw = content(path)
        for _ in range(25):
            broken = damaged_xml(raw, rng) if path.suffix == ".xml" else dumps(damaged(loads(raw), rng))
            await assert_answered(world, broken)
    unsettled = await world.run.database.fetch("select 1 as one from inbox where state = 'received'")
    assert not unsettled
