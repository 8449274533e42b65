"""Every row of what search is to do, over HTTP: the id of a test begins with the letter of its row.

    T token · S string · D date · N number and quantity · R reference and uri · C composite · X chains and `_has`
    I includes · O order · P pages and totals · L what is of every type · M parts and handling · G `_filter` and `near`
    K parameters of the server's own

Each row is asked of one population, written once. What is behind a row in depth stands in the other modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import pytest

from tests.api.test_search_parameters import index
from tests.api.test_transaction import bundle, entry
from tests.conftest import Clones, Copies, FixedClock, World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

LOINC, UCUM, ACT = "http://loinc.org", "http://unitsofmeasure.org", "urn:act"
V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"


def one(kind: str, name: str, /, **content: Any) -> dict[str, Any]:
    return {"resourceType": kind, "id": f"a.{name}", **content}


def to(kind: str, name: str) -> dict[str, str]:
    return {"reference": f"{kind}/a.{name}"}


def coded(code: str, system: str = LOINC, **more: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, **more}]}


def seen(name: str, who: str, /, **content: Any) -> dict[str, Any]:
    return one("Observation", name, **{"status": "final", "code": coded("x"), "subject": to("Patient", who), **content})


def visit(name: str, who: str, /, **content: Any) -> dict[str, Any]:
    return one("Encounter", name, **{"class": {"system": ACT, "code": "IMP"}, "status": "finished",
                                     "subject": to("Patient", who), **content})  # fmt: skip


def text(words: str) -> dict[str, str]:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{words}</p></div>'}


EYES = {"url": "urn:eyes", "valueCode": "blue"}
RESOURCES = [
    one("Organization", "top", name="Region Ærø", identifier=[{"system": "urn:o", "value": "1"}], active=True),
    one("Organization", "ward", name="Ortopædi", partOf=to("Organization", "top")),
    one("Practitioner", "doc", name=[{"family": "Læge", "given": ["Åge"]}], gender="male"),
    one("Location", "site", name="Rigshospitalet", position={"latitude": 55.6963, "longitude": 12.5669}),
    one("ValueSet", "set", status="draft", url="http://acme.dk/vs/one", version="2"),
    one("Patient", "inge", name=[{"family": "Sørensen", "given": ["Inge", "Åse"]}], gender="female", active=True,
        birthDate="1948-12-25", address=[{"city": "Aarhus", "postalCode": "8000"}], extension=[EYES],
        identifier=[{"system": "urn:p", "value": "77", "type": coded("MR", V2)}],
        telecom=[{"system": "email", "value": "i@x.dk"}], generalPractitioner=[to("Practitioner", "doc")]),
    one("Patient", "bo", name=[{"family": "Aagård", "given": ["Bo"]}], birthDate="1990-02", gender="male"),
    visit("stay", "inge", meta={"profile": ["http://p/b", "http://p/a"]},
          period={"start": "2026-11-01", "end": "2026-11-10"},
          serviceProvider=to("Organization", "ward"), location=[{"location": to("Location", "site")}],
          diagnosis=[{"condition": to("Condition", "hip")}]),
    visit("part", "inge", period={"start": "2026-11-02T08:00:00+01:00", "end": "2026-11-02T09:00:00+01:00"},
          partOf=to("Encounter", "stay"), status="cancelled", meta={"profile": ["http://p/a"]}),
    visit("bos", "bo", serviceProvider=to("Organization", "top")),
    one("Condition", "hip", code=coded("S72", "urn:icd", display="Hoftebrud"), subject=to("Patient", "inge"),
        onsetDateTime="2026-10-31", text=text("Faldet på isen")),
    seen("weight", "inge", code=coded("29463-7", display="Body weight"), effectiveDateTime="2026-11-02",
         valueQuantity={"value": 72.5, "unit": "kg", "system": UCUM, "code": "kg"}, encounter=to("Encounter", "stay"),
         category=[coded("vital-signs", "urn:cat")], performer=[to("Practitioner", "doc")],
         meta={"tag": [{"system": "urn:t", "code": "checked"}], "profile": ["http://p/one|1"], "source": "urn:src"}),
    seen("pressure", "inge", code=coded("85354-9"), effectivePeriod={"start": "2026-11-02", "end": "2026-11-04"},
         component=[{"code": coded("8480-6"), "valueQuantity": {"value": 150, "unit": "mm[Hg]"}},
                    {"code": coded("8462-4"), "valueQuantity": {"value": 90, "unit": "mm[Hg]"}}],
         note=[{"text": "Målt efter faldet"}]),
    seen("later", "bo", code=coded("29463-7"), effectiveDateTime="2026-11-20T12:00:00Z", status="preliminary",
         valueQuantity={"value": 80, "unit": "kg", "system": UCUM, "code": "kg"},
         derivedFrom=[to("Observation", "weight")], performer=[{"identifier": {"system": "urn:d", "value": "9"}}]),
    seen("asked", "bo", valueCodeableConcept=coded("POS", "urn:r"), meta={"security": [{"code": "R"}]}),
    one("RiskAssessment", "risk", status="final", subject=to("Patient", "bo"),
        prediction=[{"probabilityDecimal": 0.8}]),
    one("List", "list", status="current", mode="working", subject=to("Patient", "inge"),
        entry=[{"item": to("Observation", "weight")}, {"item": to("Condition", "hip")}]),
]  # fmt: skip
PARAMETER = {
    "resourceType": "SearchParameter", "url": "http://acme.dk/sp/eyes", "name": "eyes", "code": "eyes", "type": "token",
    "status": "active", "description": "The colour of the eyes.", "base": ["Patient"],
    "expression": "Patient.extension('urn:eyes').value.ofType(code)",
}  # fmt: skip


class Row(NamedTuple):
    """A letter and what is shown of it; the search, and what it finds. `more` is held against the whole answer."""

    letter: str
    shown: str
    path: str
    found: str = ""
    more: dict[str, Any] | None = None


ROWS = [
    Row("T", "code", "Observation?code=29463-7", "later weight"),
    Row("T", "system and code", f"Observation?code={LOINC}|29463-7", "later weight"),
    Row("T", "no system", "Observation?code=|29463-7"),
    Row("T", "system alone", "Condition?code=urn:icd|", "hip"),
    Row("T", "not", "Observation?status:not=final", "later"),
    Row("T", "text", "Condition?code:text=hofte", "hip"),
    Row("T", "of-type", f"Patient?identifier:of-type={V2}|MR|77", "inge"),
    Row("T", "missing", "Patient?active:missing=true", "bo"),
    Row("T", "boolean", "Patient?active=true", "inge"),
    Row("T", "contact point", "Patient?email=i@x.dk", "inge"),
    Row("S", "begins with, folded", "Patient?family=SØR", "inge"),
    Row("S", "aa for å", "Patient?family=ågå", "bo"),
    Row("S", "exact", "Patient?given:exact=Åse", "inge"),
    Row("S", "contains", "Patient?name:contains=ense", "inge"),
    Row("S", "address by part", "Patient?address-city=århus&address-postalcode=80", "inge"),
    *(Row("D", f"{prefix} of a day", f"Encounter?date={prefix}2026-11-02", found) for prefix, found in [
        ("", "part"), ("ne", "stay"), ("gt", "stay"), ("lt", "stay"), ("ge", "part stay"), ("le", "part stay"),
        ("sa", ""), ("eb", ""), ("ap", "part stay")]),
    Row("D", "month of birth", "Patient?birthdate=1990", "bo"),
    Row("D", "time zone", "Encounter?date=2026-11-02T07:00:00Z,2026-11-02T07:30:00-01:00&status=cancelled"),
    Row("D", "instant in a period", "Encounter?date=ap2026-11-02T07:30:00Z", "part stay"),
    Row("N", "number", "RiskAssessment?probability=gt0.7", "risk"),
    Row("N", "digits", "RiskAssessment?probability=1", "risk"),
    Row("N", "more digits", "RiskAssessment?probability=0.81"),
    Row("N", "quantity in another unit", f"Observation?value-quantity=72500|{UCUM}|g", "weight"),
    Row("N", "unit as written", "Observation?component-value-quantity=ge150||mm[Hg]", "pressure"),
    *(Row("N", prefix, f"Observation?value-quantity={prefix}80", found) for prefix, found in [
        ("eq", "later"), ("ne", "weight"), ("gt", ""), ("lt", "weight"), ("ge", "later"), ("le", "later weight"),
        ("sa", ""), ("eb", "weight"), ("ap", "later weight")]),
    Row("R", "id", "Observation?performer=a.doc", "weight"),
    Row("R", "type and id", "Observation?performer=Practitioner/a.doc", "weight"),
    Row("R", "absolute", "Observation?performer=http://test/fhir/Practitioner/a.doc", "weight"),
    Row("R", "of a type", "Observation?performer:Organization=a.doc"),
    Row("R", "identifier", "Observation?performer:identifier=urn:d|9", "later"),
    Row("R", "missing", "Observation?encounter:missing=false", "weight"),
    Row("R", "below", "Encounter?service-provider:below=a.top", "bos stay"),
    Row("R", "below, by type", "Encounter?service-provider:below=Organization/a.ward", "stay"),
    Row("R", "above", "Encounter?service-provider:above=a.ward", "bos stay"),
    Row("R", "below, of the hierarchy itself", "Organization?partof:below=a.top", "ward"),
    Row("R", "below, in a chain", "Observation?encounter.service-provider:below=a.top", "weight"),
    Row("R", "below of what has no hierarchy", "Observation?performer:below=Practitioner/a.doc",
        more={"code": "search-value-invalid"}),
    Row("R", "uri", "ValueSet?url=http://acme.dk/vs/one", "set"),
    Row("R", "uri below", "ValueSet?url:below=http://acme.dk/vs", "set"),
    Row("R", "uri above", "ValueSet?url:above=http://acme.dk/vs/one/more", "set"),
    Row("C", "one element", "Observation?component-code-value-quantity=8480-6$gt100", "pressure"),
    Row("C", "not of two elements", "Observation?component-code-value-quantity=8462-4$gt100"),
    Row("C", "tokens", "Observation?code-value-concept=x$urn:r|POS", "asked"),
    Row("C", "several", "Observation?code-value-quantity=29463-7$lt75,29463-7$gt75", "later weight"),
    Row("X", "chain", "Observation?subject:Patient.name=inge", "pressure weight"),
    Row("X", "three steps", "Observation?encounter.service-provider.partof.name=region", "weight"),
    Row("X", "has", "Patient?_has:Observation:patient:code=85354-9", "inge"),
    Row("X", "has of has", "Patient?_has:Encounter:patient:_has:Observation:encounter:status=final", "inge"),
    Row("X", "chain in has", "Patient?_has:Encounter:patient:diagnosis:Condition.code=S72", "inge"),
    Row("X", "has in chain", "Observation?patient._has:Condition:patient:code=S72", "pressure weight"),
    Row("X", "two has are of two resources",
        "Patient?_has:Observation:patient:code=85354-9&_has:Observation:patient:category=vital-signs", "inge"),
    Row("X", "and is of the resource searched", "Patient?_has:Observation:patient:code=85354-9"
        "&_has:Observation:patient:status=preliminary"),
    Row("X", "or within a value", "Observation?patient.name=inge,bo&status=preliminary", "later"),
    Row("X", "not within a chain", "Observation?encounter.status:not=cancelled", "weight"),
    Row("I", "include", "Observation?_id=a.weight&_include=Observation:performer", "weight", {"include": "doc"}),
    Row("I", "include of a type", "Observation?_id=a.weight&_include=Observation:subject:Group", "weight",
        {"include": ""}),
    Row("I", "every reference", "Observation?_id=a.weight&_include=*", "weight", {"include": "doc inge stay"}),
    Row("I", "iterate", "Observation?_id=a.weight&_include=Observation:encounter"
        "&_include:iterate=Encounter:service-provider&_include:iterate=Organization:partof", "weight",
        {"include": "stay top ward"}),
    Row("I", "revinclude", "Encounter?_id=a.stay&_revinclude=Observation:encounter", "stay", {"include": "weight"}),
    Row("I", "revinclude of everything", "Encounter?_id=a.stay&_revinclude=*", "stay", {"include": "part weight"}),
    Row("I", "revinclude iterates", "Encounter?_id=a.stay&_revinclude=Observation:encounter"
        "&_revinclude:iterate=Observation:derived-from", "stay", {"include": "later weight"}),
    Row("I", "of one of several types", "?_type=Observation,Condition&_id=a.weight,a.hip"
        "&_include=Observation:performer&_revinclude=Encounter:diagnosis", "hip weight", {"include": "doc stay"}),
    Row("I", "of no reference", "Observation?_include=Observation:dog", more={"code": "search-parameter-unknown"}),
    Row("I", "of no type searched", "?_type=Observation,Condition&_include=Encounter:part-of",
        more={"code": "search-parameter-unknown"}),
    Row("O", "a date", "Encounter?patient=a.inge&_sort=date", more={"order": "stay part"}),
    Row("O", "descending", "Encounter?patient=a.inge&_sort=-date", more={"order": "part stay"}),
    Row("O", "several", "Observation?_sort=status,-value-quantity&value-quantity:missing=false",
        more={"order": "weight later"}),
    Row("O", "a text", "Patient?_sort=family", more={"order": "bo inge"}),
    Row("O", "of several uris the least", "Encounter?patient=a.inge&_sort=_profile,-status",
        more={"order": "stay part"}),
    Row("O", "nothing to sort by", "Patient?_sort=dog", more={"code": "search-parameter-unknown"}),
    Row("P", "a page and the next", "Observation?_count=3", more={"matches": 3, "next": True}),
    Row("P", "the last page", "Observation?_count=4", more={"matches": 4, "next": False}),
    Row("P", "total accurate", "Observation?_count=1&_total=accurate", more={"total": 4, "matches": 1}),
    Row("P", "total estimate", "Observation?_count=1&_total=estimate", more={"total": 4}),
    Row("P", "total none", "Observation?_total=none", more={"total": None, "matches": 4}),
    Row("P", "no other total", "Observation?_total=some", more={"code": "search-value-invalid"}),
    Row("P", "summary count", "Observation?status=final&_summary=count", more={"total": 3, "matches": 0}),
    Row("P", "count 0", "Observation?status=final&_count=0", more={"total": 3, "matches": 0}),
    Row("P", "no negative count", "Observation?_count=-1", more={"code": "search-value-invalid"}),
    Row("P", "one count", "Observation?_count=1&_count=2", more={"code": "parameter-twice"}),
    Row("P", "one order", "Observation?_sort=date&_sort=status", more={"code": "parameter-twice"}),
    Row("P", "no foreign cursor", "Observation?_cursor=abc", more={"code": "cursor-invalid"}),
    Row("L", "_id", "Observation?_id=a.weight,a.later,none", "later weight"),
    Row("L", "_lastUpdated", "Condition?_lastUpdated=ge2026-11-23", "hip"),
    Row("L", "_lastUpdated before", "Condition?_lastUpdated=lt2026-11-23"),
    Row("L", "_profile", "Observation?_profile=http://p/one|1", "weight"),
    Row("L", "_security", "Observation?_security=R", "asked"),
    Row("L", "_tag", "Observation?_tag=urn:t|checked", "weight"),
    Row("L", "_source", "Observation?_source=urn:src", "weight"),
    Row("L", "_list", "Observation?_list=a.list", "weight"),
    Row("L", "_list, one of several", "Condition?_list=none,a.list", "hip"),
    Row("L", "_type", "?_type=Observation,Condition&patient=a.inge", "hip pressure weight"),
    Row("L", "_text", "Condition?patient=a.inge&_text=isen", "hip"),
    Row("L", "_content", "Observation?patient=a.inge&_content=faldet", "pressure"),
    Row("L", "compartment", "Patient/a.inge/Observation", "pressure weight"),
    Row("L", "compartment, criteria", "Patient/a.inge/Encounter?status=cancelled", "part"),
    Row("L", "compartment, several types", "Patient/a.inge/*?_type=Condition,Encounter", "hip part stay"),
    Row("L", "compartment of no patient seen", "Patient/none/Observation"),
    Row("L", "compartment of an Encounter", "Encounter/a.stay/Observation", "weight"),
    Row("L", "compartment of an Encounter, itself", "Encounter/a.stay/Encounter", "stay"),
    Row("L", "compartment of a Practitioner", "Practitioner/a.doc/Patient?gender=female", "inge"),
    Row("L", "compartment of a Practitioner, posted", "POST Practitioner/a.doc/Observation/_search?status=final",
        "weight"),
    Row("L", "compartment of a Device", "Device/a.none/Observation"),
    Row("L", "in no compartment", "Encounter/a.stay/Patient", more={"code": "search-parameter-unknown"}),
    Row("L", "posted", "POST Observation/_search?status=final&code=29463-7", "weight"),
    Row("L", "posted, of the whole system", "POST _search?_type=Condition&patient=a.inge", "hip"),
    Row("L", "compartment, several types, posted", "POST Patient/a.inge/*/_search?_type=Condition", "hip"),
    Row("L", "posted, of a compartment", "POST Patient/a.inge/Encounter/_search?status=cancelled", "part"),
    Row("M", "_elements", "Condition?_elements=code", "hip", {"keys": "code id meta resourceType subject"}),
    Row("M", "_elements unknown", "Condition?_elements=dog", more={"code": "shape-invalid"}),
    Row("M", "_summary true", "ValueSet?_summary=true", "set", {"keys": "id meta resourceType status url version"}),
    Row("M", "_summary text", "Condition?_summary=text", "hip", {"keys": "id meta resourceType subject text"}),
    Row("M", "_summary data", "Condition?_summary=data", "hip",
        {"keys": "code id meta onsetDateTime resourceType subject"}),
    Row("M", "_summary false", "Condition?_summary=false", "hip",
        {"keys": "code id meta onsetDateTime resourceType subject text"}),
    Row("M", "not both", "Condition?_summary=true&_elements=code", more={"code": "shape-invalid"}),
    Row("M", "unknown is refused", "Condition?dog=1", more={"code": "search-parameter-unknown"}),
    Row("M", "strict", "Condition?dog=1", more={"prefer": "handling=strict", "code": "search-parameter-unknown"}),
    Row("M", "lenient", "Condition?dog=1", "hip", {"prefer": "handling=lenient"}),
    Row("M", "lenient of a modifier", "Condition?code:dog=1", "hip", {"prefer": "handling=lenient"}),
    Row("M", "lenient of an include", "Condition?_include=Condition:dog", "hip", {"prefer": "handling=lenient"}),
    Row("M", "a wrong value is one, leniently too", "Condition?onset-date=dog",
        more={"prefer": "handling=lenient", "code": "search-value-invalid"}),
    Row("G", "filter", 'Patient?_filter=family co "rens" and birthdate lt 1950', "inge"),
    Row("G", "filter of a path", "Observation?_filter=subject.name sw bo or category eq vital-signs",
        "asked later weight"),
    Row("G", "filter negated", "Observation?_filter=not(code eq loinc|29463-7)", "asked pressure"),
    Row("G", "filter beside others", "Observation?_filter=value-quantity ge 70&status=final", "weight"),
    Row("G", "filter that is none", "Observation?_filter=code eq", more={"code": "filter-invalid"}),
    Row("G", "near", "Location?near=55.70|12.56|2|km", "site"),
    Row("G", "not near", "Location?near=55.80|12.56|2|km"),
    Row("G", "near in a chain", "Encounter?location.near=55.70|12.56|2|km", "stay"),
    Row("K", "own parameter", "Patient?eyes=blue", "inge"),
    Row("K", "own parameter in a chain", "Observation?patient.eyes=blue", "pressure weight"),
    Row("K", "own parameter in a filter", "Patient?_filter=not(eyes eq blue)", "bo"),
]  # fmt: skip


@pytest.fixture(scope="module")
async def written(copies: Copies, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Give a server with the population, written once for all rows."""
    made = Clones(copies)
    async with open_world(made.make(), tmp_path_factory.mktemp("rows"), FixedClock()) as world:
        entries = [entry("PUT", f"{r['resourceType']}/{r['id']}", r) for r in RESOURCES]
        sent = await world.post("", world.source("a"), bundle(*entries))
        assert sent.status_code == 200, sent.text
        defined = await world.post("/SearchParameter", world.system(), PARAMETER)
        assert defined.status_code == 201, defined.text
        await index(world)
        yield world
    made.drop()


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.letter}-{row.shown}" for row in ROWS])
async def test_a_row(written: World, row: Row) -> None:
    more = row.more or {}
    response = await ask(written, row.path, more.get("prefer", "handling=strict"))
    if "code" in more:
        assert response.status_code == 400, response.text
        assert response.json()["issue"][0]["details"]["coding"][0]["code"] == more["code"]
        return
    assert response.status_code == 200, response.text
    answer = response.json()
    entries = answer.get("entry", [])
    matches = [e["resource"]["id"].removeprefix("a.") for e in entries if e["search"]["mode"] == "match"]
    included = [e["resource"]["id"].removeprefix("a.") for e in entries if e["search"]["mode"] == "include"]
    if row.found or not more:
        assert sorted(matches) == row.found.split()
    got = {
        "include": " ".join(sorted(included)),
        "order": " ".join(matches),
        "matches": len(matches),
        "next": any(link["relation"] == "next" for link in answer["link"]),
        "total": answer.get("total"),
        "keys": " ".join(sorted(entries[0]["resource"])) if entries else "",
        "prefer": more.get("prefer"),
    }
    assert {key: got[key] for key in more} == more


