"""What is hidden and what never was give one answer, in every way that a resource can be asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.strict_json import dumps
from overblik.store.database import counting
from overblik.store.search.common import COMMON
from tests.api.test_transaction import bundle, entry
from tests.conftest import NOW
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, SIBLING, about, deny, encounter, patient, stage, write

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World

READS = (
    "/Patient/{id}?asOf=2026-11-24",
    "/Patient/{id}/_history?_since=2026",
    "/Patient/{id}/_history?_at=2026-11-23",
    "/Patient/{id}/_history?_count=0",
    "/Patient/{id}/_history/1/$meta",
    "/Patient/{id}/$meta",
    "/Patient/{id}/$everything",
    "/Patient/{id}/$everything?_type=Patient&_since=2026&_count=1",
    "/Observation/$lastn?patient={id}",
    "/Encounter/{contact}?asOf=2026-11-24",
    "/Encounter/{contact}/_history",
    "/Encounter/{contact}/$meta",
    "/Encounter/_history",
    "/Patient/_history?_count=1",
)
PATCH = {"Content-Type": "application/json-patch+json"}
CHANGE = [{"op": "add", "path": "/language", "value": "da"}]


def plain(response: httpx.Response, names: dict[str, str]) -> tuple[Any, ...]:
    """Return an answer without what differs by chance: the names asked for and the request's own id."""
    text = response.text
    for name, value in names.items():
        text = text.replace(value, name)
    headers = {k: v for k, v in response.headers.items() if k not in {"x-request-id", "content-length"}}
    if "location" in headers:
        headers["location"] = re.sub("[0-9a-f]{32}", "ID", headers["location"])
    return response.status_code, re.sub("[0-9a-f]{32}", "ID", text), headers


async def test_z02_s05_no_read_tells_hidden_from_absent(world: World) -> None:
    identifier = await stage(world)
    contact = await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    await world.run.drain()
    real, absent = {"id": identifier, "contact": contact}, {"id": "0" * 32, "contact": "1" * 32}
    for who in (world.professional(SIBLING), world.citizen("0905489971"), world.source("another")):
        for path in READS:
            for method in ("GET", "HEAD"):
                answers = [
                    plain(await world.http.request(method, f"/fhir{path.format(**names)}", headers=who), names)
                    for names in (real, absent)
                ]
                assert answers[0] == answers[1], path
                assert answers[0][0] in {200, 404}
            got = [
                (await world.post("", who, bundle(entry("GET", path[1:].format(**names)), kind="batch"))).text
                for names in (real, absent)
            ]
            assert got[0].replace(identifier, "0" * 32).replace(contact, "1" * 32) == got[1], path


async def test_s08_s14_no_write_tells_hidden_from_absent(world: World) -> None:
    identifier = await stage(world)
    real = {"id": identifier, "cpr": CPR}
    absent = {"id": "0" * 32, "cpr": "0905489971"}
    who = world.source("another")
    by_cpr = "?identifier=urn:oid:1.2.208.176.1.2|{cpr}"
    table: list[tuple[str, str, Any, dict[str, str]]] = [
        ("PATCH", "/Patient/{id}", CHANGE, PATCH),
        ("PATCH", "/Patient/{id}", CHANGE, PATCH | {"If-Match": 'W/"1"'}),
        ("PATCH", "/Patient" + by_cpr, CHANGE, PATCH),
        ("DELETE", "/Patient/{id}", None, {}),
        ("DELETE", "/Patient/{id}", None, {"If-Match": 'W/"9"'}),
        ("DELETE", "/Patient" + by_cpr, None, {}),
        ("DELETE", "/Patient" + by_cpr, None, {"If-Match": 'W/"1"'}),
        ("PUT", "/Patient/{id}", "body", {"If-None-Match": "*"}),
        ("PUT", "/Patient" + by_cpr, "body", {"If-Match": 'W/"1"'}),
        ("PUT", "/Patient?_id={id}", "body", {}),
    ]
    for method, path, content, headers in table:
        answers = []
        for names in (real, absent):
            body = {**patient("2512489996"), "id": names["id"]} if content == "body" else content
            sent = await world.http.request(
                method,
                f"/fhir{path.format(**names)}",
                headers={"Content-Type": "application/fhir+json", **who, **headers},
                content=dumps(body) if body is not None else None,
            )
            answers.append(plain(sent, names))
        assert answers[0] == answers[1], (method, path)
        assert (await world.get(f"/Patient/{identifier}", world.source())).headers["ETag"] == 'W/"1"'


async def test_history_of_a_type_is_the_same_whether_or_not_something_hidden_was_written(world: World) -> None:
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    await deny(world, identifier, type="Observation")
    shown = {"resourceType": "AllergyIntolerance", "patient": about()}
    for _ in range(3):
        await write(world, shown)
    await world.run.drain()
    who = world.professional(DEPARTMENT)
    paths = (
        "/Observation/_history",
        "/AllergyIntolerance/_history?_count=2",
        "/AllergyIntolerance/_history?_count=3",
        f"/Patient/{identifier}/$everything?_count=5",
    )

    async def seen() -> list[str]:
        texts = [(await world.get(path, who)).text for path in paths]
        return [re.sub('_cursor=[^"&]+', "_cursor=C", text) for text in texts]

    before = await seen()
    hidden = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": about()}
    for _ in range(4):
        await write(world, hidden)
    await world.run.drain()
    assert await seen() == before


