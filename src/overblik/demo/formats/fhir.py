"""Plain FHIR transactions, as a hospital's, a municipality's or a clinic's own system sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from overblik.demo.cast import SYNTHETIC
from overblik.demo.formats.medcom import endpoint, name_id
from overblik.fhir.dates import local_date_time
from overblik.fhir.identifiers import ATC, CPR, ICPC2, NPU, SKS
from overblik.fhir.reading import EPISODE
from overblik.fhir.strict_json import dumps

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.demo.cast import Unit
    from overblik.demo.people import Person
    from overblik.fhir.strict_json import Json

ORDER = "urn:overblik:demo:order"
SAMPLE = "urn:overblik:demo:sample"
PATIENT = "urn:uuid:00000000-0000-4000-8000-000000000001"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/"


def transaction(person: Person, unit: Unit, resources: list[Json]) -> bytes:
    """Return a transaction that writes resources of one patient; `id` in a resource makes it an update."""
    patient: Json = {
        "resourceType": "Patient",
        "meta": {"source": endpoint(unit), "tag": [SYNTHETIC]},
        "identifier": [{"system": CPR, "value": person.cpr}],
        "name": [{"use": "official", "family": person.family, "given": person.given.split()}],
        "gender": "female" if person.female else "male",
        "birthDate": person.born.isoformat(),
    }
    condition = f"identifier={CPR}|{person.cpr}"
    entries = [
        {
            "fullUrl": PATIENT,
            "resource": patient,
            "request": {"method": "POST", "url": "Patient", "ifNoneExist": condition},
        },
        *[_entry(resource, unit) for resource in resources],
    ]
    return dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _entry(resource: Json, unit: Unit) -> Json:
    kind = resource["resourceType"]
    meta = {"source": endpoint(unit), "tag": [SYNTHETIC]}
    body = {**resource, "meta": meta}
    if "id" in resource:
        return {"resource": body, "request": {"method": "PUT", "url": f"{kind}/{resource['id']}"}}
    full_url = f"urn:uuid:{name_id('entry', dumps(resource))}"
    return {"fullUrl": full_url, "resource": body, "request": {"method": "POST", "url": kind}}


def _subject() -> Json:
    return {"reference": PATIENT}


def episode(value: str) -> Json:
    """Return the extension that ties a resource to an episode of care."""
    return {"url": EPISODE, "valueReference": {"type": "EpisodeOfCare", "identifier": {"value": value}}}


def condition(code: str, words: str, since: datetime, *, system: str = ICPC2, episode_id: str = "") -> Json:
    """Return a diagnosis; ICPC-2 from a clinic, SKS from a hospital."""
    body: Json = {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"system": _CLINICAL + "condition-clinical", "code": "active"}]},
        "verificationStatus": {"coding": [{"system": _CLINICAL + "condition-ver-status", "code": "confirmed"}]},
        "code": {"coding": [{"system": system, "code": code, "display": words}], "text": words},
        "subject": _subject(),
        "onsetDateTime": since.date().isoformat(),
    }
    return body | ({"extension": [episode(episode_id)]} if episode_id else {})


def allergy(words: str, reaction: str, since: datetime) -> Json:
    """Return a CAVE entry."""
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {"coding": [{"system": _CLINICAL + "allergyintolerance-clinical", "code": "active"}]},
        "verificationStatus": {
            "coding": [{"system": _CLINICAL + "allergyintolerance-verification", "code": "confirmed"}]
        },
        "code": {"text": words},
        "patient": _subject(),
        "recordedDate": since.date().isoformat(),
        "reaction": [{"manifestation": [{"text": reaction}]}],
    }


def no_known_allergy(stated: datetime) -> Json:
    """Return a source's statement that no allergies are known."""
    snomed = {"system": "http://snomed.info/sct", "code": "716186003", "display": "No known allergy"}
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {"coding": [{"system": _CLINICAL + "allergyintolerance-clinical", "code": "active"}]},
        "verificationStatus": {
            "coding": [{"system": _CLINICAL + "allergyintolerance-verification", "code": "confirmed"}]
        },
        "code": {"coding": [snomed], "text": "Ingen kendte"},
        "patient": _subject(),
        "recordedDate": stated.date().isoformat(),
    }


