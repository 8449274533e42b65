"""`_sort` and paging: every order there is, on pages of every size, stable under writes."""

from __future__ import annotations

from decimal import Decimal
from operator import itemgetter
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.dates import parse_interval
from overblik.fhir.index import fold
from tests.api.test_search import NPU, PEOPLE, coded, found, kilo

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

DRAW = Random(4)
NAMES = ["Ågård", "Aagaard", "Østergaard", "Ærø", "Andersen", "andersen", "Bo", "x" * 70 + "a", "x" * 70 + "b"]


def person(number: int) -> dict[str, Any]:
    """Return a Patient; some have no name, some two, many the same."""
    names = [{"family": DRAW.choice(NAMES), "given": [DRAW.choice("ABC")]} for _ in range(DRAW.choice((0, 1, 1, 1, 2)))]
    born = {"birthDate": f"19{DRAW.randrange(40, 45)}-01-0{DRAW.randrange(1, 4)}"} if number % 4 else {}
    named = {"name": names} if names else {}
    sex = {"gender": DRAW.choice(["male", "female"])} if number % 3 else {}
    told = {"meta": {"profile": [DRAW.choice(["http://x/a", "http://x/b", "urn:oid:1.2"])]}} if number % 5 else {}
    led = [{"reference": f"Practitioner/{DRAW.choice('ABC')}"}, {"identifier": {"value": "1"}}]
    by = {"generalPractitioner": led} if number % 2 else {}
    own: dict[str, Any] = {"identifier": [{"system": "urn:x", "value": str(number)}]}
    own |= {"deceasedDateTime": f"2026-11-0{DRAW.randrange(1, 4)}"} if number % 3 == 1 else {}
    return {"resourceType": "Patient", **own, **named, **born, **sex, **told, **by}


def weighed(number: int) -> dict[str, Any]:
    value = {"valueQuantity": kilo(DRAW.choice([70, 70.5, -3, 8, 100]))} if number % 5 else {}
    dated = {"effectiveDateTime": f"2026-11-0{DRAW.randrange(1, 4)}"} if number % 3 else {}
    concept = DRAW.choice([coded(f"{NPU}|W"), coded(f"{NPU}|V") | {"text": "A"}, {"text": "X"}])
    return {"resourceType": "Observation", "status": "final", "code": concept, **value, **dated}


async def fill(world: World, make: Callable[[int], dict[str, Any]], count: int = 24) -> dict[str, dict[str, Any]]:
    """Write resources at various times; return them by id."""
    made = {}
    subject: dict[str, Any] = {}
    for number in range(count):
        body = make(number)
        if body["resourceType"] == "Observation":
            subject = subject or await one_patient(world)
            body["subject"] = subject
        answer = await world.post(f"/{body['resourceType']}", world.source(), body)
        assert answer.status_code == 201, answer.text
        made[answer.json()["id"]] = answer.json()
        world.clock.forward(minutes=number % 2)
    return made


async def one_patient(world: World) -> dict[str, Any]:
    answer = await world.post("/Patient", world.source(), {"resourceType": "Patient", **PEOPLE["inge"]})
    return {"reference": f"Patient/{answer.json()['id']}"}


def families(resource: dict[str, Any]) -> list[Any]:
    return [fold(name["family"])[:60] for name in resource.get("name", [])]


def givens(resource: dict[str, Any]) -> list[Any]:
    return [fold(name["given"][0]) for name in resource.get("name", [])]


def days(element: str) -> Callable[[dict[str, Any]], list[Any]]:
    def of(resource: dict[str, Any]) -> list[Any]:
        interval = parse_interval(resource.get(element, ""))
        return [interval.start] if interval else []

    return of


def weights(resource: dict[str, Any]) -> list[Any]:
    return [Decimal(str(resource["valueQuantity"]["value"]))] if "valueQuantity" in resource else []


def codes(resource: dict[str, Any]) -> list[Any]:
    return [coding["code"] for coding in resource["code"].get("coding", [])] or [resource["code"]["text"]]


def doctors(resource: dict[str, Any]) -> list[Any]:
    return [one["reference"] for one in resource.get("generalPractitioner", []) if "reference" in one]


def updated(resource: dict[str, Any]) -> list[Any]:
    return [resource["meta"]["lastUpdated"]]


VALUES: dict[str, Callable[[dict[str, Any]], list[Any]]] = {
    "family": families,
    "given": givens,
    "birthdate": days("birthDate"),
    "date": days("effectiveDateTime"),
    "value-quantity": weights,
    "_lastUpdated": updated,
    "_id": lambda resource: [resource["id"]],
    "death-date": days("deceasedDateTime"),
    "code": codes,
    "gender": lambda resource: [resource["gender"]] if "gender" in resource else [],
    "identifier": lambda resource: [resource["identifier"][0]["value"]],
    "general-practitioner": doctors,
    "_profile": lambda resource: resource["meta"].get("profile", []),
}


