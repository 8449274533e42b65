"""Hidden data change nothing observable: two databases, every kind of request, the same bytes."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from overblik.demo.cast import CLINIC, NURSE, ODENSE, ORTHOPAEDICS, SVENDBORG
from overblik.demo.people import make_person
from overblik.demo.story import Story
from tests.conftest import NOW
from tests.journeys.tell import set_the_stage, tell
from tests.journeys.worlds import Answer, Pair, two_worlds
from tests.trust.consents import attorney, consent, deny, of_type, permit, person, source, unit
from tests.web.browse import sign_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.conftest import Clones, FixedClock, World

RNG = Random("two worlds")
TODAY = NOW.date()
SEEN, UNSEEN = make_person(RNG, TODAY), make_person(RNG, TODAY)
TYPES = (
    "Patient",
    "Encounter",
    "CarePlan",
    "Observation",
    "MedicationRequest",
    "Communication",
    "Appointment",
    "Condition",
    "Consent",
)


async def shared(world: World) -> None:
    """A patient whose story has come to the discharge, and who has blocked what the clinic writes."""
    await set_the_stage(world)
    story = Story(SEEN, TODAY, ODENSE)
    await tell(world, [d for step in story.steps()[:5] for d in step.deliveries if d.source is not CLINIC])
    world.clock.set(NOW)
    said = await world.post("/Consent", world.citizen(SEEN.cpr), consent(deny(source(CLINIC.sor)), SEEN.cpr))
    assert said.status_code == 201, said.text


async def hidden(world: World) -> None:
    """What the clinic knows of the same patient, what else that one has said, and a patient of another municipality."""
    moment = world.clock.now()
    story = Story(SEEN, TODAY, ODENSE)
    await tell(world, [d for step in story.steps()[:5] for d in step.deliveries if d.source is CLINIC], in_order=False)
    other = Story(UNSEEN, TODAY, SVENDBORG)
    deliveries = [d for step in other.steps()[:5] for d in step.deliveries if d.source is not ORTHOPAEDICS]
    await tell(world, deliveries, in_order=False)
    world.clock.set(moment)
    for provision in (
        deny(unit(CLINIC.sor)),
        deny(person("DEM99"), of_type("Observation")),
        permit(attorney(UNSEEN.cpr)),
    ):
        said = await world.post("/Consent", world.citizen(SEEN.cpr), consent(provision, SEEN.cpr))
        assert said.status_code == 201, said.text


@pytest.fixture
async def pair(clones: Clones, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Pair]:
    async with two_worlds(clones, tmp_path, clock, shared, hidden) as opened:
        yield opened


async def identifiers(world: World) -> dict[str, list[str]]:
    """Return every id of the record, by type, as the system sees them."""
    found: dict[str, list[str]] = {}
    for kind in TYPES:
        page = (await world.get(f"/{kind}?_count=500", world.system())).json()
        found[kind] = [e["resource"]["id"] for e in page.get("entry", [])]
    return found


def viewers(world: World) -> dict[str, dict[str, str]]:
    return {
        "nurse": world.professional(NURSE.unit.sor, NURSE.id),
        "surgeon": world.professional(ORTHOPAEDICS.sor, "DEM04"),
        "stranger": world.professional("99900000016041"),
        "unit nobody knows": world.professional("99900000016099"),
        "other citizen": world.citizen("0101010101"),
        "proxy of nobody": world.token(kind="proxy", sub="0101010101", name="x", on_behalf=SEEN.cpr),
        "hospital source": world.token(kind="source", sub=ORTHOPAEDICS.slug, name="x"),
    }


def questions(ids: dict[str, list[str]]) -> list[str]:
    """Return one of everything that can be asked, with ids that are visible, hidden and absent."""
    paths: list[str] = []
    for kind, values in ids.items():
        for identifier in [*values, "0" * 32]:
            paths += [f"/{kind}/{identifier}", f"/{kind}/{identifier}/_history", f"/{kind}/{identifier}/_history/1"]
            paths += [f"/{kind}?_id={identifier}"]
        paths += [f"/{kind}", f"/{kind}?_count=1", f"/{kind}?_count=1&_total=accurate", f"/{kind}?_summary=count"]
    for patient in [*ids["Patient"], "0" * 32]:
        paths += [f"/Patient/{patient}/$overview", f"/Patient/{patient}/$overview?asOf=2026-11-21"]
        paths += [f"/{kind}?patient={patient}" for kind in TYPES if kind != "Patient"]
        paths += [
            f"/Observation?patient={patient}&{asked}" for asked in ("_count=0", "_total=estimate", "asOf=2026-11-21")
        ]
    for cpr in (SEEN.cpr, UNSEEN.cpr, "0101010101"):
        paths += [f"/Patient?identifier=urn:oid:1.2.208.176.1.2|{cpr}", f"/Observation?patient:identifier={cpr}"]
    paths += [
        "/Observation?code=NPU02319",
        "/Condition?code=K86",
        "/Condition?code=DS720",
        "/Encounter?date=ge2026-01-01",
        "/Observation?_include=*&_sort=value-quantity",
        "/Patient?_revinclude=*&_count=20",
        "/Encounter?_revinclude=Observation:encounter&_include:iterate=Observation:*",
    ]
    return paths


@pytest.mark.long
async def test_every_request_answers_alike(pair: Pair) -> None:
    ids = await identifiers(pair.b)
    seen_in_a = await identifiers(pair.a)
    assert sum(map(len, ids.values())) > sum(map(len, seen_in_a.values())) + 5, "world B holds nothing more"
    for who in viewers(pair.a):
        asked = 0
        for path in questions(ids):

            async def ask(world: World, path: str = path, who: str = who) -> httpx.Response:
                return await world.get(path, viewers(world)[who])

            a, b = await pair.ask(ask)
            assert a == b, (who, path)
            asked += 1
        assert asked > 150


async def test_the_harness_sees_a_difference_where_there_is_one(pair: Pair) -> None:
    """Without the block the same requests differ: the harness can fail."""
    for world in (pair.a, pair.b):
        await world.run.database.run("delete from deny")  # the Consents stay: nobody but the citizen sees them
    patient = await pair.a.patient_id(SEEN.cpr, viewers(pair.a)["nurse"])

    async def ask(world: World) -> httpx.Response:
        return await world.get(f"/Patient/{patient}/$overview", viewers(world)["nurse"])

    a, b = await pair.ask(ask)
    assert a != b


@pytest.mark.parametrize("who", ["nurse", "stranger"])
async def test_writing_tells_nothing_of_what_is_hidden(pair: Pair, who: str) -> None:
    """A source that refers to, updates or deletes what it may not see gets the answer of the absent."""
    ids = await identifiers(pair.b)
    for identifier in [*ids["Patient"], "0" * 32]:
        body: dict[str, Any] = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": who},
            "subject": {"reference": f"Patient/{identifier}"},
        }

        async def create(world: World, body: dict[str, Any] = body) -> httpx.Response:
            return await world.post("/Observation", world.source("nobody"), body)

        async def update(world: World, identifier: str = identifier) -> httpx.Response:
            changed = {"resourceType": "Patient", "id": identifier}
            return await world.put(f"/Patient/{identifier}", world.source("nobody"), changed)

        for ask in (create, update):
            a, b = await pair.ask(ask)
            assert a == b
            assert a.status in {404, 422}


async def test_time_passes_alike(pair: Pair) -> None:
    """What runs out, runs out in both worlds at once."""
    patient = await pair.a.patient_id(SEEN.cpr, viewers(pair.a)["surgeon"])
    statuses = []
    for days in (0, 20, 20, 60):
        pair.a.clock.set(pair.a.clock.now() + timedelta(days=days))

        async def ask(world: World) -> httpx.Response:
            return await world.get(f"/Patient/{patient}/$overview", viewers(world)["surgeon"])

        a, b = await pair.ask(ask)
        assert a == b
        statuses.append(a.status)
    assert statuses[0] == 200
    assert statuses[-1] == 404


PAGES = (
    "/",
    "/patient/{patient}",
    "/patient/{absent}",
    "/blocks",
    "/proxies",
    "/log",
    "/raw/{absent}",
    "/patient/{patient}?lang=en",
)
FORMS = (
    ("/look-up", {"cpr": SEEN.cpr}),
    ("/look-up", {"cpr": UNSEEN.cpr}),
    ("/blocks/preview", {"who": "all"}),
    ("/blocks/set", {"who": "all"}),
    ("/blocks/end", {"id": "0" * 32}),
    ("/proxies/grant", {"cpr": UNSEEN.cpr, "how": "whole"}),
    ("/proxies/act", {"cpr": SEEN.cpr}),
    ("/break-glass", {"cpr": UNSEEN.cpr, "reason": "kort"}),
    ("/break-glass", {"cpr": "0101010101", "reason": "Bevidstløs, kan ikke spørges"}),
)


@pytest.mark.parametrize("who", ["nurse", "stranger"])
async def test_pages_and_their_forms_answer_alike(pair: Pair, who: str) -> None:
    """What is hidden is looked up like nobody, in both worlds; what is the citizen's own is nobody else's."""
    claims = NURSE.claims() if who == "nurse" else {**NURSE.claims(), "sub": "DEM98", "org": "99900000016041"}
    names = {"patient": await pair.a.patient_id(SEEN.cpr, viewers(pair.a)["nurse"]), "absent": "0" * 32}
    answers: list[list[Answer]] = []
    for world in (pair.a, pair.b):
        tab = await sign_in(world, claims)
        known = {tab.base: "/s/SLOT", await tab.token(): "TOKEN"}
        got = [await tab.get(path.format(**names)) for path in PAGES]
        got += [await tab.post(path, fields) for path, fields in FORMS]
        answers.append([Answer.of(response, known) for response in got])
    asked = [*PAGES, *(path for path, _ in FORMS)]
    assert [path for path, a, b in zip(asked, *answers, strict=True) if a != b] == []
    assert {a.status for a in answers[0]} == {200, 403, 404, 422}


async def test_breaking_the_glass_answers_alike_and_opens_what_there_is(pair: Pair) -> None:
    body = {"resourceType": "Parameters", "parameter": [
        {"name": "identifier", "valueIdentifier": {"system": "urn:oid:1.2.208.176.1.2", "value": SEEN.cpr}},
        {"name": "reason", "valueString": "Bevidstloes, kan ikke spoerges"},
    ]}  # fmt: skip
    answers = [
        await world.post("/Patient/$break-glass", viewers(world)["stranger"], body) for world in (pair.a, pair.b)
    ]
    # Which of the record's Patients is named is not compared: what was hidden is open now, and may come first.
    named = [answer.json()["parameter"][0]["valueReference"]["reference"] for answer in answers]
    a, b = (Answer.of(answer, {name: "Patient/ID"}) for answer, name in zip(answers, named, strict=True))
    assert a == b
    assert a.status == 200
