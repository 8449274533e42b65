"""A search of a past moment gives what the same search gave at that moment, to who may see it now."""

from __future__ import annotations

import asyncio
import re
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from overblik.store.database import counting
from overblik.trust.door import searching
from tests.api.test_search import BO, INGE, LOINC, NPU, OBSERVATIONS, PEOPLE, UCUM, coded, kilo

if TYPE_CHECKING:
    from datetime import datetime

    from tests.conftest import World

ASKED = [
    "Observation?patient={inge}",
    "Observation?patient={inge}&_sort=date",
    "Observation?patient={inge},{bo}&code=W,L",
    "Observation?patient={bo}&status=final",
    "Observation?patient:identifier={cpr}&date=ge2026-11",
    "Observation?patient={inge}&date=lt2026-11&code:missing=false",
    "Observation?patient={inge}&value-quantity=gt50",
    f"Observation?patient={{inge}}&value-quantity=lt50|{UCUM}|kg",
    "Observation?patient={inge}&value-string=ny",
    f"Observation?patient={{inge}}&code-value-quantity={NPU}|W$gt60",
    "Observation?patient={inge}&_lastUpdated=ge2026-11-24",
    "Patient?_id={inge}",
    "Patient?_id={inge},{bo}&name=inge",
    "Patient?_id={bo}&birthdate=lt1950",
    "Observation?_id={first}",
    "Observation?patient={inge},{bo}&subject:Patient.family=s",
    "Observation?patient={inge}&code:not=L",
    "Observation?patient={inge}&value-string:missing=true&_sort=-value-quantity,date",
    "Patient?_id={inge},{bo}&_has:Observation:subject:code=29463-7&_sort=family",
    "Patient?_id={inge},{bo}&_has:Observation:patient:value-quantity=gt60",
]
WHO = ["source", "system", "citizen"]


def observation(draw: Random) -> dict[str, Any]:
    """Return something that the searches can tell apart."""
    code = draw.choice([(f"{NPU}|W",), (f"{NPU}|L",), (f"{NPU}|W", f"{LOINC}|29463-7")])
    day = f"2026-{draw.choice((10, 11))}-{draw.randrange(1, 29):02}"
    value: dict[str, Any] = draw.choice(
        [{"valueQuantity": kilo(draw.randrange(40, 90))}, {"valueString": draw.choice(["ny", "gl"])}]
    )
    dated: dict[str, Any] = draw.choice(
        [{"effectiveDateTime": day}, {"effectivePeriod": {"start": day, "end": "2026-12-31"}}, {}]
    )
    return {"status": draw.choice(["final", "preliminary"]), "code": coded(*code), **value, **dated}


class Life:
    """Writes at random to two patients, and remembers what searches answered after each step."""

    def __init__(self, world: World, draw: Random) -> None:
        self.world, self.draw = world, draw
        self.ids: dict[str, str] = {}
        self.observations: list[str] = []
        self.seen: list[tuple[datetime, str, str, Any]] = []

    async def begin(self) -> None:
        for name, person in PEOPLE.items():
            made = await self.world.post("/Patient", self.world.source(), {"resourceType": "Patient", **person})
            self.ids[name] = made.json()["id"]
        self.ids |= {"cpr": INGE, "first": "none"}

    async def step(self) -> None:
        who, draw = self.world.source(), self.draw
        subject = {"reference": f"Patient/{self.ids[draw.choice(['inge', 'inge', 'bo'])]}"}
        kind = draw.choice(["create", "create", "update", "update", "delete", "patient"])
        if kind == "patient":
            name = draw.choice(["inge", "bo"])
            body = {"resourceType": "Patient", "id": self.ids[name], **PEOPLE[name]}
            body["name"] = [{"family": draw.choice(["Sørensen", "Inge"]), "given": ["Bo"]}]
            answer = await self.world.put(f"/Patient/{self.ids[name]}", who, body)
        elif kind == "create" or not self.observations:
            made = {"resourceType": "Observation", "subject": subject, **observation(draw)}
            answer = await self.world.post("/Observation", who, made)
            self.observations.append(answer.json()["id"])
            self.ids["first"] = self.observations[0]
        else:
            one = draw.choice(self.observations)
            stands = (await self.world.get(f"/Observation/{one}", who)).json()
            subject = stands.get("subject")
            if kind == "delete" or subject is None:  # deleted already
                answer = await self.world.http.delete(f"/fhir/Observation/{one}", headers=who)
            else:
                body = {"resourceType": "Observation", "id": one, "subject": subject, **observation(draw)}
                answer = await self.world.replace(f"/Observation/{one}", who, body)
        assert answer.status_code < 300, answer.text
        await self.world.run.drain()
        moment = self.world.clock.now()
        self.world.clock.forward(hours=1)
        for caller in WHO:
            for path in (asked.format(**self.ids) for asked in ASKED):
                self.seen.append((moment, caller, path, await answered(self.world, path, caller)))


