"""Each published APD, PDC and CPD alone in an empty store: the facts that must result.

Read by hand from the files: appointment, master-data card, care plan. The patient is the same test person
in all of them; the cards call her Bente, which the overview shows beside Nancy and never resolves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import needs_shared, shared_files
from tests.exchange.real import NANCY, answer_of, content, one, resources, take

if TYPE_CHECKING:
    from tests.conftest import World

pytestmark = needs_shared

MAPPED = {"APD": 1, "PDC": 3, "CPD": 3}


@pytest.mark.parametrize("kind", MAPPED)
def test_every_file_of_a_kind_has_its_test(kind: str) -> None:
    assert len(shared_files(f"cda/*{kind}*.xml")) == MAPPED[kind]


async def overview_of(world: World, pattern: str) -> dict[str, Any]:
    answer = await take(world, one(pattern))
    assert (answer.status, answer.code, answer.issue) == (200, "ok", "")
    return await world.overview(NANCY, world.system())


def document_of(overview: dict[str, Any], code: str) -> dict[str, Any]:
    """Every mapped document also stands as a document, without its title, which holds a CPR number."""
    (document,) = overview["documents"]
    assert (document["code"], document["mapped"], document["media"]) == (code, True, "application/xml")
    assert document["binary"].startswith("Binary/")
    return dict(document)


# -- APD: DK-APD_Example_1.xml


async def test_appointment_says_when_where_with_whom_and_why(world: World) -> None:
    overview = await overview_of(world, "cda/DK-APD_Example_1.xml")
    (shown,) = overview["appointments"]
    wanted = {
        # 11:00 with the offset +01:00, as the file says; on that day Danish clocks show 12:00.
        "start": "2017-05-31T10:00:00.000Z",
        "end": "2017-05-31T11:00:00.000Z",
        "status": "booked",
        "unit": "OUH Radiologisk Ambulatorium (Nyborg)",
        "person": "Læge Anders Andersen",
        "place": {
            "name": "OUH Radiologisk Ambulatorium (Nyborg)",
            "address": "Vestergade 17, 5800 Nyborg",
            "phone": "66113333-4",
        },
        "reason": "Ekkokardiografi (Ultralydsundersøgelse af hjertet)",
        "note": "Aftale-tekst-her",
        "requester": "Lægerne Toldbodvej",
        "upcoming": False,
    }
    assert {name: shown[name] for name in wanted} == wanted
    (origin,) = shown["origins"]
    assert origin["source"] == {"token": "242621000016001", "name": "OUH Radiologisk Afdeling (Svendborg)", "kind": ""}
    assert (origin["recorded"], origin["received"]) == ("2017-02-16T09:00:00.000Z", "2026-11-23T09:00:00.000Z")
    assert document_of(overview, "39289-4")["at"] == "2017-01-13T09:00:00.000Z"
    assert NANCY not in str(overview["documents"]) + str(overview["appointments"]) + str(overview["new"])


async def test_appointment_keeps_ids_codes_and_everyone_it_names(world: World) -> None:
    await take(world, one("cda/DK-APD_Example_1.xml"))
    (appointment,) = await resources(world, "Appointment", NANCY)
    assert appointment["identifier"] == [
        {"system": "urn:oid:1.2.208.184", "value": "9a6d1bac-17d3-4195-89a4-1121bc809b4d"}
    ]
    assert (appointment["start"], appointment["end"], appointment["created"]) == (
        "2017-05-31T11:00:00+01:00",
        "2017-05-31T12:00:00+01:00",
        "2017-02-16T10:00:00+01:00",
    )
    assert appointment["appointmentType"]["coding"][0]["code"] == "185353001"
    named = [
        (
            p["type"][0]["coding"][0]["code"],
            p["actor"].get("identifier", {}).get("value", ""),
            p["actor"].get("display"),
        )
        for p in appointment["participant"]
        if "type" in p
    ]
    assert named == [
        ("PPRF", "320161000016005", "OUH Radiologisk Ambulatorium (Nyborg)"),
        ("ATND", "", "Læge Anders Andersen"),
        ("LOC", "320161000016005", "OUH Radiologisk Ambulatorium (Nyborg)"),
        ("REF", "48681000016007", "Lægerne Toldbodvej"),
        ("REF", "", "Anders Andersen"),
    ]
    (document,) = await resources(world, "DocumentReference", NANCY)
    assert [a["display"] for a in document["author"]] == ["OUH Radiologisk Afdeling (Svendborg)", "Læge Jens Jensen"]
    assert document["custodian"]["display"] == "OUH Klinisk IT (Odense)"
    (patient,) = (await world.get(f"/Patient?identifier={NANCY}", world.system())).json()["entry"]
    assert patient["resource"]["name"] == [{"family": "Berggren", "given": ["Nancy", "Ann"]}]
    assert (patient["resource"]["gender"], patient["resource"]["birthDate"]) == ("female", "1948-12-25")


async def test_asking_for_an_appointment_opens_no_record_and_performing_it_does(world: World) -> None:
    await take(world, one("cda/DK-APD_Example_1.xml"))
    patient = await world.patient_id(NANCY)
    world.clock.set(world.clock.now().replace(year=2017, month=5, day=30))
    for org, status in (("320161000016005", 200), ("48681000016007", 404)):
        read = await world.get(f"/Patient/{patient}/$overview", world.professional(org))
        assert read.status_code == status, org


# -- PDC: three cards


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the card, with its origin: register or typed, by whom, when."""

    field: str
    value: str
    kind: str
    author: str
    time: str
    detail: str = ""
    phones: tuple[tuple[str, str], ...] = ()
    current: bool = True


