"""`_include` and `_revinclude`: what links lead to comes along, each by the decision and the entry of a read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.errors import Malformed
from overblik.fhir.query import Include, parse_query
from overblik.fhir.query.includes import MOST_INCLUDES, referring
from overblik.store.database import counting
from overblik.store.search.linked import referring as referring_to
from tests.api.test_search import BO, INGE, NPU, PEOPLE, coded
from tests.journeys.wire import Recorder

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World

SOR = "urn:oid:1.2.208.176.1.1"
UNIT, OTHER = "99900016001", "99900016002"
CLASS = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}


async def write(world: World) -> dict[str, str]:
    """Write two patients with a contact each, and Observations that refer to all sorts of things; ids by name."""
    who = world.source()
    ids: dict[str, str] = {}

    async def put(name: str, kind: str, /, **content: Any) -> None:
        answer = await world.post(f"/{kind}", who, {"resourceType": kind, **content})
        assert answer.status_code == 201, answer.text
        ids[name] = answer.json()["id"]

    async def contact(name: str, patient: str, unit: str, /, **more: Any) -> None:
        seat = {"identifier": {"system": SOR, "value": unit}, "reference": f"Organization/{ids['ward']}"}
        await put(name, "Encounter", status="in-progress", subject=of(patient), serviceProvider=seat,
                  period={"start": "2026-11-20"}, **{"class": CLASS}, **more)  # fmt: skip

    def of(patient: str) -> dict[str, str]:
        return {"reference": f"Patient/{ids[patient]}"}

    await put("ward", "Organization", name="Ward", identifier=[{"system": "x", "value": "w"}])
    await put("doctor", "Practitioner", name=[{"family": "Læge"}])
    await put("role", "PractitionerRole", practitioner={"reference": f"Practitioner/{ids['doctor']}"},
              organization={"reference": f"Organization/{ids['ward']}"})  # fmt: skip
    for name, unit in (("inge", UNIT), ("bo", OTHER)):
        await put(name, "Patient", **PEOPLE[name])
        await contact(f"{name}s contact", name, unit)
    part = {"partOf": {"reference": f"Encounter/{ids['inges contact']}"}}
    await contact("inges part", "inge", UNIT, **part)
    base = {"status": "final", "code": coded(f"{NPU}|W")}
    await put("weight", "Observation", **base, subject=of("inge"),
              encounter={"reference": f"Encounter/{ids['inges part']}"},
              performer=[{"reference": f"Practitioner/{ids['doctor']}"}], focus=[of("bo")])  # fmt: skip
    await put("from weight", "Observation", **base, subject=of("inge"),
              derivedFrom=[{"reference": f"Observation/{ids['weight']}"},
                           {"reference": "Observation/absent"}])  # fmt: skip
    await put("bos", "Observation", **base, subject=of("bo"),
              derivedFrom=[{"reference": f"Observation/{ids['weight']}"}])  # fmt: skip
    return ids


def names_of(response: httpx.Response, ids: dict[str, str], mode: str) -> list[str]:
    assert response.status_code == 200, response.text
    names = {identifier: name for name, identifier in ids.items()}
    entries = response.json().get("entry", [])
    assert len({e["fullUrl"] for e in entries}) == len(entries)
    return sorted(names[e["resource"]["id"]] for e in entries if e["search"]["mode"] == mode)


TABLE = [
    ("Observation?_id={weight}&_include=Observation:subject", "inge"),
    ("Observation?_id={weight}&_include=Observation:patient", "inge"),
    ("Observation?_id={weight}&_include=Observation:subject:Group", ""),
    ("Observation?_id={weight}&_include=Observation:encounter&_include=Observation:performer", "doctor, inges part"),
    ("Observation?_id={weight}&_include=Observation:focus", "bo"),
    ("Observation?_id={weight}&_include=Observation:*", "bo, doctor, inge, inges part"),
    ("Observation?_id={weight}&_include=*", "bo, doctor, inge, inges part"),
    ("Observation?_id={from weight}&_include=Observation:derived-from", "weight"),
    ("Observation?_id={from weight}&_include:iterate=Observation:derived-from&_include:iterate=Observation:encounter",
     "inges part, weight"),
    (("Observation?_id={from weight}&_include=Observation:derived-from&_include:iterate=Observation:encounter"
      "&_include:iterate=Encounter:part-of"), "inges contact, inges part, weight"),
    ("Observation?_id={weight}&_include=Observation:encounter&_include=Encounter:part-of", None),
    ("Observation?_id={weight},{from weight}&_include=Observation:derived-from", ""),
    (("Observation?_id={weight}&_include=Observation:performer&_revinclude:iterate=PractitionerRole:practitioner"
      "&_include:iterate=PractitionerRole:organization"), "doctor, role, ward"),
    ("Patient?_id={inge}&_revinclude=Observation:subject", "from weight, weight"),
    ("Patient?_id={inge}&_revinclude=Observation:patient&_revinclude=Encounter:subject",
     "from weight, inges contact, inges part, weight"),
    ("Patient?_id={bo}&_revinclude=Observation:*", "bos, weight"),
    ("Patient?_id={bo}&_revinclude=*", "bos, bos contact, weight"),
    ("Patient?_id={inge}&_revinclude=Observation:focus", ""),
    ("Observation?_id={weight}&_revinclude=Observation:derived-from", "bos, from weight"),
    ("Observation?_id={weight}&_revinclude=Observation:derived-from:Observation", "bos, from weight"),
    ("Encounter?_id={inges contact}&_revinclude=Encounter:part-of&_revinclude:iterate=Observation:encounter",
     "inges part, weight"),
    ("Organization?_id={ward}&_revinclude=PractitionerRole:organization&_include:iterate=PractitionerRole:practitioner",
     "doctor, role"),
    ("Organization?_id={ward}&_revinclude=Encounter:service-provider", "bos contact, inges contact, inges part"),
    ("Observation?_id=absent&_include=*", ""),
]  # fmt: skip


async def test_links_lead_to_what_they_name_and_what_names_them(world: World) -> None:
    ids = await write(world)
    for path, expected in TABLE:
        response = await world.get("/" + path.format(**ids), world.system())
        if expected is None:
            assert response.status_code == 400
        else:
            assert names_of(response, ids, "include") == [name for name in expected.split(", ") if name], path


VIEWERS = [
    ("professional", {"inge", "inges contact", "inges part", "weight", "from weight", "ward", "doctor", "role"}),
    ("citizen", {"inge", "inges contact", "inges part", "weight", "from weight", "ward", "doctor", "role"}),
    ("stranger", {"doctor", "role"}),
]


@pytest.mark.parametrize(("kind", "own"), VIEWERS, ids=[kind for kind, _ in VIEWERS])
async def test_z05_z06_whatever_is_included_could_have_been_read_and_is_logged_as_read(
    world: World, kind: str, own: set[str]
) -> None:
    """Z05, Z06: a link to or from another patient leads nowhere, and the log has what left, no less and no more."""
    ids = await write(world)
    who = {"professional": world.professional(UNIT), "citizen": world.citizen(INGE),
           "stranger": world.citizen("0101010101")}[kind]  # fmt: skip
    recorder = Recorder(world)
    seen: set[str] = set()
    for path, expected in TABLE:
        if expected is None:
            continue
        response = await world.get("/" + path.format(**ids), who)
        included = names_of(response, ids, "include")
        matched = names_of(response, ids, "match")
        assert set(included) <= own & set(expected.split(", ")), path
        if matched and "iterate" not in path:
            assert set(included) == own & set(expected.split(", ")), path
        seen |= set(included)
    assert await recorder.differences() == []
    assert seen == own


async def test_hidden_links_answer_as_if_there_were_none(world: World) -> None:
    """A link to another's resource and one to nothing give the same bytes."""
    ids = await write(world)
    who = world.professional(UNIT)
    with_link = await world.get(f"/Observation?_id={ids['weight']}&_include=Observation:focus", who)
    without = await world.get(f"/Observation?_id={ids['weight']}&_include=Observation:specimen", who)
    assert with_link.json()["entry"] == without.json()["entry"]
    seen = await world.get(f"/Observation?_id={ids['weight']}&_include=Observation:focus", world.system())
    assert len(seen.json()["entry"]) == 2


