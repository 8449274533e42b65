"""Every example on the FHIR R4 search page (https://hl7.org/fhir/R4/search.html, 4.0.1), as tables in its order.

Compared with the text of the page as published. Ids and servers are this test's. Where the page names a parameter that
R4 does not have, or a terminology that is not loaded, the example is refused with a code, and one that R4 has stands
beside it. `*` stands for all of the type.
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
ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
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


def risk(known: str, probability: Any) -> dict[str, Any]:
    return one("RiskAssessment", known, status="final", subject=WHO, prediction=[{"probabilityDecimal": probability}])


def coded(code: str, system: str = "http://loinc.org") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def to(kind: str, known: str) -> dict[str, str]:
    return {"reference": f"{kind}/acme.{known}"}


def report(known: str, /, **content: Any) -> dict[str, Any]:
    return one("DiagnosticReport", known, status="final", code={"text": "x"}, subject=WHO, **content)


def answers(known: str, questionnaire: str) -> dict[str, Any]:
    return one("QuestionnaireResponse", known, status="completed", subject=WHO, questionnaire=questionnaire)


def attached(known: str, kind: str) -> dict[str, Any]:
    content = [{"attachment": {"contentType": kind, "url": "urn:x"}}]
    return one("DocumentReference", known, status="current", subject=WHO, content=content)


def pressure(systolic: int) -> list[dict[str, Any]]:
    code = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
    return [{"code": code, "valueQuantity": quantity(systolic, "mm[Hg]")}]


RESOURCES = [
    one("Organization", "good", name="Good Health Clinic"),
    one("Practitioner", "joe", name=[{"given": ["Joe"]}], address=[{"state": "MN"}]),
    one("Practitioner", "joan", name=[{"given": ["Joan"]}], address=[{"state": "WI"}]),
    one("Practitioner", "joe-ca", name=[{"given": ["Joe"]}], address=[{"state": "CA"}]),
    one("Practitioner", "jane-mn", name=[{"given": ["Jane"]}], address=[{"state": "MN"}]),
    one("Location", "42", name="Ward"),
    one("Location", "bed", name="Bed", partOf=to("Location", "42")),
    one("ValueSet", "v1", status="draft", url="http://acme.org/fhir/ValueSet/123"),
    one("ValueSet", "v2", status="draft", url="urn:oid:1.2.3.4.5"),
    one("ValueSet", "v3", status="draft", url="http://acme.org/fhir/ValueSet/124,125"),
    one("ValueSet", "cardiac", status="active", url="http://acme.org/fhir/ValueSet/cardiac-conditions", compose={
        "include": [{"system": "http://acme.org/conditions/codes", "concept": [{"code": "mi"}]}]}),
    one("Questionnaire", "abuse", status="draft", useContext=[{"code": {"code": "focus"},
        "valueCodeableConcept": coded("408934002", "http://snomed.info/sct")}]),
    person("23", "Peter", gender="male", active=True, identifier=[MRN],
           generalPractitioner=[to("Practitioner", "joe")]),
    person("eve", "Eve", gender="female", generalPractitioner=[to("Practitioner", "joan")],
           identifier=[{"system": "http://acme.org/fhir/identifier/mrn", "value": "123456"}]),
    person("evelyn", "Evelyn"),
    person("severine", "Severine", generalPractitioner=[to("Practitioner", "joe-ca"), to("Practitioner", "jane-mn")]),
    one("Patient", "carreno", name=[{"family": "Carreno Quinones", "given": ["Luz"]}], gender="other"),
    person("both", "Jan", gender="male", communication=[{"language": coded("NL", "urn:ietf:bcp:47")},
                                                        {"language": coded("EN", "urn:ietf:bcp:47")}]),
    person("dutch", "Piet", gender="male", communication=[{"language": coded("NL", "urn:ietf:bcp:47")}]),
    observation("morning", effectiveDateTime="2013-01-14T00:00:00+01:00"),
    observation("ten", effectiveDateTime="2013-01-14T10:00:00+01:00"),
    observation("next", effectiveDateTime="2013-01-15T00:00:00+01:00"),
    observation("fourteenth", effectiveDateTime="2013-01-14"),
    observation("day", effectiveDateTime="2013-03-14"),
    observation("later", effectivePeriod={"start": "2013-03-15"}),
    observation("since", effectivePeriod={"start": "2013-01-21"}),
    observation("until", effectivePeriod={"end": "2013-01-21"}),
    observation("june", effectiveDateTime="2015-06-15"),
    observation("dose", valueQuantity=quantity(5.4)),
    observation("more", valueQuantity=quantity(5.5)),
    observation("gram", valueQuantity=quantity(0.0054, "g")),
    observation("low", component=pressure(50), code=coded("1234-5")),
    observation("high", component=pressure(150)),
    observation("potassium", code=coded("2823-3"), valueQuantity=quantity(5.5, "mmol/L")),
    observation("normal", code=coded("2823-3"), valueQuantity=quantity(4.5, "mmol/L")),
    observation("eves", code=coded("456"), subject=to("Patient", "eve")),
    observation("comma", code=coded("a,b")),
    observation("a", code=coded("a")),
    observation("absolute", subject={"reference": "http://test/fhir/Patient/acme.both"}),
    *(risk(f"n{value}", value) for value in (0.85, 50, 95, 99.5, 99.995, 100, 100.005, 100.5, 105, 150)),
    one("Condition", "head", subject=WHO, onsetDateTime="2009-05-23",
        code={"coding": [{"system": "http://acme.org/conditions/codes", "code": "ha125", "display": "Headache"}]}),
    one("Condition", "heart", subject=WHO, code=coded("mi", "http://acme.org/conditions/codes")),
    one("Condition", "again", subject=WHO, clinicalStatus={"coding": [{"system": CLINICAL, "code": "relapse"}]},
        meta={"tag": [{"system": "http://acme.org/codes", "code": "needs-review"}]}),
    report("report", result=[to("Observation", "low")],
           meta={"profile": ["http://hl7.org/fhir/StructureDefinition/lipid"]}),
    report("blood", result=[to("Observation", "potassium")], meta={"profile": ["Profile/lipid"]}),
    one("Group", "mixed", type="person", actual=True, member=[{"entity": WHO}], characteristic=[
        {"code": {"coding": [{"code": "gender"}]}, "valueCodeableConcept": {"coding": [{"code": "mixed"}]},
         "exclude": False}]),
    one("Group", "eves", type="person", actual=True, member=[{"entity": WHO}], characteristic=[
        {"code": {"coding": [{"code": "owner"}]}, "valueCodeableConcept": {"coding": [{"code": "Eve"}]},
         "exclude": False}]),
    one("List", "42", status="current", mode="working", subject=WHO,
        entry=[{"item": to("Patient", "eve")}, {"item": to("Patient", "23")}]),
    one("Procedure", "ward", status="completed", subject=WHO, location=to("Location", "42"),
        performedDateTime="2010-02-03"),
    one("Procedure", "bed", status="completed", subject=WHO, location=to("Location", "bed"),
        performedDateTime="2012-01-01"),
    *(one("Encounter", known, status="finished", subject=WHO, **{"class": {"code": "IMP"}}, **more)
      for known, more in [("stay", {}), ("21", {"partOf": to("Encounter", "stay")})]),
    *(one("MedicationAdministration", known, status="completed", subject=WHO, effectiveDateTime="2013-01-14",
          medicationCodeableConcept={"text": "x"}, context=to("Encounter", visit))
      for known, visit in [("given", "21"), ("above", "stay")]),
    one("MedicationRequest", "pills", status="active", intent="order", subject=WHO,
        medicationCodeableConcept={"text": "x"}, performer=to("Practitioner", "joe")),
    one("MedicationDispense", "packet", status="completed", subject=WHO, medicationCodeableConcept={"text": "x"},
        authorizingPrescription=[to("MedicationRequest", "pills")]),
    one("Composition", "allergies", status="final", subject=WHO, type={"text": "x"}, date="2013-01-14", title="x",
        author=[to("Practitioner", "joe")], section=[{"code": coded("48765-2")}, {"code": coded("10160-0")}]),
    one("Composition", "drugs", status="final", subject=WHO, type={"text": "x"}, date="2013-01-14", title="x",
        author=[to("Practitioner", "joe")], section=[{"code": coded("10160-0")}]),
    one("AllergyIntolerance", "active", patient=WHO, clinicalStatus=coded("active", ALLERGY)),
    one("AllergyIntolerance", "unknown", patient=WHO),
    *(answers(f"a{version}", f"http://acme.com/some-profile|{version}") for version in ("1.0", "1.1", "2.0")),
    attached("xml", "text/xml"),
    attached("utf8", "text/xml; charset=UTF-8"),
]  # fmt: skip
BELOW_100, ABOVE_100 = "n0.85 n50 n95 n99.5 n99.995", "n100.005 n100.5 n105 n150"
TABLE = [
    # 3.1.1.3 errors: what cannot match is no error
    ("Observation?subject=101", ""),
    ("Observation?patient.identifier=http://example.com/fhir/identifier/mrn|123456", ""),
    ("Observation?code=loinc|1234-1", ""),
    ("Condition?onset-date=le1995", ""),
    # 3.1.1.4.1 parameters for all resources
    ("Patient?_id=acme.23", "23"),
    ("Observation?_lastUpdated=gt2010-10-01", "*"),
    ("Condition?_tag=http://acme.org/codes|needs-review", "again"),
    ("DiagnosticReport?_profile=http://hl7.org/fhir/StructureDefinition/lipid", "report"),
    ("DiagnosticReport?_profile=Profile/lipid", "blood"),
    # 3.1.1.4.4 modifiers
    ("Patient?gender:missing=true", "evelyn severine"),
    # 3.1.1.4.6 number; the page gives 1e2 the range of 1.0e2, against its own rule and R5
    ("RiskAssessment?probability=100", "n100 n99.5 n99.995 n100.005"),
    ("RiskAssessment?probability=100.00", "n99.995 n100"),
    ("RiskAssessment?probability=1e2", "n50 n95 n99.5 n99.995 n100 n100.005 n100.5 n105"),
    ("RiskAssessment?probability=1.0e2", "n95 n99.5 n99.995 n100 n100.005 n100.5"),
    ("RiskAssessment?probability=1.00e2", "n100 n99.5 n99.995 n100.005"),
    ("RiskAssessment?probability=lt100", BELOW_100),
    ("RiskAssessment?probability=le100", BELOW_100 + " n100"),
    ("RiskAssessment?probability=gt100", ABOVE_100),
    ("RiskAssessment?probability=ge100", ABOVE_100 + " n100"),
    ("RiskAssessment?probability=ne100", "n0.85 n50 n95 n100.5 n105 n150"),
    ("RiskAssessment?probability=gt0.8", "*"),
    ("RiskAssessment?probability=gt8e-1", "*"),
    # 3.1.1.4.7 date
    ("Observation?date=eq2013-01-14", "morning ten fourteenth"),
    ("Observation?date=ne2013-01-14", "day later next since until june"),
    ("Observation?date=lt2013-01-14T10:00", "morning fourteenth until"),
    ("Observation?date=gt2013-01-14T10:00", "fourteenth next day later since until june"),
    ("Observation?date=ge2013-03-14", "day later since june"),
    ("Observation?date=le2013-03-14", "day morning next since ten fourteenth until"),
    ("Observation?date=sa2013-03-14", "later june"),
    ("Observation?date=eb2013-03-14", "morning next ten fourteenth until"),
    ("Observation?date=ap2013-03-14", "day since"),
    ("Patient/acme.23/Procedure?date=ge2010-01-01&date=le2011-12-31", "ward"),
    # 3.1.1.4.8 string
    ("Patient?given=eve", "eve evelyn"),
    ("Patient?given:contains=eve", "eve evelyn severine"),
    ("Patient?given:exact=Eve", "eve"),
    ("Patient?given:exact=eve", ""),
    ("Patient?family=Carreno", "carreno"),
    ("Patient?family:contains=Quinones", "carreno"),  # alone it is how no family name here begins
    # 3.1.1.4.9 uri
    ("ValueSet?url=http://acme.org/fhir/ValueSet/123", "v1"),
    ("ValueSet?url:below=http://acme.org/fhir/", "v1 v3 cardiac"),
    ("ValueSet?url:above=http://acme.org/fhir/ValueSet/123/_history/5", "v1"),
    ("ValueSet?url=urn:oid:1.2.3.4.5", "v2"),
    # 3.1.1.4.10 token
    ("Patient?identifier=http://acme.org/patient|2345", "23"),
    ("Patient?gender=male", "23 both dutch"),
    ("Patient?gender:not=male", "eve evelyn severine carreno"),
    ("Patient?gender:not=male,female", "evelyn severine carreno"),
    ("Composition?section=48765-2", "allergies"),
    ("Composition?section:not=48765-2", "drugs"),
    ("Patient?active=true", "23"),
    ("Condition?code=http://acme.org/conditions/codes|ha125", "head"),
    ("Condition?code=ha125", "head"),
    ("Condition?code:text=headache", "head"),
    ("Condition?code:in=http://acme.org/fhir/ValueSet/cardiac-conditions", "heart"),
    (f"Patient?identifier:of-type={V2}|MR|2345", "23"),
    ("Condition?clinical-status:in=http://hl7.org/fhir/ValueSet/condition-clinical", "again"),
    (f"Condition?clinical-status:below={CLINICAL}|active", "again"),
    ("DocumentReference?contenttype=text/xml", "xml"),
    # 3.1.1.4.11 quantity
    ("Observation?value-quantity=5.4|http://unitsofmeasure.org|mg", "dose gram"),
    ("Observation?value-quantity=5.40e-3|http://unitsofmeasure.org|g", "dose gram"),
    ("Observation?value-quantity=5.4||mg", "dose"),
    ("Observation?value-quantity=5.4", "dose"),
    ("Observation?value-quantity=le5.4|http://unitsofmeasure.org|mg", "dose gram"),
    ("Observation?value-quantity=ap5.4|http://unitsofmeasure.org|mg", "dose gram more"),
    # 3.1.1.4.12 reference
    ("DiagnosticReport?subject=Patient/acme.23", "*"),
    ("DiagnosticReport?subject=acme.23", "*"),
    ("DiagnosticReport?subject:Patient=acme.23", "*"),
    ("DiagnosticReport?subject=http://test/fhir/Patient/acme.23", "*"),
    ("Observation?subject=Patient/acme.both", "absolute"),
    ("Observation?subject:identifier=http://acme.org/fhir/identifier/mrn|123456", "eves"),
    # 3.1.1.4.13 references and versions; Observation has no `definition`
    ("QuestionnaireResponse?questionnaire:below=http://acme.com/some-profile", "*"),
    ("QuestionnaireResponse?questionnaire:below=http://acme.com/some-profile|1", "a1.0 a1.1"),
    # 3.1.1.4.14 hierarchies; a MedicationAdministration has its `encounter` as `context`
    ("Procedure?location:below=acme.42", "ward bed"),
    ("Procedure?location=acme.42", "ward"),
    ("MedicationAdministration?context:above=Encounter/acme.21", "given above"),
    # 3.1.1.4.15 chains, each by itself
    ("DiagnosticReport?subject.name=peter", "*"),
    ("DiagnosticReport?subject:Patient.name=peter", "*"),
    ("DiagnosticReport?subject.name=eve", ""),
    ("Patient?general-practitioner.name=Joe&general-practitioner.address-state=MN", "23 severine"),
    ("Patient?general-practitioner:Practitioner.name=Joe&general-practitioner:Practitioner.address-state=WI", ""),
    # 3.1.1.4.16 reverse chains; an AuditEvent has no `user`
    ("Patient?_has:Observation:patient:code=1234-5", "23"),
    ("Patient?_has:Observation:patient:code=1234-5,456", "23 eve"),
    ("Patient?_has:Observation:patient:code=1234-5&_has:Observation:patient:code=456", ""),
    ("Patient?_has:Observation:patient:_has:DiagnosticReport:result:status=final", "23"),
    # 3.1.1.4.17 several values, composites
    ("Patient?language=NL&language=EN", "both"),
    ("Patient?language=FR,NL&language=EN", "both"),
    ("Patient?language=FR,NL", "both dutch"),
    ("DiagnosticReport?result.code-value-quantity=http://loinc.org|2823-3$gt5.4|http://unitsofmeasure.org|mmol/L",
     "blood"),
    ("Observation?code-value-quantity=http://loinc.org|2823-3$gt5.4e-3|http://unitsofmeasure.org|mol/L", "potassium"),
    ("Observation?component-code-value-quantity=http://loinc.org|8480-6$lt60", "low"),
    ("Group?characteristic-value=gender$mixed", "mixed"),
    ("Group?characteristic-value=gender$mixed,owner$Eve", "mixed eves"),
    ("Questionnaire?context-type-value=focus$http://snomed.info/sct|408934002", "abuse"),
    # 3.1.1.4.18 missing data
    (f"AllergyIntolerance?clinical-status={ALLERGY}|active", "active"),
    ("AllergyIntolerance?clinical-status:missing=true", "unknown"),
    (f"AllergyIntolerance?clinical-status={ALLERGY}|active&clinical-status:missing=true", ""),
    # 3.1.1.4.19 escapes
    ("Observation?code=a,b", "a"),
    ("Observation?code=a\\,b", "comma"),
    ("ValueSet?url=http://acme.org/fhir/ValueSet/123,http://acme.org/fhir/ValueSet/124\\,125", "v1 v3"),
    # 3.1.1.4.22 to 24 lists, filters, types
    ("Patient?_list=acme.42", "23 eve"),
    ("Patient?_list=acme.42&gender=female", "eve"),
    ("Observation?code=http://loinc.org|1234-5&subject.name=peter", "low"),
    ('Observation?_filter=code eq http://loinc.org|1234-5 and subject.name co "peter"', "low"),
    ("?_type=Observation,Condition&code=ha125,1234-5", "head low"),
    # 3.1.1.5.4 includes; a MedicationRequest has its `performer` as `intended-performer`
    ("MedicationRequest?_include=MedicationRequest:patient", "pills 23"),
    ("MedicationRequest?_revinclude=Provenance:target", "pills"),
    ("MedicationDispense?_include=MedicationDispense:prescription&_include:iterate=MedicationRequest:intended-performer",
     "packet pills joe"),
    # 3.1.1.5.8 and 9 parts
    ("ValueSet?_summary=true", "*"),
    ("Patient?_elements=identifier,active,link", "*"),
]  # fmt: skip

UNKNOWN, UNREAD = "search-parameter-unknown", "search-value-invalid"
REFUSED = {
    "Condition?onset=le1995": UNKNOWN,
    "Condition?onset:text=1995": UNKNOWN,
    "Condition?onset-date:text=1995": UNKNOWN,
    "Condition?onset-date=23 May 2009": UNREAD,
    "ImmunizationRecommendation?dose-number=2": UNKNOWN,
    "Condition?code:in=http://snomed.info/sct?fhir_vs=isa/126851005": "terminology-unknown",
    "Condition?code:below=126851005": UNREAD,
    "Condition?code:below=http://snomed.info/sct|126851005": "terminology-unknown",
    "Patient?identifier:otype=http://terminology.hl7.org/CodeSystem/v2-0203|MR|446053": UNKNOWN,
    "DocumentReference?contenttype:below=text/xml": UNREAD,
    "Observation?definition:below=http://acme.com/some-profile": UNKNOWN,
    "MedicationAdministration?encounter:above=21": UNKNOWN,
    "Patient?_has:Observation:patient:_has:AuditEvent:entity:user=MyUserId": UNKNOWN,
    "Condition?_text=(bone OR liver) and metastases": "text-of-whom",
    "AllergyIntolerance?patient=acme.42&_list=$current-allergies": UNREAD,
    "MedicationDispense?_include:iterate=MedicationRequest:performer": UNKNOWN,
    "Observation?_include=Observation:related-target": UNKNOWN,
    "Observation?_include:iterate=Observation:related-target": UNKNOWN,
    "MedicationRequest?_contained=both": UNKNOWN,
    "Patient?_query=name": UNKNOWN,
}
ORDERED = [
    ("/Observation?date=2013-01-14&_sort=status,-date,category", "ten"),
    ("/Observation?_sort=-date&date:missing=false", "june"),
]


async def test_the_examples_of_the_search_page(world: World) -> None:
    entries = [entry("PUT", f"{r['resourceType']}/{r['id']}", r) for r in RESOURCES]
    written = await world.post("", world.source("acme"), bundle(*entries))
    assert written.status_code == 200, written.text
    for path, expected in TABLE:
        response = await world.get("/" + quote(path, safe="/?=&:"), world.source("acme"))
        assert response.status_code == 200, (path, response.text)
        found = {e["resource"]["id"].removeprefix("acme.") for e in response.json().get("entry", [])}
        every = {r["id"].removeprefix("acme.") for r in RESOURCES if r["resourceType"] == path.partition("?")[0]}
        assert found == (every if expected == "*" else set(expected.split())), path

    for path, code in REFUSED.items():
        response = await world.get("/" + quote(path, safe="/?=&:"), world.source("acme"))
        codes = [issue["details"]["coding"][0]["code"] for issue in response.json()["issue"]]
        assert (response.status_code, codes) == (400, [code]), path
    for path, first in ORDERED:
        found = (await world.get(path, world.source("acme"))).json()["entry"]
        assert found[0]["resource"]["id"] == f"acme.{first}", path