BENTE = "Bente Kirkegård Knudsen"
WRITTEN = "2019-08-08T14:05:10.000Z"
TOWN = ", ".join(["TemporarystreetAddressLineTypedIn"] * 4) + ", TemporarypostalCodeTypedIn TemporarycityTypedIn"
DENTIST = ", ".join(["DentiststreetAddressLineTypedIn"] * 4) + ", DentistpostalCodeTypedIn DentistcityTypedIn"
GUARDIAN = ", ".join(["GuardianstreetAddressLineFromCPRe"] * 4) + ", GuardianpostalCodeFromCPRe GuardiancityFromCPRe"
RELATIVE = (
    ", ".join(f"RelativeAddressLine{n}FromCPRe" for n in (1, 2, 3, 4))
    + ", RelativePostCodeFromCPRe RelativeCityFromCPRe"
)
NOTE = "Naboen arbejder hos TDC og kan træffes på arbejdstelefon i dagtimerne ml. 8 og 16."


def card(register: str, *, relative_from_register: bool) -> list[Value]:
    """Return every value of a card, in the order the overview shows them."""
    from_register = [
        Value(
            "relative", "RelativeFirstNameFromCPRe RelativeLastNameFromCPRe", "register", register, WRITTEN,
            f"Samboende · {RELATIVE}", (("home", "12345678"), ("mobile", "12345679"), ("work", "12345670")),
        )
    ]  # fmt: skip
    return [
        Value("address", "Vedbæk Strandvej 464, 7000 Fredericia", "register", register, WRITTEN),
        Value(
            "temporary-address", TOWN, "typed", BENTE, "2019-08-08T14:02:10.000Z", "2019-01-01/2020-01-01",
            current=False,
        ),
        *[
            Value("phone", number, "typed", "Nancy Berggren", "2019-08-08T13:59:10.000Z", use)
            for number, use in (("11223344", "home"), ("33112244", "work"), ("66774433", "mobile"))
        ],
        Value(
            "gp", "Testyder", "register", "", WRITTEN, "Ydervej 42, 1234 Yderby, test@testyder.dk", (("", "12345678"),)
        ),
        Value("insurance-group", "1", "register", "", WRITTEN),
        Value("language", "Tysk", "typed", BENTE, "2019-08-08T14:03:10.000Z"),
        *(from_register if relative_from_register else []),
        Value(
            "relative", "RelativeGivenNameTypedIn RelaiveFammilyNameTypedIn", "typed", BENTE,
            "2019-08-08T13:58:10.000Z", f"Nabo · {NOTE}",
            (("home", "11223344"), ("work", "55667788"), ("mobile", "99001122")),
        ),
        Value(
            "guardian", "GuardianGivenNameFromCPRe GuardianFamilyNameFromCPRe", "register", register, WRITTEN,
            f"Værge · {GUARDIAN}", (("home", "77886655"), ("mobile", "77994422"), ("work", "77008855")),
        ),
        Value(
            "guardian", "GuardianGivenNameTypedIn GuardianFammilyNameTypedIn", "typed", BENTE,
            "2019-08-08T14:00:10.000Z", "Værge", (("home", "99887796"), ("work", "11111111"), ("mobile", "12121212")),
        ),
        Value("dentist", "Jette Testesen", "typed", BENTE, "2019-08-08T14:01:10.000Z", f"Tandlæge · {DENTIST}"),
        Value("registered-organ-donor", "no", "register", "", WRITTEN),
        Value("registered-living-will", "yes", "register", "", WRITTEN),
        Value("registered-treatment-will", "no", "register", "", WRITTEN),
    ]  # fmt: skip


