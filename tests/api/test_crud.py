"""Create, read, vread, update, delete, history, search, through HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.store.database import counting

if TYPE_CHECKING:
    from tests.conftest import World

CPR = "2512489996"
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:oid:1.2.208.176.1.2", "value": CPR}],
    "name": [{"family": "Test", "given": ["Nancy"]}],
}


def observation(patient: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://npu-terminology.org", "code": "NPU02319"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-11-20T08:00:00+01:00",
        **more,
    }


async def make_patient(world: World, who: dict[str, str] | None = None) -> str:
    response = await world.post("/Patient", who or world.source(), PATIENT)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def test_created_resource_is_read_back_with_its_version(world: World) -> None:
    patient = await make_patient(world)
    response = await world.get(f"/Patient/{patient}", world.source())
    assert response.status_code == 200
    assert response.headers["ETag"] == 'W/"1"'
    assert response.headers["Content-Type"] == "application/fhir+json; charset=utf-8"
    body = response.json()
    assert body["meta"]["versionId"] == "1"
    assert body["name"] == PATIENT["name"]


async def test_location_names_the_version_created(world: World) -> None:
    response = await world.post("/Patient", world.source(), PATIENT)
    identifier = response.json()["id"]
    assert response.headers["Location"] == f"http://test/fhir/Patient/{identifier}/_history/1"


@pytest.mark.parametrize("digits", ["0.10", "1.00", "123456789012345.678", "1e3", "0.000000000000000001", "-0.0", "42"])
async def test_decimals_keep_their_digits(world: World, digits: str) -> None:
    patient = await make_patient(world)
    raw = (
        '{"resourceType":"Observation","status":"final","code":{"text":"x"},'
        f'"subject":{{"reference":"Patient/{patient}"}},"valueQuantity":{{"value":{digits}}}}}'
    )
    created = await world.post("/Observation", world.source(), raw.encode())
    assert created.status_code == 201, created.text
    read = await world.get(f"/Observation/{created.json()['id']}", world.source())
    assert f'"valueQuantity":{{"value":{digits}}}' in read.text


async def test_update_needs_the_version_it_was_made_from(world: World) -> None:
    patient = await make_patient(world)
    changed = {**PATIENT, "id": patient, "birthDate": "1948-12-25"}
    stale = await world.put(f"/Patient/{patient}", world.source(), changed, **{"If-Match": 'W/"7"'})
    assert stale.status_code == 412
    fresh = await world.put(f"/Patient/{patient}", world.source(), changed, **{"If-Match": 'W/"1"'})
    assert (fresh.status_code, fresh.headers["ETag"]) == (200, 'W/"2"')


REPLACED: list[tuple[dict[str, str], str | None, int, str]] = [
    # headers, the body's versionId, status, code; version 2 stands
    ({}, None, 400, "version-needed"),
    ({}, "the-last", 400, "version-needed"),
    ({}, "1", 412, "version-changed"),
    ({}, "3", 412, "version-changed"),
    ({}, "2", 200, ""),
    ({"If-Match": 'W/"1"'}, "2", 412, "version-changed"),
    ({"If-Match": 'W/"2"'}, "1", 200, ""),
    ({"If-Match": 'W/"2"'}, None, 200, ""),
]


@pytest.mark.parametrize("in_bundle", [False, True])
@pytest.mark.parametrize(("headers", "stated", "status", "code"), REPLACED)
async def test_f23_clinical_content_is_never_overwritten_unseen(
    world: World, headers: dict[str, str], stated: str | None, status: int, code: str, in_bundle: bool
) -> None:
    who = world.source()
    body = observation(await make_patient(world))
    made = (await world.post("/Observation", who, body)).json()
    place = f"Observation/{made['id']}"
    assert (await world.put(f"/{place}", who, {**made, "status": "amended"})).status_code == 200
    changed = {**body, "id": made["id"], "status": "corrected"} | (
        {} if stated is None else {"meta": {"versionId": stated}}
    )
    if in_bundle:
        request = {"method": "PUT", "url": place} | ({"ifMatch": headers["If-Match"]} if headers else {})
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": changed, "request": request}]}
        answer = await world.post("/", who, bundle)
    else:
        answer = await world.put(f"/{place}", who, changed, **headers)
    assert answer.status_code == status, answer.text
    if code:
        assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == code
    stands = (await world.get(f"/{place}", who)).json()
    assert stands["status"] == ("amended" if code else "corrected")
    assert stands["meta"]["versionId"] == ("2" if code else "3")


async def test_where_no_version_is_needed(world: World) -> None:
    """A source's own ids, which restate what its system says; a resource that was deleted; who somebody is."""
    who = world.source()
    patient = await make_patient(world)
    body = observation(patient)
    for status in (201, 200):
        answer = await world.put("/Observation/gateway.1", who, {**body, "id": "gateway.1"})
        assert answer.status_code == status
    made = (await world.post("/Observation", who, body)).json()["id"]
    await world.http.delete(f"/fhir/Observation/{made}", headers=who)
    assert (await world.put(f"/Observation/{made}", who, {**body, "id": made})).status_code == 201
    assert (await world.put(f"/Patient/{patient}", who, {**PATIENT, "id": patient})).status_code == 200
    hidden = [
        await world.put(f"/Observation/{one}", world.source("other"), {**body, "id": one}) for one in (made, "0" * 32)
    ]
    assert [answer.status_code for answer in hidden] == [404, 404]
    assert hidden[0].content == hidden[1].content


