"""History on instance, type and system level, and one resource as of an instant: ordered by what became known when."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from overblik.store.database import counting
from overblik.trust.door import history
from tests.conftest import NOW
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, deny, encounter, organisation, patient, stage, write

if TYPE_CHECKING:
    from tests.conftest import World


async def put(world: World, resource: dict[str, Any], who: dict[str, str] | None = None) -> None:
    path = f"/{resource['resourceType']}/{resource['id']}"
    response = await world.replace(path, who or world.source(), resource)
    assert response.status_code in {200, 201}, response.text


def told(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (method, id, version) of a history's entries."""
    return [
        (e["request"]["method"], e["fullUrl"].rsplit("/", 1)[1], e["response"]["etag"].strip('W/"'))
        for e in answer.get("entry", [])
    ]


async def pages(world: World, path: str, who: dict[str, str]) -> list[list[tuple[str, str, str]]]:
    """Follow the next links of a history."""
    found = []
    link = path
    while link:
        response = await world.get(link, who)
        assert response.status_code == 200, response.text
        found.append(told(response.json()))
        following = [item["url"] for item in response.json()["link"] if item["relation"] == "next"]
        link = following[0].removeprefix("http://test/fhir") if following else ""
    return found


async def five_versions(world: World) -> str:
    """Write, change twice, delete and write again, an hour between; return the id."""
    created = (await world.post("/Patient", world.source(), patient())).json()
    await world.run.drain()
    for gender in ("female", "male"):
        world.clock.forward(hours=1)
        await put(world, {**patient(), "id": created["id"], "gender": gender})
        await world.run.drain()
    world.clock.forward(hours=1)
    await world.http.delete(f"/fhir/Patient/{created['id']}", headers=world.source())
    await world.run.drain()
    world.clock.forward(hours=1)
    await put(world, {**patient(), "id": created["id"]})
    await world.run.drain()
    return str(created["id"])


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("query", "versions"),
    [
        ("", "54321"),
        ("?_since={1}", "5432"),
        ("?_since={4}", "5"),
        ("?_since=2027", ""),
        ("?_at={0}", "1"),
        ("?_at={2}", "3"),
        ("?_at={1.5}", "2"),
        ("?_at=2026-11-23", "54321"),
        ("?_at=2026-11-22", ""),
        ("?_at=2027-01-01", "5"),
        ("?_count=2", "54"),
        ("?_count=0", ""),
    ],
)
@pytest.mark.parametrize("level", ["Patient/ID/_history", "Patient/_history", "_history"])
async def test_since_at_and_count_choose_the_versions_on_every_level(
    world: World, level: str, query: str, versions: str
) -> None:
    identifier = await five_versions(world)
    hours = {str(n): (NOW + n * HOUR).isoformat().replace("+00:00", "Z") for n in (0, 1, 1.5, 2, 3, 4)}
    for name, text in hours.items():
        query = query.replace("{" + name + "}", text)
    response = await world.get(f"/{level.replace('ID', identifier)}{query}", world.source())
    assert response.status_code == 200, response.text
    assert "".join(version for _, _, version in told(response.json())) == versions


async def test_each_entry_says_what_was_asked_and_what_came_of_it(world: World) -> None:
    identifier = await five_versions(world)
    answer = (await world.get(f"/Patient/{identifier}/_history", world.source())).json()
    assert (answer["type"], answer["total"]) == ("history", 5)
    assert [e["request"] for e in answer["entry"]] == [
        {"method": "PUT", "url": f"Patient/{identifier}"},
        {"method": "DELETE", "url": f"Patient/{identifier}"},
        {"method": "PUT", "url": f"Patient/{identifier}"},
        {"method": "PUT", "url": f"Patient/{identifier}"},
        {"method": "POST", "url": "Patient"},
    ]
    assert [e["response"]["status"][:3] for e in answer["entry"]] == ["200", "204", "200", "200", "201"]
    assert ["resource" in e for e in answer["entry"]] == [True, False, True, True, True]
    assert answer["entry"][4]["response"]["lastModified"] == "2026-11-23T09:00:00.000Z"