CARDS = {
    "PDC20_Example-1_2019-08-17.xml": ("PDC", card("Sundhedsdatastyrelsen", relative_from_register=False)),
    "PDC20_Example-1_2019-08-17_text.xml": ("PCD", card("FSK-service", relative_from_register=True)),
    # The relative stands here as values of one observation instead of an organizer of three.
    "PDC20_Example-2_2019-08-20.xml": ("PCD", card("FSK-service", relative_from_register=True)),
}


@pytest.mark.parametrize("name", CARDS)
async def test_card_gives_every_field_with_its_origin(world: World, name: str) -> None:
    code, wanted = CARDS[name]
    overview = await overview_of(world, f"cda/{name}")
    person = overview["person"]
    assert (person["name"], person["birthDate"], person["language"]) == (BENTE, "1948-12-25", "Tysk")
    shown = [
        Value(
            v["field"], v["value"], v["kind"], v["author"], v["time"], v["detail"],
            tuple((use, number) for use, number in v["phones"]), v["current"],
        )
        for v in overview["masterData"]["values"]
    ]  # fmt: skip
    assert shown == wanted
    assert document_of(overview, code)["kind"] == "Stamkort"


@pytest.mark.parametrize("name", CARDS)
async def test_registrations_are_for_professionals_and_the_rest_for_the_citizen_too(world: World, name: str) -> None:
    overview = await overview_of(world, f"cda/{name}")
    mine = await world.overview(NANCY, world.citizen(NANCY))
    own = [v["field"] for v in mine["masterData"]["values"]]
    assert own == [v["field"] for v in overview["masterData"]["values"] if not v["field"].startswith("registered-")]
    flags = await world.get(f"/Flag?patient={await world.patient_id(NANCY)}", world.citizen(NANCY))
    assert "entry" not in flags.json()
    # The registered GP has a relation; the guardian's CPR number goes nowhere.
    gp = await world.get(f"/Patient/{await world.patient_id(NANCY)}/$overview", world.professional("yder:123456"))
    assert gp.status_code == 200
    assert "9999999999" not in gp.text


async def test_card_of_the_newer_template_says_its_registrations_in_observations(world: World) -> None:
    answer = await take(world, one("ehdsi/informationCards/no-preferred-hp-test-card.xml"))
    assert answer.code == "ok"
    overview = await world.overview("0410009234", world.system())
    assert [(v["field"], v["value"], v["kind"]) for v in overview["masterData"]["values"]] == [
        ("address", "Morbærvej 200, 1362 København K", "register"),
        ("insurance-group", "1", "register"),
        ("registered-organ-donor", "no", "register"),
        ("registered-living-will", "no", "register"),
        ("registered-treatment-will", "no", "register"),
        ("registered-no-resuscitation", "no", "register"),
    ]


async def test_card_of_the_newer_template_gives_what_was_typed_and_drops_what_says_null(world: World) -> None:
    # The file's birth date contradicts its CPR number, so it is held as it stands; mended, it goes in.
    raw = content(one("ehdsi/informationCards/test-card.xml"))
    assert answer_of(await world.message(raw)).issue == "cpr-contradicts-birth-date"
    mended = raw.replace(b'<birthTime value="20190101" />', b'<birthTime value="19481225" />')
    assert answer_of(await world.message(mended)).code == "ok"
    overview = await world.overview("2512484916", world.system())
    typed = [(v["field"], v["value"], v["author"], v["phones"]) for v in overview["masterData"]["values"]]
    citizen = "Fissirul Lohman"
    assert typed == [
        ("address", "8000 Aarhus", "Sundhedsdatastyrelsen", []),
        ("temporary-address", "Øster Hurupvej 53, 1234 Testby", citizen, []),
        ("phone", "12345678", citizen, []),
        ("gp", "laege praksis", "", [["", "12345678"]]),
        ("insurance-group", "1", "", []),
        ("language", "German", citizen, []),
        ("relative", "Else Jochomsen", citizen, [["work", "70343332"]]),
        ("dentist", "tandlaege navn NA", "Jens Jensen", [["work", "12345678"]]),
        ("registered-organ-donor", "yes", "", []),
        ("registered-living-will", "yes", "", []),
        ("registered-treatment-will", "yes", "", []),
    ]