async def test_head_is_answered_as_get_is_without_the_body(world: World) -> None:
    identifier = await stage(world)
    await world.run.drain()
    paths = (
        "/metadata", f"/Patient/{identifier}", f"/Patient/{identifier}/_history/1", f"/Patient/{identifier}/_history",
        "/Patient/_history", "/_history", "/Patient", f"/Patient/{identifier}/$everything",
        f"/Patient/{identifier}/$meta", f"/Observation/$lastn?patient={identifier}", "/Patient/none",
    )  # fmt: skip
    for path in paths:
        answers = [await world.http.request(m, f"/fhir{path}", headers=world.source()) for m in ("GET", "HEAD")]
        get, head = [{k: v for k, v in a.headers.items() if k != "x-request-id"} for a in answers]
        assert (answers[1].status_code, answers[1].content) == (answers[0].status_code, b""), path
        assert get == head, path


@pytest.mark.parametrize("way", ["PUT", "DELETE"])
async def test_z03_a_version_keeps_every_patient_it_was_ever_about(world: World, way: str) -> None:
    """Who may see one of two patients does not see what was about both, whatever it says later."""
    one = await stage(world)
    two = await write(world, patient(OTHER))
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    meeting: dict[str, Any] = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": NOW.isoformat(),
        "end": NOW.isoformat(),
        "comment": "about both",
        "participant": [{"actor": {"reference": f"Patient/{who}"}, "status": "accepted"} for who in (one, two)],
    }
    made = await write(world, meeting)
    if way == "PUT":
        left = {**meeting, "id": made, "meta": {"versionId": "1"}, "participant": meeting["participant"][:1]}
        assert (await world.http.put(f"/fhir/Appointment/{made}", json=left, headers=world.source())).status_code == 200
    else:
        assert (await world.http.delete(f"/fhir/Appointment/{made}", headers=world.source())).status_code == 204
    assert (await world.get(f"/Patient/{one}", world.professional(DEPARTMENT))).status_code == 200
    for path in ("", "/_history", "/_history/1", "/_history/2", "?asOf=2026-11-24"):
        response = await world.get(f"/Appointment/{made}{path}", world.professional(DEPARTMENT))
        assert (response.status_code, "both" in response.text) == (404, False), path


async def test_s22_hidden_words_are_not_read(world: World) -> None:
    """A hidden text too large for PostgreSQL's words must not make the search fail."""
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    large = " ".join(f"brud{number}" for number in range(130_000))
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": about(CPR)}
    hidden = await write(world, {**body, "note": [{"text": large}]})
    assert (await world.get(f"/Observation?_id={hidden}&_content=brud1", world.source())).status_code == 200
    await deny(world, identifier, org=DEPARTMENT, type="Observation")
    for who in (world.professional(DEPARTMENT), world.professional(SIBLING)):
        for path in (f"patient={identifier}", f"_id={hidden}"):
            response = await world.get(f"/Observation?{path}&_content=brud", who)
            assert (response.status_code, "entry" in response.json()) == (200, False), path


async def test_s08_a_write_to_what_is_anothers_takes_the_steps_of_one_to_nothing(world: World) -> None:
    await stage(world)
    taken = await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    steps = []
    for name in (taken, "0" * 32):
        body = {**encounter(DEPARTMENT, NOW, None), "id": name}
        with counting() as sent:
            answer = await world.http.put(f"/fhir/Encounter/{name}", json=body, headers=world.source("another"))
        assert answer.status_code == 404
        steps.append([text[:40] for text in sent])
    assert steps[0] == steps[1]


async def test_a_source_finds_its_own_among_the_newest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where many match, a page is looked for among the newest of all: as if those of others were not there."""
    monkeypatch.setattr(type(COMMON), "collected", 0)  # as if more matched than are collected
    await stage(world)
    await write(world, patient(OTHER))
    for source, seen in (("gateway", 1), ("another", 0)):
        page = (await world.get("/Patient?name=Test&_count=1", world.source(source))).json()
        assert len(page.get("entry", ())) == seen, page


async def test_the_last_is_the_last_that_is_seen(world: World) -> None:
    names = {"patient": await stage(world), "contact": await write(world, encounter(DEPARTMENT, NOW - DAY, None))}
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": about()}
    for name, at in (("old", NOW - 2 * DAY), ("new", NOW)):
        names[name] = await write(world, body | {"effectiveDateTime": at.isoformat()})
    place = await world.run.door.locate("Observation", names["new"])
    for last in ("new", "old"):
        page = await world.get(f"/Observation/$lastn?patient={names['patient']}", world.professional(DEPARTMENT))
        assert [e["resource"]["id"] for e in page.json()["entry"]] == [names[last]]
        await deny(world, names["patient"], rid=place.rid)
