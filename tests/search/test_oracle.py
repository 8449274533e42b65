"""What a search finds over HTTP is what reading every resource finds, in the same order.

Every population is another source's, over one database: what other populations hold is hidden from it.
`--oracle N` asks N searches instead of 3 000, of which a thousand every day; `--fresh` asks others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.test_transaction import bundle, entry
from tests.conftest import DRAWN, NOW
from tests.search.evaluate import Population, answer, in_order, sort_key
from tests.search.paths import SHARED
from tests.search.people import Ids, populations
from tests.search.questions import Pairs, questions

if TYPE_CHECKING:
    from tests.conftest import World

EACH = 20
"""Searches of one population."""
ROUND = 50
"""Populations of one database."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give as many rounds as the searches asked for need."""
    if "turn" in metafunc.fixturenames:
        wanted = int(metafunc.config.getoption("--oracle"))
        turns = range(max(1, wanted // (EACH * ROUND)))
        metafunc.parametrize("turn", [pytest.param(n, marks=[pytest.mark.long] if n else []) for n in turns])


@settings(DRAWN, max_examples=ROUND)
@given(data=st.data())
async def test_f29_a_search_finds_what_reading_everything_finds(world: World, turn: int, data: st.DataObject) -> None:
    assert turn >= 0
    ids, population = data.draw(populations())
    await write(world, ids, population)
    for kind, pairs in data.draw(questions(ids, population, EACH)):
        await compare(world, ids, population, kind, pairs)


async def write(world: World, ids: Ids, population: Population) -> None:
    """Write a population: what the caller does not see first, for the rest refers to it."""
    population.updated = NOW.isoformat()
    for name, unseen in ((ids.unseen, True), (ids.seen, False)):
        resources = [r for r in population.resources if (r["id"] in population.hidden) == unseen]
        entries = [entry("PUT", f"{r['resourceType']}/{r['id']}", r) for r in resources]
        response = await world.post("", world.source(name), bundle(*entries))
        assert response.status_code == 200, response.text


async def pages(world: World, ids: Ids, path: str) -> list[str]:
    """Ask for every page; return the ids of what stands on them."""
    got = []
    while path:
        response = await world.get(path, world.source(ids.seen))
        assert response.status_code == 200, (path, response.text)
        got += [entry["resource"]["id"] for entry in response.json().get("entry", [])]
        links = {link["relation"]: link["url"] for link in response.json()["link"]}
        path = links.get("next", "").removeprefix("http://test/fhir")
    return got


async def compare(world: World, ids: Ids, population: Population, kind: str, pairs: Pairs) -> None:
    """Ask, and compare with what reading every resource gives."""
    sort = dict(pairs).get("_sort", "")
    path = f"/{kind}?{urlencode([*pairs, ('_count', '4' if sort and kind not in SHARED else '1000')])}"
    got = await pages(world, ids, path)
    own = [identifier for identifier in got if identifier.startswith(ids.seen + ".")]
    assert kind in SHARED or own == got, (path, "what is hidden was found")
    wanted = answer(population, kind, pairs)
    if sorted(own) != sorted(wanted):
        differing = [r for r in population.resources if r["id"] in set(own) ^ set(wanted)]
        pytest.fail(f"{kind}?{pairs}: found {own}, wanted {wanted}; {differing}")
    by_id = {r["id"]: r for r in population.resources}
    if sort:
        assert in_order(population, [by_id[identifier] for identifier in own], sort), (path, own)
        return
    order = [identifier if kind in SHARED else sort_key(by_id[identifier]) for identifier in own]
    assert order == sorted(order, reverse=kind not in SHARED), path


async def test_what_a_source_calls_two_patients_by_makes_them_one(world: World) -> None:
    """Found by the oracle: a step along `subject` goes by the record, which both Patients open."""
    ids = Ids(0)
    one = {"identifier": [{"system": "http://loinc.org", "value": "1"}]}
    other = {"identifier": [{"system": "http://loinc.org", "value": "2"}]}
    about = {"status": "finished", "class": {"code": "a"}, "subject": {"reference": "Patient/s0.1"}}
    population = Population([
        {"resourceType": "Patient", "id": "s0.1", **one},
        {"resourceType": "Patient", "id": "s0.2", **one},
        {"resourceType": "Patient", "id": "s0.3", **other},
        {"resourceType": "Patient", "id": "h0.4", **one},
        {"resourceType": "Encounter", "id": "s0.5", **about, "meta": {"tag": [{"system": "urn:x", "code": "A"}]}},
    ], {"h0.4"})  # fmt: skip
    await write(world, ids, population)
    for value in ("urn:x|", "urn:y|"):
        await compare(world, ids, population, "Patient", [("_has:Encounter:subject:_tag", value)])
    found = await world.get("/Patient?_has:Encounter:subject:_tag=A", world.source(ids.seen))
    assert sorted(e["resource"]["id"] for e in found.json()["entry"]) == ["s0.1", "s0.2"]


async def test_the_code_of_a_composite_may_be_any_of_a_system(world: World) -> None:
    """Found by the oracle: `system|$5.0` found nothing."""
    ids = Ids(0)
    coded = {"coding": [{"system": "urn:x", "code": "a"}]}
    made = {"status": "final", "code": coded, "subject": {"reference": "Patient/s0.1"}}
    population = Population([
        {"resourceType": "Patient", "id": "s0.1"},
        {"resourceType": "Observation", "id": "s0.2", **made, "valueQuantity": {"value": 5.0}},
        {"resourceType": "Observation", "id": "s0.3", **made, "valueCodeableConcept": coded},
        {"resourceType": "Organization", "id": "h0.4", "name": "x"},
    ], {"h0.4"})  # fmt: skip
    await write(world, ids, population)
    for name, value in (("code-value-quantity", "urn:x|$5.0"), ("code-value-concept", "urn:x|$urn:x|"),
                        ("code-value-quantity", "urn:y|$5.0")):  # fmt: skip
        await compare(world, ids, population, "Observation", [(name, value)])
    found = await world.get("/Observation?code-value-quantity=urn:x|$5.0", world.source(ids.seen))
    assert [e["resource"]["id"] for e in found.json()["entry"]] == ["s0.2"]


async def test_a_list_of_urls_is_ordered_by_one_of_them(world: World) -> None:
    """Found by the oracle: it was ordered by the list as JSON writes it."""
    ids = Ids(0)
    population = Population([
        {"resourceType": "Organization", "id": "s0.1", "name": "x", "meta": {"profile": ["http://x/a/b/c"]}},
        {"resourceType": "Organization", "id": "s0.2", "name": "x", "meta": {"profile": ["http://x/a", "http://x/ab"]}},
        {"resourceType": "Organization", "id": "h0.3", "name": "y"},
    ], {"h0.3"})  # fmt: skip
    await write(world, ids, population)
    for sort in ("_profile", "-_profile"):
        await compare(world, ids, population, "Organization", [("name", "x"), ("_sort", sort)])
