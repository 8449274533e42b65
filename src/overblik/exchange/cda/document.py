"""A CDA document taken apart: header, patient, parties, sections."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lxml import etree

from overblik.exchange.cda import datatypes as dt
from overblik.exchange.cda.xml import Element, attribute, find, find_all, instant_of, parse_xml, time_of
from overblik.exchange.message import Message, Statement
from overblik.fhir.errors import Unprocessable, Unsupported
from overblik.fhir.identifiers import PERSON_SYSTEMS, Identifier, canonical, org_token

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from overblik.exchange.parties import Party
    from overblik.fhir.strict_json import Json

ROOT = "{urn:hl7-org:v3}ClinicalDocument"
_FACETS = {
    "name": ("name",),
    "birth": ("birthDate",),
    "gender": ("gender",),
    "address": ("address",),
    "telecom": ("telecom",),
}


class CdaDocument:
    """A parsed ClinicalDocument."""

    def __init__(self, root: Element) -> None:
        self.root = root
        self.templates = {attribute(t, "root") for t in find_all(root, "templateId")}

    def has_template(self, template: str) -> bool:
        """Say whether the document claims a template."""
        return template in self.templates

    @property
    def key(self) -> str:
        """The document's own id, "" where it has none."""
        found = dt.identifier(find(self.root, "id"))
        return f"{found['system']}|{found['value']}".lower() if found else ""

    @property
    def set_key(self) -> str:
        """The id that the versions of one document share; the document's own where it has none."""
        found = dt.identifier(find(self.root, "setId"))
        return f"{found['system']}|{found['value']}".lower() if found else self.key

    @property
    def effective(self) -> str:
        """When the document was written, as a FHIR dateTime."""
        found = time_of(find(self.root, "effectiveTime"))
        if not found:
            raise Unprocessable("date-missing", "The document has no effectiveTime.", expression="effectiveTime")
        return found

    def party_from(self) -> Party:
        """Return whose word the document is: the author's organisation, else the custodian.

        An author's own id counts where it is an organisation's, as many write it; never a person's.
        """
        author = find(self.root, "author/assignedAuthor")
        ids = [i for i in dt.identifiers(author) if org_token(i)]
        organisation = dt.organisation(find(author, "representedOrganization"), ids=ids)
        if organisation.identifiers or (organisation.token and not self.custodian.identifiers):
            return organisation
        return self.custodian

    @property
    def sender(self) -> Party:
        """Whose word the document is; without it, nothing else is believed."""
        party = self.party_from()
        if not party.token:
            text = "The document has no author or custodian organisation; name it with its SOR code."
            raise Unprocessable("sender-missing", text, expression="author")
        return party

    @property
    def custodian(self) -> Party:
        """Who keeps the document."""
        return dt.organisation(find(self.root, "custodian/assignedCustodian/representedCustodianOrganization"))

    def authorship(self) -> Json:
        """Return the authors (organisation first, then people) and the custodian of a DocumentReference."""
        roles = find_all(self.root, "author/assignedAuthor")
        people = [dt.person(role) for role in roles if not dt.is_citizen(role)]
        authors = [{"type": "Practitioner", "display": name} for name in dict.fromkeys(people) if name]
        found: Json = {"author": [self.sender.reference(), *authors]}
        if self.custodian.token:
            found["custodian"] = self.custodian.reference()
        return found

    @property
    def receivers(self) -> tuple[Party, ...]:
        """The organisations the document is addressed to, copies included."""
        found = []
        for recipient in find_all(self.root, "informationRecipient/intendedRecipient"):
            organisation = find(recipient, "receivedOrganization")
            party = dt.organisation(organisation, ids=dt.identifiers(recipient))
            if party.token:
                found.append(party)
        return tuple(found)

    @property
    def episodes(self) -> list[str]:
        """The episode-of-care ids the document names, as received."""
        ids = find_all(self.root, "componentOf/encompassingEncounter/id")
        return [v for v in (attribute(i, "extension") or attribute(i, "root") for i in ids) if v]

    def type_code(self) -> Json:
        """Return the document's code as a CodeableConcept."""
        return dt.concept(find(self.root, "code"))

    def sections(self, parent: Element | None = None) -> list[Element]:
        """Return every section at any depth, in document order."""
        return find_all(self.root if parent is None else parent, ".//section")

    def patient(self) -> Statement | None:
        """Return what the header states of the patient; None where there is no patient."""
        role = find(self.root, "recordTarget/patientRole")
        _refuse_other_cpr(find_all(role, "id"))
        ids = [canonical(i["system"], i["value"]) for i in dt.identifiers(role)]
        if role is None or not ids:
            return None
        patient = find(role, "patient")
        born = time_of(find(patient, "birthTime"))[:10]
        names = [n for n in (dt.name(e) for e in find_all(patient, "name")) if n]
        addresses = [a for a in map(dt.address, find_all(role, "addr")) if a]
        elements: Json = {
            "name": names,
            "birthDate": born,
            "gender": dt.gender(find(patient, "administrativeGenderCode")),
            "address": addresses,
            "telecom": dt.telecoms(role),
        }
        elements = {key: value for key, value in elements.items() if value}
        facets: dict[str, tuple[str, ...]] = {f: n for f, n in _FACETS.items() if any(e in elements for e in n)}
        labels = ["protected"] if attribute(find(self.root, "confidentialityCode"), "code") == "R" else []
        return Statement(_person_ids(ids), born, elements, facets, labels=labels)

    def message(self, fill: Callable[[Message], None]) -> Message:
        """Return the message this document is, so far as an answer to it needs; `fill` states the rest."""
        digest = hashlib.sha256(etree.tostring(self.root, method="c14n")).digest()
        return Message(
            format=f"CDA {self._kind()}",
            sender=self.party_from(),
            receivers=self.receivers,
            ids=(("document", self.key),) if self.key else (("digest", digest.hex()),),
            digest=digest,
            fill=fill,
        )

    def state(self, message: Message) -> None:
        """State whose word the document is and when it was written."""
        message.sender = self.sender
        effective = instant_of(self.effective)
        if effective is None:
            raise Unprocessable("date-impossible", "The document has a date that no calendar has.")
        message.occurred, message.recorded = effective, self._recorded() or effective

    def _recorded(self) -> datetime | None:
        return instant_of(time_of(find(self.root, "author/time")))

    def _kind(self) -> str:
        return _KINDS.get(next((t for t in self.templates if t in _KINDS), ""), "document")


