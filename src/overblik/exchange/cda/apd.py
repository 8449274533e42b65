"""APD, the appointment document (DK-APD, template 1.2.208.184.14.1), to an Appointment.

The appointment is known by its own id, not the document's: a later document about the same
appointment replaces it. The document's title is never used; it holds a CPR number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.exchange.cda import datatypes as dt
from overblik.exchange.cda.xml import attribute, find, find_all, narrative, time_of
from overblik.exchange.documents import document_body
from overblik.exchange.message import PATIENT, episode_extension, without_empty
from overblik.fhir.dates import local_date_time, parse_interval
from overblik.fhir.errors import Unprocessable
from overblik.trust.facts import Fact

if TYPE_CHECKING:
    from overblik.exchange.cda.document import CdaDocument
    from overblik.exchange.cda.xml import Element
    from overblik.exchange.message import Message
    from overblik.fhir.strict_json import Json

TEMPLATE = "1.2.208.184.14.1"
_STATUS = {
    "active": "booked",
    "completed": "fulfilled",
    "cancelled": "cancelled",
    "aborted": "cancelled",
    "nullified": "entered-in-error",
    "held": "waitlist",
}
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"


def add_facts(message: Message, document: CdaDocument) -> None:
    """Add the Appointment of an APD."""
    encounter = next(iter(find_all(document.root, ".//encounter")), None)
    if encounter is None or attribute(encounter, "moodCode") != "APT":
        raise Unprocessable("appointment-missing", "The APD has no planned encounter.", expression="encounter")
    message.patient = document.patient()
    if message.patient is None:
        raise Unprocessable("patient-missing", "The document has no patient.", expression="recordTarget")
    own = dt.identifier(find(encounter, "id"))
    key = f"appointment|{own['system']}|{own['value']}".lower() if own else f"appointment|{message.id}"
    message.targets = (key,)
    message.activity = ("http://loinc.org", "39289-4")
    message.document = document_body(document.type_code(), message) | document.authorship()
    message.facts.append(
        Fact(
            key=key,
            resource=_appointment(encounter, document, message, own),
            source=message.sender.token,
            order=message.order,
            recorded=message.recorded,
        )
    )


def _appointment(encounter: Element, document: CdaDocument, message: Message, own: Json | None) -> Json:
    performer = find(encounter, "performer/assignedEntity")
    requester = find(encounter, "author/assignedAuthor")
    place = find(encounter, "participant/participantRole")
    period = dt.period(find(encounter, "effectiveTime"))
    if "start" not in period:
        raise Unprocessable("date-missing", "The appointment has no start.", expression="encounter.effectiveTime")
    reason = find(encounter, "entryRelationship/observation/code")
    section = next(iter(document.sections()), None)
    resource: Json = {
        "resourceType": "Appointment",
        "meta": {"source": message.sender.source_uri},
        "contained": [_service(performer), _location(place)],
        "extension": [episode_extension(value) for value in document.episodes],
        "identifier": [own] if own else [],
        "status": _STATUS.get(attribute(find(encounter, "statusCode"), "code"), "booked"),
        "appointmentType": dt.concept(find(encounter, "code")),
        "reasonCode": [dt.concept(reason)],
        "description": attribute(reason, "displayName"),
        "start": _instant(str(period["start"])),
        "end": _instant(str(period.get("end", period["start"]))),
        "created": time_of(find(encounter, "author/time")),
        "comment": narrative(find(section, "text")),
        "participant": [
            {"actor": {"reference": f"fact:{PATIENT}"}, "status": "accepted"},
            _participant(performer, "PPRF", "#performer"),
            _person(performer, "ATND"),
            {
                "type": [{"coding": [{"system": PARTICIPATION, "code": "LOC"}]}],
                "actor": {"reference": "#location", **_location_actor(place)},
                "status": "accepted",
            },
            _participant(requester, "REF", ""),
            _person(requester, "REF"),
        ],
    }
    resource["participant"] = [p for p in resource["participant"] if p]
    return dict(without_empty(resource))


def _instant(text: str) -> str:
    """Return a time as FHIR's instant; a bare date begins at midnight in Denmark."""
    span = parse_interval(text)
    return text if "T" in text or span is None else local_date_time(span.start)


def _service(role: Element | None) -> Json:
    """Return the performing unit as a HealthcareService: R4 lets no Organization take part."""
    party = dt.organisation(find(role, "representedOrganization"), ids=dt.identifiers(role))
    if not party.name:
        return {}
    return {
        "resourceType": "HealthcareService",
        "id": "performer",
        "identifier": list(party.identifiers),
        "providedBy": party.reference(),
        "name": party.name,
        "telecom": dt.telecoms(role) or list(party.telecom),
    }


def _location(role: Element | None) -> Json:
    if role is None:
        return {}
    return {
        "resourceType": "Location",
        "id": "location",
        "identifier": dt.identifiers(role),
        **_named(role),
        "telecom": dt.telecoms(role),
        "address": dt.address(find(role, "addr")),
    }


def _named(role: Element) -> Json:
    text = narrative(find(role, "playingEntity/name"))
    return {"name": text} if text else {}


def _location_actor(role: Element | None) -> Json:
    if role is None:
        return {}
    ids = dt.identifiers(role)
    return {"type": "Location", "identifier": ids[0] if ids else {}, "display": _named(role).get("name", "")}


def _participant(role: Element | None, code: str, reference: str) -> Json:
    """Return a unit's part: PPRF performs, REF asked for the appointment."""
    party = dt.organisation(find(role, "representedOrganization"), ids=dt.identifiers(role))
    if not party.token:
        return {}
    actor = party.reference() | {"type": "HealthcareService"}
    if reference:
        actor = {"reference": reference, **actor}
    return {
        "type": [{"coding": [{"system": PARTICIPATION, "code": code}]}],
        "actor": actor,
        "status": "accepted",
    }


def _person(role: Element | None, code: str) -> Json:
    name = dt.person(role)
    if not name:
        return {}
    return {
        "type": [{"coding": [{"system": PARTICIPATION, "code": code}]}],
        "actor": {"type": "Practitioner", "display": name},
        "status": "accepted",
    }
