"""CDA documents as the national sharing service holds them: PDC, CPD, APD."""

from __future__ import annotations

from dataclasses import dataclass, field
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


def _document(template: str, document_id: str, code: Any, title: str, at: datetime, *rest: Any) -> bytes:
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


def _address(street: str, postcode: str, city: str, use: str) -> Any:
    return E.addr(E.streetAddressLine(street), E.postalCode(postcode), E.city(city), E.country("Danmark"), use=use)


def _unit_address(unit: Unit) -> Any:
    return _address(unit.street or "–", unit.postcode or "0000", unit.city or "–", "WP")


def _record_target(person: Person, *inside: Any, before: tuple[Any, ...] = (), provider: Any = None) -> Any:
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
        _address(person.street, person.postcode, person.city, "H"),
        E.telecom(value=f"tel:{person.phone.replace(' ', '')}", use="H"),
        patient,
        classCode="PAT",
    )
    if provider is not None:
        role.append(provider)
    return E.recordTarget(role, typeCode="RCT", contextControlCode="OP")


def _sor(unit: Unit) -> Any:
    return E.id(extension=unit.sor, root="1.2.208.176.1.1", assigningAuthorityName="SOR")


def _phone(unit: Unit) -> Any:
    return E.telecom(value=f"tel:{unit.phone.replace(' ', '')}", use="WP")


def _author(staff: Staff, at: datetime) -> Any:
    *given, family = staff.name.split()
    return E.author(
        E.time(value=hl7(at)),
        E.assignedAuthor(
            _sor(staff.unit),
            E.code(code="Author", codeSystem=MEDCOM, displayName=staff.role.capitalize()),
            _unit_address(staff.unit),
            _phone(staff.unit),
            E.assignedPerson(E.name(*[E.given(g) for g in given], E.family(family))),
            E.representedOrganization(_sor(staff.unit), E.name(staff.unit.name)),
        ),
    )


def _unit_author(unit: Unit, at: datetime) -> Any:
    return E.author(
        E.time(value=hl7(at)),
        E.assignedAuthor(_sor(unit), E.representedOrganization(_sor(unit), E.name(unit.name))),
    )


def _custodian(unit: Unit) -> Any:
    return E.custodian(
        E.assignedCustodian(E.representedCustodianOrganization(_sor(unit), E.name(unit.name), _unit_address(unit)))
    )


def _encompassing(episode: str, start: datetime | None, end: datetime | None) -> Any:
    """Return the hospital contact a document belongs to; its id is the episode of care's, upper case."""
    inside = [E.id(extension=episode.upper(), root=name_id("episodes").upper())]
    if start:
        times = [E.low(value=hl7(start)), *([E.high(value=hl7(end))] if end else [])]
        inside += [E.code(code="IMP", codeSystem="2.16.840.1.113883.5.4"), E.effectiveTime(*times)]
    return E.componentOf(E.encompassingEncounter(*inside, classCode="ENC", moodCode="EVN"))


@dataclass(frozen=True, slots=True)
class Booking:
    """An appointment as its owner books it."""

    person: Person
    unit: Unit
    staff: Staff
    start: datetime
    end: datetime
    reason: str
    category: str
    episode: str = ""
    note: str = ""

    @property
    def id(self) -> str:
        """The appointment's own id, the same in every document about it."""
        return name_id("appointment", self.person.cpr, self.unit.slug, self.start)


