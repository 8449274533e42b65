"""Each published APD and PDC alone in an empty store: the facts that must result.

Read by hand from the files: appointment and master-data card. The patient is the same test person
in all of them; the cards call her Bente, which the overview shows beside Nancy and never resolves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.conftest import needs_shared, shared_files
from tests.exchange.real import NANCY, answer_of, content, document_of, one, overview_of, resources, take

if TYPE_CHECKING:
    from tests.conftest import World

pytestmark = needs_shared

MAPPED = {"APD": 1, "PDC": 3, "CPD": 3}


@pytest.mark.parametrize("kind", MAPPED)
def test_every_file_of_a_kind_has_its_test(kind: str) -> None:
    assert len(shared_files(f"cda/*{kind}*.xml")) == MAPPED[kind]


# -- APD: DK-APD_Example_1.xml


async def test_appointment_says_when_where_with_whom_and_why(world: World) -> None:
    overview = await overview_of(world, "cda/DK-APD_Example_1.xml")
    (shown,) = overview["appointments"]
    wanted = {
        # 11:00 with the offset +01:00, as the file says; on that day Danish clocks show 12:00.
        "start": "2017-05-31T10:00:00Z",
        "end": "2017-05-31T11:00:00Z",
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
    assert (origin["recorded"], origin["received"]) == ("2017-02-16T09:00:00Z", "2026-11-23T09:00:00Z")
    assert document_of(overview, "39289-4")["at"] == "2017-01-13T09:00:00Z"
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
WRITTEN = "2019-08-08T14:05:10Z"
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
            "temporary-address", TOWN, "typed", BENTE, "2019-08-08T14:02:10Z", "2019-01-01/2020-01-01",
            current=False,
        ),
        *[
            Value("phone", number, "typed", "Nancy Berggren", "2019-08-08T13:59:10Z", use)
            for number, use in (("11223344", "home"), ("33112244", "work"), ("66774433", "mobile"))
        ],
        Value(
            "gp", "Testyder", "register", "", WRITTEN, "Ydervej 42, 1234 Yderby, test@testyder.dk", (("", "12345678"),)
        ),
        Value("insurance-group", "1", "register", "", WRITTEN),
        Value("language", "Tysk", "typed", BENTE, "2019-08-08T14:03:10Z"),
        *(from_register if relative_from_register else []),
        Value(
            "relative", "RelativeGivenNameTypedIn RelaiveFammilyNameTypedIn", "typed", BENTE,
            "2019-08-08T13:58:10Z", f"Nabo · {NOTE}",
            (("home", "11223344"), ("work", "55667788"), ("mobile", "99001122")),
        ),
        Value(
            "guardian", "GuardianGivenNameFromCPRe GuardianFamilyNameFromCPRe", "register", register, WRITTEN,
            f"Værge · {GUARDIAN}", (("home", "77886655"), ("mobile", "77994422"), ("work", "77008855")),
        ),
        Value(
            "guardian", "GuardianGivenNameTypedIn GuardianFammilyNameTypedIn", "typed", BENTE,
            "2019-08-08T14:00:10Z", "Værge", (("home", "99887796"), ("work", "11111111"), ("mobile", "12121212")),
        ),
        Value("dentist", "Jette Testesen", "typed", BENTE, "2019-08-08T14:01:10Z", f"Tandlæge · {DENTIST}"),
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