_KINDS = {
    "1.2.208.184.14.1": "APD",
    "1.2.208.184.16.1": "PDC",
    "1.2.208.184.15.1": "CPD",
    "1.2.208.184.11.1": "PHMR",
    "1.2.208.184.12.1": "QFDD",
    "1.2.208.184.13.1": "QRD",
}


def _refuse_other_cpr(ids: list[Element]) -> None:
    """Refuse a patient id that is called a CPR number under another root.

    It would open a record of its own, where nobody looks for it; what it is called is no key to match by.
    """
    for element in ids:
        called = attribute(element, "assigningAuthorityName").upper()
        if called == "CPR" and f"urn:oid:{attribute(element, 'root')}" not in PERSON_SYSTEMS:
            text = "The patient's id is called a CPR number, but its root is not CPR's (1.2.208.176.1.2)."
            raise Unprocessable("cpr-root-wrong", text, expression="recordTarget.patientRole.id")


def _person_ids(ids: list[Identifier]) -> list[Identifier]:
    """Return the national identifiers, or all where there is none; register marks are no identifiers."""
    marks = "urn:oid:1.2.208.176.1.99.99."
    kept = [i for i in ids if not i.system.startswith(marks)]
    return kept or ids


def parse_cda(raw: bytes) -> CdaDocument:
    """Return the CDA document that the bytes are; refuse any other XML."""
    root = parse_xml(raw)
    if root.tag != ROOT:
        text = "The XML is not a CDA ClinicalDocument; only CDA is read as XML so far."
        raise Unsupported("xml-unknown", text)
    return CdaDocument(root)
