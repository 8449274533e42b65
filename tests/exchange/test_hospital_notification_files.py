"""Each published HospitalNotification alone in an empty store: the facts that must result.

Read by hand from the files: MedCom's guide examples 3.0.2, one patient, one episode of care.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import needs_shared, shared_files
from tests.exchange.real import BRUNO, CARE_HOME, HEART, one, resources, take

if TYPE_CHECKING:
    from tests.conftest import World

pytestmark = needs_shared

HOSPITAL = "https://sor2.sum.dsdn.dk/#id=265161000016000"
REGISTRY = "https://www.esundhed.dk/Registre/Landspatientregisteret"
EPISODE = (HOSPITAL, "bd481c38-a921-11ed-afa1-0242ac120002")
EPISODE_URN = (HOSPITAL, "urn:uuid:bd481c38-a921-11ed-afa1-0242ac120002")
WARD = ("399841000016000", "Hjertemedicinsk sengeafs. S103")
ADMITTED, ADMITTED_Z = "2022-12-07T12:00:00+02:00", "2022-12-07T10:00:00Z"
ARRIVED, ARRIVED_Z = "2022-12-01T10:00:04+02:00", "2022-12-01T08:00:04Z"
LEAVE = (
    "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/medcom-hospitalnotifiation-leave-period-extension"
)
ASKS = "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/medcom-messaging-reportOfAdmissionExtension"


@dataclass(frozen=True, slots=True)
class Stay:
    """One file's facts. Periods as the file writes them; `told` is when the notification's event happened."""

    file: str
    event: str
    told: str
    status: str = "in-progress"
    kind: str = "IMP"
    period: tuple[str, ...] = (ADMITTED,)
    leave: tuple[str, ...] = ()
    episodes: tuple[tuple[str, str], ...] = (EPISODE,)
    unit: tuple[str, str] = HEART
    dead: str = ""
    asks_for_report: bool = False


STAYS = [
    Stay("a5e5b880", "admit-inpatient", "2022-12-07T10:00:02Z", asks_for_report=True),
    Stay("bfab3e80", "revise-admit-inpatient", "2022-12-07T12:00:02Z", period=("2022-12-07T13:00:00+02:00",)),
    Stay("c83671a4", "withdrawn-admit-inpatient", "2022-12-07T13:00:02Z", status="entered-in-error"),
    Stay(
        "d3128d9b", "start-leave-inpatient", "2022-12-13T12:00:12Z", status="onleave",
        leave=("2022-12-13T14:00:10+02:00",),
    ),
    Stay(
        "e94de8ee", "end-leave-inpatient", "2022-12-14T13:30:02Z",
        leave=("2022-12-13T14:00:10+02:00", "2022-12-14T15:30:00+02:00"),
    ),
    Stay(
        "f4aa42a4", "discharge-inpatient-home", "2022-12-18T07:45:32Z", status="finished",
        period=(ADMITTED, "2022-12-18T09:45:30+02:00"),
    ),
    # A death is sent under the activity that was current, here the admission.
    Stay(
        "g099bbf3", "died", "2022-12-09T07:45:32Z", status="finished",
        period=(ADMITTED, "2022-12-09T09:45:30+02:00"), dead="2022-12-09T07:45:30Z",
    ),
    Stay(
        "h1c8e4a8", "admit-emergency", "2022-12-01T08:00:06Z", kind="EMER", period=(ARRIVED,),
        asks_for_report=True,
    ),
    Stay(
        "kcab461b", "discharge-emergency-home", "2022-12-02T20:00:11Z", status="finished", kind="EMER",
        period=(ARRIVED, "2022-12-02T22:00:09+02:00"),
    ),
    Stay(
        "ld31e08a", "died", "2022-12-02T05:00:02Z", status="finished", kind="EMER",
        period=(ARRIVED, "2022-12-02T07:00:00+02:00"), dead="2022-12-02T05:00:00Z",
    ),
    # The ward is the service provider, and the episode id comes as a URN: both are echoed as received.
    Stay("m908i967", "admit-inpatient", "2022-12-09T10:00:02Z", unit=WARD, episodes=(EPISODE_URN,)),
    Stay(
        "n73ccf30", "admit-inpatient", "2022-12-07T10:00:02Z",
        episodes=((REGISTRY, "urn:uuid:fc60e762-b13b-5773-865e-67f3907bdcc7"), EPISODE_URN),
    ),
]  # fmt: skip


def test_every_published_notification_has_its_row() -> None:
    files = shared_files("medcom-fhir/hospitalnotification/Bundle*.json")
    assert [path.name[7:15] for path in files] == [stay.file for stay in STAYS]


@pytest.mark.parametrize("stay", STAYS, ids=lambda s: f"{s.file}-{s.event}")
async def test_notification_alone_gives_its_facts(world: World, stay: Stay) -> None:
    answer = await take(world, one(f"medcom-fhir/hospitalnotification/Bundle-{stay.file}*.json"))
    assert (answer.status, answer.code, answer.issue) == (200, "ok", "")
    (encounter,) = await resources(world, "Encounter", BRUNO)
    await _encounter(encounter, stay)
    overview = await world.overview(BRUNO, world.system())
    _contact(overview, stay)
    _news(overview, stay)
    (header,) = await resources(world, "MessageHeader", BRUNO)
    assert [e.get("valueBoolean") for e in header.get("extension", []) if e["url"] == ASKS] == (
        [True] if stay.asks_for_report else []
    )
    assert header["destination"][0]["receiver"]["display"] == CARE_HOME[1]


async def _encounter(encounter: dict[str, Any], stay: Stay) -> None:
    """The stored Encounter says what the message said, ids and times as received."""
    assert (encounter["status"], encounter["class"]["code"]) == (stay.status, stay.kind)
    assert tuple(encounter["period"][end] for end in ("start", "end") if end in encounter["period"]) == stay.period
    named = tuple((e["identifier"]["system"], e["identifier"]["value"]) for e in encounter["episodeOfCare"])
    assert named == stay.episodes
    provider = encounter["serviceProvider"]
    assert (provider["identifier"]["value"], provider["display"]) == stay.unit
    periods = [e["valuePeriod"] for e in encounter.get("extension", []) if e["url"] == LEAVE]
    assert [tuple(p[end] for end in ("start", "end") if end in p) for p in periods] == (
        [stay.leave] if stay.leave else []
    )


def _contact(overview: dict[str, Any], stay: Stay) -> None:
    """The overview shows the stay, who has died, and nothing of a stay that was withdrawn."""
    person = overview["person"]
    assert (person["name"], person["deceased"]) == ("Elmer", bool(stay.dead))
    assert (person["deceasedAt"] or "") == stay.dead
    if stay.status == "entered-in-error":
        assert overview["contacts"] == overview["courses"] == []
        return
    (contact,) = overview["contacts"]
    shown = {name: contact[name] for name in ("kind", "status", "unit", "deceased", "leave")}
    assert shown == {
        "kind": stay.kind,
        "status": stay.status,
        "unit": stay.unit[1],
        "deceased": bool(stay.dead),
        "leave": stay.status == "onleave",
    }
    start = {ADMITTED: ADMITTED_Z, ARRIVED: ARRIVED_Z}.get(stay.period[0], "2022-12-07T11:00:00Z")
    assert contact["start"] == start
    assert (contact["end"] is not None) == (len(stay.period) == 2)
    if stay.dead:
        assert contact["end"] == stay.dead
    (course,) = overview["courses"]
    assert course["episode"] == "bd481c38-a921-11ed-afa1-0242ac120002"
    assert course["state"] == ("discharged" if stay.status == "finished" else "admitted")


def _news(overview: dict[str, Any], stay: Stay) -> None:
    """One message is one line of news, told when it happened and by whom."""
    (news,) = overview["new"]
    assert (news["kind"], news["event"], news["what"]) == ("Encounter", stay.event, stay.unit[1])
    assert (news["clinical"], news["received"], news["late"]) == (stay.told, "2026-11-23T09:00:00Z", True)
    assert (news["source"]["token"], news["source"]["name"]) == HEART
    assert news["raw"].startswith("Binary/")


@pytest.mark.parametrize("file", ["a5e5b880", "c83671a4"])
async def test_a_notification_opens_the_record_to_its_receiver_only(world: World, file: str) -> None:
    await take(world, one(f"medcom-fhir/hospitalnotification/Bundle-{file}*.json"))
    patient = await world.patient_id(BRUNO)
    seen = await world.get(f"/Patient/{patient}/$overview", world.professional(CARE_HOME[0]))
    assert seen.status_code == 200
    stranger = await world.get(f"/Patient/{patient}/$overview", world.professional("99999999999"))
    assert stranger.status_code == 404


async def test_the_message_can_be_read_back_as_it_came(world: World) -> None:
    path = one("medcom-fhir/hospitalnotification/Bundle-a5e5b880*.json")
    await take(world, path)
    raw = (await world.overview(BRUNO, world.system()))["new"][0]["raw"]
    read = await world.get(f"/{raw}", world.system(), headers={"Accept": "*/*"})
    assert read.content == path.read_bytes()