async def test_z06_a_block_hides_what_would_be_included(world: World) -> None:
    ids = await write(world)
    who, path = world.professional(UNIT), f"/Observation?_id={ids['weight']}&_include=Observation:encounter"
    assert names_of(await world.get(path, who), ids, "include") == ["inges part"]
    place = await world.run.door.locate("Encounter", ids["inges part"])
    block = "insert into deny (pid, did, rid) values (%(pid)s, 1, %(rid)s)"
    await world.run.database.run(block, {"pid": place.pid, "rid": place.rid})
    assert names_of(await world.get(path, who), ids, "include") == []


async def test_every_page_brings_its_own(world: World) -> None:
    ids = await write(world)
    seen: list[tuple[list[str], list[str]]] = []
    following = "/Observation?_count=1&_include=Observation:subject"
    while following:
        response = await world.get(following, world.system())
        seen.append((names_of(response, ids, "match"), names_of(response, ids, "include")))
        links = {link["relation"]: link["url"] for link in response.json()["link"]}
        following = links.get("next", "").removeprefix("http://test/fhir")
    assert sorted(seen) == [(["bos"], ["bo"]), (["from weight"], ["inge"]), (["weight"], ["inge"])]


@pytest.mark.parametrize(
    ("path", "statements"),
    [("Observation?_include=Observation:subject", 2), ("Observation?_include=Observation:performer", 2),
     ("Observation?_include=*", 3), ("Patient?_revinclude=Observation:subject&_revinclude=Encounter:subject", 2),
     ("Patient?_revinclude=Observation:subject&_include:iterate=Observation:encounter", 3)],
)  # fmt: skip
async def test_a_round_of_links_is_a_statement_for_patients_and_one_for_what_is_nobodys(
    world: World, path: str, statements: int
) -> None:
    await write(world)
    await world.get(f"/{path}", world.source())
    with counting() as sent:
        assert (await world.get(f"/{path}", world.source())).status_code == 200
    assert len([text for text in sent if "resource" in text]) == statements


