"""MedCom CareCommunication (https://medcomfhir.dk/ig/carecommunication).

Each message is kept as one Communication of its sender, with every payload it carried, quoted ones
included. The thread is `Communication.identifier`; showing each payload once is the overview's
business, because what is quoted may come from a message that the viewer may not see. Organisations
whose words are quoted are origins of the message: a block on them hides it too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any

from overblik.exchange.medcom.bundle import ACTIVITY_CODES, instant_at, statement_of
from overblik.exchange.message import PATIENT, episode_extension, without_empty
from overblik.fhir.dates import local_date_time
from overblik.fhir.errors import Unprocessable
from overblik.trust.facts import Fact

if TYPE_CHECKING:
    from overblik.exchange.medcom.bundle import MessageBundle
    from overblik.exchange.message import Message
    from overblik.fhir.strict_json import Json

EVENT = "care-communication-message"
_CORE = "http://medcomfhir.dk/ig/core/StructureDefinition/"
PAYLOAD_TIME = _CORE + "medcom-core-datetime-extension"
PAYLOAD_ID = _CORE + "medcom-core-identifier-extension"
PAYLOAD_AUTHOR = _CORE + "medcom-core-practitioner-extension"
PAYLOAD_CONTACT = _CORE + "medcom-core-contact-extension"
SENDER = _CORE + "medcom-core-sender-extension"
ACTIVITIES = frozenset({"new-message", "reply-message", "forward-message", "modified-message", "retract-message"})


def add_facts(message: Message, bundle: MessageBundle) -> None:
    """Add the facts of a CareCommunication: the Communication and its attachments."""
    step = bundle.own_step()
    if step.activity not in ACTIVITIES:
        text = f"CareCommunication has no activity {step.activity[:40]!r}."
        raise Unprocessable("activity-unknown", text, expression="Provenance.activity")
    communication = bundle.resolve((bundle.header.get("focus") or [{}])[0])
    if communication.get("resourceType") != "Communication":
        text = "MessageHeader.focus must name the Communication."
        raise Unprocessable("focus-missing", text, expression="MessageHeader.focus")
    if not communication.get("category"):
        text = "A CareCommunication needs a category."
        raise Unprocessable("category-missing", text, expression="Communication.category")
    message.patient = statement_of(bundle.patient)
    message.activity = (ACTIVITY_CODES, step.activity)
    payloads = communication.get("payload", [])
    message.origins = tuple(sorted(_origins(payloads, bundle) - {message.sender.token, ""}))
    key = f"communication|{message.id}"
    message.targets = (key,)
    message.facts.append(
        Fact(
            key=key,
            resource=_communication(communication, bundle, message),
            source=message.sender.token,
            order=message.order,
            origins=list(message.origins),
            recorded=message.recorded,
        )
    )


def _origins(payloads: list[Json], bundle: MessageBundle) -> set[str]:
    """Return the organisations that assigned the payloads' ids: whose words they are."""
    assigners = (_extension(p, PAYLOAD_ID).get("valueIdentifier", {}).get("assigner") for p in payloads)
    return {bundle.organisation(assigner).token for assigner in assigners if assigner}


def _extension(element: Json, url: str) -> Json:
    return next((e for e in element.get("extension", []) if e.get("url") == url), {})


