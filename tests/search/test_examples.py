"""The examples on the FHIR R4 search page (https://hl7.org/fhir/R4/search.html), as tables.

Those of value sets and hierarchies are of SNOMED CT, which is not loaded: they are refused, and R4's own stand beside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.api.test_transaction import bundle, entry

if TYPE_CHECKING:
    from tests.conftest import World

WHO = {"reference": "Patient/acme.23"}
UCUM = "http://unitsofmeasure.org"
V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
MRN = {"system": "http://acme.org/patient", "value": "2345", "type": {"coding": [{"system": V2, "code": "MR"}]}}


def one(kind: str, known: str, /, **content: Any) -> dict[str, Any]:
    return {"resourceType": kind, "id": f"acme.{known}", **content}


def person(known: str, given: str, /, **content: Any) -> dict[str, Any]:
    return one("Patient", known, name=[{"given": [given]}], **content)


def observation(known: str, /, **content: Any) -> dict[str, Any]:
    return one("Observation", known, **{"status": "final", "code": {"text": "x"}, "subject": WHO, **content})


def quantity(value: Any, code: str = "mg") -> dict[str, Any]:
    return {"value": value, "unit": code, "system": UCUM, "code": code}


def pressure(systolic: int) -> list[dict[str, Any]]:
    code = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
    return [{"code": code, "valueQuantity": quantity(systolic, "mm[Hg]")}]


RESOURCES = [
    one("Organization", "good", name="Good Health Clinic"),
    one("Practitioner", "joe", name=[{"given": ["Joe"]}], address=[{"state": "MN"}]),
    one("Practitioner", "joan", name=[{"given": ["Joan"]}], address=[{"state": "WI"}]),
    person("23", "Peter", gender="male", active=True, identifier=[MRN],
           generalPractitioner=[{"reference": "Practitioner/acme.joe"}]),
    person("eve", "Eve", gender="female", generalPractitioner=[{"reference": "Practitioner/acme.joan"}]),
    person("evelyn", "Evelyn"),
    person("severine", "Severine"),
    observation("morning", effectiveDateTime="2013-01-14T00:00:00+01:00"),
    observation("ten", effectiveDateTime="2013-01-14T10:00:00+01:00"),
    observation("next", effectiveDateTime="2013-01-15T00:00:00+01:00"),
    observation("day", effectiveDateTime="2013-03-14"),
    observation("later", effectivePeriod={"start": "2013-03-15"}),
    observation("since", effectivePeriod={"start": "2013-01-21"}),
    observation("dose", valueQuantity=quantity(5.4)),
    observation("more", valueQuantity=quantity(5.5)),
    observation("gram", valueQuantity=quantity(0.0054, "g")),
    observation("low", component=pressure(50), code={"coding": [{"code": "1234-5"}]}),
    observation("high", component=pressure(150)),
    one("Condition", "head", subject=WHO,
        code={"coding": [{"system": "http://acme.org/conditions/codes", "code": "ha125", "display": "Headache"}]}),
    one("DiagnosticReport", "report", status="final", code={"text": "x"}, subject=WHO,
        result=[{"reference": "Observation/acme.low"}]),
    observation("potassium", code={"coding": [{"system": "http://loinc.org", "code": "2823-3"}]},
                valueQuantity=quantity(5.5, "mmol/L")),
    observation("normal", code={"coding": [{"system": "http://loinc.org", "code": "2823-3"}]},
                valueQuantity=quantity(4.5, "mmol/L")),
    person("both", "Jan", gender="male", communication=[{"language": {"coding": [{"code": "NL"}]}},
                                         {"language": {"coding": [{"code": "EN"}]}}]),
    person("dutch", "Piet", gender="male", communication=[{"language": {"coding": [{"code": "NL"}]}}]),
    one("Group", "mixed", type="person", actual=True, member=[{"entity": WHO}], characteristic=[
        {"code": {"coding": [{"code": "gender"}]}, "valueCodeableConcept": {"coding": [{"code": "mixed"}]},
         "exclude": False}]),
    one("Condition", "again", subject=WHO, clinicalStatus={"coding": [{"system": CLINICAL, "code": "relapse"}]}),
    one("List", "42", status="current", mode="working", subject=WHO,
        entry=[{"item": {"reference": "Patient/acme.eve"}}, {"item": {"reference": "Patient/acme.23"}}]),
    one("RiskAssessment", "risk", status="final", subject=WHO, prediction=[{"probabilityDecimal": 0.85}]),
    one("ValueSet", "v1", status="draft", url="http://acme.org/fhir/ValueSet/123"),
    one("ValueSet", "v2", status="draft", url="urn:oid:1.2.3.4.5"),
    observation("tagged", meta={"tag": [{"system": "http://acme.org/codes", "code": "needs-review"}],
                                "profile": ["http://hl7.org/fhir/StructureDefinition/bp"]}),
]  # fmt: skip
TABLE = [
    ("Patient?_id=acme.23", "23"),
    ("Observation?_tag=http://acme.org/codes|needs-review", "tagged"),
    ("Observation?_profile=http://hl7.org/fhir/StructureDefinition/bp", "tagged"),
    ("Patient?gender:missing=true", "evelyn severine"),
    ("Patient?given=eve", "eve evelyn"),
    ("Patient?given:contains=eve", "eve evelyn severine"),
    ("Patient?given:exact=Eve", "eve"),
    ("Patient?given:exact=eve", ""),
    ("Observation?date=2013-01-14", "morning ten"),
    ("Observation?date=ne2013-01-14", "day later next since"),
    ("Observation?date=gt2013-03-14", "later since"),
    ("Observation?date=ge2013-03-14", "day later since"),
    ("Observation?date=le2013-03-14", "day morning next since ten"),
    ("Observation?date=sa2013-03-14", "later"),
    ("Observation?date=eb2013-03-14", "morning next ten"),
    ("Observation?date=ap2013-03-14", "day since"),
    ("Observation?date=lt2013-01-14T10:00", "morning"),
    ("Observation?date=ge2010-01-01&date=le2013-01-31", "morning next since ten"),
    ("RiskAssessment?probability=gt0.8", "risk"),
    ("Observation?value-quantity=5.4|http://unitsofmeasure.org|mg", "dose gram"),
    ("Observation?value-quantity=5.40e-3|http://unitsofmeasure.org|g", "dose gram"),
    ("Observation?value-quantity=5.4||mg", "dose"),
    ("Observation?value-quantity=5.4", "dose"),
    ("Observation?value-quantity=le5.4|http://unitsofmeasure.org|mg", "dose gram"),
    ("Observation?value-quantity=ap5.4|http://unitsofmeasure.org|mg", "dose gram more"),
    ("Condition?code=http://acme.org/conditions/codes|ha125", "head"),
    ("Condition?code=ha125", "head"),
    ("Condition?code:text=headache", "head"),
    ("Patient?gender:not=male", "eve evelyn severine"),
    ("Patient?gender:not=male,female", "evelyn severine"),
    ("Patient?active=true", "23"),
    ("Patient?identifier=http://acme.org/patient|2345", "23"),
    (f"Patient?identifier:of-type={V2}|MR|2345", "23"),
    ("DiagnosticReport?subject=Patient/acme.23", "report"),
    ("DiagnosticReport?subject=acme.23", "report"),
    ("DiagnosticReport?subject:Patient=acme.23", "report"),
    ("DiagnosticReport?subject:Patient.name=peter", "report"),
    ("DiagnosticReport?subject.name=peter", "report"),
    ("DiagnosticReport?subject.name=eve", ""),
    ("Patient?general-practitioner.name=Joe&general-practitioner.address-state=MN", "23"),
    ("Patient?general-practitioner:Practitioner.name=Joe&general-practitioner:Practitioner.address-state=WI", ""),
    ("Patient?_has:Observation:patient:code=1234-5", "23"),
    ("Patient?_has:Observation:patient:_has:DiagnosticReport:result:status=final", "23"),
    ("DiagnosticReport?result.component-code-value-quantity=http://loinc.org|8480-6$lt60", "report"),
    ("Observation?component-code-value-quantity=http://loinc.org|8480-6$lt60", "low"),
    ("Observation?code-value-quantity=http://loinc.org|2823-3$gt5.4|http://unitsofmeasure.org|mmol/L", "potassium"),
    ("Observation?code-value-quantity=http://loinc.org|2823-3$gt5.4e-3|http://unitsofmeasure.org|mol/L", "potassium"),
    ("Group?characteristic-value=gender$mixed", "mixed"),
    ("Patient?language=FR,NL&language=EN", "both"),
    ("Patient?language=FR,NL", "both dutch"),
    ("Patient?_list=acme.42", "23 eve"),
    ("Patient?_list=acme.42&gender=female", "eve"),
    ('Observation?_filter=code eq http://loinc.org|2823-3 and subject.name co "pete"', "normal potassium"),
    ("Condition?clinical-status:in=http://hl7.org/fhir/ValueSet/condition-clinical", "again"),
    (f"Condition?clinical-status:below={CLINICAL}|active", "again"),
    ("Observation?code=2823-3&_lastUpdated=gt2010-10-01", "normal potassium"),
    ("ValueSet?url=http://acme.org/fhir/ValueSet/123", "v1"),
    ("ValueSet?url:below=http://acme.org/fhir/", "v1"),
    ("ValueSet?url:above=http://acme.org/fhir/ValueSet/123/_history/5", "v1"),
    ("ValueSet?url=urn:oid:1.2.3.4.5", "v2"),
]  # fmt: skip

REFUSED = [
    "Condition?code:in=http://snomed.info/sct?fhir_vs=isa/126851005",
    "Condition?code:below=http://snomed.info/sct|126851005",
]
ORDERED = [
    ("/Observation?date=2013-01-14&_sort=status,-date,category", "ten morning"),
    ("/Observation?date=2013-01-14&_sort=date", "morning ten"),
]


async def test_the_examples_of_the_search_page(world: World) -> None:
    entries = [entry("PUT", f"{r['resourceType']}/{r['id']}", r) for r in RESOURCES]
    written = await world.post("", world.source("acme"), bundle(*entries))
    assert written.status_code == 200, written.text
    for path, expected in TABLE:
        response = await world.get("/" + quote(path, safe="/?=&:"), world.source("acme"))
        assert response.status_code == 200, (path, response.text)
        found = {e["resource"]["id"].removeprefix("acme.") for e in response.json().get("entry", [])}
        assert found == set(expected.split()), path

    for path in REFUSED:
        response = await world.get("/" + quote(path, safe="/?=&:"), world.source("acme"))
        codes = [issue["details"]["coding"][0]["code"] for issue in response.json()["issue"]]
        assert (response.status_code, codes) == (400, ["terminology-unknown"]), path
    for path, order in ORDERED:
        found = (await world.get(path, world.source("acme"))).json()["entry"]
        assert [e["resource"]["id"].removeprefix("acme.") for e in found] == order.split(), path
