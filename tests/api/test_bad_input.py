"""Bad input over REST: the status the standard names, and a sentence that says where and what to do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import World

PATIENT = b'{"resourceType":"Patient"'


@pytest.mark.parametrize(
    ("body", "status", "code", "where"),
    [
        (b"", 400, None, ""),
        (b"[]", 400, "json-not-an-object", ""),
        (b"null", 400, "json-not-an-object", ""),
        (PATIENT, 400, None, ""),
        (PATIENT + b',"active":true,"active":false}', 400, "json-duplicate-key", "column 50"),
        (PATIENT + b',"multipleBirthInteger":NaN}', 400, None, ""),
        (PATIENT + b',"multipleBirthInteger":1e400}', None, None, ""),
        (PATIENT + b',"extension":' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}", 400, None, ""),
        (PATIENT + b',"name":[{"family":"\xff"}]}', 400, None, ""),
        (b'\xef\xbb\xbf{"resourceType":"Patient"}', 201, None, ""),
        (PATIENT + b',"active":"yes"}', 422, None, "Patient.active"),
        (PATIENT + b',"nmae":[]}', 422, None, "Patient.nmae"),
        (PATIENT + b',"birthDate":"1948-13-01"}', 422, None, "Patient.birthDate"),
        (PATIENT + b',"birthDate":"1948-02-30"}', 422, None, "Patient.birthDate"),
        (PATIENT + b',"gender":["female"]}', 422, None, "Patient.gender"),
        (PATIENT + b',"name":{"family":"x"}}', 422, None, "Patient.name"),
        (PATIENT + b',"name":[]}', 422, None, "Patient.name"),
        (PATIENT + b',"name":[{}]}', 422, None, "Patient.name"),
        (PATIENT + b',"id":"not an id"}', 422, None, "Patient.id"),
        (b'{"resourceType":"Observation"}', 422, None, ""),
        (b'{"resourceType":"Elephant"}', 422, None, ""),
        (b'{"id":"x"}', 422, None, ""),
        (
            PATIENT + b',"identifier":[{"system":"urn:oid:1.2.208.176.1.2","value":"9999999999"}]}',
            422, "cpr-impossible", "Patient.identifier",
        ),
        (
            PATIENT + b',"birthDate":"1950-01-01","identifier":'
            b'[{"system":"urn:oid:1.2.208.176.1.2","value":"2512489996"}]}',
            422, "cpr-contradicts-birth-date", "Patient.identifier",
        ),
    ],
)  # fmt: skip
async def test_a_bad_body_is_answered_with_its_place(
    world: World, body: bytes, status: int | None, code: str | None, where: str
) -> None:
    response = await world.post("/Patient", world.source(), body)
    assert response.status_code in ({status} if status else {201, 400, 422}), response.text
    if response.status_code >= 400:
        issues = response.json()["issue"]
        assert all(issue["details"]["text"].endswith((".", "?")) for issue in issues), issues
        assert code is None or code in {c["code"] for i in issues for c in i["details"]["coding"]}
        assert any(where in " ".join(i.get("expression", [])) + i["details"]["text"] for i in issues), issues


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/Elephant", {}, 404),
        ("/Patient/x/y/z", {}, 404),
        ("/Patient/x/$elephant", {}, 404),
        ("/Patient?elephant=1", {}, 400),
        ("/Patient?_id=" + "x," * 2000, {}, None),
        ("/Patient?_count=minus", {}, 400),
        ("/Patient?_count=-1", {}, 400),
        ("/Patient?_cursor=forged", {}, 400),
        ("/Observation?date=2026-13", {}, 400),
        ("/Observation?date=zz2026", {}, 400),
        ("/Patient/x/_history/nil", {}, 404),
        ("/Patient/x/_history/0", {}, 404),
        ("/Patient/x/_history/99999999999999999999", {}, 404),
        ("/Patient/" + "x" * 65, {}, 404),
        ("/Patient/%00", {}, 404),
        ("/Organization/%00", {}, 404),
        ("/Observation?code:in=ValueSet/%00", {}, 400),
        ("/Patient?identifier=%00", {}, 400),
        ("/Patient", {"Accept": "text/csv"}, 406),
        ("/Patient?_format=csv", {}, 406),
    ],
)
async def test_a_bad_address_is_answered_in_fhir(
    world: World, path: str, headers: dict[str, str], status: int | None
) -> None:
    response = await world.get(path, world.system(), headers=headers)
    assert response.status_code in ({status} if status else {200, 400}), response.text
    assert response.json()["resourceType"] in {"OperationOutcome", "Bundle"}


async def test_a_body_over_the_limit_is_refused_before_it_is_read(world: World) -> None:
    async def endless() -> Any:
        for _ in range(10_000):
            yield b" " * 65536
            await asyncio.sleep(0)

    response = await world.http.post("/fhir/Patient", headers=world.source(), content=endless())
    assert response.status_code == 413


@pytest.mark.parametrize("media", ["text/plain", "application/fhir+turtle", "application/fhir+json; charset=latin1"])
async def test_another_format_is_refused_by_name(world: World, media: str) -> None:
    response = await world.post("/Patient", world.source(), b"{}", headers={"Content-Type": media})
    assert response.status_code == 415
    assert "application/fhir+json" in response.text or "UTF-8" in response.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("OPTIONS", "/Patient", "DELETE, GET, PATCH, POST, PUT"),
        ("TRACE", "/Patient", "DELETE, GET, PATCH, POST, PUT"),
        ("POST", "/Patient/x", "DELETE, GET, PATCH, PUT"),
        ("PUT", "/Patient/x/$everything", "GET, POST"),
        ("DELETE", "/Observation/$lastn", "GET, POST"),
        ("PUT", "/Patient/x/_history/1", "GET"),
        ("POST", "/metadata", "GET"),
        ("PUT", "", "GET, POST"),
    ],
)
async def test_a_method_not_done_here_says_which_are(world: World, method: str, path: str, allowed: str) -> None:
    response = await world.http.request(method, f"/fhir{path}", headers=world.system())
    assert response.status_code == 405
    assert response.headers["Allow"] == allowed


@pytest.mark.parametrize(
    "token", ["", "Bearer", "Bearer x", "Bearer a.b.c", "Basic Zm9vOmJhcg==", "Bearer " + "x" * 5000]
)
async def test_a_bad_token_is_one_answer(world: World, token: str) -> None:
    response = await world.http.get("/fhir/Patient/x", headers={"Authorization": token} if token else {})
    assert response.status_code == 401
    assert response.json()["issue"][0]["details"]["coding"][0]["code"] == "sign-in-needed"


def unit(number: int) -> str:
    """Return one of many units that nobody has met, of 36 characters."""
    return "m.g.s.k" + ".".join(f"{'mgs'[int(digit) % 3]}{int(digit) + 2}" for digit in f"{number:010d}")


async def test_units_are_bounded_before_they_are_parsed(world: World) -> None:
    """Each takes some 10 ms: a search kept a worker busy for seconds, an Observation for minutes."""
    several = ["5|http://unitsofmeasure.org|" + unit(n) for n in range(40)]
    for count, status in ((20, 200), (40, 400)):
        asked = "&".join("value-quantity=" + ",".join(several[n : n + 20]) for n in range(0, count, 20))
        response = await world.get(f"/Observation?{asked}", world.source())
        assert response.status_code == status, response.text
    assert "search-too-long" in response.text
    quantity = {"value": 1, "system": "http://unitsofmeasure.org"}
    subject = {"identifier": {"system": "urn:oid:1.2.208.176.1.2", "value": "2512489996"}}
    parts = [{"code": {"text": "x"}, "valueQuantity": quantity | {"code": unit(n)}} for n in range(120)]
    for count, status in ((5, 201), (120, 422)):
        body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": subject,
                "component": parts[:count]}  # fmt: skip
        response = await world.post("/Observation", world.source(), body)
        assert response.status_code == status, response.text
    assert "units-too-many" in response.text
