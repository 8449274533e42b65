"""What is readable but not mapped: kept whole, and shown as a document with its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.exchange.medcom.bundle import ACTIVITY_CODES, EVENT_CODES, instant_at, statement_of
from overblik.exchange.message import Message, without_empty
from overblik.exchange.parties import Party
from overblik.fhir.dates import instant, parse_interval
from overblik.fhir.errors import Unprocessable
from overblik.trust.treatment.evidence import RECIPIENT

if TYPE_CHECKING:
    from overblik.exchange.cda.document import CdaDocument
    from overblik.exchange.medcom.bundle import MessageBundle
    from overblik.fhir.strict_json import Json


def add_message(message: Message, bundle: MessageBundle) -> None:
    """Let a message of a kind that is not mapped stand as a document."""
    message.patient = statement_of(bundle.patient)
    message.activity = (ACTIVITY_CODES, bundle.chain()[-1].activity)
    kind = {"coding": [{"system": EVENT_CODES, "code": bundle.event}]}
    message.document = document_body(kind, message, recipients=message.receivers)


def from_document_bundle(bundle: MessageBundle, bundle_id: str, digest: bytes) -> Message:
    """Return the message that a Bundle of type document is: its Composition says whose and when."""
    first = bundle.resources[0] if bundle.resources else {}
    composition = first if first.get("resourceType") == "Composition" else {}
    identifier = composition.get("identifier", {}).get("value") or bundle_id
    return Message(
        format="FHIR document",
        sender=_author(composition, bundle),
        receivers=(),
        ids=(("document", str(identifier)),) if identifier else (("digest", digest.hex()),),
        digest=digest,
        fill=lambda message: _fill(message, bundle, composition),
    )


def _fill(message: Message, bundle: MessageBundle, composition: Json) -> None:
    if not composition:
        text = "A document begins with a Composition."
        raise Unprocessable("composition-missing", text, expression="Bundle.entry[0].resource")
    if not message.sender.token:
        text = "The document has no author or custodian organisation; name it with its SOR code."
        raise Unprocessable("sender-missing", text, expression="Composition.custodian")
    if not bundle.patient:
        raise Unprocessable("patient-missing", "The document has no Patient.", expression="Bundle.entry")
    recorded = parse_interval(str(bundle.bundle.get("timestamp", "")))
    message.occurred = instant_at(str(composition.get("date", "")))
    message.recorded = recorded.start if recorded else None
    message.patient = statement_of(bundle.patient)
    message.document = document_body(composition.get("type", {}), message)


def _author(composition: Json, bundle: MessageBundle) -> Party:
    """Return the organisation whose document it is: custodian, author, or the author's own."""
    references = [composition.get("custodian"), *composition.get("author", [])]
    for reference in references:
        found = bundle.resolve(reference)
        if found.get("resourceType") == "PractitionerRole":
            reference = found.get("organization")  # noqa: PLW2901 - the role leads to its organisation
        party = bundle.organisation(reference)
        if bundle.resolve(reference).get("resourceType") == "Organization" and party.token:
            return party
    organisations = [r for r in bundle.resources if r["resourceType"] == "Organization"]
    return (
        bundle.organisation({"reference": f"Organization/{organisations[0].get('id')}"}) if organisations else Party()
    )


def add_cda(message: Message, document: CdaDocument) -> None:
    """Let a CDA document that is not mapped stand as a document; without a patient it is kept apart."""
    statement = document.patient()
    if statement is None:
        return
    message.patient = statement
    message.activity = ("", "")
    message.document = document_body(document.type_code(), message, message.receivers) | document.authorship()


def document_body(kind: Json, message: Message, recipients: tuple[Party, ...] = ()) -> Json:
    """Return the elements of a DocumentReference: type, date and to whom, never a title."""
    body: Json = {
        "type": {"coding": kind.get("coding", []), "text": kind.get("text", "")},
        "date": instant(message.occurred),
        "extension": [{"url": RECIPIENT, "valueReference": party.reference()} for party in recipients],
    }
    return dict(without_empty(body))
