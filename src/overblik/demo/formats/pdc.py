"""Master data as CDA documents (PDC): the stamkort."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overblik.demo.formats import cda
from overblik.demo.formats.cda import E
from overblik.demo.formats.medcom import name_id

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.demo.cast import Unit
    from overblik.demo.people import Person


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
        cda.phone(gp),
        cda.unit_address(gp),
    )
    typed = E.section(
        E.templateId(root="1.2.208.184.16.1.10.20.1", extension="2019-08-14"),
        E.text("Indtastede oplysninger"),
        E.entry(_language(person, language, at)),
        E.entry(_own_phone(person, at)),
        E.component(E.section(E.text("Pårørende"), E.entry(_typed_relative(person, at, note)))),
    )
    return cda.document(
        "1.2.208.184.16.1",
        name_id("pdc", person.cpr, at),
        E.code(code="PDC", codeSystem=cda.MEDCOM, displayName="Stamkort"),
        f"Personal Data Card {person.cpr}",
        at,
        cda.record_target(person, before=before, provider=provider),
        cda.unit_author(register, at),
        cda.custodian(register),
        E.component(E.structuredBody(E.component(typed))),
    )


def _self(person: Person, at: datetime) -> Any:
    given = [E.given(name) for name in person.given.split()]
    return E.author(
        E.time(value=cda.hl7(at)),
        E.assignedAuthor(
            E.id(extension=person.cpr, root="1.2.208.176.1.2", assigningAuthorityName="CPR"),
            E.assignedPerson(E.name(*given, E.family(person.family))),
        ),
    )


def _typed(code: str, *inside: Any) -> Any:
    return E.observation(E.code(code=code, codeSystem=cda.MEDCOM), *inside, classCode="OBS", moodCode="EVN")


def _language(person: Person, language: tuple[str, str], at: datetime) -> Any:
    value = cda.value("CD", code=language[0], codeSystem="1.0.639.1", displayName=language[1])
    return _typed("LanguageTypedIn", value, _self(person, at))


def _own_phone(person: Person, at: datetime) -> Any:
    value = cda.value("TEL", use="MC", value=f"tel:{person.phone.replace(' ', '')}")
    return _typed("PatientContactTypedIn", value, _self(person, at))


def _typed_relative(person: Person, at: datetime, note: str) -> Any:
    first, *rest = person.relative.split()
    name = cda.value("PN", E.given(first), E.family(" ".join(rest)))
    phone = cda.value("TEL", use="MC", value=f"tel:{person.relative_phone.replace(' ', '')}")
    relation = cda.value(
        "CD", code=person.relation.lower(), codeSystem="1.2.208.184.100.2", displayName=person.relation
    )
    parts = [
        E.component(_typed("RelativeTypedIn", name, phone)),
        E.component(_typed("RelationTypedIn", relation)),
    ]
    if note:
        parts.append(E.component(_typed("RelativeNoteTypedIn", cda.value("ST", note))))
    return E.organizer(_self(person, at), *parts, classCode="BATTERY", moodCode="EVN")