def _communication(communication: Json, bundle: MessageBundle, message: Message) -> Json:
    contained: dict[str, Json] = {}
    payloads = [_payload(p, bundle, message, contained) for p in communication.get("payload", [])]
    extensions = [*_episodes(communication, bundle), *_senders(communication, bundle, contained)]
    header = {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{message.id}"}
    resource: Json = {
        "resourceType": "Communication",
        "meta": {"source": message.sender.source_uri},
        "contained": list(contained.values()),
        "extension": extensions,
        "identifier": [*communication.get("identifier", []), header],
        "status": communication.get("status", "unknown"),
        "category": communication.get("category"),
        "priority": communication.get("priority"),
        "subject": {"reference": f"fact:{PATIENT}"},
        "topic": communication.get("topic"),
        "sent": local_date_time(message.occurred),
        "recipient": [party.reference() for party in message.receivers],
        "sender": message.sender.reference(),
        "payload": payloads,
    }
    if message.activity[1] == "retract-message":
        resource["status"] = "entered-in-error"
    team = next((bundle.resolve(r) for r in communication.get("recipient", []) if bundle.resolve(r).get("name")), {})
    if team.get("name") and resource["recipient"]:
        resource["note"] = [{"text": f"Til: {team['name']}"}]
    return dict(without_empty(resource))


def _episodes(communication: Json, bundle: MessageBundle) -> list[Json]:
    encounter = bundle.resolve(communication.get("encounter"))
    identifiers = [e.get("identifier", {}) for e in encounter.get("episodeOfCare", [])]
    return [episode_extension(str(i["value"]), str(i.get("system", ""))) for i in identifiers if i.get("value")]


def _senders(communication: Json, bundle: MessageBundle, contained: dict[str, Json]) -> list[Json]:
    """Return who in the organisation sends: a person or a team, where the message says more than the unit."""
    found: list[Json] = []
    for extension in communication.get("extension", []):
        if extension.get("url") != SENDER:
            continue
        if author := _author(extension, bundle, contained):
            found.append({"url": SENDER, "valueReference": {"reference": "#" + author}})
        elif name := bundle.resolve(extension.get("valueReference")).get("name"):
            found.append({"url": SENDER, "valueReference": {"display": str(name)}})
    return found


def _payload(payload: Json, bundle: MessageBundle, message: Message, contained: dict[str, Json]) -> Json:
    """Return one payload with its author contained and its attachment kept as a Binary of its own."""
    extensions: list[Json] = []
    for extension in payload.get("extension", []):
        if extension.get("url") == PAYLOAD_AUTHOR:
            if author := _author(extension, bundle, contained):
                extensions.append({"url": PAYLOAD_AUTHOR, "valueReference": {"reference": "#" + author}})
        elif extension.get("url") == PAYLOAD_ID:
            extensions.append({"url": PAYLOAD_ID, "valueIdentifier": _identifier(extension, bundle)})
        elif extension.get("url") == PAYLOAD_TIME:
            instant_at(str(extension.get("valueDateTime", "")))
            extensions.append(extension)
        else:
            extensions.append(extension)
    kept: Json = {"extension": extensions}
    if "contentAttachment" in payload:
        kept["contentAttachment"] = _attachment(payload["contentAttachment"], message)
    else:
        kept["contentString"] = payload.get("contentString", "")
    return kept


def _identifier(extension: Json, bundle: MessageBundle) -> Json:
    identifier = dict(extension.get("valueIdentifier", {}))
    if "assigner" in identifier:
        identifier["assigner"] = bundle.organisation(identifier["assigner"]).reference()
    return identifier


def _author(extension: Json, bundle: MessageBundle, contained: dict[str, Json]) -> str:
    """Contain the PractitionerRole (and its Practitioner's name) that signed a payload."""
    role = bundle.resolve(extension.get("valueReference"))
    if role.get("resourceType") != "PractitionerRole":
        return ""
    key = f"author-{role.get('id', '')}"[:64]
    if key not in contained:
        practitioner = bundle.resolve(role.get("practitioner"))
        name = (practitioner.get("name") or [{}])[0]
        display = " ".join([*name.get("given", []), name.get("family", "")]).strip()
        resource: Json = {
            "resourceType": "PractitionerRole",
            "id": key,
            "practitioner": {"type": "Practitioner", "display": display} if display else {},
            "code": role.get("code", []),
        }
        contained[key] = dict(without_empty(resource))
    return key


def _attachment(attachment: Json, message: Message) -> Json:
    """Move an attachment's bytes into a Binary of its own, and refer to it with size and hash."""
    kept = {name: value for name, value in attachment.items() if name != "data"}
    data: Any = attachment.get("data")
    if not data:
        return kept
    try:
        raw = base64.b64decode("".join(str(data).split()), validate=True)
    except (binascii.Error, ValueError):
        text = "An attachment is not valid base64."
        raise Unprocessable("attachment-damaged", text, expression="Communication.payload") from None
    media = str(attachment.get("contentType", "application/octet-stream"))
    key = f"attachment|{hashlib.sha256(raw).hexdigest()}"
    if all(fact.key != key for fact in message.facts):
        resource: Json = {
            "resourceType": "Binary",
            "meta": {"source": message.sender.source_uri},
            "contentType": media,
            "securityContext": {"reference": f"fact:{PATIENT}"},
        }
        message.facts.append(
            Fact(
                key=key,
                resource=resource,
                source=message.sender.token,
                order=message.order,
                origins=list(message.origins),
                recorded=message.recorded,
                raw=(media, raw),
            )
        )
    digest = base64.b64encode(hashlib.sha1(raw, usedforsecurity=False).digest()).decode()
    return kept | {"url": f"fact:{key}", "size": len(raw), "hash": digest}
