"""Formats through HTTP: XML as well as JSON, both ways; parts of resources; who asks for what is answered in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

from overblik.api.negotiation import read_body, wants_xml
from overblik.fhir import strict_json
from overblik.fhir.errors import NotAcceptable, OverblikError
from overblik.fhir.shape import SUBSETTED
from overblik.fhir.xml import from_xml
from overblik.fhir.xml_writing import to_xml
from tests.fhir.generate import NARRATIVES

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World

XML = "application/fhir+xml"
JSON = "application/fhir+json"
CPR = "2512489996"
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "text": {"status": "generated", "div": NARRATIVES[1]},
    "identifier": [{"system": "urn:oid:1.2.208.176.1.2", "value": CPR}],
    "name": [
        {"given": ["Nancy", None], "_given": [None, {"extension": [{"url": "http://x.dk/n", "valueDecimal": 1.50}]}]}
    ],
    "birthDate": "1948-12-25",
    "_birthDate": {"id": "b"},
    "photo": [{"contentType": "image/png", "data": "QUJD"}],
}
OBSERVATION = (
    '<Observation xmlns="http://hl7.org/fhir"><!-- sent by hand -->'
    '<status value="final"/><code><text value="Vægt &lt;3&#10;kg"/></code>'
    '<subject><reference value="Patient/{patient}"/></subject>'
    '<valueQuantity><value value="82.00"/><unit value="kg"/></valueQuantity></Observation>'
)


async def made(world: World, body: Any = PATIENT, **headers: str) -> str:
    path = f"/{body['resourceType']}" if isinstance(body, dict) else "/Observation"
    response = await world.post(path, world.source(), body, headers=headers)
    assert response.status_code == 201, response.text
    return str(response.headers["Location"].split("/")[-3])


def tag(response: httpx.Response) -> str:
    """Return the name of the root element of an answer that must be FHIR XML."""
    assert response.headers["Content-Type"] == XML + "; charset=utf-8"
    return etree.QName(etree.fromstring(response.content)).localname


WANTED: list[tuple[str, str, bool | None]] = [
    ("", "", False),
    ("*/*", "", False),
    (JSON, "", False),
    ("application/json", "", False),
    (XML, "", True),
    ("application/xml", "", True),
    ("text/xml", "", True),
    ("APPLICATION/FHIR+XML ; charset=UTF-8", "", True),
    (f"{JSON};q=0.5, {XML}", "", True),
    (f"{XML};q=0.5, {JSON}", "", False),
    (f"{XML}, {JSON}", "", True),
    (f"{JSON}, {XML}", "", False),
    (f"{JSON};q=0, */*", "", True),
    (f"{XML};q=0.9, application/*;q=0.1", "", True),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", True),
    ("text/html, */*;q=0.1", "", False),
    (f"{JSON}; fhirVersion=4.0", "", False),
    (f"{JSON}; fhirVersion=3.0, {XML}; fhirVersion=4.0", "", True),
    (f"{JSON}; fhirVersion=3.0", "", None),
    ("text/csv", "", None),
    (f"{JSON};q=0", "", None),
    (f"{JSON};q=x", "", None),
    (f"{XML};q=2", "", None),
    ("application/fhir+turtle", "", None),
    (JSON, "xml", True),
    (XML, "json", False),
    ("text/csv", "json", False),
    ("", "application/fhir+xml", True),
    ("", "application/fhir xml", True),
    ("", "text/xml", True),
    (JSON, "ttl", None),
    (JSON, "*/*x", None),
]


@pytest.mark.parametrize(("accept", "asked", "xml"), WANTED)
def test_the_format_is_the_one_asked_for_or_none(accept: str, asked: str, xml: bool | None) -> None:
    if xml is None:
        with pytest.raises(NotAcceptable):
            wants_xml(accept, asked)
    else:
        assert wants_xml(accept, asked) is xml


BODIES: list[tuple[str, bytes, int]] = [
    ("", b'{"resourceType":"Basic"}', 200),
    ("application/json; charset=UTF-8", b'{"resourceType":"Basic"}', 200),
    (f'{JSON}; charset="utf-8"; fhirVersion=4.0', b'{"resourceType":"Basic"}', 200),
    (XML, b'<Basic xmlns="http://hl7.org/fhir"/>', 200),
    ("text/xml", b'<Basic xmlns="http://hl7.org/fhir"/>', 200),
    (f"{XML}; charset=iso-8859-1", b'<Basic xmlns="http://hl7.org/fhir"/>', 415),
    (f"{XML}; fhirVersion=3.0", b'<Basic xmlns="http://hl7.org/fhir"/>', 415),
    ("text/plain", b'{"resourceType":"Basic"}', 415),
    ("xml", b'<Basic xmlns="http://hl7.org/fhir"/>', 415),
    ("application/fhir+turtle", b"", 415),
    (JSON, b'<Basic xmlns="http://hl7.org/fhir"/>', 400),
    (XML, b'{"resourceType":"Basic"}', 400),
]


@pytest.mark.parametrize(("media", "body", "status"), BODIES)
def test_a_body_is_read_as_what_it_says_it_is(media: str, body: bytes, status: int) -> None:
    if status == 200:
        assert read_body(media, body) == {"resourceType": "Basic"}
    else:
        with pytest.raises(OverblikError) as refused:
            read_body(media, body)
        assert refused.value.status == status


async def test_what_came_as_xml_is_read_as_json_and_as_xml_to_the_last_digit(world: World) -> None:
    patient = await made(world)
    sent = OBSERVATION.replace("{patient}", patient).encode()
    created = await world.post("/Observation", world.source(), sent, headers={"Content-Type": XML, "Accept": XML})
    assert (created.status_code, tag(created)) == (201, "Observation")
    path = f"/Observation/{from_xml(created.content)['id']}"
    read = await world.get(path, world.source())
    assert read.headers["Content-Type"] == JSON + "; charset=utf-8"
    assert '"value":82.00,' in read.text
    assert read.json()["code"]["text"] == "Vægt <3\nkg"
    again = await world.get(path, world.source(), headers={"Accept": XML})
    assert again.content == created.content
    assert b'<value value="82.00"/>' in again.content
    assert again.headers["ETag"] == read.headers["ETag"]


async def test_what_came_as_json_is_updated_as_xml(world: World) -> None:
    patient = await made(world)
    read = await world.get(f"/Patient/{patient}?_format=xml", world.source())
    assert (read.status_code, tag(read)) == (200, "Patient")
    assert NARRATIVES[1].encode() in read.content
    assert b'<valueDecimal value="1.5"/>' in read.content
    headers = {**world.source(), "Content-Type": XML, "If-Match": 'W/"1"'}
    changed = read.content.replace(b"1948-12-25", b"1948-12-25").replace(b"Nancy", b"Anna &amp; Nancy")
    updated = await world.http.put(f"/fhir/Patient/{patient}", headers=headers, content=changed)
    assert updated.status_code == 200, updated.text
    found = (await world.get(f"/Patient/{patient}", world.source())).json()
    assert found["name"][0]["given"] == ["Anna & Nancy", None]
    assert found["text"] == PATIENT["text"]


async def test_a_transaction_goes_through_in_xml_both_ways(world: World) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001",
                "resource": PATIENT,
                "request": {"method": "POST", "url": "Patient"},
            },
            {
                "resource": {
                    "resourceType": "Observation",
                    "status": "final",
                    "code": {"text": "x"},
                    "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"},
                },
                "request": {"method": "POST", "url": "Observation"},
            },
        ],
    }
    sent = await world.post("", world.source(), to_xml(bundle), headers={"Content-Type": XML, "Accept": XML})
    assert (sent.status_code, tag(sent)) == (200, "Bundle")
    answer = from_xml(sent.content)
    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["201", "201"]
    patient = answer["entry"][0]["response"]["location"].split("/")[-3]
    found = await world.get(f"/Observation?patient={patient}&_format=xml&_count=1", world.source())
    (entry,) = from_xml(found.content)["entry"]
    assert entry["resource"]["subject"]["reference"] == f"Patient/{patient}"
    assert "_format=xml" in from_xml(found.content)["link"][0]["url"]


async def test_a_fault_in_xml_is_answered_in_xml_with_its_place(world: World) -> None:
    wrong = b'<Patient xmlns="http://hl7.org/fhir">\n<name><last value="x"/></name></Patient>'
    response = await world.post("/Patient", world.source(), wrong, headers={"Content-Type": XML, "Accept": XML})
    assert (response.status_code, tag(response)) == (422, "OperationOutcome")
    issue = from_xml(response.content)["issue"][0]
    assert (issue["expression"], "line 2" in issue["details"]["text"]) == (["Patient.name[0].last"], True)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/Patient/x", 404), ("/Patient?nmae=x", 400), ("/Elephant", 404), ("/Patient/x?_summary=yes", 400)],
)
async def test_every_refusal_comes_in_the_format_asked_for(world: World, path: str, status: int) -> None:
    response = await world.get(path, world.system(), headers={"Accept": XML})
    assert (response.status_code, tag(response)) == (status, "OperationOutcome")


async def test_hidden_and_absent_are_the_same_xml(world: World) -> None:
    patient = await made(world)
    who, as_xml = world.professional("1"), {"Accept": XML}
    hidden = await world.get(f"/Patient/{patient}?_elements=name", who, headers=as_xml)
    absent = await world.get("/Patient/0000?_elements=name", who, headers=as_xml)
    assert (hidden.status_code, hidden.content) == (absent.status_code, absent.content) == (404, absent.content)
    counts = [await world.get(f"/Patient?_summary=count&_id={i}", who, headers=as_xml) for i in (patient, "0000")]
    assert [from_xml(c.content)["total"] for c in counts] == [0, 0]


@pytest.mark.parametrize("query", ["_format=csv", "_format=json&_format=json", "_pretty=1", "_elements=nmae"])
async def test_a_form_that_is_not_written_here_is_refused_before_anything_is_looked_up(
    world: World, query: str
) -> None:
    response = await world.get(f"/Patient/unknown?{query}", world.source())
    assert response.status_code == (406 if query == "_format=csv" else 400)
    assert response.json()["issue"][0]["expression"][0].startswith("http._")


async def test_a_head_has_the_headers_of_the_answer_in_its_format(world: World) -> None:
    patient = await made(world)
    read = await world.get(f"/Patient/{patient}?_format=xml", world.source())
    head = await world.http.head(f"/fhir/Patient/{patient}?_format=xml", headers=world.source())
    for name in ("Content-Length", "Content-Type", "ETag"):
        assert head.headers[name] == read.headers[name]


async def test_pretty_is_the_same_on_several_lines(world: World) -> None:
    patient = await made(world)
    for form in ("json", "xml"):
        plain = await world.get(f"/Patient/{patient}?_format={form}", world.source())
        pretty = await world.get(f"/Patient/{patient}?_format={form}&_pretty=true", world.source())
        assert pretty.text.count("\n") > 20 > plain.text.count("\n")
        read = from_xml if form == "xml" else strict_json.load_object
        assert strict_json.dumps(read(pretty.content)) == strict_json.dumps(read(plain.content))


async def test_a_part_is_tagged_and_keeps_its_version(world: World) -> None:
    patient = await made(world)
    whole = await world.get(f"/Patient/{patient}", world.source())
    part = await world.get(f"/Patient/{patient}?_elements=birthDate", world.source())
    assert part.headers["ETag"] == whole.headers["ETag"]
    assert set(part.json()) == {"resourceType", "id", "meta", "birthDate", "_birthDate"}
    assert part.json()["meta"]["tag"] == [SUBSETTED]
    summary = (await world.get(f"/Patient/{patient}/_history/1?_summary=true", world.source())).json()
    assert "text" not in summary
    assert "photo" not in summary
    text = (await world.get(f"/Patient/{patient}?_summary=text", world.source())).json()
    assert set(text) == {"resourceType", "id", "meta", "text"}
    history = (await world.get(f"/Patient/{patient}/_history?_elements=name", world.source())).json()
    assert "birthDate" not in history["entry"][0]["resource"]


async def test_a_search_gives_parts_on_every_page(world: World) -> None:
    patient = await made(world)
    for _ in range(3):
        await made(world, OBSERVATION.replace("{patient}", patient).encode(), **{"Content-Type": XML})
    link, seen = "/Observation?_elements=value&_count=2", []
    while link:
        page = (await world.get(link, world.source())).json()
        seen += [entry["resource"] for entry in page["entry"]]
        following = [item["url"] for item in page["link"] if item["relation"] == "next"]
        link = following[0].removeprefix("http://test/fhir") if following else ""
    assert len(seen) == 3
    assert all({"valueQuantity", "status"} <= set(one) and "subject" not in one for one in seen)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    posted = await world.post("/Observation/_search", world.source(), b"_summary=data&_format=xml", headers=form)
    assert len(from_xml(posted.content)["entry"]) == 3


async def test_s01_a_count_counts_what_the_caller_may_see_and_shows_none(world: World) -> None:
    patient = await made(world)
    for _ in range(3):
        await made(world, OBSERVATION.replace("{patient}", patient).encode(), **{"Content-Type": XML})
    found = (await world.get("/Observation?_summary=count", world.source())).json()
    assert (found["total"], "entry" in found) == (3, False)
    assert (await world.get("/Observation?_summary=count", world.source("other"))).json()["total"] == 0
    assert (await world.get(f"/Patient/{patient}?_summary=count", world.source())).status_code == 400
