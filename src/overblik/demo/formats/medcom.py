"""MedCom FHIR messages as a hospital or municipality would send them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from overblik.fhir.dates import local_date_time
from overblik.fhir.identifiers import CPR
from overblik.fhir.strict_json import dumps

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.demo.cast import Staff, Unit
    from overblik.demo.people import Person
    from overblik.fhir.strict_json import Json

_CODES = "http://medcomfhir.dk/ig/terminology/CodeSystem/"
_MESSAGING = "http://medcomfhir.dk/ig/messaging/StructureDefinition/"
_CORE = "http://medcomfhir.dk/ig/core/StructureDefinition/"
_HN = "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/"
_CC = "http://medcomfhir.dk/ig/carecommunication/StructureDefinition/"


def name_id(*parts: object) -> str:
    """Return a UUID that depends on its parts alone, so that a demo can be told again."""
    return str(uuid5(NAMESPACE_URL, "urn:overblik:demo:" + "|".join(map(str, parts))))


def endpoint(unit: Unit) -> str:
    """Return a unit's MedCom endpoint."""
    return f"https://sor2.sum.dsdn.dk/#id={unit.sor}"


def _organisation(unit: Unit, message: str) -> Json:
    gln = [i for i in unit.identifiers() if "gln" in i["system"]]
    sor = [i for i in unit.identifiers() if "gln" not in i["system"]][:1]
    return {
        "resourceType": "Organization",
        "id": name_id(message, unit.slug),
        "meta": {"profile": [_MESSAGING + "medcom-messaging-organization"]},
        "identifier": gln + sor,
        "name": unit.name,
    }


def _patient(person: Person, message: str, *, deceased: bool = False) -> Json:
    body: Json = {
        "resourceType": "Patient",
        "id": name_id(message, "patient"),
        "meta": {"profile": [_CORE + "medcom-core-patient"]},
        "identifier": [{"system": CPR, "value": person.cpr}],
        "name": [{"use": "official", "family": person.family, "given": person.given.split()}],
    }
    return body | ({"deceasedBoolean": True} if deceased else {})


def _header(event: str, message: str, sender: Unit, receiver: Unit, focus: str, profile: str) -> Json:
    use = {"system": _CODES + "medcom-messaging-destinationUse", "code": "primary"}
    return {
        "resourceType": "MessageHeader",
        "id": name_id(message, "header"),
        "meta": {"profile": [profile]},
        "eventCoding": {"system": _CODES + "medcom-messaging-eventCodes", "code": event},
        "destination": [
            {
                "extension": [{"url": _MESSAGING + "medcom-messaging-destinationUseExtension", "valueCoding": use}],
                "endpoint": endpoint(receiver),
                "receiver": {"reference": f"Organization/{name_id(message, receiver.slug)}"},
            }
        ],
        "sender": {"reference": f"Organization/{name_id(message, sender.slug)}"},
        "source": {"endpoint": endpoint(sender)},
        "focus": [{"reference": focus}],
    }


def _provenance(message: str, activity: str, at: datetime, sender: Unit, header: str, earlier: str = "") -> Json:
    body: Json = {
        "resourceType": "Provenance",
        "id": name_id(message, "provenance", header),
        "meta": {"profile": [_MESSAGING + "medcom-messaging-provenance"]},
        "target": [{"reference": f"MessageHeader/{header}"}],
        "occurredDateTime": local_date_time(at),
        "recorded": local_date_time(at),
        "activity": {"coding": [{"system": _CODES + "medcom-messaging-activityCodes", "code": activity}]},
        "agent": [{"who": {"reference": f"Organization/{name_id(message, sender.slug)}"}}],
    }
    if earlier:
        body["entity"] = [{"role": "revision", "what": {"reference": f"MessageHeader/{earlier}"}}]
    return body


def _bundle(message: str, at: datetime, profile: str, base: str, resources: list[Json]) -> bytes:
    entries = [{"fullUrl": f"{base}/{r['resourceType']}/{r['id']}", "resource": r} for r in resources]
    return dumps(
        {
            "resourceType": "Bundle",
            "id": name_id(message, "bundle"),
            "meta": {"profile": [profile]},
            "type": "message",
            "timestamp": local_date_time(at),
            "entry": entries,
        }
    )


@dataclass(frozen=True, slots=True)
class Stay:
    """A hospital stay as its notifications tell it."""

    person: Person
    hospital: Unit
    receiver: Unit
    episode: str
    kind: str
    start: datetime
    end: datetime | None = None


