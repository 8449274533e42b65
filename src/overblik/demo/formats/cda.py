"""What every CDA document has: header, patient, author, custodian; the three kinds build on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lxml import etree
from lxml.builder import ElementMaker  # type: ignore[import-not-found]

from overblik.demo.formats.medcom import name_id
from overblik.fhir.dates import COPENHAGEN

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.demo.cast import Staff, Unit
    from overblik.demo.people import Person

XSI = "http://www.w3.org/2001/XMLSchema-instance"
E: Any = ElementMaker(namespace="urn:hl7-org:v3", nsmap={None: "urn:hl7-org:v3", "xsi": XSI})
MEDCOM = "1.2.208.184.100.1"
SKS = "1.2.208.176.2.4"
LOINC = "2.16.840.1.113883.6.1"


def hl7(moment: datetime) -> str:
    """Return an instant as HL7 writes it, with the Danish offset."""
    return moment.astimezone(COPENHAGEN).strftime("%Y%m%d%H%M%S%z")


def document(template: str, document_id: str, code: Any, title: str, at: datetime, *rest: Any) -> bytes:
    """Return the bytes of a document: its header, and the rest as given."""
    root = E.ClinicalDocument(
        E.realmCode(code="DK"),
        E.typeId(root="2.16.840.1.113883.1.3", extension="POCD_HD000040"),
        E.templateId(root=template),
        E.id(root="1.2.208.184", extension=document_id, assigningAuthorityName="MedCom"),
        code,
        E.title(title),
        E.effectiveTime(value=hl7(at)),
        E.confidentialityCode(code="N", codeSystem="2.16.840.1.113883.5.25"),
        E.languageCode(code="da-DK"),
        *rest,
    )
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def address(street: str, postcode: str, city: str, use: str) -> Any:
    """Return an address."""
    return E.addr(E.streetAddressLine(street), E.postalCode(postcode), E.city(city), E.country("Danmark"), use=use)


def unit_address(unit: Unit) -> Any:
    """Return the address of a unit."""
    return address(unit.street or "–", unit.postcode or "0000", unit.city or "–", "WP")


def record_target(person: Person, *inside: Any, before: tuple[Any, ...] = (), provider: Any = None) -> Any:
    """Return whom a document is about; `before` stands before the address, `inside` in the patient."""
    given = [E.given(name) for name in person.given.split()]
    patient = E.patient(
        E.name(*given, E.family(person.family)),
        E.administrativeGenderCode(code="F" if person.female else "M", codeSystem="2.16.840.1.113883.5.1"),
        E.birthTime(value=f"{person.born:%Y%m%d}"),
        *inside,
    )
    role = E.patientRole(
        E.id(extension=person.cpr, root="1.2.208.176.1.2", assigningAuthorityName="CPR"),
        *before,
        address(person.street, person.postcode, person.city, "H"),
        E.telecom(value=f"tel:{person.phone.replace(' ', '')}", use="H"),
        patient,
        classCode="PAT",
    )
    if provider is not None:
        role.append(provider)
    return E.recordTarget(role, typeCode="RCT", contextControlCode="OP")


def sor(unit: Unit) -> Any:
    """Return a unit's SOR code as an id."""
    return E.id(extension=unit.sor, root="1.2.208.176.1.1", assigningAuthorityName="SOR")


def phone(unit: Unit) -> Any:
    """Return a unit's telephone."""
    return E.telecom(value=f"tel:{unit.phone.replace(' ', '')}", use="WP")


def author(staff: Staff, at: datetime) -> Any:
    """Return the person who wrote it."""
    *given, family = staff.name.split()
    return E.author(
        E.time(value=hl7(at)),
        E.assignedAuthor(
            sor(staff.unit),
            E.code(code="Author", codeSystem=MEDCOM, displayName=staff.role.capitalize()),
            unit_address(staff.unit),
            phone(staff.unit),
            E.assignedPerson(E.name(*[E.given(g) for g in given], E.family(family))),
            E.representedOrganization(sor(staff.unit), E.name(staff.unit.name)),
        ),
    )


def unit_author(unit: Unit, at: datetime) -> Any:
    """Return the system that made it."""
    return E.author(
        E.time(value=hl7(at)),
        E.assignedAuthor(sor(unit), E.representedOrganization(sor(unit), E.name(unit.name))),
    )


def custodian(unit: Unit) -> Any:
    """Return who keeps it."""
    return E.custodian(
        E.assignedCustodian(E.representedCustodianOrganization(sor(unit), E.name(unit.name), unit_address(unit)))
    )


def encompassing(episode: str, start: datetime | None, end: datetime | None) -> Any:
    """Return the hospital contact a document belongs to; its id is the episode of care's, upper case."""
    inside = [E.id(extension=episode.upper(), root=name_id("episodes").upper())]
    if start:
        times = [E.low(value=hl7(start)), *([E.high(value=hl7(end))] if end else [])]
        inside += [E.code(code="IMP", codeSystem="2.16.840.1.113883.5.4"), E.effectiveTime(*times)]
    return E.componentOf(E.encompassingEncounter(*inside, classCode="ENC", moodCode="EVN"))


def value(kind: str, *inside: Any, **attributes: str) -> Any:
    """Return a value with its XML Schema type."""
    value = E.value(*inside, **attributes)
    value.set(f"{{{XSI}}}type", kind)
    return value
