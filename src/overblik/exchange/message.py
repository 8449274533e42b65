"""What every recognised message has, whatever its format."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from overblik.fhir.dates import EARLIEST, local_date_time
from overblik.fhir.protection import CONFIDENTIALITY, RESTRICTED
from overblik.fhir.reading import EPISODE
from overblik.trust.facts import Fact, Order, order_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from overblik.exchange.parties import Party
    from overblik.fhir.identifiers import Identifier
    from overblik.fhir.strict_json import Json

PATIENT = "patient"
RAW = "raw"
TAG = "urn:overblik:tag"
CLOCKS = {
    "clock-ahead": "It came before its sender says that it was written: their clock is ahead.",
    "clock-behind": "It came long after its sender says that it was written: their clock is behind, or it lay.",
}


@dataclass(slots=True)
class Message:
    """A message, at first only as much of it as an answer needs: whose it is and what it is called.

    `fill` states the rest, and raises Unprocessable for what breaks a rule, so that even then the
    answer can name the message. `facts` refer to each other as `fact:KEY`. `occurred` is when what it
    tells happened, `recorded` when it was written down. `ids` are the sender's own ids for it, by kind.
    `document` says that it also stands as a document.
    """

    format: str
    sender: Party
    receivers: tuple[Party, ...]
    ids: tuple[tuple[str, str], ...]
    digest: bytes
    fill: Callable[[Message], None]
    occurred: datetime = EARLIEST
    recorded: datetime | None = None
    patient: Statement | None = None
    facts: list[Fact] = field(default_factory=list)
    activity: tuple[str, str] = ("", "")
    targets: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    document: Json | None = None
    is_acknowledgement: bool = False
    acknowledges: str = ""
    envelope: Envelope | None = None

    @property
    def id(self) -> str:
        """The id that an acknowledgement names."""
        return dict(self.ids).get("header") or (self.ids[0][1] if self.ids else self.digest.hex())

    @property
    def stamped(self) -> datetime:
        """When its sender says that it was written."""
        return self.recorded or self.occurred

    @property
    def order(self) -> Order:
        """The order of this message's facts."""
        return order_of(self.occurred, self.id)


@dataclass(slots=True)
class Envelope:
    """What an answer to a FHIR message needs of it.

    `sender_id` and `receiver_id` are the message's own ids of its organisations, which its Provenance
    chain refers to; `organisations` are the others that the chain names.
    """

    header_id: str
    endpoint: str
    destination: str
    sender_id: str = ""
    receiver_id: str = ""
    provenances: tuple[Json, ...] = ()
    organisations: tuple[Json, ...] = ()


@dataclass(slots=True)
class Statement:
    """What a message says of its patient: identifiers, birth date, and elements by facet."""

    identifiers: list[Identifier]
    birth_date: str = ""
    elements: Json = field(default_factory=dict)
    facets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    registered: bool = False
    labels: list[str] = field(default_factory=list)


IDENTITY = {"identity": ("identifier",)}


def patient_fact(message: Message, statement: Statement) -> Fact:
    """Return the Patient resource that this message's sender keeps of the person."""
    identifiers: list[Json] = [{"system": i.system, "value": i.value} for i in statement.identifiers]
    security = (
        {"security": [{"system": CONFIDENTIALITY, "code": RESTRICTED}]} if "protected" in statement.labels else {}
    )
    resource: Json = {
        "resourceType": "Patient",
        "meta": {"source": message.sender.source_uri, **security},
        "identifier": identifiers,
        **statement.elements,
    }
    return Fact(
        key=PATIENT,
        resource=resource,
        source=message.sender.token,
        order=message.order,
        recorded=message.recorded,
        labels=statement.labels,
        facets={**IDENTITY, **statement.facets},
        registered=statement.registered,
    )


def raw_fact(message: Message, raw: bytes, media: str) -> Fact:
    """Return the Binary that stands for the message's bytes as they came."""
    return Fact(
        key=f"{RAW}|{hashlib.sha256(raw).hexdigest()}",
        resource={
            "resourceType": "Binary",
            "meta": {"source": message.sender.source_uri},
            "contentType": media,
            "securityContext": {"reference": f"fact:{PATIENT}"},
        },
        source=message.sender.token,
        order=message.order,
        origins=list(message.origins),
        recorded=message.recorded,
        raw=(media, raw),
    )


def provenance_fact(message: Message, raw_key: str, fault: str = "") -> Fact:
    """Return the Provenance of this message: what happened, when, by whom, and its bytes.

    `fault` is what is wrong with its sender's clock: a tag says so (docs/rest.md).
    """
    system, code = message.activity
    flagged = {"tag": [{"system": TAG, "code": fault, "display": CLOCKS[fault]}]} if fault else {}
    resource: Json = {
        "resourceType": "Provenance",
        "meta": {"source": message.sender.source_uri, **flagged},
        "target": [{"reference": f"fact:{key}"} for key in (*message.targets, PATIENT)],
        "occurredDateTime": local_date_time(message.occurred),
        "recorded": local_date_time(message.stamped),
        "agent": [{"who": message.sender.reference()}],
        "entity": [{"role": "source", "what": {"reference": f"fact:{raw_key}", "identifier": {"value": message.id}}}],
    }
    if code:
        resource["activity"] = {"coding": [{"system": system, "code": code}]}
    return Fact(
        key=f"provenance|{message.id}",
        resource=resource,
        source=message.sender.token,
        order=message.order,
        origins=list(message.origins),
        recorded=message.recorded,
    )


def document_fact(message: Message, raw_key: str, media: str, size: int) -> Fact:
    """Return the DocumentReference of a message that also stands as a document.

    It never carries the document's title: titles hold CPR numbers and are not trusted to match.
    """
    attachment: Json = {"contentType": media, "url": f"fact:{raw_key}", "size": size}
    resource: Json = {
        "resourceType": "DocumentReference",
        "meta": {"source": message.sender.source_uri},
        "status": "current",
        "subject": {"reference": f"fact:{PATIENT}"},
        "author": [message.sender.reference()],
        "custodian": message.sender.reference(),
        "content": [{"attachment": attachment}],
        **(message.document or {}),
    }
    return Fact(
        key=f"document|{message.id}",
        resource=resource,
        source=message.sender.token,
        order=message.order,
        origins=list(message.origins),
        recorded=message.recorded,
    )


def episode_extension(value: str, system: str = "") -> Json:
    """Return the extension that ties a resource to an episode, its id echoed as received."""
    identifier: Json = {"value": value}
    if system:
        identifier["system"] = system
    return {"url": EPISODE, "valueReference": {"type": "EpisodeOfCare", "identifier": identifier}}


def without_empty(value: Any) -> Any:
    """Return a copy without empty objects, lists and strings, which published messages contain."""
    if isinstance(value, dict):
        cleaned = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if item not in ({}, [], "", None)}
    if isinstance(value, list):
        return [item for item in map(without_empty, value) if item not in ({}, [], "", None)]
    return value
