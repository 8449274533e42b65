"""Bytes to a recognised message: which format, whose, about whom, what it states.

Nothing is believed of the declared content type but whether the sender means JSON or XML; the bytes
say the rest. What cannot be read at all is Malformed or Unsupported; what can be read but breaks a
rule is Unprocessable, and its sender gets a fatal-error.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from overblik.exchange import documents
from overblik.exchange.cda import apd, cpd, pdc
from overblik.exchange.cda.document import CdaDocument, parse_cda
from overblik.exchange.medcom import care_communication, hospital_notification
from overblik.exchange.medcom.acknowledgement import EVENT as ACKNOWLEDGEMENT
from overblik.exchange.medcom.bundle import MessageBundle, envelope_of
from overblik.exchange.message import PATIENT, Message
from overblik.fhir.errors import Malformed, Unprocessable, Unsupported
from overblik.fhir.strict_json import dumps, load_object
from overblik.fhir.structure import check
from overblik.fhir.xml import NAMESPACE, from_xml
from overblik.trust.facts import Fact

if TYPE_CHECKING:
    from overblik.fhir.errors import Issue
    from overblik.fhir.strict_json import Json

FHIR_MEDIA = "application/fhir+json"
FHIR_XML_MEDIA = "application/fhir+xml"
CDA_MEDIA = "application/xml"
_FIRST_TAG = re.compile(rb"<[A-Za-z_][^>]*>")
_MAPPED_EVENTS = {
    hospital_notification.EVENT: hospital_notification.add_facts,
    care_communication.EVENT: care_communication.add_facts,
}
_MAPPED_TEMPLATES = {
    apd.TEMPLATE: apd.add_facts,
    pdc.TEMPLATE: pdc.add_facts,
    cpd.TEMPLATE: cpd.add_facts,
}


def media_of(raw: bytes) -> str:
    """Return what the bytes look like: FHIR JSON, FHIR XML, other XML, or refuse."""
    start = raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:64]
    if start.startswith((b"{", b"[")):
        return FHIR_MEDIA
    if start.startswith(b"<") or raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        root = _FIRST_TAG.search(raw[:8192])
        return FHIR_XML_MEDIA if root and NAMESPACE.encode() in root[0] else CDA_MEDIA
    if not start:
        raise Malformed("body-empty", "There is nothing in the body.")
    text = "Neither FHIR nor other XML; send a FHIR message or a CDA document."
    if start.startswith((b"UNA", b"UNB")):
        text = "EDIFACT is not read yet; send the message as FHIR or CDA."
    raise Unsupported("format-unknown", text)


def recognise(raw: bytes) -> Message:
    """Return the message that the bytes are, so far as an answer to it needs; `fill` states the rest."""
    media = media_of(raw)
    if media == CDA_MEDIA:
        return _cda(parse_cda(raw))
    body = from_xml(raw) if media == FHIR_XML_MEDIA else load_object(raw)
    if body.get("resourceType") != "Bundle" or body.get("type") not in ("message", "document"):
        text = "A Bundle of type message or document is needed here; post other resources to the FHIR base."
        raise Unsupported("bundle-expected", text)
    issues = check(body, lenient=True)
    bundle = MessageBundle(_readable(body) if issues else body)
    try:
        message = _document_bundle(bundle, body) if body["type"] == "document" else _message_bundle(bundle, body)
    except Unprocessable:
        if issues:
            raise Unprocessable.of(issues) from None
        raise
    if issues:
        message.fill = lambda _: _refuse(issues)
    return message


def _refuse(issues: list[Issue]) -> None:
    raise Unprocessable.of(issues)


def _readable(body: Json) -> Json:
    """Return a damaged Bundle with what is sound of it, so that its sender can be answered."""
    entries = body.get("entry")
    found = [e.get("resource") for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    sound = [_salvaged(r) for r in found if isinstance(r, dict)]
    return {"resourceType": "Bundle", "entry": [{"resource": r} for r in sound if r]}


def _salvaged(resource: Json) -> Json:
    """Return a sound resource as it is, a damaged MessageHeader with what is sound of it, {} for any other."""
    if resource.get("resourceType") != "MessageHeader":
        return {} if check(resource, lenient=True) else resource
    kept: Json = {"resourceType": "MessageHeader"}
    for name, value in resource.items():
        issues = check({"resourceType": "MessageHeader", name: value}, lenient=True)
        if all(i.code == "element-missing" and i.expression == "MessageHeader" for i in issues):
            kept[name] = value
    return kept


def _digest(body: Json) -> bytes:
    """Digest a Bundle's content: ids and times of the envelope do not count, nor does the order of its keys."""
    return hashlib.sha256(dumps(body.get("entry", []), in_order=True)).digest()


