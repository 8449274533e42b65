"""fhirpy and fhirclient (Python), unchanged, doing a day's work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from fhirclient.client import FHIRClient  # type: ignore[import-untyped]
from fhirclient.models.bundle import Bundle, BundleEntry, BundleEntryRequest  # type: ignore[import-untyped]
from fhirclient.models.observation import Observation  # type: ignore[import-untyped]
from fhirclient.models.patient import Patient  # type: ignore[import-untyped]
from fhirclient.server import FHIRNotFoundException, FHIRServer  # type: ignore[import-untyped]
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.conftest import Server

pytestmark = pytest.mark.long
CPR = "urn:oid:1.2.208.176.1.2"
NPU = "http://npu-terminology.org"


def result(patient: str, number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": NPU, "code": "NPU02319"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": f"2026-05-{number:02}T08:00:00+02:00",
        "valueQuantity": {"value": 7.5, "unit": "mmol/L"},
    }


@pytest.fixture
def client(server: Server) -> SyncFHIRClient:
    return SyncFHIRClient(server.base, authorization=f"Bearer {server.token}")


def person(client: SyncFHIRClient, cpr: str) -> Any:
    made = client.resource(
        "Patient", identifier=[{"system": CPR, "value": cpr}], name=[{"family": "Bæk", "given": ["Åse"]}]
    )
    made.save()
    return made


def test_fhirpy_creates_reads_changes_and_deletes(client: SyncFHIRClient) -> None:
    patient = person(client, "0102661231")
    assert patient["meta"]["versionId"] == "1"
    found = client.reference("Patient", patient.id).to_resource()
    assert found["name"][0]["family"] == "Bæk"
    patient["gender"] = "female"
    patient.save()
    assert patient["meta"]["versionId"] == "2"
    assert client.resources("Patient").search(_id=patient.id).get()["gender"] == "female"
    assert patient.refresh()["meta"]["versionId"] == "2"
    history = client.execute(f"Patient/{patient.id}/_history", method="get")
    assert [e["resource"]["meta"]["versionId"] for e in history["entry"]] == ["2", "1"]
    patient.delete()
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", patient.id).to_resource()


def test_fhirpy_sends_back_the_version_it_read_and_overwrites_nothing_unseen(client: SyncFHIRClient) -> None:
    """It knows no If-Match; what it saves carries the `meta.versionId` it was read with."""
    patient = person(client, "0802661238")
    mine = client.resource(**result(f"Patient/{patient.id}", 1), resource_type="Observation")
    mine.save()
    other = client.reference("Observation", mine.id).to_resource()
    mine["status"] = "amended"
    mine.save()
    assert mine["meta"]["versionId"] == "2"
    other["status"] = "cancelled"
    with pytest.raises(MultipleResourcesFound, match="version-changed"):  # what it takes every 412 for
        other.save()
    assert other.refresh()["status"] == "amended"


def test_fhirpy_searches_page_by_page(client: SyncFHIRClient) -> None:
    patient = person(client, "0202661232")
    for number in range(1, 26):
        client.resource(**result(f"Patient/{patient.id}", number), resource_type="Observation").save()
    mine = client.resources("Observation").search(patient=patient.id)
    walked = list(mine.limit(10))
    assert len({o.id for o in walked}) == len(walked) == 25
    assert len(mine.limit(10).fetch()) == 10
    late = mine.search(date__ge="2026-05-20").sort("-date").fetch_all()
    assert [o["effectiveDateTime"][8:10] for o in late] == ["25", "24", "23", "22", "21", "20"]
    assert mine.search(code=f"{NPU}|NPU02319").first() is not None
    with pytest.raises(MultipleResourcesFound):
        mine.get()
    with pytest.raises(ResourceNotFound):
        mine.search(code="another").get()


def test_fhirpy_counts_where_it_may_say_what_no_standard_knows(server: Server, client: SyncFHIRClient) -> None:
    """It adds a parameter of one vendor's to `_count=0`, which is refused unless it is to be passed over."""
    patient = person(client, "0702661237")
    client.resource(**result(f"Patient/{patient.id}", 1), resource_type="Observation").save()
    with pytest.raises(OperationOutcome, match="_totalMethod"):
        client.resources("Observation").search(patient=patient.id).count()
    headers = {"Prefer": "handling=lenient"}
    lenient = SyncFHIRClient(server.base, authorization=f"Bearer {server.token}", extra_headers=headers)
    assert lenient.resources("Observation").search(patient=patient.id).count() == 1


def test_what_fhirpy_says_in_one_vendors_dialect_is_refused_and_never_half_done(client: SyncFHIRClient) -> None:
    """Conditions in the address of a create, and merge patches, are not FHIR R4's."""
    wanted = client.resource("Patient", identifier=[{"system": "urn:fhirpy", "value": "once"}])
    with pytest.raises(OperationOutcome, match="If-None-Exist"):
        client.resources("Patient").search(identifier="urn:fhirpy|once").get_or_create(wanted)
    assert client.resources("Patient").search(identifier="urn:fhirpy|once").fetch() == []
    wanted.save()
    with pytest.raises(OperationOutcome, match="patch-invalid"):
        wanted.patch(birthDate="1966-02-01")
    found = client.resources("Patient").search(identifier="urn:fhirpy|once").get()
    assert found["meta"]["versionId"] == "1"