async def answered(world: World, path: str, caller: str, extra: str = "") -> list[dict[str, Any]]:
    """Return the entries of every page."""
    who = world.citizen(INGE) if caller == "citizen" else world.source() if caller == "source" else world.system()
    entries: list[dict[str, Any]] = []
    following = f"/{path}{extra}&_count=3"
    while following:
        response = await world.get(following, who)
        assert response.status_code == 200, (path, response.text)
        bundle = response.json()
        entries += bundle.get("entry", [])
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        following = links["next"].removeprefix("http://test/fhir") if "next" in links else ""
    return entries


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2, 3))])
async def test_a_search_of_the_past_gives_what_was_found_then(world: World, seed: int) -> None:
    life = Life(world, Random(seed))
    await life.begin()
    for _ in range(7):
        await life.step()
    assert sum(bool(entries) for *_, entries in life.seen) > 60
    for moment, caller, path, then in life.seen:
        asked = f"&asOf={moment.isoformat().replace('+00:00', 'Z')}"
        assert await answered(world, path, caller, asked) == then, (path, caller, moment)


async def test_totals_and_searches_without_a_patient_are_of_the_past_too(world: World) -> None:
    life = Life(world, Random(1))
    await life.begin()
    moments = []
    for _ in range(6):
        moments.append(world.clock.now())
        await life.step()
    who = world.citizen(INGE)
    for moment in moments:
        then = next(e for m, c, p, e in life.seen if (m, c) == (moment, "citizen") and p.endswith(life.ids["inge"]))
        asked = f"asOf={moment.isoformat().replace('+00:00', 'Z')}"
        for form in ("_summary=count", "_total=accurate&_count=1"):
            assert (await world.get(f"/Observation?{asked}&{form}", who)).json()["total"] == len(then)


async def test_what_is_hidden_now_is_hidden_then(world: World) -> None:
    """A block set later hides the past as well, byte for byte as if it had never been."""
    await write_for_a_unit(world)
    who, before = world.professional("99900016001"), world.clock.now()
    world.clock.forward(days=1)
    patient = await world.patient_id(INGE)
    path = f"/Observation?patient={patient}&asOf={before.isoformat().replace('+00:00', 'Z')}"
    assert len((await world.get(path, who)).json()["entry"]) == 2
    place = await world.run.door.locate("Patient", patient)
    block = "insert into deny (pid, did, type, valid_from) values (%(pid)s, 1, 'Observation', %(now)s)"
    await world.run.database.run(block, {"pid": place.pid, "now": world.clock.now()})
    hidden = await world.get(path, who)
    absent = await world.get(path.replace(patient, "0" * len(patient)), who)
    assert hidden.json().get("entry") is None
    assert hidden.text.replace(patient, "0" * len(patient)) == absent.text


async def write_for_a_unit(world: World) -> None:
    """Write a patient with a contact at a unit, an Observation that was changed and one that stands."""
    who = world.source()
    made = await world.post("/Patient", who, {"resourceType": "Patient", **PEOPLE["inge"]})
    subject = {"reference": f"Patient/{made.json()['id']}"}
    seat = {"identifier": {"system": "urn:oid:1.2.208.176.1.1", "value": "99900016001"}}
    encounter = {"resourceType": "Encounter", "status": "in-progress", "subject": subject, "serviceProvider": seat,
                 "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
                 "period": {"start": "2026-11-20"}}  # fmt: skip
    assert (await world.post("/Encounter", who, encounter)).status_code == 201
    for name in ("weight", "longer"):
        body = {"resourceType": "Observation", "status": "final", "subject": subject, **OBSERVATIONS[name]}
        one = (await world.post("/Observation", who, body)).json()
        if name == "weight":
            await world.put(f"/Observation/{one['id']}", who, one | {"status": "amended"})
    await world.run.drain()