def appointment(booking: Booking, at: datetime, *, status: str = "active") -> bytes:
    """Return the APD of a booking; a later one with the same appointment id replaces it."""
    unit = booking.unit
    *given, family = booking.staff.name.split()
    encounter = E.encounter(
        E.templateId(root="1.2.208.184.14.11.2", extension="2019-09-10"),
        E.id(root="1.2.208.184", extension=booking.id, assigningAuthorityName="MedCom"),
        E.code(code=booking.category, codeSystem=MEDCOM, codeSystemName="MedCom Message Codes"),
        E.statusCode(code=status),
        E.effectiveTime(E.low(value=hl7(booking.start)), E.high(value=hl7(booking.end))),
        E.performer(
            E.assignedEntity(
                _sor(unit),
                _unit_address(unit),
                _phone(unit),
                E.assignedPerson(E.name(*[E.given(g) for g in given], E.family(family))),
                E.representedOrganization(_sor(unit), E.name(unit.name)),
            ),
            typeCode="PRF",
        ),
        E.author(
            E.time(value=hl7(at)),
            E.assignedAuthor(_sor(unit), E.representedOrganization(_sor(unit), E.name(unit.name))),
        ),
        E.participant(
            E.participantRole(
                _sor(unit), _unit_address(unit), _phone(unit), E.playingEntity(E.name(unit.name)), classCode="SDLOC"
            ),
            typeCode="LOC",
        ),
        E.entryRelationship(
            E.observation(E.code(code="NI", displayName=booking.reason), classCode="OBS", moodCode="RQO"),
            typeCode="RSON",
        ),
        classCode="ENC",
        moodCode="APT",
    )
    section = E.section(
        E.templateId(root="1.2.208.184.14.11.1", extension="2019-09-10"),
        E.code(code="18776-5", codeSystem=LOINC, displayName="Plan of care note"),
        E.title("Aftale"),
        E.text(booking.note or booking.reason),
        E.entry(encounter),
    )
    parts = [_record_target(booking.person), _author(booking.staff, at), _custodian(unit)]
    if booking.episode:
        parts.append(_encompassing(booking.episode, None, None))
    parts.append(E.component(E.structuredBody(E.component(section))))
    return _document(
        "1.2.208.184.14.1",
        name_id("apd", booking.id, at, status),
        E.code(
            code="39289-4", codeSystem=LOINC, displayName="Dato og tidspunkt for møde mellem patient og sundhedsperson"
        ),
        f"Aftale for {booking.person.cpr}",
        at,
        *parts,
    )


@dataclass(frozen=True, slots=True)
class PlanWords:
    """A rehabilitation plan as written: coded sections, goals, tasks for others."""

    person: Person
    signer: Staff
    receiver: Unit
    copies: tuple[Unit, ...]
    episode: str
    admitted: datetime
    discharge: datetime
    diagnosis: tuple[str, str]
    sections: tuple[tuple[str, str, str], ...]
    goal: str
    tasks: tuple[tuple[str, Unit, datetime | None], ...] = ()
    specialised: bool = False
    contacts: tuple[tuple[str, str], ...] = field(default=())


def _table(identifier: str, text: str) -> Any:
    lines: list[Any] = []
    for number, line in enumerate(text.split("\n")):
        lines += [E.br(), line] if number else [line]
    return E.text(E.table(E.tbody(E.tr(E.td(*lines, ID=identifier)))))


def _plan_section(code: str, title: str, text: str, *entries: Any) -> Any:
    return E.component(
        E.section(
            E.templateId(root="1.2.208.184.15.1.10.20.1.2", extension="2018-11-28"),
            E.code(code=code, codeSystem=MEDCOM, codeSystemName="MedCom Message Codes", displayName=title),
            E.title(title),
            _table(code, text),
            *entries,
        )
    )