async def test_every_version_is_kept(world: World) -> None:
    patient = await make_patient(world)
    await world.put(f"/Patient/{patient}", world.source(), {**PATIENT, "id": patient, "gender": "female"})
    deleted = await world.http.delete(f"/fhir/Patient/{patient}", headers=world.source())
    assert deleted.status_code == 204
    assert (await world.get(f"/Patient/{patient}", world.source())).status_code == 410
    assert (await world.get(f"/Patient/{patient}/_history/3", world.source())).status_code == 410
    first = (await world.get(f"/Patient/{patient}/_history/1", world.source())).json()
    assert "gender" not in first
    history = (await world.get(f"/Patient/{patient}/_history", world.source())).json()
    methods = [e["request"]["method"] for e in history["entry"]]
    assert (history["type"], methods) == ("history", ["DELETE", "PUT", "POST"])


async def test_every_version_of_what_belongs_to_no_patient_is_kept(world: World) -> None:
    made = (await world.post("/Organization", world.source(), {"resourceType": "Organization", "name": "A"})).json()
    path = f"/Organization/{made['id']}"
    assert (await world.replace(path, world.source(), {**made, "name": "B"})).status_code == 200
    found = [await world.get(f"{path}/_history/{number}", world.source()) for number in (1, 2, 3)]
    assert [(one.status_code, one.json().get("name")) for one in found] == [(200, "A"), (200, "B"), (404, None)]


async def test_search_finds_by_each_parameter(world: World) -> None:
    patient = await make_patient(world)
    who = world.source()
    created = await world.post("/Observation", who, observation(patient))
    identifier = created.json()["id"]
    queries = [
        f"/Observation?_id={identifier}",
        f"/Observation?patient={patient}",
        f"/Observation?patient=Patient/{patient}",
        f"/Observation?subject=Patient/{patient}",
        f"/Observation?patient:identifier=urn:oid:1.2.208.176.1.2|{CPR}",
        "/Observation?code=NPU02319",
        "/Observation?code=http://npu-terminology.org|NPU02319",
        "/Observation?code=http://npu-terminology.org|",
        "/Observation?code=other,NPU02319&date=2026-11",
        "/Observation?date=ge2026-11-20&date=lt2026-11-21",
        "/Observation?date=eq2026-11-20",
        f"/Observation?patient={patient}&code=NPU02319&date=gt2026-11-19",
    ]
    for query in queries:
        found = await world.get(query, who)
        assert [e["resource"]["id"] for e in found.json().get("entry", [])] == [identifier], query
    nothing = ["/Observation?code=|NPU02319", "/Observation?date=lt2026-11-20", "/Observation?patient=unknown"]
    for query in nothing:
        assert "entry" not in (await world.get(query, who)).json(), query


async def test_cpr_is_found_with_and_without_dash(world: World) -> None:
    patient = await make_patient(world)
    for text in ("2512489996", "251248-9996"):
        found = await world.get(f"/Patient?identifier=urn:oid:1.2.208.176.1.2|{text}", world.source())
        assert found.json()["entry"][0]["resource"]["id"] == patient