async def test_more_than_can_be_included_is_refused_and_nobody_is_logged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(world)
    path = "/Patient?_revinclude=Observation:subject"
    for name, most, status in (("MOST_INCLUDED", 3, 200), ("MOST_INCLUDED", 2, 422), ("MOST_LINKS", 1, 422)):
        monkeypatch.setattr(f"overblik.trust.door.including.{name}", most)
        response = await world.get(path, world.source())
        assert response.status_code == status
        text = "select from access_log where request = %(request)s and action = 'include'"
        logged = await world.run.database.fetch(text, {"request": response.headers["x-request-id"]})
        assert len(logged) == (2 if status == 200 else 0)


async def test_the_links_of_a_page_are_not_made_beyond_their_bound(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a thousand Patients there are two hundred thousand: half a second of a worker for an answer that says no."""
    await write(world)
    made: list[int] = []

    def counted(*args: Any) -> list[int]:
        made.extend(found := referring_to(*args))
        return found

    monkeypatch.setattr("overblik.trust.door.including.MOST_LINKS", 10)
    monkeypatch.setattr("overblik.trust.door.including.referring", counted)
    response = await world.get("/Patient?_revinclude=*", world.source())
    assert (response.status_code, len(made) <= 40) == (422, True)
    monkeypatch.setattr("overblik.trust.door.including.MOST_LINKS", 1)
    assert (await world.get("/Observation?_include=*", world.source())).status_code == 422


async def test_links_of_the_past_lead_to_what_was_known_then(world: World) -> None:
    ids = await write(world)
    await world.run.drain()
    before = world.clock.now().isoformat().replace("+00:00", "Z")
    world.clock.forward(hours=1)
    changed = {"resourceType": "Patient", "id": ids["inge"], **PEOPLE["inge"], "active": False}
    assert (await world.put(f"/Patient/{ids['inge']}", world.source(), changed)).status_code == 200
    assert (await world.http.delete(f"/fhir/Observation/{ids['from weight']}", headers=world.source())).is_success
    await world.run.drain()
    who = world.source()
    then = await world.get(f"/Observation?_id={ids['weight']}&_include=Observation:subject&asOf={before}", who)
    (included,) = [e["resource"] for e in then.json()["entry"] if e["search"]["mode"] == "include"]
    assert (included["meta"]["versionId"], "active" in included) == ("1", False)
    path = f"/Patient?_id={ids['inge']}&_revinclude=Observation:subject"
    assert names_of(await world.get(path, who), ids, "include") == ["weight"]
    assert names_of(await world.get(f"{path}&asOf={before}", who), ids, "include") == ["from weight", "weight"]


def test_an_include_names_references_of_types_there_are() -> None:
    (include,) = parse_query("Observation", [("_include", "Observation:subject:Patient")]).includes
    assert include == Include("Observation", ("subject",), "Patient")
    (include,) = parse_query("Patient", [("_revinclude:iterate", "Observation:*")]).includes
    assert include == Include("Observation", referring("Observation"), "", reverse=True, iterate=True)
    for name, value in [("_include", "Observation:code"), ("_include", "Observation"), ("_include", "Nothing:subject"),
                        ("_include", "Observation:subject:Nothing"), ("_include", ""), ("_include", "Patient:link"),
                        ("_revinclude", "Observation:subject:Group"), ("_include:recurse", "Observation:subject"),
                        ("_revinclude", "Patient:birthdate")]:  # fmt: skip
        with pytest.raises(Malformed, match="search-parameter-unknown"):
            parse_query("Observation" if name == "_include" else "Patient", [(name, value)])
    with pytest.raises(Exception, match="At most"):
        parse_query("Observation", [("_include", "Observation:subject")] * (MOST_INCLUDES + 1))


async def test_a_condition_includes_nothing(world: World) -> None:
    await write(world)
    headers = {"If-None-Exist": f"identifier={BO}&_revinclude=Observation:subject"}
    answer = await world.post("/Patient", world.source(), {"resourceType": "Patient", **PEOPLE["bo"]}, headers=headers)
    assert answer.status_code == 400