def test_fhirpy_is_told_what_is_wrong(client: SyncFHIRClient) -> None:
    with pytest.raises(OperationOutcome) as found:
        client.resource("Patient", colour="red").save()
    issue = found.value.resource["issue"][0]
    assert (issue["expression"], issue["details"]["coding"][0]["code"]) == (["Patient.colour"], "unknown-element")
    with pytest.raises(OperationOutcome):
        client.resources("Patient").search(nothing="x").fetch()
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", "nobody").to_resource()


async def test_fhirpy_async_sends_a_transaction(server: Server) -> None:
    client = AsyncFHIRClient(server.base, authorization=f"Bearer {server.token}")
    patient = {"resourceType": "Patient", "identifier": [{"system": CPR, "value": "0302661233"}]}
    entries = [
        {"fullUrl": "urn:uuid:1", "resource": patient, "request": {"method": "POST", "url": "Patient"}},
        *(
            {"resource": result("urn:uuid:1", n), "request": {"method": "POST", "url": "Observation"}}
            for n in range(1, 4)
        ),
    ]
    answer = await client.execute(
        "", method="post", data={"resourceType": "Bundle", "type": "transaction", "entry": entries}
    )
    assert [e["response"]["status"] for e in answer["entry"]] == ["201 Created"] * 4
    place = answer["entry"][0]["response"]["location"].split("/fhir/")[-1].split("/_history")[0]
    found = await client.resources("Observation").search(subject=place).fetch_all()
    assert {o["subject"]["reference"] for o in found} == {place}
    assert len(found) == 3
    everything = await client.execute(f"{place}/$everything", method="get")
    assert {e["resource"]["resourceType"] for e in everything["entry"]} == {"Patient", "Observation"}


# -- fhirclient of SMART on FHIR


@pytest.fixture
def smart(server: Server) -> Iterator[FHIRServer]:
    made = FHIRClient(settings={"app_id": "tests", "api_base": server.base}).server
    made.session.headers["Authorization"] = f"Bearer {server.token}"
    yield made
    made.session.close()


def test_fhirclient_reads_what_the_server_can(smart: FHIRServer) -> None:
    statement = smart.capabilityStatement
    assert statement.fhirVersion == "4.0.1"
    assert "Patient" in {r.type for r in statement.rest[0].resource}


def test_fhirclient_creates_reads_changes_and_deletes(smart: FHIRServer) -> None:
    patient = Patient({"identifier": [{"system": CPR, "value": "0402661234"}], "name": [{"family": "Ågård"}]})
    created = patient.create(smart)
    place = created["id"]
    read = Patient.read(place, smart)
    assert (read.name[0].family, read.meta.versionId) == ("Ågård", "1")
    read.gender = "male"
    assert read.update(smart)["meta"]["versionId"] == "2"
    read.delete(smart)
    with pytest.raises(requests.HTTPError) as found:
        Patient.read(place, smart)
    assert found.value.response is not None
    assert found.value.response.status_code == 410
    with pytest.raises(FHIRNotFoundException):
        Patient.read("nobody", smart)


def test_fhirclient_searches_page_by_page_after_a_transaction(smart: FHIRServer) -> None:
    bundle = Bundle({"type": "transaction"})
    bundle.entry = []
    patient = {"resourceType": "Patient", "identifier": [{"system": CPR, "value": "0502661235"}]}
    for url, body in [("urn:uuid:p", patient), *((f"urn:uuid:{n}", result("urn:uuid:p", n)) for n in range(1, 13))]:
        request = BundleEntryRequest({"method": "POST", "url": body["resourceType"]})
        entry = BundleEntry({"fullUrl": url, "request": request.as_json(), "resource": body})
        bundle.entry.append(entry)
    answer = Bundle(smart.post_json("", bundle.as_json()).json())
    place = answer.entry[0].response.location.split("/fhir/")[-1].split("/_history")[0]
    search = Observation.where({"subject": place, "_count": "5", "_sort": "date"})
    found = list(search.perform_resources_iter(smart))
    assert [o.effectiveDateTime.isostring[8:10] for o in found] == [f"{n:02}" for n in range(1, 13)]


def test_a_version_that_is_not_the_last_is_refused(server: Server, smart: FHIRServer) -> None:
    """Neither library sends If-Match; the session of each does when it is asked to."""
    created = Patient({"identifier": [{"system": CPR, "value": "0602661236"}]}).create(smart)
    place = f"{server.base}/Patient/{created['id']}"
    headers = {"If-Match": 'W/"1"', "Content-Type": "application/fhir+json"}
    changed = {**created, "gender": "other"}
    assert smart.session.put(place, json=changed, headers=headers).status_code == 200
    late = smart.session.put(place, json=changed, headers=headers)
    assert late.status_code == 412
    assert late.json()["issue"][0]["details"]["coding"][0]["code"] == "version-changed"
