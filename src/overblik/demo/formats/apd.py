"""Appointments as CDA documents (APD), as the national sharing service holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from overblik.demo.formats import cda
from overblik.demo.formats.cda import E
from overblik.demo.formats.medcom import name_id

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.demo.cast import Staff, Unit
    from overblik.demo.people import Person


@dataclass(frozen=True, slots=True)
class Booking:
    """An appointment as its owner books it; `booked` when it was, where later documents tell of it."""

    person: Person
    unit: Unit
    staff: Staff
    start: datetime
    end: datetime
    reason: str
    category: str
    episode: str = ""
    note: str = ""
    booked: datetime | None = None

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
        E.code(code=booking.category, codeSystem=cda.MEDCOM, codeSystemName="MedCom Message Codes"),
        E.statusCode(code=status),
        E.effectiveTime(E.low(value=cda.hl7(booking.start)), E.high(value=cda.hl7(booking.end))),
        E.performer(
            E.assignedEntity(
                cda.sor(unit),
                cda.unit_address(unit),
                cda.phone(unit),
                E.assignedPerson(E.name(*[E.given(g) for g in given], E.family(family))),
                E.representedOrganization(cda.sor(unit), E.name(unit.name)),
            ),
            typeCode="PRF",
        ),
        E.author(
            E.time(value=cda.hl7(booking.booked or at)),
            E.assignedAuthor(cda.sor(unit), E.representedOrganization(cda.sor(unit), E.name(unit.name))),
        ),
        E.participant(
            E.participantRole(
                cda.sor(unit),
                cda.unit_address(unit),
                cda.phone(unit),
                E.playingEntity(E.name(unit.name)),
                classCode="SDLOC",
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
        E.code(code="18776-5", codeSystem=cda.LOINC, displayName="Plan of care note"),
        E.title("Aftale"),
        E.text(booking.note or booking.reason),
        E.entry(encounter),
    )
    parts = [cda.record_target(booking.person), cda.author(booking.staff, at), cda.custodian(unit)]
    if booking.episode:
        parts.append(cda.encompassing(booking.episode, None, None))
    parts.append(E.component(E.structuredBody(E.component(section))))
    return cda.document(
        "1.2.208.184.14.1",
        name_id("apd", booking.id, at, status),
        E.code(
            code="39289-4",
            codeSystem=cda.LOINC,
            displayName="Dato og tidspunkt for møde mellem patient og sundhedsperson",
        ),
        f"Aftale for {booking.person.cpr}",
        at,
        *parts,
    )