def care_plan(plan: PlanWords, at: datetime) -> bytes:
    """Return the CPD of a rehabilitation plan (genoptræningsplan)."""
    need = "ZZ0172Y" if plan.specialised else "ZZ0172X"
    kind = "specialiseret" if plan.specialised else "almen"
    concern = E.act(
        E.id(root=name_id("concern", plan.episode).upper()),
        E.code(code="75310-3", codeSystem=LOINC, displayName="Health Concern"),
        E.statusCode(code="active"),
        E.effectiveTime(value=hl7(plan.admitted)),
        E.entryRelationship(
            E.observation(
                E.id(root=name_id("diagnosis", plan.episode).upper()),
                E.code(code="ALGA01", codeSystem=SKS, displayName="aktionsdiagnose"),
                E.effectiveTime(E.low(value=hl7(plan.admitted))),
                _coded_value(plan.diagnosis[0], plan.diagnosis[1]),
                classCode="OBS",
                moodCode="EVN",
            ),
            typeCode="REFR",
        ),
        classCode="ACT",
        moodCode="EVN",
    )
    goal = E.observation(
        E.id(root=name_id("goal", plan.episode).upper()),
        E.code(code=need, codeSystem=SKS, displayName=f"Vurdering af behov for genoptræning, {kind} genoptræning"),
        E.text(E.reference(value="#RehabilitationNeedAndPotential")),
        E.statusCode(code="active"),
        classCode="OBS",
        moodCode="GOL",
    )
    sections = [_plan_section(*section) for section in plan.sections]
    sections.append(
        _plan_section("Diagnosis", "Diagnose", f"{plan.diagnosis[0]} {plan.diagnosis[1]}", E.entry(concern))
    )
    title = "Patientens genoptræningsbehov og potentiale"
    sections.append(_plan_section("RehabilitationNeedAndPotential", title, plan.goal, E.entry(goal)))
    if plan.tasks:
        words = "\n".join(text for text, _, _ in plan.tasks)
        entries = [_task(plan, number) for number in range(len(plan.tasks))]
        sections.append(_plan_section("FollowUp", "Opfølgning hos andre", words, *entries))
    return _document(
        "1.2.208.184.15.1",
        name_id("cpd", plan.episode, at),
        E.code(code="81215-6", codeSystem=LOINC, displayName="Care plan"),
        f"Genoptræningsplan ({kind})",
        at,
        E.setId(root="1.2.208.184", extension=name_id("planset", plan.episode)),
        _record_target(plan.person),
        _author(plan.signer, at),
        _relative(plan.person),
        _custodian(plan.signer.unit),
        *[_recipient(unit, "PRCP" if unit is plan.receiver else "TRC") for unit in (plan.receiver, *plan.copies)],
        *[_contact(name, phone) for name, phone in plan.contacts],
        E.authorization(
            E.consent(
                E.code(code="GGOP-Consent", codeSystem=MEDCOM, displayName="ConsentInformed"),
                E.statusCode(code="completed"),
            )
        ),
        _encompassing(plan.episode, plan.admitted, plan.discharge),
        E.component(E.structuredBody(*sections)),
    )


def _coded_value(code: str, display: str) -> Any:
    value = E.value(code=code, codeSystem=SKS, displayName=display)
    value.set(f"{{{XSI}}}type", "CD")
    return value


def _task(plan: PlanWords, number: int) -> Any:
    """Return something another unit is asked to do, as a planned intervention with its performer."""
    text, unit, due = plan.tasks[number]
    reference = f"FollowUp{number}"
    inside = [
        E.id(root=name_id("task", plan.episode, number).upper()),
        E.code(nullFlavor="NI"),
        E.text(text, ID=reference),
        E.statusCode(code="active"),
    ]
    if due:
        inside.append(E.effectiveTime(E.high(value=hl7(due))))
    inside.append(E.performer(E.assignedEntity(_sor(unit), E.representedOrganization(_sor(unit), E.name(unit.name)))))
    return E.entry(E.encounter(*inside, classCode="ACT", moodCode="INT"))


def _relative(person: Person) -> Any:
    first, *rest = person.relative.split()
    return E.informant(
        E.relatedEntity(
            E.code(code="CHILD", codeSystem="2.16.840.1.113883.5.111", displayName=person.relation),
            E.telecom(value=f"tel:{person.relative_phone.replace(' ', '')}", use="MC"),
            E.relatedPerson(E.name(E.prefix(person.relation), E.given(first), E.family(" ".join(rest)))),
            classCode="PRS",
        ),
        typeCode="INF",
    )


def _recipient(unit: Unit, kind: str) -> Any:
    return E.informationRecipient(
        E.intendedRecipient(
            _sor(unit),
            E.receivedOrganization(E.name(unit.name), E.telecom(value=f"ean:{unit.gln}", use="WP")),
            classCode="ASSIGNED",
        ),
        typeCode=kind,
    )