def hospital_notification(
    stay: Stay, activity: str, at: datetime, *, earlier: str = "", deceased: bool = False, status: str = ""
) -> tuple[bytes, str]:
    """Return (message, its MessageHeader id); `earlier` is the header id of the step before."""
    message = name_id("hn", stay.person.cpr, stay.episode, activity, at)
    encounter: Json = {
        "resourceType": "Encounter",
        "id": name_id(message, "encounter"),
        "meta": {"profile": [_HN + "medcom-hospitalNotification-encounter"]},
        "status": status or ("finished" if stay.end else "in-progress"),
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": stay.kind},
        "subject": {"reference": f"Patient/{name_id(message, 'patient')}"},
        "episodeOfCare": [{"identifier": {"system": endpoint(stay.hospital), "value": stay.episode}}],
        "period": {"start": local_date_time(stay.start)},
        "serviceProvider": {"reference": f"Organization/{name_id(message, stay.hospital.slug)}"},
    }
    if stay.end:
        encounter["period"]["end"] = local_date_time(stay.end)
    profile = _HN + "medcom-hospitalNotification-messageHeader"
    focus = f"Encounter/{encounter['id']}"
    header = _header("hospital-notification-message", message, stay.hospital, stay.receiver, focus, profile)
    chain = [_provenance(message, "admit-inpatient", stay.start, stay.hospital, earlier)] if earlier else []
    chain.append(_provenance(message, activity, at, stay.hospital, header["id"], earlier))
    resources = [
        header,
        _patient(stay.person, message, deceased=deceased),
        encounter,
        _organisation(stay.receiver, message),
        _organisation(stay.hospital, message),
        *chain,
    ]
    base = "https://medcomfhir.dk/ig/hospitalnotification"
    return _bundle(message, at, _HN + "medcom-hospitalNotification-message", base, resources), header["id"]


@dataclass(frozen=True, slots=True)
class Words:
    """One signed contribution to a conversation."""

    author: Staff
    at: datetime
    text: str

    @property
    def id(self) -> str:
        """The id of this contribution, the same wherever it is quoted."""
        return f"urn:uuid:{name_id('words', self.author.id, self.at, self.text)}"


def care_communication(
    person: Person,
    category: str,
    words: list[Words],
    receiver: Unit,
    *,
    episode: str = "",
    activity: str = "new-message",
    sent: datetime | None = None,
) -> bytes:
    """Return a CareCommunication: the last words are the sender's, those before are quoted."""
    sender, at = words[-1].author.unit, sent or words[-1].at
    thread = name_id("thread", person.cpr, category, words[0].id)
    message = name_id("cc", thread, at)
    units = {w.author.unit.slug: w.author.unit for w in words} | {receiver.slug: receiver}
    communication: Json = {
        "resourceType": "Communication",
        "id": name_id(message, "communication"),
        "meta": {"profile": [_CC + "medcom-careCommunication-communication"]},
        "identifier": [{"value": f"urn:uuid:{thread}"}],
        "status": "unknown",
        "category": [{"coding": [{"system": _CODES + "medcom-careCommunication-categoryCodes", "code": category}]}],
        "subject": {"reference": f"Patient/{name_id(message, 'patient')}"},
        "payload": [_payload(w, message) for w in words],
    }
    encounters: list[Json] = []
    if episode:
        encounters = [_encounter(episode, sender, message)]
        communication["encounter"] = {"reference": f"Encounter/{encounters[0]['id']}"}
    focus = f"Communication/{communication['id']}"
    profile = _CC + "medcom-careCommunication-messageHeader"
    header = _header("care-communication-message", message, sender, receiver, focus, profile)
    authors = {w.author.id: w.author for w in words}
    resources = [
        header,
        _patient(person, message),
        communication,
        *encounters,
        *[r for a in authors.values() for r in _author(a, message)],
        *[_organisation(u, message) for u in units.values()],
        _provenance(message, activity, at, sender, header["id"]),
    ]
    base = "https://medcomfhir.dk/ig/carecommunication"
    return _bundle(message, at, _CC + "medcom-careCommunication-message", base, resources)


def _encounter(episode: str, sender: Unit, message: str) -> Json:
    return {
        "resourceType": "Encounter",
        "id": name_id(message, "encounter"),
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": f"Patient/{name_id(message, 'patient')}"},
        "episodeOfCare": [{"identifier": {"system": endpoint(sender), "value": episode}}],
    }


def _payload(words: Words, message: str) -> Json:
    assigner = {"reference": f"Organization/{name_id(message, words.author.unit.slug)}"}
    return {
        "extension": [
            {"url": _CORE + "medcom-core-datetime-extension", "valueDateTime": local_date_time(words.at)},
            {
                "url": _CORE + "medcom-core-identifier-extension",
                "valueIdentifier": {"value": words.id, "assigner": assigner},
            },
            {
                "url": _CORE + "medcom-core-practitioner-extension",
                "valueReference": {"reference": f"PractitionerRole/{name_id(message, words.author.id)}"},
            },
            {
                "url": _CORE + "medcom-core-contact-extension",
                "valueContactPoint": {"system": "phone", "value": words.author.unit.phone},
            },
        ],
        "contentString": words.text,
    }


def _author(staff: Staff, message: str) -> list[Json]:
    practitioner = name_id(message, staff.id, "person")
    *given, family = staff.name.split()
    return [
        {
            "resourceType": "PractitionerRole",
            "id": name_id(message, staff.id),
            "practitioner": {"reference": f"Practitioner/{practitioner}"},
            "code": [{"text": staff.role}],
        },
        {"resourceType": "Practitioner", "id": practitioner, "name": [{"family": family, "given": given}]},
    ]