# -- CPD: a diabetes plan of a GP, and a rehabilitation plan with and without an observation

LOREM = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. Aenean euismod neque risus"


async def test_diabetes_plan_gives_goals_interventions_diagnosis_and_words(world: World) -> None:
    overview = await overview_of(world, "cda/CPD-DK_Care_Plan_Diabetes*.xml")
    (plan,) = overview["plans"]
    assert (plan["kind"], plan["status"], plan["author"], plan["written"], plan["consent"], plan["recipients"]) == (
        "care-plan", "active", "Lægehuset Valdemarsgade", "2018-09-28T00:00:00.000Z", None, [],
    )  # fmt: skip
    assert [(g["text"], g["status"]) for g in plan["goals"]] == [
        ("Langtidsblodsukker: Under 58-64\nBlodtryk: Under 130/80\nKoleserol: Under 1.8", "active")
    ]
    assert [(a["text"], a["status"]) for a in plan["activities"]] == [
        ("Øjenlæge mindst hver 2. år", "scheduled"),
        ("Fodterapeut mindst 1 gang årligt", "scheduled"),
        ("Influenzavaccination mellem 1 okt. og 31 dec.", "scheduled"),
    ]
    assert plan["people"] == [["Læge Anders Andersen", "", "65119999"]]
    assert plan["contacts"] == [["Lægehuset Valdemarsgade", "65119999"]]
    sections = {title: text.split("\n") for _, title, text in plan["sections"]}
    assert list(sections) == [
        "Forløbsplan diagnose kode", "Mine mål", "Resultater", "Langtidsblodsukker (mmol/mol)", "Blodtryk (mmHg)",
        "LDL Kolesterol (mmol/L)", "Husk at bestille tid til...",
    ]  # fmt: skip
    assert sections["Forløbsplan diagnose kode"] == ["T90: Diabetes"]
    # A number keeps the heading of its column: systolic is not diastolic.
    assert sections["Blodtryk (mmHg)"][0] == "Systolisk Værdi: 150 mmHg · Diatolisk Værdi: 90 mmHg · Dato: 24-08-18"
    assert sections["LDL Kolesterol (mmol/L)"][4] == "Værdi: 5.2 mmol/L · Dato: 25-09-18"
    assert "Min forløbsplan" not in str(overview)
    assert document_of(overview, "81215-6")["at"] == "2018-09-28T00:00:00.000Z"


async def test_diabetes_plan_gives_fifteen_readings_with_the_digits_they_came_with(world: World) -> None:
    overview = await overview_of(world, "cda/CPD-DK_Care_Plan_Diabetes*.xml")
    shown = {
        (r["code"], r["name"], r["unit"]): [(x["at"], x["value"]) for x in r["readings"]] for r in overview["results"]
    }
    assert shown == {
        ("NPU27300", "Hæmoglobin A1c (IFCC);Hb(B)", "mmol/mol"): [
            ("2018-09-25T08:50:06.000Z", "24.0"),
            ("2018-09-13T08:50:06.000Z", "23.0"),
            ("2018-09-07T10:50:06.000Z", "22.0"),
            ("2018-08-28T09:36:34.000Z", "22.8"),
            ("2018-08-24T10:15:45.000Z", "22.5"),
        ],
        ("DNK05472", "Blodtryk systolisk;Arm", "mmHg"): [
            ("2018-09-25T16:27:10.000Z", "120"),
            ("2018-09-13T06:25:00.000Z", "120"),
            ("2018-09-07T13:12:00.000Z", "132"),
            ("2018-08-28T12:42:00.000Z", "140"),
            ("2018-08-24T07:52:00.000Z", "150"),
        ],
        ("DNK05473", "Blodtryk diastolisk;Arm", "mmHg"): [
            ("2018-09-25T16:27:10.000Z", "80"),
            ("2018-09-13T06:25:00.000Z", "83"),
            ("2018-09-07T13:12:00.000Z", "80"),
            ("2018-08-28T12:42:00.000Z", "85"),
            ("2018-08-24T07:52:00.000Z", "90"),
        ],
        # The file contradicts itself: its coded entry says 7.7 where its own table says 5.2. Both are shown.
        ("NPU01568", "Kolesterol LDL;P", "mmol/L"): [
            ("2018-09-25T17:12:01.000Z", "7.7"),
            ("2018-09-13T17:32:21.000Z", "7.7"),
            ("2018-09-07T17:52:10.000Z", "7.2"),
            ("2018-09-06T17:48:00.000Z", "2.2"),
            ("2018-08-28T17:27:30.000Z", "2.5"),
        ],
    }
    observations = await resources(world, "Observation", NANCY)
    assert {o["code"]["coding"][0]["system"] for o in observations} == {"http://npu-terminology.org"}
    read = await world.get(f"/Observation?code=NPU27300&patient={await world.patient_id(NANCY)}", world.system())
    assert '"value":24.0,' in read.text