async def ask(world: World, path: str, prefer: str) -> httpx.Response:
    """Send a row's search: a GET, or a form."""
    headers = {"Prefer": prefer, **world.source("a")}
    if not path.startswith("POST "):
        return await world.http.get("/fhir/" + quote(path, safe="/?=&:,*"), headers=headers)
    place, _, form = path.removeprefix("POST ").partition("?")
    headers |= {"Content-Type": "application/x-www-form-urlencoded"}
    return await world.http.post(f"/fhir/{place}", headers=headers, content=quote(form, safe="=&"))


async def test_a_form_is_a_form(written: World) -> None:
    """A body that is none would be a search for everything."""
    refused = await written.post("/Observation/_search", written.source("a"), {"status": "final"})
    assert (refused.status_code, "content-type" in refused.text) == (415, True)
    many = await ask(written, f"Observation?_list={','.join('abcdefghijk')}", "")
    assert (many.status_code, "search-too-long" in many.text) == (400, True)
    empty = await written.http.post("/fhir/Observation/_search?status=preliminary", headers=written.source("a"))
    assert [e["resource"]["id"] for e in empty.json()["entry"]] == ["a.later"]


async def test_pages_of_several_types_bring_what_each_includes(written: World) -> None:
    path = "?_type=Condition,Observation&patient=a.inge&_count=1&_include=Observation:performer"
    path += "&_revinclude=Encounter:diagnosis"
    brought, following = [], f"/{path}"
    while following:
        answer = (await written.get(following, written.source("a"))).json()
        brought.append(" ".join(sorted(e["resource"]["id"].removeprefix("a.") for e in answer["entry"])))
        links = {link["relation"]: link["url"] for link in answer["link"]}
        assert "Observation%3Aperformer" in links["self"]
        assert "Encounter%3Adiagnosis" in links["self"]
        following = links.get("next", "").removeprefix("http://test/fhir")
    assert [brought[0], *sorted(brought[1:])] == ["hip stay", "doc weight", "pressure"]


def test_every_row_has_its_tests() -> None:
    assert {row.letter for row in ROWS} == set("TSDNRCXIOPLMGK")
    assert len({(row.letter, row.shown) for row in ROWS}) == len(ROWS)