def _contact(name: str, phone: str) -> Any:
    entity = E.associatedEntity(
        E.telecom(value=f"tel:{phone.replace(' ', '')}", use="WP"),
        E.scopingOrganization(E.name(name)),
        classCode="CON",
    )
    return E.participant(entity, typeCode="ORG")


def master_data(
    person: Person,
    register: Unit,
    gp: Unit,
    at: datetime,
    *,
    language: tuple[str, str] = ("da", "Dansk"),
    note: str = "",
) -> bytes:
    """Return the PDC (stamkort) of a person: register fields, and what they typed in themselves."""
    marks = (
        ("Sygesikringen", "Gruppe_1", "99"),
        ("OrganDonorRegistration", "true", "88"),
        ("LivingWillRegistration", "false", "77"),
        ("TreatmentWillRegistration", "false", "66"),
    )
    before = tuple(
        E.id(assigningAuthorityName=name, extension=value, root=f"1.2.208.176.1.99.99.{last}")
        for name, value, last in marks
    )
    provider = E.providerOrganization(
        E.id(extension=gp.yder, root="1.2.208.176.1.4", assigningAuthorityName="Yderregisteret"),
        E.name(gp.name),
        _phone(gp),
        _unit_address(gp),
    )
    typed = E.section(
        E.templateId(root="1.2.208.184.16.1.10.20.1", extension="2019-08-14"),
        E.text("Indtastede oplysninger"),
        E.entry(_language(person, language, at)),
        E.entry(_own_phone(person, at)),
        E.component(E.section(E.text("Pårørende"), E.entry(_typed_relative(person, at, note)))),
    )
    return _document(
        "1.2.208.184.16.1",
        name_id("pdc", person.cpr, at),
        E.code(code="PDC", codeSystem=MEDCOM, displayName="Stamkort"),
        f"Personal Data Card {person.cpr}",
        at,
        _record_target(person, before=before, provider=provider),
        _unit_author(register, at),
        _custodian(register),
        E.component(E.structuredBody(E.component(typed))),
    )


def _self(person: Person, at: datetime) -> Any:
    given = [E.given(name) for name in person.given.split()]
    return E.author(
        E.time(value=hl7(at)),
        E.assignedAuthor(
            E.id(extension=person.cpr, root="1.2.208.176.1.2", assigningAuthorityName="CPR"),
            E.assignedPerson(E.name(*given, E.family(person.family))),
        ),
    )


def _typed(code: str, *inside: Any) -> Any:
    return E.observation(E.code(code=code, codeSystem=MEDCOM), *inside, classCode="OBS", moodCode="EVN")


def _value(kind: str, *inside: Any, **attributes: str) -> Any:
    value = E.value(*inside, **attributes)
    value.set(f"{{{XSI}}}type", kind)
    return value


def _language(person: Person, language: tuple[str, str], at: datetime) -> Any:
    value = _value("CD", code=language[0], codeSystem="1.0.639.1", displayName=language[1])
    return _typed("LanguageTypedIn", value, _self(person, at))


def _own_phone(person: Person, at: datetime) -> Any:
    value = _value("TEL", use="MC", value=f"tel:{person.phone.replace(' ', '')}")
    return _typed("PatientContactTypedIn", value, _self(person, at))


def _typed_relative(person: Person, at: datetime, note: str) -> Any:
    first, *rest = person.relative.split()
    name = _value("PN", E.given(first), E.family(" ".join(rest)))
    phone = _value("TEL", use="MC", value=f"tel:{person.relative_phone.replace(' ', '')}")
    relation = _value("CD", code=person.relation.lower(), codeSystem="1.2.208.184.100.2", displayName=person.relation)
    parts = [
        E.component(_typed("RelativeTypedIn", name, phone)),
        E.component(_typed("RelationTypedIn", relation)),
    ]
    if note:
        parts.append(E.component(_typed("RelativeNoteTypedIn", _value("ST", note))))
    return E.organizer(_self(person, at), *parts, classCode="BATTERY", moodCode="EVN")