REHABILITATION = {
    "DK-CPD_Care_Plan_GGOP_specialiseret_Example_2019-01-22.xml": (
        [["Odense Kommune", "65516360"], ["Patientkontoret Region Syddanmark", "76631490"]],
        [],
    ),
    "DK-CPD_Care_Plan_GGOP_specialiseret_Example_2019-01-22-with-obs.xml": (
        [["Spørgsmål til kommunen", "65516360"], ["Spørgsmål til regionen", "76631490"]],
        [("11323-3", "Health Status Observation", "d", "2017-07-19T09:37:11.000Z", "1")],
    ),
}


@pytest.mark.parametrize("name", REHABILITATION)
async def test_rehabilitation_plan_says_type_people_telephones_consent_and_words(world: World, name: str) -> None:
    contacts, observed = REHABILITATION[name]
    overview = await overview_of(world, f"cda/{name}")
    (plan,) = overview["plans"]
    assert (plan["kind"], plan["status"], plan["author"], plan["written"], plan["consent"]) == (
        "rehabilitation-specialised", "active", "Odense Universitetshospital", "2014-12-20T14:43:00.000Z", True,
    )  # fmt: skip
    assert (plan["recipients"], plan["episodes"]) == (["Odense kommune"], ["e6cac740-b4f5-46cb-87e2-1dff3cf14840"])
    assert [(a["performer"], a["performerToken"], a["status"]) for a in plan["activities"]] == [
        ("Odense kommune", "gln:5790000121441", "not-started")
    ]
    assert plan["activities"][0]["text"] == "Vurdering af behov for genoptræning, specialiseret genoptræning"
    assert plan["people"] == [
        ["Arne Bævermose", "Ergoterapeut", "16986587"],
        ["Elinor Strøm", "Fysioterapeut", "52659852"],
        ["Ellinor Strøm", "Fysioterapeut", "52659852"],
        ["Trine Lund", "Sygeplejerske", "21659748"],
    ]
    assert plan["contacts"] == [*contacts, ["Odense Universitetshospital, Ortopædkirurgisk Afdeling, Q", "54586587"]]
    assert [(code, title, text[:60]) for code, title, text in plan["sections"]] == [
        (
            "InformationForPatientAndRelatives",
            "Information om behandling til patient og pårørende",
            "Patienten er informeret om det fortsatte genoptræningsforløb",
        ),
        ("RehabilitationNeedAndPotential", "Patientens genoptræningsbehov og potentiale", LOREM[:60]),
        ("CurrentHospitalContact", "Aktuel sygehuskontakt", "Start:\n13-12-2014 09:01\nForventet slut:\n20-12-2014"),
    ]
    assert [g["text"].startswith(LOREM) for g in plan["goals"]] == [True]
    results = [
        (r["code"], r["name"], r["unit"], r["readings"][0]["at"], r["readings"][0]["value"])
        for r in overview["results"]
    ]
    assert results == observed
    _course_of(overview)
    document_of(overview, "81215-6")


