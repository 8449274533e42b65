"""Rows of group P that no test of the standard's readers has: what comes in over HTTP, and goes out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.strict_json import dumps
from tests.api.test_transaction import bundle
from tests.security.conftest import SECRET, observation
from tests.trust.stage import CPR, OTHER, about, patient, write

if TYPE_CHECKING:
    from tests.security.conftest import Scene

MESSAGES = "/$process-message"
XML = {"Content-Type": "application/fhir+xml"}


def declared(subset: str, body: str) -> dict[str, tuple[str, str]]:
    """Return (address, document) of each kind of XML that is read, with a DOCTYPE in it."""
    fhir, div = 'xmlns="http://hl7.org/fhir"', f'<div xmlns="http://www.w3.org/1999/xhtml">{body}</div>'
    narrative = f'<text><status value="generated"/><!DOCTYPE div [{subset}]>{div}</text>'
    title = f"<title>{body}</title>"
    return {
        "FHIR": ("/Patient", f'<!DOCTYPE Patient [{subset}]><Patient {fhir}><language value="{body}"/></Patient>'),
        "narrative": ("/Patient", f"<Patient {fhir}>{narrative}</Patient>"),
        "CDA": (
            MESSAGES,
            f'<!DOCTYPE x [{subset}]><ClinicalDocument xmlns="urn:hl7-org:v3">{title}</ClinicalDocument>',
        ),
        "EDIFACT as XML": (MESSAGES, f"<!DOCTYPE Emessage [{subset}]><Emessage>{body}</Emessage>"),
    }


SUBSETS = {
    "file": ('<!ENTITY x SYSTEM "file:///etc/passwd">', "&x;"),
    "http": ('<!ENTITY x SYSTEM "http://127.0.0.1:1/x">', "&x;"),
    "parameter entity": ('<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;', "x"),
    "external subset only": ("", "x"),
    "laughs": (
        '<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">'
        + "".join(f'<!ENTITY {chr(c + 1)} "{f"&{chr(c)};" * 10}">' for c in range(ord("b"), ord("w"))),
        "&w;",
    ),
    "quadratic": (f'<!ENTITY a "{"x" * 20_000}">', "&a;" * 500),
}


@pytest.mark.parametrize("what", sorted(SUBSETS))
async def test_p01_p02_a_document_that_declares_something_is_refused(scene: Scene, what: str) -> None:
    subset, body = SUBSETS[what]
    for kind, (path, document) in declared(subset, body).items():
        answer = await scene.world.post(path, scene.source, document.encode(), headers=XML)
        assert answer.status_code in {400, 415, 422}, (kind, answer.text)
        assert "root:" not in answer.text
        assert len(answer.content) < 3000


async def test_p01_xinclude_and_processing_instructions_are_no_instructions(scene: Scene) -> None:
    inside = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'
    for document in (
        f'<Patient xmlns="http://hl7.org/fhir">{inside}</Patient>',
        f'<?xml-stylesheet href="http://127.0.0.1:1/x"?><Patient xmlns="http://hl7.org/fhir">{inside}</Patient>',
    ):
        answer = await scene.world.post("/Patient", scene.source, document.encode(), headers=XML)
        assert answer.status_code in {400, 422}
        assert "root:" not in answer.text


async def test_p05_p07_what_is_said_twice_is_refused_and_digits_stay(scene: Scene) -> None:
    twice = dumps(observation()).replace(b'"status":"final"', b'"status":"final","status":"preliminary"')
    assert (await scene.world.post("/Observation", scene.source, twice)).status_code == 400
    for digits in (b"0.10", b"1.00", b"123456789012345678.90", b"1.0E-7", b"0.000000000000000001"):
        body = dumps(observation(valueQuantity={"value": 7})).replace(b'"value":7', b'"value":' + digits)
        made = await scene.world.post("/Observation", scene.source, body)
        read = await scene.world.get(f"/Observation/{made.json()['id']}", scene.source)
        assert b'"value":' + digits in read.content
        found = await scene.world.get(f"/Observation?_id={made.json()['id']}", scene.source)
        assert b'"value":' + digits in found.content


LIES: list[tuple[str, bytes]] = [
    ("application/fhir+json", b'<Patient xmlns="http://hl7.org/fhir"/>'),
    ("application/fhir+xml", b'{"resourceType":"Patient"}'),
    ("text/html", b'{"resourceType":"Patient"}'),
    ("application/fhir+json; charset=utf-7", b'{"resourceType":"Patient"}'),
    ("application/fhir+json; charset=utf-16", '{"resourceType":"Patient"}'.encode("utf-16")),
    ("application/fhir+json", '{"resourceType":"Patient"}'.encode("utf-16")),
    ("application/fhir+xml; charset=utf-7", b'<Patient xmlns="http://hl7.org/fhir"/>'),
    ("application/fhir+xml", b'<?xml version="1.0" encoding="utf-7"?><Patient xmlns="http://hl7.org/fhir"/>'),
    ("multipart/form-data; boundary=x", b"--x--"),
]


@pytest.mark.parametrize(("media", "body"), LIES)
async def test_p14_a_body_that_is_not_what_it_says_is_refused(scene: Scene, media: str, body: bytes) -> None:
    answer = await scene.world.post("/Patient", scene.source, body, headers={"Content-Type": media})
    assert answer.status_code in {400, 415}, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


MODIFIERS: list[dict[str, Any]] = [
    {"modifierExtension": [{"url": "http://example.dk/not-so", "valueBoolean": True}]},
    {"implicitRules": "http://example.dk/rules"},
    {
        "component": [
            {"code": {"text": "x"}, "modifierExtension": [{"url": "http://example.dk/not-so", "valueBoolean": True}]}
        ]
    },
    {"contained": [{"resourceType": "Practitioner", "id": "a", "implicitRules": "http://example.dk/rules"}]},
]


@pytest.mark.parametrize("changed", MODIFIERS)
async def test_p16_what_changes_the_meaning_is_never_passed_over(scene: Scene, changed: dict[str, Any]) -> None:
    answer = await scene.world.post("/Observation", scene.source, observation(**changed))
    assert answer.status_code == 422, answer.text
    assert answer.json()["issue"][0]["expression"]


async def test_p17_a_narrative_that_could_do_something_is_refused(scene: Scene) -> None:
    """By every way in; what is harmful is told apart in tests/fhir/test_harmless.py."""
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p onclick="x">x</p></div>'
    text = {"status": "generated", "div": div}
    entry = {"resource": observation(text=text), "request": {"method": "POST", "url": "Observation"}}
    for path, body in (("/Observation", observation(text=text)), ("", bundle(entry, kind="transaction"))):
        answer = await scene.world.post(path, scene.source, body)
        assert answer.status_code == 422
        assert "narrative-active" in answer.text
    xml = f'<Patient xmlns="http://hl7.org/fhir"><text><status value="generated"/>{div}</text></Patient>'
    assert (await scene.world.post("/Patient", scene.source, xml.encode(), headers=XML)).status_code == 422


async def test_p17_a_narrative_that_only_says_something_is_kept(scene: Scene) -> None:
    inside = "<p class='x'>Blodtryk <b>120</b><br/><a href='https://sundhed.dk'>mere</a></p><table><tr><td>1</td></tr></table>"
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>'
    made = await write(scene.world, observation(text={"status": "generated", "div": div}))
    assert (await scene.world.get(f"/Observation/{made}", scene.source)).json()["text"]["div"] == div


ATTACHED = {
    "application/pdf": b"%PDF-1.7<html><script>alert(1)</script>",
    "text/html": b"<script>alert(1)</script>",
    "image/svg+xml": b"<svg onload='alert(1)'/>",
    "application/dicom": b"\x00" * 128 + b"DICM",
}


@pytest.mark.parametrize("media", sorted(ATTACHED))
async def test_p19_bytes_come_out_as_bytes(scene: Scene, media: str) -> None:
    sent = await scene.world.post("/Binary", scene.source, ATTACHED[media], headers={"Content-Type": media})
    assert sent.status_code == 201, sent.text
    answer = await scene.world.get(f"/Binary/{sent.json()['id']}", scene.source, headers={"Accept": media})
    assert answer.content == ATTACHED[media]
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert set(answer.headers["content-security-policy"].split("; ")) >= {"sandbox", "default-src 'none'"}


X_SHA1 = "EfatjsUqKYSrr6UYeyI0ukZlyP0="
SAYS: list[tuple[dict[str, Any], int]] = [
    ({"hash": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, 422),
    ({"hash": X_SHA1, "size": 2}, 422),
    ({"size": 1}, 201),
    ({}, 201),
]


@pytest.mark.parametrize(("said", "status"), SAYS)
async def test_p19_an_attachment_is_what_its_hash_says(scene: Scene, said: dict[str, Any], status: int) -> None:
    attachment = {"contentType": "text/plain", "data": "eA==", **said}
    body = {"resourceType": "DocumentReference", "status": "current", "subject": about()}
    answer = await scene.world.post(
        "/DocumentReference", scene.source, {**body, "content": [{"attachment": attachment}]}
    )
    assert answer.status_code == status, answer.text
    assert ("attachment-differs" in answer.text) is (status == 422)


async def test_p20_names_are_found_as_they_read_and_controls_are_refused(scene: Scene) -> None:
    for bad in ("a\x00b", "a\x07b", "a\x1bb"):
        sent = await scene.world.post("/Observation", scene.source, observation(note=[{"text": bad}]))
        assert sent.status_code in {400, 422}, bad
    who = scene.source
    made = await scene.world.post(
        "/Patient", who, {"resourceType": "Patient", "name": [{"family": "A\u030arhus\u00e9n"}]}
    )
    found = await scene.world.get("/Patient?family=\u00c5rhuse\u0301n", who)
    assert [e["resource"]["id"] for e in found.json()["entry"]] == [made.json()["id"]]
    hidden = patient("1111111118") | {
        "identifier": [{"system": "urn:oid:1.2.208.176.1.2", "value": "11111\u200b11118"}]
    }
    assert (await scene.world.post("/Patient", who, hidden)).status_code == 422


OVERRIDES = (
    {"X-HTTP-Method-Override": "DELETE"},
    {"X-Original-URL": "/fhir/Patient"},
    {"X-Method-Override": "PUT"},
    {"X-Rewrite-URL": "/x"},
)


@pytest.mark.parametrize("headers", OVERRIDES)
async def test_p22_a_header_changes_neither_method_nor_address(scene: Scene, headers: dict[str, str]) -> None:
    made = await write(scene.world, observation())
    for method in ("GET", "POST"):
        path = f"/fhir/Observation/{made}" if method == "GET" else "/fhir/Observation/_search"
        plain, answer = [
            await scene.world.http.request(method, path, headers={**scene.source, **more}) for more in ({}, headers)
        ]
        assert (answer.status_code, len(answer.content)) == (plain.status_code, len(plain.content))
    assert (await scene.world.get(f"/Observation/{made}", scene.source)).status_code == 200


async def test_p23_a_form_shows_no_more_than_the_whole(scene: Scene) -> None:
    for form in ("_format=html", "_elements=-", "_fields=note", "_summary=nothing", "_pretty=x"):
        answer = await scene.world.get(f"/Observation?{form}", scene.doctor)
        assert answer.status_code in {400, 406}, form
    for form in (
        "_elements=note,subject",
        "_summary=true",
        "_summary=data",
        "_pretty=true",
        "_format=xml",
        "_summary=text",
    ):
        answer = await scene.world.get(f"/Observation?{form}&_include=Observation:subject&_count=500", scene.doctor)
        assert answer.status_code == 200, answer.text
        assert SECRET not in answer.text
        hidden = await scene.world.get(f"/Observation/{scene.hidden}?{form}", scene.doctor)
        assert hidden.status_code == 404


DATES: list[tuple[str, int]] = [
    ("0001-01-01", 201),
    ("9999-12-31", 201),
    ("2016-12-31T23:59:60Z", 201),
    ("2026-01-01T24:00:00Z", 422),
    ("2026-01-01T10:00:00+14:00", 201),
    ("2026-01-01T10:00:00+14:59", 422),
    ("2026-03-29T02:30:00+01:00", 201),
    ("0000-01-01", 422),
    ("2026-13-01", 422),
    ("2026-02-30", 422),
    ("2026-01-01T10:00:00", 422),
    ("2026-1-1", 422),
    ("20260101", 422),
    ("2026-01-01T10:00Z", 422),
]


@pytest.mark.parametrize(("text", "status"), DATES)
async def test_p25_a_date_is_one_or_is_refused(scene: Scene, text: str, status: int) -> None:
    sent = await scene.world.post("/Observation", scene.source, observation(effectiveDateTime=text))
    assert sent.status_code == status, sent.text
    if status == 201:
        name = sent.json()["id"]
        assert (await scene.world.get(f"/Observation/{name}", scene.source)).json()["effectiveDateTime"] == text
        found = await scene.world.get(f"/Observation?_id={name}&date={text.replace('+', '%2B')}", scene.source)
        assert "entry" in found.json()


async def test_p25_two_ways_to_write_an_instant_are_one(scene: Scene) -> None:
    """Order and search go by the instant, not by the text."""
    for text in ("2026-05-01T01:00:00+02:00", "2026-04-30T23:00:00Z", "2026-04-30T18:00:00-05:00"):
        await write(scene.world, observation(effectiveDateTime=text, code={"coding": [{"code": "INSTANT"}]}))
    for asked in ("2026-04-30T23:00:00Z", "2026-05-01T01:00:00%2B02:00"):
        found = (await scene.world.get(f"/Observation?code=INSTANT&date={asked}", scene.source)).json()
        assert len(found["entry"]) == 3


SAME: list[tuple[str, str, bool]] = [
    ("urn:oid:1.2.208.176.1.2", CPR, True),
    ("urn:oid:1.2.208.176.1.2", f"{CPR[:6]}-{CPR[6:]}", True),
    ("urn:oid:1.2.208.176.1.2/", CPR, True),
    ("urn:oid:1.2.208.176.1.2", CPR.replace("1", "l"), False),
    ("urn:oid:1.2.208.176.1.2", CPR[:-1] + "O", False),
    ("urn:oid:1.2.208.176.1.2", f" {CPR} ", True),
]


@pytest.mark.parametrize(("system", "value", "same"), SAME)
async def test_p26_one_person_is_one_record_however_the_number_is_written(
    scene: Scene, system: str, value: str, same: bool
) -> None:
    body = observation(subject={"type": "Patient", "identifier": {"system": system, "value": value}})
    sent = await scene.world.post("/Observation", scene.source, body)
    assert sent.status_code in ({201} if same else {201, 422}), sent.text
    if sent.status_code == 201:
        seen = await scene.world.get(f"/Observation/{sent.json()['id']}", scene.citizen)
        assert (seen.status_code == 200) is same
    assert OTHER not in sent.text