def _message_bundle(bundle: MessageBundle, body: Json) -> Message:
    header = bundle.header
    ids = [(kind, str(value)) for kind, value in (("bundle", body.get("id")), ("header", header.get("id"))) if value]
    is_acknowledgement = bundle.event == ACKNOWLEDGEMENT
    return Message(
        format=f"MedCom FHIR {bundle.event}",
        sender=bundle.party_from(),
        receivers=bundle.receivers,
        ids=tuple(ids) or (("digest", _digest(body).hex()),),
        digest=_digest(body),
        fill=lambda message: _fill(message, bundle),
        is_acknowledgement=is_acknowledgement,
        acknowledges=str(header.get("response", {}).get("identifier", "")) if is_acknowledgement else "",
        envelope=envelope_of(bundle),
    )


def _fill(message: Message, bundle: MessageBundle) -> None:
    """State what a message Bundle says; raise Unprocessable where it breaks a rule."""
    message.sender = bundle.sender
    chain = bundle.chain()
    if not chain:
        raise Unprocessable("provenance-missing", "The message has no Provenance.", expression="Bundle.entry")
    step = next((s for s in reversed(chain) if s.message == bundle.header.get("id")), chain[-1])
    message.occurred, message.recorded = step.occurred, step.recorded
    if message.is_acknowledgement:
        return
    if bundle.event in _MAPPED_EVENTS:
        if not bundle.patient:
            raise Unprocessable("patient-missing", "The message has no Patient.", expression="Bundle.entry")
        _MAPPED_EVENTS[bundle.event](message, bundle)
    elif bundle.patient:
        documents.add_message(message, bundle)
    if message.patient is not None:
        message.facts.append(_header_fact(message, bundle))


def _header_fact(message: Message, bundle: MessageBundle) -> Fact:
    """Return the MessageHeader as kept: to whom, from whom, about what."""
    use = bundle.header.get("destination", [])
    destinations: list[Json] = [
        {"endpoint": d.get("endpoint", ""), "receiver": party.reference()}
        for d, party in zip(use, message.receivers, strict=False)
    ]
    resource: Json = {
        "resourceType": "MessageHeader",
        "meta": {"source": message.sender.source_uri},
        **{name: bundle.header[name] for name in ("eventCoding", "eventUri") if name in bundle.header},
        "sender": message.sender.reference(),
        "source": {"endpoint": (message.envelope and message.envelope.endpoint) or "urn:overblik:unknown"},
        "focus": [{"reference": f"fact:{key}"} for key in (*message.targets, PATIENT)],
    }
    if asked := hospital_notification.report_of_admission(bundle):
        resource["extension"] = asked
    if destinations:
        resource["destination"] = destinations
    return Fact(
        key=f"header|{message.id}",
        resource=resource,
        source=message.sender.token,
        order=message.order,
        origins=list(message.origins),
        recorded=message.recorded,
    )


def _document_bundle(bundle: MessageBundle, body: Json) -> Message:
    return documents.from_document_bundle(bundle, str(body.get("id", "")), _digest(body))


def _cda(document: CdaDocument) -> Message:
    add_facts = next((add for template, add in _MAPPED_TEMPLATES.items() if document.has_template(template)), None)

    def fill(message: Message) -> None:
        document.state(message)
        (add_facts or documents.add_cda)(message, document)

    return document.message(fill)