@dataclass(frozen=True, slots=True)
class Order:
    """An order of medicine: its identifier wherever it is told of, what, how much, why."""

    id: str
    atc: str
    name: str
    dose: str
    why: str


def medication(
    order: Order,
    at: datetime,
    unit: Unit,
    *,
    until: datetime | None = None,
    status: str = "active",
    reason: str = "",
    resource_id: str = "",
) -> Json:
    """Return an order as one source tells it."""
    body: Json = {
        "resourceType": "MedicationRequest",
        "identifier": [{"system": ORDER, "value": order.id}],
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": ATC, "code": order.atc}], "text": order.name},
        "subject": _subject(),
        "authoredOn": local_date_time(at),
        "requester": unit.reference(),
        "reasonCode": [{"text": order.why}],
        "dosageInstruction": [{"text": order.dose}],
    }
    if until:
        period = {"start": local_date_time(at), "end": local_date_time(until)}
        body["dispenseRequest"] = {"validityPeriod": period}
    if reason:
        body["statusReason"] = {"text": reason}
    return body | ({"id": resource_id} if resource_id else {})


def operation(code: str, words: str, at: datetime, unit: Unit, episode_id: str) -> Json:
    """Return an operation."""
    return {
        "resourceType": "Procedure",
        "extension": [episode(episode_id)],
        "status": "completed",
        "code": {"coding": [{"system": SKS, "code": code, "display": words}], "text": words},
        "subject": _subject(),
        "performedDateTime": local_date_time(at),
        "performer": [{"actor": unit.reference()}],
    }


def result(
    npu: str, words: str, value: object, unit_text: str, at: datetime, sample: str, *, reference: str, flag: str = ""
) -> Json:
    """Return a laboratory result of one sample."""
    body: Json = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": NPU, "code": npu}], "text": words},
        "subject": _subject(),
        "effectiveDateTime": local_date_time(at),
        "valueQuantity": {"value": value, "unit": unit_text},
        "specimen": {"identifier": {"system": SAMPLE, "value": sample}},
        "referenceRange": [{"text": reference}],
    }
    return body | ({"interpretation": [{"coding": [{"code": flag}]}]} if flag else {})


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample, and the id under which its source corrects the result."""

    id: str
    resource_id: str


def corrected(
    npu: str, words: str, value: object, unit_text: str, at: datetime, sample: Sample, *, flag: str, status: str
) -> Json:
    """Return a result that its source writes under an id of its own, so that it can be corrected."""
    body = result(npu, words, value, unit_text, at, sample.id, reference="7,3–9,5", flag=flag)
    return {**body, "id": sample.resource_id, "status": status}


def measurement(words: str, value: object, unit_text: str, at: datetime) -> Json:
    """Return a measurement by a municipality or clinic, named in words."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": words},
        "subject": _subject(),
        "effectiveDateTime": local_date_time(at),
        "valueQuantity": {"value": value, "unit": unit_text},
    }


def task(
    resource_id: str, owner: Unit, episode_id: str, status: str, authored: datetime, at: datetime, words: str
) -> Json:
    """Return the municipality's own Task about a plan: made at `authored`, as it stands since `at`."""
    return {
        "resourceType": "Task",
        "id": resource_id,
        "groupIdentifier": {"value": episode_id},
        "status": status,
        "intent": "order",
        "description": words,
        "for": _subject(),
        "authoredOn": local_date_time(authored),
        "lastModified": local_date_time(at),
        "owner": owner.reference(),
    }


def municipal_plan(
    resource_id: str, author: Unit, episode_id: str, title: str, start: datetime, end: datetime | None = None
) -> Json:
    """Return the municipality's own plan; completed when it has an end."""
    period = {"start": local_date_time(start)} | ({"end": local_date_time(end)} if end else {})
    return {
        "resourceType": "CarePlan",
        "id": resource_id,
        "extension": [episode(episode_id)],
        "status": "completed" if end else "active",
        "intent": "plan",
        "title": title,
        "subject": _subject(),
        "period": period,
        "created": local_date_time(start),
        "author": author.reference(),
    }


def visit(kind: str, unit: Unit, start: datetime, end: datetime, why: str) -> Json:
    """Return a finished visit."""
    return {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": kind},
        "subject": _subject(),
        "period": {"start": local_date_time(start), "end": local_date_time(end)},
        "reasonCode": [{"text": why}],
        "serviceProvider": unit.reference(),
    }
