"""What is hidden and what never was give one answer, in every way that a resource can be asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from overblik.fhir.strict_json import dumps
from tests.api.test_transaction import bundle, entry
from tests.conftest import NOW
from tests.trust.stage import CPR, DAY, DEPARTMENT, SIBLING, about, deny, encounter, patient, stage, write

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


async def test_no_read_tells_hidden_from_absent(world: World) -> None:
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


async def test_no_write_tells_hidden_from_absent(world: World) -> None:
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
