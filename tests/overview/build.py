"""Resources as the door discloses them, and the overview they give, short to write in a table."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from overblik.fhir.identifiers import ATC, CPR, ICPC2, NPU, SKS, SOR
from overblik.overview.context import Context, Viewer
from overblik.overview.service import Overview, compose, looked
from overblik.trust.callers.identity import Caller
from overblik.trust.door.access import Record
from overblik.trust.door.entries import Entry
from overblik.trust.organisations import Organisation
from tests.conftest import NOW

if TYPE_CHECKING:
    from collections.abc import Iterable

HOSPITAL, CLINIC, TOWN, TRAINING = (f"9990001800{n}" for n in range(1, 5))
DIRECTORY = {
    unit.sor: unit
    for unit in (
        Organisation(HOSPITAL, "Sygehuset", kind="department", phone="11"),
        Organisation(CLINIC, "Lægerne", kind="gp", phone="55"),
        Organisation(TOWN, "Kommunen", kind="municipality", phone="22"),
        Organisation(TRAINING, "Træningen", parent=TOWN, kind="municipal-unit", phone="33"),
    )
}
PERSON = "2512489996"
EPISODE = "bd481c38-a921-11ed-afa1-0242ac120002"
OTHER_EPISODE = "0f0f0f0f-0000-4000-8000-000000000002"
ORIGIN = "urn:overblik:extension:origin"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_NUMBERS = count(1)
_CLINICAL = "http://terminology.hl7.org/CodeSystem/"


def told(resource: dict[str, Any], source: str = HOSPITAL, at: datetime = NOW - DAY, **more: Any) -> Entry:
    """Return a resource as an entry that its source told at an instant; every entry a change of its own."""
    number = next(_NUMBERS)
    body = {"id": f"{number:06}", **resource}
    known = {"via": "gateway", "recorded": at, "received": at, "change": number, "created": number}
    return Entry(body, source, **{**known, **more})


def unit(token: str) -> dict[str, Any]:
    """Return a reference to a unit."""
    name = DIRECTORY[token].name if token in DIRECTORY else token
    return {"type": "Organization", "identifier": {"system": SOR, "value": token}, "display": name}


def tie(episode: str) -> dict[str, Any]:
    """Return the extension that ties a resource to an episode, or nothing."""
    url = "http://hl7.org/fhir/StructureDefinition/workflow-episodeOfCare"
    reference = {"type": "EpisodeOfCare", "identifier": {"value": episode}}
    return {"extension": [{"url": url, "valueReference": reference}]} if episode else {}


def seen(entries: Iterable[Entry], who: str = "professional", now: datetime = NOW, **more: Any) -> Overview:
    """Return the overview of a record of these entries."""
    org = more.pop("org", CLINIC)
    caller = Caller("citizen", PERSON, "Borger") if who == "citizen" else _professional(org)
    told = tuple(entries)
    seqs = {entry.change: entry.change for entry in told}
    record = Record("p", "contact", told, seqs, more.get("baseline", 0), more.get("before"))
    ctx = Context(record, Viewer.of(caller), now, DIRECTORY.get)
    return looked(ctx, compose(ctx), record, now, more.get("as_of"), ())


def _professional(org: str) -> Caller:
    above = (DIRECTORY[org].parent,) if DIRECTORY[org].parent else ()
    return Caller("professional", "TEST1", "Test Person", "læge", org, DIRECTORY[org].name, (org, *above))


def person(source: str = HOSPITAL, at: datetime = NOW - DAY, **more: Any) -> Entry:
    """Return a source's Patient."""
    body = {"resourceType": "Patient", "identifier": [{"system": CPR, "value": PERSON}], "name": [{"family": "Test"}]}
    return told(body | more, source, at)


def appointment(source: str = HOSPITAL, *, number: str = "", start: datetime = NOW + DAY, **more: Any) -> Entry:
    """Return an appointment at the hospital."""
    code = {"system": _CLINICAL + "v3-ParticipationType", "code": "PPRF"}
    body = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": start.isoformat(),
        "end": (start + HOUR).isoformat(),
        "participant": [{"type": [{"coding": [code]}], "actor": unit(HOSPITAL)}],
        "contained": [{"resourceType": "Location", "id": "location", "name": "Indgang 3"}],
        **({"identifier": [{"system": "urn:x", "value": number}]} if number else {}),
    }
    return told(body | more, source)


def contact(source: str = HOSPITAL, *, org: str = HOSPITAL, episode: str = EPISODE, days: int = 3) -> Entry:
    """Return a stay that ended yesterday."""
    period = {"start": (NOW - days * DAY).isoformat(), "end": (NOW - DAY).isoformat()}
    body = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "IMP"},
        "serviceProvider": unit(org),
        "period": period,
        **({"episodeOfCare": [{"identifier": {"value": episode}}]} if episode else {}),
    }
    return told(body, source)


def order(
    source: str = CLINIC,
    *,
    number: str = "",
    name: str = "Amlodipin 5 mg",
    atc: str = "C08CA01",
    dose: str = "1 tablet morgen",
    written: datetime = NOW - 400 * DAY,
    **more: Any,
) -> Entry:
    """Return an order of medicine."""
    at = more.pop("at", NOW - DAY)
    body = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": ATC, "code": atc}], "text": name},
        "authoredOn": written.isoformat(),
        **({"dosageInstruction": [{"text": dose}]} if dose else {}),
        **({"identifier": [{"system": "urn:x", "value": number}]} if number else {}),
    }
    return told(body | more, source, at)


def problem(
    source: str = HOSPITAL,
    *,
    code: str = "DS720",
    system: str = SKS,
    side: str = "",
    certainty: str = "confirmed",
    episode: str = EPISODE,
) -> Entry:
    """Return a diagnosis."""
    body = {
        "resourceType": "Condition",
        "code": {"coding": [{"system": system, "code": code}], "text": "Hoftebrud"},
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "verificationStatus": {"coding": [{"code": certainty}]},
        **({"bodySite": [{"text": side}]} if side else {}),
        **tie(episode),
    }
    return told(body, source)


def result(
    value: Any = 7.9,
    source: str = CLINIC,
    *,
    sample: str = "",
    code: str = "NPU02319",
    unit: str = "mmol/L",
    at: datetime = NOW - DAY,
    **more: Any,
) -> Entry:
    """Return a laboratory result."""
    body = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": NPU, "code": code}], "text": f"Hæmoglobin {code}"},
        "effectiveDateTime": at.isoformat(),
        "valueQuantity": {"value": value, "unit": unit},
        **({"specimen": {"identifier": {"value": sample}}} if sample else {}),
    }
    return told(body | more, source)


def allergy(
    substance: str = "Penicillin", source: str = CLINIC, *, certainty: str = "confirmed", code: str = ""
) -> Entry:
    """Return an allergy, a refuted one, or a statement that none are known."""
    body = {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "verificationStatus": {"coding": [{"code": certainty}]},
        "code": {"text": substance, **({"coding": [{"code": code}]} if code else {})},
        "recordedDate": "2024-05-01",
    }
    return told(body, source)


ICPC = ICPC2
