"""MedCom's FHIR messages may come as XML as well as JSON: the same message, whichever way it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from overblik.exchange.recognise import media_of
from overblik.fhir.strict_json import load_object
from overblik.fhir.xml import from_xml
from overblik.fhir.xml_writing import to_xml
from tests.conftest import needs_shared, shared_files
from tests.exchange.real import BRUNO, answer_of, resources

if TYPE_CHECKING:
    from tests.conftest import World

XML = {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}


@pytest.mark.parametrize(
    ("raw", "media"),
    [
        (b'<Bundle xmlns="http://hl7.org/fhir"/>', "application/fhir+xml"),
        (b'<?xml version="1.0"?>\n<!-- a -->\n<f:Bundle\n xmlns:f="http://hl7.org/fhir">', "application/fhir+xml"),
        (b'\xef\xbb\xbf<Bundle id="x" xmlns="http://hl7.org/fhir">', "application/fhir+xml"),
        (b'<ClinicalDocument xmlns="urn:hl7-org:v3"><x xmlns="http://hl7.org/fhir"/>', "application/xml"),
        (b"<", "application/xml"),
    ],
)
def test_the_root_says_whether_xml_is_fhir(raw: bytes, media: str) -> None:
    assert media_of(raw) == media


@needs_shared
@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        ("medcom-fhir/hospitalnotification/Bundle-a5e5b880*.json", "Encounter"),
        ("medcom-fhir/carecommunication/Bundle-3dcb5618*.json", "Communication"),
    ],
)
async def test_a_message_in_xml_is_taken_and_the_same_in_json_is_its_duplicate(
    world: World, pattern: str, kind: str
) -> None:
    (path,) = shared_files(pattern)
    message = load_object(path.read_bytes())
    response = await world.post("/$process-message", world.source(), to_xml(message), headers=XML)
    assert response.status_code == 200, response.text
    header = from_xml(response.content)["entry"][0]["resource"]
    assert header["response"]["code"] == "ok"
    found = await resources(world, kind, BRUNO)
    assert found
    assert answer_of(await world.message(path.read_bytes())).code == "ok"
    assert await resources(world, kind, BRUNO) == found


async def test_what_cannot_be_read_of_it_is_said_with_its_line(world: World) -> None:
    raw = b'<Bundle xmlns="http://hl7.org/fhir">\n<type value="message"/>\n<entries/></Bundle>'
    response = await world.post("/$process-message", world.source(), raw, headers={"Content-Type": XML["Accept"]})
    assert (response.status_code, answer_of(response).issue) == (200, "unknown-element")
    assert "line 3" in response.text
