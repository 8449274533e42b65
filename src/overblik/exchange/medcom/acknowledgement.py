"""MedCom Acknowledgement (https://medcomfhir.dk/ig/acknowledgement): the answer to a message.

The receiver of a message answers its sender: `ok`, `fatal-error` or `transient-error`, with an
OperationOutcome that says what to do. A copy of a message gets the same answer again, byte for byte.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import UUID

from overblik.exchange.medcom.bundle import ACTIVITY_CODES, EVENT_CODES
from overblik.fhir.dates import local_date_time
from overblik.fhir.outcome import operation_outcome
from overblik.fhir.primitives import CHECKS
from overblik.fhir.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from overblik.exchange.message import Envelope
    from overblik.exchange.parties import Party
    from overblik.fhir.errors import Issue
    from overblik.fhir.strict_json import Json

EVENT = "acknowledgement-message"
BASE = "https://medcomfhir.dk/ig/acknowledgement"
PROFILES = "http://medcomfhir.dk/ig/acknowledgement/StructureDefinition/"
MESSAGING = "http://medcomfhir.dk/ig/messaging/StructureDefinition/"
USE = MESSAGING + "medcom-messaging-destinationUseExtension"
UNKNOWN_ENDPOINT = "urn:overblik:unknown"


def acknowledge(
    message_id: str,
    code: str,
    issues: Sequence[Issue],
    *,
    sender: Party,
    receiver: Party,
    envelope: Envelope | None,
    now: datetime,
    new_id: Callable[[], str],
) -> bytes:
    """Return the acknowledgement Bundle; `sender` is who answers, `receiver` who sent the message."""
    header_id = _uuid(new_id())
    us = (envelope.receiver_id if envelope else "") or _uuid(new_id())
    them = (envelope.sender_id if envelope else "") or _uuid(new_id())
    outcome_id = _uuid(new_id()) if issues else ""
    parties = {us: _organisation(us, sender), them: _organisation(them, receiver)}
    named = {str(o["id"]): _without_text(o) for o in (envelope.organisations if envelope else ())}
    resources: list[Json] = [
        _header(header_id, fhir_id(message_id), code, us, them, outcome_id, envelope),
        *[{"id": _uuid(new_id()), **_without_text(p)} for p in (envelope.provenances if envelope else ())],
        _provenance(_uuid(new_id()), header_id, us, envelope, now),
        *(named | parties).values(),
    ]
    if outcome_id:
        resources.append({**operation_outcome(issues), "id": outcome_id})
    bundle = {
        "resourceType": "Bundle",
        "id": _uuid(new_id()),
        "meta": {"profile": [PROFILES + "medcom-messaging-acknowledgement"]},
        "type": "message",
        "timestamp": local_date_time(now),
        "entry": [{"fullUrl": f"{BASE}/{r['resourceType']}/{r['id']}", "resource": r} for r in resources],
    }
    return dumps(bundle)


def fhir_id(message_id: str) -> str:
    """Return a message's id in the form an answer may carry it: a document's is `root|extension`.

    Its extension (or a root that stands alone) is what the sender knows it by.
    """
    last = message_id.rpartition("|")[2]
    for prefix in ("urn:uuid:", "urn:oid:"):
        last = last.removeprefix(prefix)
    return last if CHECKS["id"](last) else hashlib.sha256(message_id.encode()).hexdigest()


def _uuid(hexadecimal: str) -> str:
    return str(UUID(hexadecimal))


def _without_text(resource: Json) -> Json:
    return {key: value for key, value in resource.items() if key != "text"}


def _header(
    header_id: str, message_id: str, code: str, us: str, them: str, outcome_id: str, envelope: Envelope | None
) -> Json:
    use = {
        "system": "http://medcomfhir.dk/ig/terminology/CodeSystem/medcom-messaging-destinationUse",
        "code": "primary",
    }
    response: Json = {"identifier": message_id, "code": code}
    if outcome_id:
        response["details"] = {"reference": f"OperationOutcome/{outcome_id}"}
    return {
        "resourceType": "MessageHeader",
        "id": header_id,
        "meta": {"profile": [PROFILES + "medcom-messaging-acknowledgementHeader"]},
        "eventCoding": {"system": EVENT_CODES, "code": EVENT},
        "destination": [
            {
                "extension": [{"url": USE, "valueCoding": use}],
                "endpoint": (envelope.endpoint if envelope else "") or UNKNOWN_ENDPOINT,
                "receiver": {"reference": f"Organization/{them}"},
            }
        ],
        "sender": {"reference": f"Organization/{us}"},
        "source": {"endpoint": (envelope.destination if envelope else "") or UNKNOWN_ENDPOINT},
        "response": response,
    }


def _provenance(provenance_id: str, header_id: str, us: str, envelope: Envelope | None, now: datetime) -> Json:
    resource: Json = {
        "resourceType": "Provenance",
        "id": provenance_id,
        "meta": {"profile": [MESSAGING + "medcom-messaging-provenance"]},
        "target": [{"reference": f"MessageHeader/{header_id}"}],
        "occurredDateTime": local_date_time(now),
        "recorded": local_date_time(now),
        "activity": {"coding": [{"system": ACTIVITY_CODES, "code": "acknowledgement"}]},
        "agent": [{"who": {"reference": f"Organization/{us}"}}],
    }
    if envelope and envelope.header_id:
        what = {"reference": f"MessageHeader/{envelope.header_id}"}
        resource["entity"] = [{"role": "revision", "what": what}]
    return resource


def _organisation(organisation_id: str, party: Party) -> Json:
    resource: Json = {
        "resourceType": "Organization",
        "id": organisation_id,
        "meta": {"profile": [MESSAGING + "medcom-messaging-organization"]},
        "name": party.name.strip() or "Ukendt",
    }
    if party.identifiers:
        resource["identifier"] = list(party.identifiers)
    return resource