def _course_of(overview: dict[str, Any]) -> None:
    """The plan opens a course: sent, the municipality has the ball, seven days from discharge have passed."""
    (course,) = overview["courses"]
    assert (course["kind"], course["state"], course["reason"]) == ("rehabilitation-specialised", "sent", "Diabetes")
    assert course["holder"] == {"token": "gln:5790000121441", "name": "Odense kommune", "phone": "65516360"}
    assert (course["deadline"], course["overdue"], course["privateProvider"]) == ("2014-12-27", True, False)


@pytest.mark.parametrize("name", REHABILITATION)
async def test_rehabilitation_plan_keeps_relatives_addresses_and_the_hospital_contact(world: World, name: str) -> None:
    overview = await overview_of(world, f"cda/{name}")
    values = [(v["field"], v["value"], v["kind"], v["author"], v["detail"]) for v in overview["masterData"]["values"]]
    ouh = "Odense Universitetshospital"
    assert values == [
        ("address", "Hindbærvej 23, Hjallese, 5260 Odense S", "message", "", ""),
        ("temporary-address", "CO: Rosa Andersen, Skovgård 3, Hjallese, 5220 Odense SØ", "message", "", ""),
        ("phone", "23321234", "message", "", "mobile"),
        ("phone", "56558745", "message", "", "home"),
        ("phone", "25661597", "message", "", "work"),
        ("mail", "nancy@berggren.dk", "message", "", "home"),
        ("relative", "Arne Petersen", "typed", ouh, "Ægtefælle · Hindbærvej 23, Hjallese, 5260 Odense S"),
        ("relative", "Mads Jensen", "typed", ouh, "Uspecificeret pårørende · Hindbærvej 21, Hjallese, 5260 Odense S"),
    ]
    (plan,) = await resources(world, "CarePlan", NANCY)
    contact = next(e for e in plan["extension"] if e["url"] == "urn:overblik:extension:hospital-contact")
    assert contact["valuePeriod"] == {"start": "2014-12-13T09:01:00+01:00", "end": "2014-12-20T00:00:00+01:00"}
    episode = next(e for e in plan["extension"] if e["url"].endswith("workflow-episodeOfCare"))
    assert episode["valueReference"]["identifier"]["value"] == "E6CAC740-B4F5-46CB-87E2-1DFF3CF14840"


CONDITION_FILES = ["CPD-DK_Care_Plan_Diabetes_Example_1_2018-11-02.xml", *REHABILITATION]


@pytest.mark.parametrize("name", CONDITION_FILES)
async def test_plan_addresses_a_diagnosis_with_its_code_onset_and_doctor(world: World, name: str) -> None:
    overview = await overview_of(world, f"cda/{name}")
    (problem,) = overview["problems"]
    assert (problem["name"], problem["code"], problem["system"]) == ("Diabetes", "T90", "ICPC-2")
    assert (problem["status"], problem["onset"]) == ("active", "2012-10-17T09:21:35.000Z")
    (condition,) = await resources(world, "Condition", NANCY)
    assert condition["asserter"]["display"] == "SpecialLæge Søren Sørensen"
    assert condition["recordedDate"] == "2018-09-25T10:30:00+02:00"
    assert condition["category"][0]["coding"][0]["code"] == "ALGA01"
    (plan,) = await resources(world, "CarePlan", NANCY)
    assert [a["reference"] for a in plan["addresses"]] == [f"Condition/{condition['id']}"]


# -- what is readable but not mapped


UNMAPPED = [
    ("cda/QRD_KOL_Example_1_MaTIS.xml", "368061000016003", "74465-6"),
    ("cda/PHMR.sample.xml", "88878685", "53576-5"),
]


@pytest.mark.parametrize(("name", "source", "code"), UNMAPPED)
async def test_other_document_stands_as_a_document_of_its_organisation(
    world: World, name: str, source: str, code: str
) -> None:
    path = one(name)
    assert (await take(world, path)).code == "ok"
    overview = await world.overview("2512484916", world.system())
    (document,) = overview["documents"]
    assert (document["code"], document["mapped"], document["origin"]["source"]["token"]) == (code, False, source)
    read = await world.get(f"/{document['binary']}", world.system(), headers={"Accept": "*/*"})
    assert read.content == path.read_bytes()
    # A questionnaire is answered by the citizen, but the word is the organisation's; no CPR number names a source.
    rows = await world.run.database.fetch("select source, sender from resource join inbox on true")
    assert {(row.source, row.sender) for row in rows} == {(source, source)}
