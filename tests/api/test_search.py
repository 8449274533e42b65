"""Search through HTTP: every kind of parameter, every way to the rows, order and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.query import parse_query
from overblik.store.database import counting
from overblik.store.search import compile_search

if TYPE_CHECKING:
    from tests.conftest import World

CPR = "urn:oid:1.2.208.176.1.2"
INGE, BO = "2512489996", "0905489998"
NPU, LOINC, UCUM = "http://npu-terminology.org", "http://loinc.org", "http://unitsofmeasure.org"
PEOPLE: dict[str, Any] = {
    "inge": {
        "identifier": [{"system": CPR, "value": INGE}],
        "name": [{"family": "Sørensen", "given": ["Inge", "Åse"]}],
        "birthDate": "1948-12-25",
        "gender": "female",
        "address": [{"line": ["Ågade 3"], "city": "Aarhus", "postalCode": "8000"}],
        "telecom": [{"system": "phone", "value": "+4512345678"}],
    },
    "bo": {
        "identifier": [{"system": CPR, "value": BO}],
        "name": [{"family": "Aagård", "given": ["Bo"]}],
        "birthDate": "1948-05-09",
    },
}


def coded(*codes: str) -> dict[str, Any]:
    return {"coding": [dict(zip(("system", "code"), code.split("|"), strict=True)) for code in codes]}


def kilo(value: Any, unit: str = "kg") -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def component(code: str, value: Any) -> dict[str, Any]:
    return {"code": coded(f"{LOINC}|{code}"), "valueQuantity": kilo(value, "mm[Hg]")}


OBSERVATIONS: dict[str, Any] = {
    "weight": {"code": coded(f"{NPU}|W", f"{LOINC}|29463-7"), "valueQuantity": kilo(72.5),
               "effectiveDateTime": "2026-11-20T08:00:00+01:00"},
    "light": {"code": coded(f"{NPU}|W"), "valueQuantity": kilo(5), "effectiveDateTime": "2026-10-01",
              "category": [coded("c|vital-signs")]},
    "pressure": {"code": coded(f"{LOINC}|85354-9"), "component": [component("8480-6", 150), component("8462-4", 90)],
                 "effectivePeriod": {"start": "2026-11-21T08:00:00Z", "end": "2026-11-21T09:00:00Z"}},
    "longer": {"code": coded(f"{NPU}|L"), "valueCodeableConcept": coded("s|POS"),
               "effectivePeriod": {"start": "2026-01-01", "end": "2026-12-31"}},
    "undated": {"code": {"text": "by hand"}, "valueString": "Ærø fundet", "status": "preliminary",
                "performer": [{"identifier": {"system": "urn:oid:1.2.208.176.1.1", "value": "99900016001"}}]},
    "asked": {"code": coded(f"{NPU}|L"), "valueCodeableConcept": coded("s|NEG"), "effectiveDateTime": "2026-11-20",
              "performer": [{"reference": "Practitioner/p1"}], "meta": {"profile": ["http://p/one"]}},
}  # fmt: skip
BOS = {"light", "asked"}


async def write(world: World) -> dict[str, str]:
    """Write everything as one source; return the names by id."""
    names: dict[str, str] = {}
    who = world.source()
    for name, person in PEOPLE.items():
        created = await world.post("/Patient", who, {"resourceType": "Patient", **person})
        assert created.status_code == 201, created.text
        names[created.json()["id"]] = name
    ids = {name: identifier for identifier, name in names.items()}
    for name, content in OBSERVATIONS.items():
        subject = {"reference": f"Patient/{ids['bo' if name in BOS else 'inge']}"}
        body = {"resourceType": "Observation", "status": "final", "subject": subject, **content}
        created = await world.post("/Observation", who, body)
        assert created.status_code == 201, created.text
        names[created.json()["id"]] = name
    organisation = {"resourceType": "Organization", "name": "Ærø Sygehus", "address": [{"city": "Ærøskøbing"}]}
    names[(await world.post("/Organization", who, organisation)).json()["id"]] = "hospital"
    return names


ALL = "asked light longer pressure undated weight"
TABLE = [
    ("Observation", ALL),
    # Tokens, by each way there is.
    ("Observation?code=W", "light weight"),
    (f"Observation?code={NPU}|W", "light weight"),
    (f"Observation?code={LOINC}|W", ""),
    ("Observation?code=29463-7", "weight"),
    (f"Observation?code={LOINC}|29463-7", "weight"),
    (f"Observation?code={LOINC}|", "pressure weight"),
    ("Observation?code=29463-7,L", "asked longer weight"),
    ("Observation?code=W&status=final", "light weight"),
    ("Observation?status=preliminary", "undated"),
    ("Observation?status=final", "asked light longer pressure weight"),
    ("Observation?category=vital-signs", "light"),
    ("Observation?component-code=8480-6", "pressure"),
    ("Observation?combo-code=8480-6,W", "light pressure weight"),
    ("Observation?value-concept=s|POS", "longer"),
    ("Observation?combo-value-concept=NEG,POS", "asked longer"),
    ("Observation?code=W&value-concept=POS", ""),
    ("Patient?gender=female", "inge"),
    ("Patient?phone=%2B4512345678", "inge"),
    (f"Patient?identifier={CPR}|251248-9996", "inge"),
    # Headline date in the row, in a narrow row, and none.
    ("Observation?date=2026-11-20", "asked weight"),
    ("Observation?date=ge2026-11-21", "longer pressure"),
    ("Observation?date=gt2026-11-20&date=lt2026-11-22", "longer pressure"),
    ("Observation?date=lt2026-10-02", "light longer"),
    ("Observation?date=eb2026-11-01", "light"),
    ("Observation?date=sa2026-11-20", "pressure"),
    ("Observation?date=ne2026-11-20", "light longer pressure"),
    ("Observation?date=2026", "asked light longer pressure weight"),
    ("Observation?date=2026-10,2026-11-20", "asked light weight"),
    ("Observation?date=ap2026-10-01", "light longer"),
    ("Observation?code=W&date=ge2026-11", "weight"),
    ("Observation?code=29463-7&date=ge2026-11", "weight"),
    ("Observation?code=29463-7&date=lt2026-11", ""),
    ("Observation?code=L&date=ge2026-12", "longer"),
    ("Patient?birthdate=1948", "bo inge"),
    ("Patient?birthdate=lt1948-06", "bo"),
    ("Observation?date:missing=true", "undated"),
    ("Observation?code:missing=false", ALL),
    ("Patient?gender:missing=true", "bo"),
    # Texts, folded.
    ("Patient?name=aase", "inge"),
    ("Patient?name=ÅSE", "inge"),
    ("Patient?family=soer", "inge"),
    ("Patient?family=SØRENSEN", "inge"),
    ("Patient?family=oerensen", ""),
    ("Patient?family=ågå", "bo"),
    ("Patient?name=inge åse s", "inge"),
    ("Patient?given=bo,inge", "bo inge"),
    ("Patient?address-city=århus", "inge"),
    ("Patient?address=8000&name=inge", "inge"),
    ("Observation?value-string=aeroe f", "undated"),
    # Numbers and quantities.
    ("Observation?value-quantity=72.5", "weight"),
    ("Observation?value-quantity=72", ""),
    ("Observation?value-quantity=73", "weight"),
    ("Observation?value-quantity=gt5", "weight"),
    ("Observation?value-quantity=ge5", "light weight"),
    ("Observation?value-quantity=ne5", "weight"),
    (f"Observation?value-quantity=lt6|{UCUM}|kg", "light"),
    (f"Observation?value-quantity=lt6|{UCUM}|g", ""),
    ("Observation?value-quantity=gt1||kg", "light weight"),
    ("Observation?combo-value-quantity=gt80||mm[Hg]", "pressure"),
    ("Observation?component-value-quantity=le90", "pressure"),
    ("Observation?value-quantity=gt80", ""),
    # Composites: both from the same element.
    (f"Observation?code-value-quantity={NPU}|W$gt6", "weight"),
    ("Observation?code-value-quantity=29463-7$ge72", "weight"),
    ("Observation?code-value-quantity=W$gt6,W$lt6", "light weight"),
    ("Observation?component-code-value-quantity=8480-6$gt100", "pressure"),
    ("Observation?component-code-value-quantity=8462-4$gt100", ""),
    (f"Observation?combo-code-value-quantity={LOINC}|8462-4$90||mm[Hg]", "pressure"),
    ("Observation?code-value-concept=L$s|POS", "longer"),
    ("Observation?code-value-concept=W$s|POS", ""),
    ("Observation?code-value-concept=L$POS,L$NEG", "asked longer"),
    # References, uris, ids.
    ("Observation?performer=Practitioner/p1", "asked"),
    ("Observation?performer=p1", "asked"),
    ("Observation?performer:Organization=p1", ""),
    ("Observation?performer:identifier=urn:oid:1.2.208.176.1.1|99900016001", "undated"),
    ("Observation?_profile=http://p/one", "asked"),
    ("Observation?_profile=http://p/two", ""),
    ("Observation?_lastUpdated=ge2026-11-23", ALL),
    ("Observation?_lastUpdated=gt2026-11-23", ""),
    ("Observation?_lastUpdated=2026-11-23&date=2026-11-20", "asked weight"),
    # Of no patient.
    ("Organization?name=ærø", "hospital"),
    ("Organization?name=aeroe s&address-city=aeroesk", "hospital"),
    ("Organization?name=sygehus", ""),
    ("Organization?identifier:missing=true", "hospital"),
]  # fmt: skip


async def found(world: World, names: dict[str, str], path: str, who: dict[str, str] | None = None) -> list[str]:
    """Return the names of what a search finds, in the order of the pages."""
    listed: list[str] = []
    following = "/" + path
    while following:
        response = await world.get(following, who or world.source())
        assert response.status_code == 200, (path, response.text)
        bundle = response.json()
        listed += [names[entry["resource"]["id"]] for entry in bundle.get("entry", [])]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        following = links["next"].removeprefix("http://test/fhir") if "next" in links else ""
    return listed


async def test_a_search_finds_what_matches_and_nothing_else(world: World) -> None:
    names = await write(world)
    ids = {name: identifier for identifier, name in names.items()}
    for path, expected in TABLE:
        wanted = expected.split()
        assert sorted(await found(world, names, path)) == wanted, path
        # The same of each patient, through the rows of the record.
        if path.startswith("Observation"):
            for person, own in (("bo", BOS), ("inge", OBSERVATIONS.keys() - BOS)):
                one = f"{path}{'&' if '?' in path else '?'}patient={ids[person]}"
                assert sorted(await found(world, names, one)) == [n for n in wanted if n in own], one


NEWEST = ["pressure", "weight", "asked", "light", "longer", "undated"]


@pytest.mark.parametrize(
    ("search", "order"),
    [
        ("Observation", NEWEST),
        ("Observation?_sort=-date", NEWEST),
        ("Observation?_sort=date", NEWEST[::-1]),
        ("Observation?code=W", ["weight", "light"]),
        ("Observation?code=W&_sort=date", ["light", "weight"]),
        ("Observation?code=L,85354-9", ["pressure", "asked", "longer"]),
        ("Observation?date=ge2026-11-20", ["pressure", "weight", "asked", "longer"]),
        ("Observation?_lastUpdated=ge2026", NEWEST),
        ("Patient?_sort=birthdate", ["bo", "inge"]),
    ],
)
async def test_the_headline_date_orders_and_pages_keep_the_order(world: World, search: str, order: list[str]) -> None:
    names = await write(world)
    mark = "&" if "?" in search else "?"
    assert await found(world, names, search) == order
    for count in (1, 2, 4):
        assert await found(world, names, f"{search}{mark}_count={count}") == order
    ids = {name: identifier for identifier, name in names.items()}
    if search.startswith("Observation"):
        own = [name for name in order if name not in BOS]
        assert await found(world, names, f"{search}{mark}patient={ids['inge']}&_count=1") == own


async def test_a_page_goes_on_after_its_last_row_whatever_is_written_meanwhile(world: World) -> None:
    names = await write(world)
    first = (await world.get("/Observation?_count=2", world.source())).json()
    following = first["link"][1]["url"].removeprefix("http://test/fhir")
    newer = {"resourceType": "Observation", "status": "final", "code": coded(f"{NPU}|N"),
             "subject": OBSERVATIONS["weight"].get("subject", {"reference": f"Patient/{next(iter(names))}"}),
             "effectiveDateTime": "2026-11-22"}  # fmt: skip
    assert (await world.post("/Observation", world.source(), newer)).status_code == 201
    second = (await world.get(following, world.source())).json()
    assert [names[e["resource"]["id"]] for e in second["entry"]] == NEWEST[2:4]


async def test_a_search_by_identifier_goes_on_and_its_links_tell_nobody_who_it_is_of(world: World) -> None:
    names = await write(world)
    who = world.system()
    path = f"Observation?patient:identifier={INGE}&_count=1"
    assert await found(world, names, path, who) == [name for name in NEWEST if name not in BOS]
    page = (await world.get(f"/{path}", who)).json()
    assert INGE not in str(page["link"])
    following = page["link"][1]["url"].removeprefix("http://test/fhir")
    for link in (following.replace("sealed%3A", "sealed%3AA"), following.replace("Observation", "Condition")):
        assert (await world.get(link, who)).json()["issue"][0]["details"]["coding"][0]["code"] == "cursor-invalid"
    assert (await world.get(following, world.citizen(INGE))).status_code == 400


async def test_whoever_may_see_nothing_finds_nothing_by_any_way(world: World) -> None:
    names = await write(world)
    strangers = [world.source("another"), world.professional("99900016001"), world.citizen("0101010101")]
    for path, _ in TABLE:
        if path.startswith("Organization"):
            continue
        for who in strangers:
            assert await found(world, names, path, who) == [], path


async def test_a_citizen_finds_their_own_by_every_way(world: World) -> None:
    names = await write(world)
    for path, expected in TABLE:
        if path.startswith("Observation"):
            own = [name for name in expected.split() if name not in BOS]
            assert sorted(await found(world, names, path, world.citizen(INGE))) == own, path


async def test_an_update_and_a_deletion_leave_nothing_of_the_old_in_the_index(world: World) -> None:
    names = await write(world)
    ids = {name: identifier for identifier, name in names.items()}
    who = world.source()
    changed = {"resourceType": "Observation", "id": ids["pressure"], "status": "final", "code": coded(f"{NPU}|X"),
               "subject": {"reference": f"Patient/{ids['inge']}"}, "valueString": "ny"}  # fmt: skip
    assert (await world.replace(f"/Observation/{ids['pressure']}", who, changed)).status_code == 200
    deleted = await world.http.delete(f"/fhir/Observation/{ids['weight']}", headers=who)
    assert deleted.status_code in {200, 204}
    still = {"Observation", "Observation?status=final", "Observation?code:missing=false"}
    for path, _ in TABLE:
        if path not in still and "date:missing" not in path and "_lastUpdated=ge" not in path:
            assert not {"pressure", "weight"} & set(await found(world, names, path)), path
    assert await found(world, names, "Observation?value-string=ny") == ["pressure"]
    assert "pressure" in await found(world, names, "Observation?date:missing=true")


async def test_a_search_of_a_record_is_one_statement(world: World) -> None:
    names = await write(world)
    ids = {name: identifier for identifier, name in names.items()}
    for path in (f"/Observation?patient={ids['inge']}&_count=50", "/Observation?code=W", "/Patient?name=inge"):
        await world.get(path, world.source())
        with counting() as sent:
            assert (await world.get(path, world.source())).status_code == 200
        assert sum("access_log" in text for text in sent) == 1, path


@pytest.mark.parametrize(
    ("search", "kind", "driver"),
    [
        ("patient=1", "source", "record"),
        ("patient=1&code=W&value-quantity=gt5", "system", "record"),
        ("code=W", "citizen", "record"),
        ("_id=1", "system", "ids"),
        ("identifier=a", "system", "tokens"),
        ("code=W&identifier=a", "system", "tokens"),
        ("performer=Practitioner/1", "system", "tokens"),
        ("code=W", "professional", "listed"),
        ("code=W&date=ge2026", "system", "listed"),
        ("code=W,L", "system", "tokens"),
        ("code=s|", "system", "tokens"),
        ("value-string=a", "system", "rows"),
        ("value-quantity=5", "system", "rows"),
        ("value-quantity=5&code=W", "system", "listed"),
        ("date=2026", "system", "newest"),
        ("status=final", "system", "newest"),
        ("_lastUpdated=ge2026", "system", "changes"),
        ("_lastUpdated=lt2026", "system", "newest"),
        ("_filter=identifier eq a or code eq W", "system", "tokens"),
        ("_filter=identifier eq a or status eq final", "system", "newest"),
        ("_filter=identifier eq a or not(code eq W)", "system", "newest"),
        ("_filter=code eq W and not(identifier eq a)", "system", "listed"),
        ("_filter=patient re 1 and (code eq W or date pr true)", "system", "record"),
        ("", "system", "newest"),
    ],
)
def test_the_way_to_the_rows_is_chosen_by_what_is_asked(search: str, kind: Any, driver: str) -> None:
    pairs = [tuple(pair.split("=", 1)) for pair in search.split("&") if pair]
    assert compile_search(parse_query("Observation", pairs), kind, b"key").driver == driver  # type: ignore[arg-type]