@pytest.mark.parametrize(
    "path",
    ["/Observation?asOf=2026-11-22", "/Patient?name=inge&asOf=2026-11-22", "/Organization?name=a&asOf=2026-11-22",
     "/Organization?_id=a&asOf=2026-11-22", "/Observation?code=W&asOf=2026-11-22&_summary=count"],
)  # fmt: skip
async def test_a_search_of_the_past_names_whom_it_is_about(world: World, path: str) -> None:
    response = await world.get(path, world.system())
    assert (response.status_code, re.findall("as-of-[a-z-]+", response.text)) == (400, ["as-of-of-whom"])


async def test_a_moment_that_is_none_is_refused_and_so_is_one_in_a_condition(world: World) -> None:
    assert (await world.get("/Observation?patient=x&asOf=yesterday", world.system())).status_code == 400
    created = await world.post(
        "/Patient", world.source(), {"resourceType": "Patient", **PEOPLE["bo"]},
        headers={"If-None-Exist": f"identifier={BO}&asOf=2026-11-22"},
    )  # fmt: skip
    assert created.status_code == 400


async def test_a_search_of_the_past_is_logged_with_the_versions_it_showed(world: World) -> None:
    await write_for_a_unit(world)
    patient, moment = await world.patient_id(INGE), world.clock.now().isoformat().replace("+00:00", "Z")
    response = await world.get(
        f"/Observation?patient={patient}&code=W&asOf={moment}", world.professional("99900016001")
    )
    assert response.json()["entry"][0]["resource"]["status"] == "amended"
    text = "select query, versions, outcome from access_log where request = %(request)s"
    (entry,) = await world.run.database.fetch(text, {"request": response.headers["x-request-id"]})
    assert entry.query.endswith("&asOf=2026-11-23T09%3A00%3A00Z")
    assert (entry.versions, entry.outcome) == ([2], "permit")


async def test_it_costs_one_statement_more_whatever_is_in_the_record(world: World) -> None:
    await write_for_a_unit(world)
    patient = await world.patient_id(INGE)
    for path, more in ((f"/Observation?patient={patient}", 0), (f"/Observation?patient={patient}&asOf=2026-11-23", 1)):
        await world.get(path, world.system())
        with counting() as sent:
            assert (await world.get(path, world.system())).status_code == 200
        assert len([text for text in sent if "resource r" in text]) == 1 + more


async def test_more_than_can_be_indexed_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await write_for_a_unit(world)
    await world.put(f"/Patient/{await world.patient_id(INGE)}", world.source(), {
        "resourceType": "Patient", "id": await world.patient_id(INGE), **PEOPLE["inge"], "active": True})  # fmt: skip
    before = world.clock.now().isoformat().replace("+00:00", "Z")
    patient = await world.patient_id(INGE)
    await world.run.drain()
    world.clock.forward(hours=1)
    changed = {"resourceType": "Patient", "id": patient, **PEOPLE["inge"], "active": False}
    assert (await world.put(f"/Patient/{patient}", world.source(), changed)).status_code == 200
    await world.run.drain()
    for most, status in ((1, 200), (0, 422)):
        monkeypatch.setattr("overblik.trust.door.searching.MOST_PAST", most)
        answer = await world.get(f"/Observation?patient={patient}&asOf={before}", world.source())
        assert (answer.status_code, "past-too-large" in answer.text) == (status, status == 422)


async def test_what_is_written_between_its_two_statements_is_not_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_for_a_unit(world)
    patient, before = await world.patient_id(INGE), world.clock.now().isoformat().replace("+00:00", "Z")
    path = f"/Observation?patient={patient}&code=W,L&asOf={before}"
    there = (await world.get(path, world.source())).json()["entry"]
    world.clock.forward(hours=1)
    indexed, loop = searching._indexed, asyncio.get_running_loop()  # noqa: SLF001 - what runs between the two

    async def change() -> None:
        for entry in there:
            one = entry["resource"]
            changed = one | {"status": "cancelled"}
            assert (await world.replace(f"/Observation/{one['id']}", world.source(), changed)).status_code == 200
        await world.run.drain()

    def between(found: list[Any], key: bytes) -> dict[str, Any]:
        asyncio.run_coroutine_threadsafe(change(), loop).result()
        return indexed(found, key)

    monkeypatch.setattr(searching, "_indexed", between)
    assert (await world.get(path, world.source())).json()["entry"] == there
