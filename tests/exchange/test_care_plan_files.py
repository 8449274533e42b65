"""Each published CPD alone in an empty store: the facts that must result, read by hand from the files.

A diabetes plan of a GP, and a rehabilitation plan of a hospital with and without an observation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import needs_shared
from tests.exchange.real import NANCY, document_of, overview_of, resources

if TYPE_CHECKING:
    from tests.conftest import World

pytestmark = needs_shared


LOREM = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. Aenean euismod neque risus"


async def test_diabetes_plan_gives_goals_interventions_diagnosis_and_words(world: World) -> None:
    overview = await overview_of(world, "cda/CPD-DK_Care_Plan_Diabetes*.xml")
    (plan,) = overview["plans"]
    assert (plan["kind"], plan["status"], plan["author"], plan["written"], plan["consent"], plan["recipients"]) == (
        "care-plan", "active", "Lægehuset Valdemarsgade", "2018-09-28T00:00:00Z", None, [],
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
    assert document_of(overview, "81215-6")["at"] == "2018-09-28T00:00:00Z"


async def test_diabetes_plan_gives_fifteen_readings_with_the_digits_they_came_with(world: World) -> None:
    overview = await overview_of(world, "cda/CPD-DK_Care_Plan_Diabetes*.xml")
    shown = {
        (r["code"], r["name"], r["unit"]): [(x["at"], x["value"]) for x in r["readings"]] for r in overview["results"]
    }
    assert shown == {
        ("NPU27300", "Hæmoglobin A1c (IFCC);Hb(B)", "mmol/mol"): [
            ("2018-09-25T08:50:06Z", "24.0"),
            ("2018-09-13T08:50:06Z", "23.0"),
            ("2018-09-07T10:50:06Z", "22.0"),
            ("2018-08-28T09:36:34Z", "22.8"),
            ("2018-08-24T10:15:45Z", "22.5"),
        ],
        ("DNK05472", "Blodtryk systolisk;Arm", "mmHg"): [
            ("2018-09-25T16:27:10Z", "120"),
            ("2018-09-13T06:25:00Z", "120"),
            ("2018-09-07T13:12:00Z", "132"),
            ("2018-08-28T12:42:00Z", "140"),
            ("2018-08-24T07:52:00Z", "150"),
        ],
        ("DNK05473", "Blodtryk diastolisk;Arm", "mmHg"): [
            ("2018-09-25T16:27:10Z", "80"),
            ("2018-09-13T06:25:00Z", "83"),
            ("2018-09-07T13:12:00Z", "80"),
            ("2018-08-28T12:42:00Z", "85"),
            ("2018-08-24T07:52:00Z", "90"),
        ],
        # The file contradicts itself: its coded entry says 7.7 where its own table says 5.2. Both are shown.
        ("NPU01568", "Kolesterol LDL;P", "mmol/L"): [
            ("2018-09-25T17:12:01Z", "7.7"),
            ("2018-09-13T17:32:21Z", "7.7"),
            ("2018-09-07T17:52:10Z", "7.2"),
            ("2018-09-06T17:48:00Z", "2.2"),
            ("2018-08-28T17:27:30Z", "2.5"),
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
        [("11323-3", "Health Status Observation", "d", "2017-07-19T09:37:11Z", "1")],
    ),
}


@pytest.mark.parametrize("name", REHABILITATION)
async def test_rehabilitation_plan_says_type_people_telephones_consent_and_words(world: World, name: str) -> None:
    contacts, observed = REHABILITATION[name]
    overview = await overview_of(world, f"cda/{name}")
    (plan,) = overview["plans"]
    assert (plan["kind"], plan["status"], plan["author"], plan["written"], plan["consent"]) == (
        "rehabilitation-specialised", "active", "Odense Universitetshospital", "2014-12-20T14:43:00Z", True,
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
    assert (problem["status"], problem["onset"]) == ("active", "2012-10-17T09:21:35Z")
    (condition,) = await resources(world, "Condition", NANCY)
    assert condition["asserter"]["display"] == "SpecialLæge Søren Sørensen"
    assert condition["recordedDate"] == "2018-09-25T10:30:00+02:00"
    assert condition["category"][0]["coding"][0]["code"] == "ALGA01"
    (plan,) = await resources(world, "CarePlan", NANCY)
    assert [a["reference"] for a in plan["addresses"]] == [f"Condition/{condition['id']}"]