@pytest.mark.parametrize("level", ["Patient/{id}/_history", "Patient/_history", "_history"])
async def test_paging_shows_each_version_once_whatever_is_written_meanwhile(world: World, level: str) -> None:
    identifier = await five_versions(world)
    path = "/" + level.format(id=identifier)
    whole = (await pages(world, f"{path}?_count=50", world.source()))[0]
    first = (await world.get(f"{path}?_count=2", world.source())).json()
    await put(world, {**patient(), "id": identifier, "gender": "other"})
    await world.run.drain()
    following = next(item["url"] for item in first["link"] if item["relation"] == "next")
    rest = await pages(world, following.removeprefix("http://test/fhir"), world.source())
    assert [told(first), *rest] == [whole[:2], whole[2:4], whole[4:]]


async def test_order_is_that_of_becoming_known_and_not_of_the_clock(world: World) -> None:
    first = await write(world, patient())
    await world.run.drain()
    world.clock.forward(hours=-5)
    second = await write(world, patient())
    await world.run.drain()
    found = told((await world.get("/Patient/_history", world.source())).json())
    assert [identifier for _, identifier, _ in found] == [second, first]


async def test_one_transaction_is_told_whole_across_pages(world: World) -> None:
    identifier = await write(world, patient())
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    body["subject"] = {"reference": f"Patient/{identifier}"}
    entry = {"resource": body, "request": {"method": "POST", "url": "Observation"}}
    sent = {"resourceType": "Bundle", "type": "transaction", "entry": [entry] * 7}
    assert (await world.post("", world.source(), sent)).status_code == 200
    await world.run.drain()
    found = await pages(world, "/Observation/_history?_count=3", world.source())
    assert [len(page) for page in found] == [3, 3, 1]
    assert len({entry for page in found for entry in page}) == 7