def expected(made: dict[str, dict[str, Any]], sort: str) -> list[list[Any]]:
    """Return the keys in order: what has no value first where the order ascends, last where it descends."""

    def keys(resource: dict[str, Any]) -> list[Any]:
        found = []
        for key in sort.split(","):
            values = VALUES[key.removeprefix("-")](resource)
            found.append((1, (max if key.startswith("-") else min)(values)) if values else (0,))
        return found

    rows = [keys(resource) for resource in made.values()]
    for place, key in reversed(list(enumerate(sort.split(",")))):
        rows.sort(key=itemgetter(place), reverse=key.startswith("-"))
    return rows


SORTS = [
    ("Patient", "family"), ("Patient", "-family"), ("Patient", "family,-given"), ("Patient", "-birthdate,family"),
    ("Patient", "birthdate,-_id"), ("Patient", "_lastUpdated"), ("Patient", "-_lastUpdated,given,-family,_id"),
    ("Patient", "_id"), ("Observation", "value-quantity"), ("Observation", "-value-quantity,date"),
    ("Observation", "-date,value-quantity,-_id"), ("Observation", "date"), ("Observation", "-_id"),
    ("Patient", "gender,-identifier"), ("Patient", "-gender,family"), ("Patient", "general-practitioner,-_profile"),
    ("Patient", "death-date"), ("Patient", "-death-date,_id"),  # a row without a date was 503
    ("Patient", "-_profile,-general-practitioner,birthdate"), ("Observation", "code,-date"), ("Observation", "-code"),
]  # fmt: skip


async def test_every_order_is_kept_over_pages_of_every_size(world: World) -> None:
    for kind, make in (("Patient", person), ("Observation", weighed)):
        made = await fill(world, make)
        names = {identifier: identifier for identifier in made}
        for sort in (sort for of, sort in SORTS if of == kind):
            for more in ("&_count=5", "", "&_count=1" if "," in sort else "&_count=7"):
                extra = "&identifier=urn:x|" if kind == "Patient" else ""
                ids = await found(world, names, f"{kind}?_sort={sort}{more}{extra}")
                assert sorted(ids) == sorted(made), (sort, more)
                assert [row(made[one], sort) for one in ids] == expected(made, sort), (sort, more)


def row(resource: dict[str, Any], sort: str) -> list[Any]:
    return expected({"": resource}, sort)[0]


async def test_what_belongs_to_no_patient_is_sorted_too(world: World) -> None:
    for number, name in enumerate(["Ærø", "Aalborg", "Odense", "Odense", "Århus"]):
        body = {"resourceType": "Organization", "name": name, "identifier": [{"value": str(number)}]}
        assert (await world.post("/Organization", world.source(), body)).status_code == 201
    for sort, order in (("name", [1, 4, 0, 2, 3]), ("-name", [2, 3, 0, 4, 1])):
        for count in (1, 2, 50):
            listed, following = [], f"/Organization?_sort={sort},-_id&_count={count}"
            while following:
                bundle = (await world.get(following, world.source())).json()
                listed += [e["resource"]["name"] for e in bundle["entry"]]
                links = {link["relation"]: link["url"] for link in bundle["link"]}
                following = links.get("next", "").removeprefix("http://test/fhir")
            assert listed == [["Ærø", "Aalborg", "Odense", "Odense", "Århus"][number] for number in order]


@pytest.mark.parametrize("sort", ["family", "-birthdate,given", "-_lastUpdated"])
async def test_pages_neither_repeat_nor_miss_whatever_is_written_meanwhile(world: World, sort: str) -> None:
    """Each page is followed by new, changed and deleted resources; what is not touched is seen once."""
    made = await fill(world, person, 16)
    who, seen, touched = world.source(), [], set()
    following = f"/Patient?_sort={sort}&_count=3"
    while following:
        bundle = (await world.get(following, who)).json()
        seen += [entry["resource"]["id"] for entry in bundle.get("entry", [])]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        following = links.get("next", "").removeprefix("http://test/fhir")
        world.clock.forward(minutes=1)
        await world.post("/Patient", who, person(900 + len(seen)))
        one = DRAW.choice([one for one in made if one not in touched])
        touched.add(one)
        if len(touched) % 2:
            await world.http.delete(f"/fhir/Patient/{one}", headers=who)
        else:
            await world.put(f"/Patient/{one}", who, {**person(int(made[one]["identifier"][0]["value"])), "id": one})
    untouched = [one for one in seen if one in made and one not in touched]
    assert sorted(untouched) == sorted(set(made) - touched)


async def test_s02_a_page_link_is_bound_to_its_order_and_tells_nothing_by_its_length(world: World) -> None:
    await fill(world, person, 12)
    lengths = set()
    for sort in ("family,given", "-family,birthdate"):
        following = f"/Patient?_sort={sort}&_count=1"
        while following:
            links = {x["relation"]: x["url"] for x in (await world.get(following, world.source())).json()["link"]}
            following = links.get("next", "").removeprefix("http://test/fhir")
            if following:
                lengths.add(len(following.split("_cursor=")[1]))
    assert len(lengths) == 1
    page = (await world.get("/Patient?_sort=family&_count=1", world.source())).json()["link"][1]["url"]
    other = page.removeprefix("http://test/fhir").replace("_sort=family", "_sort=-family")
    assert (await world.get(other, world.source())).status_code == 400
    assert (await world.get(page.removeprefix("http://test/fhir"), world.system())).status_code == 400
