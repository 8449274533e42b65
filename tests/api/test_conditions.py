"""Conditional reads and writes, Prefer, and patches through HTTP (https://hl7.org/fhir/R4/http.html)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.strict_json import dumps
from tests.conftest import NOW
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, SIBLING, encounter, patient, stage, write

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World

BY_CPR = f"identifier=urn:oid:1.2.208.176.1.2|{CPR}"
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
MALE = [{"op": "add", "path": "/gender", "value": "male"}]


async def call(world: World, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    """Send a request as the source that delivers in these tests."""
    sent = {"Content-Type": "application/fhir+json", **world.source(), **headers}
    content = body if isinstance(body, bytes) or body is None else dumps(body)
    return await world.http.request(method, f"/fhir{path}", headers=sent, content=content)


def code(response: httpx.Response) -> str:
    return str(response.json()["issue"][0]["details"]["coding"][0]["code"])


async def test_what_the_caller_has_already_is_not_sent_again(world: World) -> None:
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    path, who = f"/Patient/{identifier}", world.professional(DEPARTMENT)
    table = [
        ({"If-None-Match": 'W/"1"'}, 304),
        ({"If-None-Match": '"1"'}, 304),
        ({"If-None-Match": "1"}, 304),
        ({"If-None-Match": "2"}, 200),
        ({"If-None-Match": 'W/"7", W/"1"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": 'W/"2"'}, 200),
        ({"If-None-Match": "nonsense"}, 400),
        ({"If-Modified-Since": "Mon, 23 Nov 2026 09:00:00 GMT"}, 304),
        ({"If-Modified-Since": "Mon, 23 Nov 2026 08:59:59 GMT"}, 200),
        ({"If-Modified-Since": "nonsense"}, 200),
        ({"If-None-Match": 'W/"2"', "If-Modified-Since": "Mon, 23 Nov 2026 09:00:00 GMT"}, 200),
    ]
    for headers, status in table:
        for target in (path, f"{path}/_history/1"):
            response = await world.get(target, who, headers=headers)
            assert response.status_code == status, (target, headers)
            if status == 304:
                assert (response.content, response.headers["ETag"]) == (b"", 'W/"1"')
    stranger = world.professional(SIBLING)
    for headers, _ in table:
        hidden = await world.get(path, stranger, headers=headers)
        absent = await world.get("/Patient/" + "0" * 32, stranger, headers=headers)
        assert (hidden.status_code, hidden.content) == (404, absent.content)


async def test_f22_update_by_condition_replaces_the_one_or_creates(world: World) -> None:
    created = await call(world, "PUT", f"/Patient?{BY_CPR}", patient())
    assert (created.status_code, created.headers["ETag"]) == (201, 'W/"1"')
    identifier = created.json()["id"]
    again = await call(world, "PUT", f"/Patient?{BY_CPR}", {**patient(), "gender": "male"})
    assert (again.status_code, again.json()["id"], again.headers["ETag"]) == (200, identifier, 'W/"2"')
    own = await call(world, "PUT", f"/Patient?{BY_CPR}", {**patient(), "id": identifier}, **{"If-Match": 'W/"2"'})
    assert own.status_code == 200
    table = [
        (f"?{BY_CPR}", {**patient(), "id": "other"}, {}, 400, "id-mismatch"),
        (f"?{BY_CPR}", patient(), {"If-Match": 'W/"1"'}, 412, "version-changed"),
        ("?identifier=unknown", patient(), {"If-Match": 'W/"1"'}, 412, "version-changed"),
        ("?identifier=unknown", {**patient(), "id": "not-mine"}, {}, 404, "not-found"),
        ("", patient(), {}, 400, "condition-empty"),
        ("?identifier=", patient(), {}, 400, "condition-empty"),
        ("?_count=1", patient(), {}, 400, "condition-empty"),
        ("?nonsense=1", patient(), {}, 400, "search-parameter-unknown"),
    ]
    for query, body, headers, status, expected in table:
        lenient = {**headers, "Prefer": "handling=lenient"}
        response = await call(world, "PUT", f"/Patient{query}", body, **lenient)
        assert (response.status_code, code(response)) == (status, expected), query
    named = await call(world, "PUT", "/Patient?identifier=unknown", {**patient(OTHER), "id": "gateway.1"})
    assert (named.status_code, named.json()["id"]) == (201, "gateway.1")
    await call(world, "POST", "/Patient", patient())
    assert (await call(world, "PUT", f"/Patient?{BY_CPR}", patient())).status_code == 412


async def test_a_condition_finds_only_what_the_caller_delivered(world: World) -> None:
    """Otherwise a CPR could be asked for by trying to write about it."""
    await write(world, patient())
    other = {"Authorization": world.source("another")["Authorization"]}
    for method, expected in (("DELETE", 204), ("PATCH", 404), ("PUT", 201)):
        answers = []
        for query in (BY_CPR, BY_CPR.replace(CPR, "0905489971")):
            body: Any = MALE if method == "PATCH" else patient(OTHER) if method == "PUT" else None
            headers = other | (JSON_PATCH if method == "PATCH" else {})
            answers.append((await call(world, method, f"/Patient?{query}", body, **headers)).status_code)
        assert answers == [expected] * 2, method
    created = await call(world, "POST", "/Patient", patient(), **other, **{"If-None-Exist": BY_CPR})
    assert created.status_code == 201
    assert (await world.get(f"/Patient?{BY_CPR}", world.source())).json()["entry"]


async def test_delete_by_condition_deletes_the_one_and_is_content_with_none(world: World) -> None:
    identifier = await write(world, patient())
    await write(world, patient(OTHER))
    table = [
        ("", {}, 400),
        ("?identifier=", {}, 400),
        (f"?{BY_CPR}", {"If-Match": 'W/"2"'}, 412),
        ("?identifier=unknown", {"If-Match": 'W/"2"'}, 412),
        ("?identifier=unknown", {}, 204),
        (f"?{BY_CPR},urn:oid:1.2.208.176.1.2|{OTHER}", {}, 412),
        (f"?{BY_CPR}", {"If-Match": 'W/"1"'}, 204),
        (f"?{BY_CPR}", {}, 204),
    ]
    for query, headers, status in table:
        assert (await call(world, "DELETE", f"/Patient{query}", **headers)).status_code == status, (query, headers)
    assert (await world.get(f"/Patient/{identifier}", world.source())).status_code == 410
    assert (await world.get(f"/Patient/{identifier}/_history", world.source())).json()["total"] == 2


async def test_if_none_match_star_writes_only_what_is_not_there(world: World) -> None:
    body = {**patient(), "id": "gateway.1"}
    new = {"If-None-Match": "*"}
    assert (await call(world, "PUT", "/Patient/gateway.1", body, **new)).status_code == 201
    assert (await call(world, "PUT", "/Patient/gateway.1", body, **new)).status_code == 412
    assert (await call(world, "PUT", "/Patient/gateway.1", body, **{"If-None-Match": 'W/"1"'})).status_code == 400
    assert (await call(world, "DELETE", "/Patient/gateway.1")).status_code == 204
    assert (await call(world, "PUT", "/Patient/gateway.1", body, **new)).status_code == 201


FHIRPATH = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "add"},
                {"name": "path", "valueString": "Patient"},
                {"name": "name", "valueString": "gender"},
                {"name": "value", "valueCode": "male"},
            ],
        }
    ],
}


async def test_a_patch_changes_what_it_names_and_keeps_the_rest(world: World) -> None:
    for body, headers in ((MALE, JSON_PATCH), (FHIRPATH, {})):
        identifier = await write(world, patient())
        path = f"/Patient/{identifier}"
        stale = await call(world, "PATCH", path, body, **headers, **{"If-Match": 'W/"2"'})
        assert (stale.status_code, code(stale)) == (412, "version-changed")
        done = await call(world, "PATCH", path, body, **headers, **{"If-Match": 'W/"1"'})
        assert (done.status_code, done.headers["ETag"], done.json()["gender"]) == (200, 'W/"2"', "male")
        assert done.json()["name"] == patient()["name"]
        assert (await world.get(path, world.source())).json() == done.json()
        matched = await call(world, "PATCH", f"/Patient?_id={identifier}", b"[]", **JSON_PATCH)
        assert (matched.status_code, matched.headers["ETag"]) == (200, 'W/"3"')
        await call(world, "DELETE", path)
        assert (await call(world, "PATCH", path, body, **headers)).status_code == 410
    table: list[tuple[str, Any, dict[str, str], int, str]] = [
        ("/Patient/none", MALE, JSON_PATCH, 404, "not-found"),
        ("/Patient?_id=none", MALE, JSON_PATCH, 404, "not-found"),
        ("/Patient", MALE, JSON_PATCH, 400, "condition-empty"),
        ("/Patient/none", MALE, {"Content-Type": "text/plain"}, 415, "content-type"),
        ("/Patient/none", patient(), {}, 422, "patch-invalid"),
        ("/Patient/none", b"[", JSON_PATCH, 400, "json-invalid"),
    ]
    for path, body, headers, status, expected in table:
        response = await call(world, "PATCH", path, body, **headers)
        assert (response.status_code, code(response)) == (status, expected), (path, response.text)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "replace", "path": "/id", "value": "x"}, "id-mismatch"),
        ({"op": "remove", "path": "/id"}, "id-mismatch"),
        ({"op": "replace", "path": "/resourceType", "value": "Person"}, "id-mismatch"),
        ({"op": "add", "path": "/nonsense", "value": 1}, "unknown-element"),
        ({"op": "replace", "path": "/name", "value": "x"}, "wrong-json-type"),
        ({"op": "replace", "path": "/identifier/0/value", "value": OTHER}, "patient-changed"),
        ({"op": "test", "path": "/gender", "value": "male"}, "patch-failed"),
    ],
)
async def test_a_patch_is_held_to_what_an_update_is(world: World, operation: dict[str, Any], expected: str) -> None:
    await write(world, patient(OTHER))
    identifier = await write(world, patient())
    response = await call(world, "PATCH", f"/Patient/{identifier}", [operation], **JSON_PATCH)
    assert response.status_code == 422
    assert code(response) == expected
    assert (await world.get(f"/Patient/{identifier}", world.source())).headers["ETag"] == 'W/"1"'


async def test_z17_server_meta_wins_over_a_patch(world: World) -> None:
    identifier = await write(world, patient())
    sent = [{"op": "replace", "path": "/meta/versionId", "value": "77"}]
    done = await call(world, "PATCH", f"/Patient/{identifier}", sent, **JSON_PATCH)
    assert done.json()["meta"]["versionId"] == "2"


async def test_a_write_answers_as_preferred(world: World) -> None:
    identifier = await write(world, patient())
    body = {**patient(), "id": identifier}
    table: list[tuple[str, str, int]] = [
        ("return=minimal", "", 200),
        ("return=representation", "Patient", 200),
        ("return=OperationOutcome", "OperationOutcome", 200),
        ("respond-async; return=minimal, handling=strict", "", 200),
        ("return=nonsense", "Patient", 200),
        ('return="minimal"', "", 200),
    ]
    for prefer, kind, status in table:
        for method, content in (("PUT", body), ("PATCH", FHIRPATH), ("POST", patient())):
            path = "/Patient" if method == "POST" else f"/Patient/{identifier}"
            if method == "PATCH":
                await call(world, "PUT", path, body)
            response = await call(world, method, path, content, Prefer=prefer)
            assert response.status_code == (201 if method == "POST" else status), (prefer, response.text)
            assert "ETag" in response.headers
            assert f"/_history/{response.headers['ETag'][3:-1]}" in response.headers["Location"]
            assert (response.json()["resourceType"] if response.content else "") == kind, (prefer, method)
    told = await call(world, "DELETE", f"/Patient/{identifier}", Prefer="return=OperationOutcome")
    assert (told.status_code, told.json()["issue"][0]["severity"]) == (200, "information")


async def test_references_to_this_server_are_stored_relative_and_others_are_not_taken_for_ours(world: World) -> None:
    identifier = await write(world, patient())
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    own = await call(
        world, "POST", "/Observation", {**body, "subject": {"reference": f"http://test/fhir/Patient/{identifier}"}}
    )
    assert own.json()["subject"]["reference"] == f"Patient/{identifier}"
    elsewhere = {"reference": f"https://elsewhere.example/fhir/Patient/{identifier}"}
    refused = await call(world, "POST", "/Observation", {**body, "subject": elsewhere})
    assert (refused.status_code, code(refused)) == (422, "patient-unknown")
    named = {**elsewhere, "identifier": patient()["identifier"][0]}
    taken = await call(world, "POST", "/Observation", {**body, "subject": named})
    assert taken.json()["subject"] == named
    found = await world.get(f"/Observation?patient={identifier}", world.source())
    assert len(found.json()["entry"]) == 2


async def test_a_binary_is_taken_as_it_is(world: World) -> None:
    created = await call(world, "POST", "/Binary", b"%PDF-1.7", **{"Content-Type": "application/pdf"})
    assert created.status_code == 201, created.text
    assert base64.b64decode(created.json()["data"]) == b"%PDF-1.7"
    path = f"/Binary/{created.json()['id']}"
    read = await world.get(path, world.source(), headers={"Accept": "application/pdf"})
    assert (read.content, read.headers["Content-Type"]) == (b"%PDF-1.7", "application/pdf")
    again = {"Content-Type": "text/plain", "If-Match": 'W/"1"'}
    replaced = await call(world, "PUT", path, b"x", **again)
    assert (replaced.status_code, replaced.headers["ETag"]) == (200, 'W/"2"')


async def test_a_condition_in_the_address_of_a_create_is_refused_and_not_passed_over(world: World) -> None:
    body = patient()
    for headers in ({}, {"Prefer": "handling=lenient"}):
        refused = await call(world, "POST", f"/Patient?{BY_CPR}", body, **headers)
        assert (refused.status_code, code(refused)) == (400, "parameter-unknown")
    assert (await world.get(f"/Patient?{BY_CPR}", world.source())).json().get("entry", []) == []
    assert (await call(world, "POST", "/Patient?_format=json&_pretty=true", body)).status_code == 201


async def test_none_of_a_page_is_asked_for_to_have_them_counted(world: World) -> None:
    await call(world, "POST", "/Patient", patient())
    found = (await world.get(f"/Patient?{BY_CPR}&_count=0", world.source())).json()
    assert (found["total"], "entry" in found) == (1, False)
    assert found["link"][0]["url"].endswith("_count=0")
