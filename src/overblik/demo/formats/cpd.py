"""Care plans as CDA documents (CPD): the rehabilitation plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from overblik.demo.formats import cda
from overblik.demo.formats.cda import E
from overblik.demo.formats.medcom import name_id

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.demo.cast import Staff, Unit
    from overblik.demo.people import Person


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
            E.code(code=code, codeSystem=cda.MEDCOM, codeSystemName="MedCom Message Codes", displayName=title),
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
        E.code(code="75310-3", codeSystem=cda.LOINC, displayName="Health Concern"),
        E.statusCode(code="active"),
        E.effectiveTime(value=cda.hl7(plan.admitted)),
        E.entryRelationship(
            E.observation(
                E.id(root=name_id("diagnosis", plan.episode).upper()),
                E.code(code="ALGA01", codeSystem=cda.SKS, displayName="aktionsdiagnose"),
                E.effectiveTime(E.low(value=cda.hl7(plan.admitted))),
                cda.value("CD", code=plan.diagnosis[0], codeSystem=cda.SKS, displayName=plan.diagnosis[1]),
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
        E.code(code=need, codeSystem=cda.SKS, displayName=f"Vurdering af behov for genoptræning, {kind} genoptræning"),
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
    return cda.document(
        "1.2.208.184.15.1",
        name_id("cpd", plan.episode, at),
        E.code(code="81215-6", codeSystem=cda.LOINC, displayName="Care plan"),
        f"Genoptræningsplan ({kind})",
        at,
        E.setId(root="1.2.208.184", extension=name_id("planset", plan.episode)),
        cda.record_target(plan.person),
        cda.author(plan.signer, at),
        _relative(plan.person),
        cda.custodian(plan.signer.unit),
        *[_recipient(unit, "PRCP" if unit is plan.receiver else "TRC") for unit in (plan.receiver, *plan.copies)],
        *[_contact(name, phone) for name, phone in plan.contacts],
        E.authorization(
            E.consent(
                E.code(code="GGOP-Consent", codeSystem=cda.MEDCOM, displayName="ConsentInformed"),
                E.statusCode(code="completed"),
            )
        ),
        cda.encompassing(plan.episode, plan.admitted, plan.discharge),
        E.component(E.structuredBody(*sections)),
    )


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
        inside.append(E.effectiveTime(E.high(value=cda.hl7(due))))
    inside.append(
        E.performer(E.assignedEntity(cda.sor(unit), E.representedOrganization(cda.sor(unit), E.name(unit.name))))
    )
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
            cda.sor(unit),
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