async def test_a_rare_type_comes_in_pages_of_bounded_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a page may have nothing in it; those that follow it have the rest, each version once."""
    monkeypatch.setattr(history, "WALK", 2)
    first = await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    for _ in range(7):
        await write(world, patient())
        await world.post("/Patient", world.source("another"), patient(OTHER))
    last = await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    await world.run.drain()
    for who, most in ((world.source(), 5), (world.system(), 9)):
        found = await pages(world, "/Encounter/_history", who)
        assert [identifier for page in found for _, identifier, _ in page] == [last, first]
        assert len(found) <= most
        since = await pages(world, "/Encounter/_history?_since=2027", who)
        assert since == [[]]


async def test_what_belongs_to_nobody_has_a_history_too(world: World) -> None:
    created = (await world.post("/Organization", world.system(), organisation(DEPARTMENT))).json()
    await world.run.drain()
    world.clock.forward(hours=1)
    await put(world, {**organisation(DEPARTMENT), "id": created["id"], "name": "Ny"}, world.system())
    await world.run.drain()
    before = {"asOf": "2026-11-23T09:30:00Z"}
    for who in (world.citizen(CPR), world.professional(DEPARTMENT), world.source()):
        whole = await world.get("/Organization/_history", who)
        assert [version for _, _, version in told(whole.json())] == ["2", "1"]
        early = await world.get("/Organization/_history?_at=2026-11-23T09:30:00Z", who)
        assert [version for _, _, version in told(early.json())] == ["1"]
        one = await world.get(f"/Organization/{created['id']}/_history?_since=2026-11-23T09:30:00Z", who)
        assert [version for _, _, version in told(one.json())] == ["2"]
        then = await world.get(f"/Organization/{created['id']}", who, params=before)
        assert then.json()["name"] == organisation(DEPARTMENT)["name"]


async def test_a_type_tells_each_caller_of_what_they_may_see(world: World) -> None:
    identifier = await stage(world)
    contact = await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    other = await write(world, patient(OTHER))
    await world.run.drain()
    expected = {
        "citizen": (world.citizen(CPR), [identifier]),
        "professional": (world.professional(DEPARTMENT), [identifier]),
        "stranger": (world.citizen("0905489971"), []),
        "source": (world.source(), [other, identifier]),
        "other source": (world.source("another"), []),
        "system": (world.system(), [other, identifier]),
    }
    for name, (who, ids) in expected.items():
        answer = (await world.get("/Patient/_history", who)).json()
        assert [i for _, i, _ in told(answer)] == ids, name
    seen = (await world.get("/Encounter/_history", world.professional(DEPARTMENT))).json()
    assert [i for _, i, _ in told(seen)] == [contact]
    await deny(world, identifier, type="Encounter")
    assert (await world.get("/Encounter/_history", world.professional(DEPARTMENT))).json().get("entry") is None
    assert (await world.get("/Encounter/_history", world.citizen(CPR))).json()["entry"]


async def test_z02_history_of_everything_is_for_deliverers_only(world: World) -> None:
    await stage(world)
    await world.run.drain()
    for who in (world.citizen(CPR), world.professional(DEPARTMENT)):
        assert (await world.get("/_history", who)).status_code == 403
    for who, expected in ((world.source(), {"Patient"}), (world.system(), {"Patient", "Organization"})):
        types = {e["fullUrl"].split("/")[-2] for e in (await world.get("/_history", who)).json()["entry"]}
        assert types == expected


async def test_each_patient_disclosed_is_one_entry_in_the_log(world: World) -> None:
    await write(world, patient())
    await write(world, patient(OTHER))
    await world.run.drain()
    await world.run.database.run("create table seen as select lid from access_log")
    answer = await world.get("/Patient/_history", world.source())
    assert len(answer.json()["entry"]) == 2
    rows = await world.run.database.fetch(
        "select pid, action, outcome, query, cardinality(rids) as n from access_log where lid not in (select * from"
        " seen) order by pid"
    )
    assert len({row.pid for row in rows}) == 2
    assert [(r.action, r.outcome, r.query, r.n) for r in rows] == [("history", "permit", "Patient/_history", 1)] * 2


async def test_statement_counts(world: World) -> None:
    identifier = await five_versions(world)
    counts = []
    for path in (
        f"/Patient/{identifier}/_history",
        "/Patient/_history",
        "/_history",
        f"/Patient/{identifier}?asOf=2027",
    ):
        with counting() as sent:
            assert (await world.get(path, world.system())).status_code == 200
        counts.append(len(sent))
    assert counts == [2, 2, 2, 2]  # where it is and the page; how far and a page, twice; where it is and the version


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("_since=yesterday", "date-invalid"),
        ("_at=2026-13", "date-invalid"),
        ("_since=2026&_at=2026", "parameters-exclusive"),
        ("_count=-1", "search-value-invalid"),
        ("_cursor=forged", "cursor-invalid"),
        ("code=x", "parameter-unknown"),
        ("_since=2026&_since=2027", "parameter-twice"),
    ],
)
@pytest.mark.parametrize("path", ["/Patient/_history", "/_history"])
async def test_what_is_not_understood_is_refused_with_its_name(world: World, path: str, query: str, code: str) -> None:
    response = await world.get(f"{path}?{query}", world.system())
    assert response.status_code == 400
    issue = response.json()["issue"][0]
    assert issue["details"]["coding"][0]["code"] == code
    assert code == "cursor-invalid" or issue["expression"][0].startswith("http._") or "code" in issue["expression"][0]


async def test_a_page_link_works_for_its_caller_and_history_only(world: World) -> None:
    identifier = await five_versions(world)
    page = (await world.get("/Patient/_history?_count=1", world.source())).json()
    cursor = next(item["url"] for item in page["link"] if item["relation"] == "next").split("_cursor=")[1]
    paths = [f"/Patient/{identifier}/_history", "/_history", "/Patient/_history?_since=2026&"]
    for path in [*paths, "/Observation/_history"]:
        joined = f"{path}{'' if '?' in path else '?'}_cursor={cursor}"
        assert (await world.get(joined, world.source())).status_code == 400
    assert (await world.get(f"/Patient/_history?_cursor={cursor}", world.system())).status_code == 400


@pytest.mark.parametrize(
    ("moment", "status", "gender"),
    [
        ("2026-11-23T08:59:59Z", 404, None),
        ("2026-11-23T09:00:00Z", 200, None),
        ("2026-11-23T10:30:00Z", 200, "female"),
        ("2026-11-23T11:00:00Z", 200, "male"),
        ("2026-11-23T12:30:00Z", 410, None),
        ("2026-11-23", 200, None),
        ("2026-11-22", 404, None),
        ("soon", 400, None),
    ],
)
async def test_a_resource_is_read_as_it_was_known_then(
    world: World, moment: str, status: int, gender: str | None
) -> None:
    identifier = await five_versions(world)
    response = await world.get(f"/Patient/{identifier}", world.source(), params={"asOf": moment})
    assert response.status_code == status, response.text
    if status == 200:
        assert response.json().get("gender") == gender