async def test_paging_shows_each_match_once(world: World) -> None:
    patient = await make_patient(world)
    who = world.source()
    made = {(await world.post("/Observation", who, observation(patient))).json()["id"] for _ in range(7)}
    seen: list[str] = []
    link = "/Observation?code=NPU02319&_count=3"
    while link:
        page = (await world.get(link, who)).json()
        seen += [e["resource"]["id"] for e in page["entry"]]
        following = [item["url"] for item in page["link"] if item["relation"] == "next"]
        link = following[0].removeprefix("http://test/fhir") if following else ""
    assert (len(seen), set(seen)) == (7, made)


async def test_a_cursor_is_bound_to_its_caller_and_search(world: World) -> None:
    patient = await make_patient(world)
    for _ in range(3):
        await world.post("/Observation", world.source(), observation(patient))
    page = (await world.get("/Observation?code=NPU02319&_count=1", world.source())).json()
    link = next(item["url"] for item in page["link"] if item["relation"] == "next").removeprefix("http://test/fhir")
    assert (await world.get(link, world.source())).status_code == 200
    assert (await world.get(link, world.source("another"))).status_code == 400
    assert (await world.get(link.replace("NPU02319", "NPU02320"), world.source())).status_code == 400


async def test_cpr_never_stands_in_a_link(world: World) -> None:
    await make_patient(world)
    page = await world.get(f"/Patient?identifier=urn:oid:1.2.208.176.1.2|{CPR}", world.source())
    assert all(CPR not in item["url"] for item in page.json()["link"])


async def test_if_none_exist_creates_once(world: World) -> None:
    who = world.source()
    condition = {"If-None-Exist": f"identifier=urn:oid:1.2.208.176.1.2|{CPR}"}
    first = await world.post("/Patient", who, PATIENT, headers=condition)
    second = await world.post("/Patient", who, PATIENT, headers=condition)
    assert (first.status_code, second.status_code) == (201, 200)


async def test_a_source_creates_by_put_in_its_own_namespace_only(world: World) -> None:
    patient = await make_patient(world)
    own = observation(patient, id="gateway.hgb-1")
    assert (await world.put("/Observation/gateway.hgb-1", world.source(), own)).status_code == 201
    assert (await world.put("/Observation/gateway.hgb-1", world.source(), own)).status_code == 200
    foreign = observation(patient, id="other.hgb-1")
    assert (await world.put("/Observation/other.hgb-1", world.source(), foreign)).status_code == 404


async def test_head_gives_the_headers_without_the_body(world: World) -> None:
    patient = await make_patient(world)
    read = await world.get(f"/Patient/{patient}", world.source())
    head = await world.http.head(f"/fhir/Patient/{patient}", headers=world.source())
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(read.content))


async def test_organisations_belong_to_nobody_and_are_seen_by_all(world: World) -> None:
    body = {
        "resourceType": "Organization",
        "name": "Klinik",
        "identifier": [{"system": "urn:oid:1.2.208.176.1.1", "value": "99900000016999"}],
    }
    created = await world.post("/Organization", world.system(), body)
    assert created.status_code == 201
    for who in (world.citizen(CPR), world.professional("1"), world.source("other")):
        assert (await world.get(f"/Organization/{created.json()['id']}", who)).status_code == 200


async def test_statement_counts(world: World) -> None:
    """The numbers do not depend on the machine; a changed one needs a reason."""
    patient = await make_patient(world)
    who = world.source()
    identifier = (await world.post("/Observation", who, observation(patient))).json()["id"]
    with counting() as sent:
        await world.get(f"/Observation/{identifier}", who)
    # where it is kept, decision, row and log in one; who the source is was read for its first request
    assert len(sent) == 1
    with counting() as sent:
        await world.get(f"/Observation?patient={patient}", who)
    assert len(sent) == 1


@pytest.mark.parametrize("entries", [2, 40])
async def test_transaction_statements_do_not_grow_with_its_entries(world: World, entries: int) -> None:
    patient = await make_patient(world)
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": observation(patient), "request": {"method": "POST", "url": "Observation"}}
            for _ in range(entries)
        ],
    }
    with counting() as sent:
        response = await world.post("", world.source(), bundle)
    assert response.status_code == 200, response.text
    sealed = world.run.database.vault is not None  # one more, for the key of the record
    assert len(sent) == 9 + sealed
