"""CPD, the care plan document (template 1.2.208.184.15.1), to a CarePlan with what it builds on.

The Danish rehabilitation plan (genoptræningsplan) comes so: mostly free text in coded sections. It
becomes a CarePlan addressed to its receivers, with Goals, Conditions and Observations of their own.
Versions of one plan share a setId; the newest by effectiveTime stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.exchange.cda import datatypes as dt
from overblik.exchange.cda.pdc import origin
from overblik.exchange.cda.xml import NS, XSI_TYPE, attribute, find, find_all, narrative, text_of, time_of
from overblik.exchange.documents import document_body
from overblik.exchange.message import PATIENT, episode_extension, without_empty
from overblik.fhir.errors import Unprocessable
from overblik.trust.facts import Fact
from overblik.trust.treatment.evidence import RECIPIENT

if TYPE_CHECKING:
    from overblik.exchange.cda.document import CdaDocument
    from overblik.exchange.cda.xml import Element
    from overblik.exchange.message import Message
    from overblik.fhir.strict_json import Json

TEMPLATE = "1.2.208.184.15.1"
SECTION = "urn:overblik:extension:plan-section"
CONTACT = "urn:overblik:extension:plan-contact"
CONSENT = "urn:overblik:extension:informed-consent"
HOSPITAL_CONTACT = "urn:overblik:extension:hospital-contact"
PLAN_TYPE = "urn:overblik:plan-type"
MEDCOM_CODES = "1.2.208.184.100.1"
SPECIALISED = frozenset({"ZZ0172Y", "ZZ0175Y"})
GENERAL = frozenset({"ZZ0172X", "ZZ0175X"})
PROFESSION = "sdtc:asPatientRelationship/sdtc:code"
_GOAL_STATUS = {"completed": "completed", "cancelled": "cancelled", "aborted": "cancelled", "suspended": "on-hold"}


def add_facts(message: Message, document: CdaDocument) -> None:
    """Add the facts of a CPD: plan, goals, conditions, observations, relatives."""
    message.patient = document.patient()
    if message.patient is None:
        raise Unprocessable("patient-missing", "The plan has no patient.", expression="recordTarget")
    contacts = _relatives(document)
    if contacts:
        message.patient.elements["contact"] = contacts
        message.patient.facets["contacts"] = ("contact",)
    key = f"careplan|{document.set_key}"
    conditions = _conditions(document, message)
    goals = _goals(document, message)
    message.targets = (key,)
    message.activity = ("http://loinc.org", "81215-6")
    message.document = document_body(document.type_code(), message, message.receivers) | document.authorship()
    message.facts += [*conditions, *goals, *_observations(document, message)]
    plan = _plan(document, message)
    plan["addresses"] = [{"reference": f"fact:{fact.key}"} for fact in conditions]
    plan["goal"] = [{"reference": f"fact:{fact.key}"} for fact in goals]
    message.facts.append(_fact(message, key, dict(without_empty(plan))))


def _fact(message: Message, key: str, resource: Json) -> Fact:
    return Fact(
        key=key,
        resource=resource,
        source=message.sender.token,
        order=message.order,
        recorded=message.recorded,
    )


def _plan(document: CdaDocument, message: Message) -> Json:
    kind, code = plan_type(document)
    own = dt.identifier(find(document.root, "id"))
    encounter = find(document.root, "componentOf/encompassingEncounter")
    hospital = dt.period(find(encounter, "effectiveTime"))
    people = _people(document)
    extensions: list[Json] = [episode_extension(value) for value in document.episodes]
    extensions += [{"url": RECIPIENT, "valueReference": p.reference()} for p in message.receivers]
    extensions += _sections(document)
    extensions += _contacts(document)
    if hospital:
        extensions.append({"url": HOSPITAL_CONTACT, "valuePeriod": hospital})
    if (consent := _consent(document)) is not None:
        extensions.append({"url": CONSENT, "valueBoolean": consent})
    return {
        "resourceType": "CarePlan",
        "meta": {"source": message.sender.source_uri},
        "contained": people,
        "extension": extensions,
        "identifier": [own] if own else [],
        "status": "active",
        "intent": "plan",
        "category": [{"coding": [{"system": PLAN_TYPE, "code": kind}]}],
        "subject": {"reference": f"fact:{PATIENT}"},
        "period": {"start": document.effective},
        "created": document.effective,
        "author": message.sender.reference(),
        "contributor": [{"reference": "#" + p["id"], "display": p["practitioner"]["display"]} for p in people],
        "activity": [*_assigned(kind, code, message), *_planned(document)],
    }


def plan_type(document: CdaDocument) -> tuple[str, Json | None]:
    """Return the plan's type and the code that says so; a rehabilitation plan by its need's SKS code."""
    for observation in find_all(document.root, ".//observation"):
        code = find(observation, "code")
        value = attribute(code, "code")
        if value in SPECIALISED | GENERAL:
            return ("rehabilitation-specialised" if value in SPECIALISED else "rehabilitation-general"), dt.coding(code)
    sections = {attribute(find(s, "code"), "code") for s in document.sections()}
    return ("rehabilitation" if "RehabilitationNeedAndPotential" in sections else "care-plan"), None


def _assigned(kind: str, code: Json | None, message: Message) -> list[Json]:
    """Return the activity that a rehabilitation plan asks its first receiver to take on."""
    if not kind.startswith("rehabilitation") or not message.receivers:
        return []
    detail: Json = {
        "kind": "ServiceRequest",
        "code": {"coding": [code] if code else []},
        "status": "not-started",
        "performer": [message.receivers[0].reference()],
    }
    return [{"detail": detail}]


def _planned(document: CdaDocument) -> list[Json]:
    """Return the planned interventions, each with its text and, where stated, its time."""
    found = []
    for encounter in find_all(document.root, ".//encounter"):
        if attribute(encounter, "moodCode") != "INT":
            continue
        detail: Json = {
            "status": "scheduled",
            "code": dt.concept(find(encounter, "code")),
            "description": _referenced(document, encounter),
            "scheduledPeriod": dt.period(find(encounter, "effectiveTime")),
            "performer": _performers(encounter),
        }
        found.append({"detail": detail})
    return found


def _performers(encounter: Element) -> list[Json]:
    """Return the units that are asked to do something planned."""
    entities = find_all(encounter, "performer/assignedEntity")
    parties = [dt.organisation(find(e, "representedOrganization"), ids=dt.identifiers(e)) for e in entities]
    return [party.reference() for party in parties if party.token]


def _referenced(document: CdaDocument, entry: Element) -> str:
    """Return the narrative that an entry points to by its text reference."""
    wanted = attribute(find(entry, "text/reference"), "value").removeprefix("#")
    if not wanted:
        return narrative(find(entry, "text"))
    for element in document.root.iter():
        if element.get("ID") == wanted:
            return narrative(element)
    return ""


def _sections(document: CdaDocument) -> list[Json]:
    """Return each section that has words of its own, with its code, title and text."""
    found = []
    for section in document.sections():
        text = narrative(find(section, "text"))
        if not text:
            continue
        code = find(section, "code")
        title = text_of(find(section, "title")) or attribute(code, "displayName")
        parts: list[Json] = [
            {"url": "code", "valueCode": attribute(code, "code")},
            {"url": "title", "valueString": " ".join(title.split())},
            {"url": "text", "valueString": text},
        ]
        found.append({"url": SECTION, "extension": [p for p in parts if list(p.values())[1]]})
    return found


def _contacts(document: CdaDocument) -> list[Json]:
    """Return whom to call: the municipality's and the region's contacts, then the ward that made the plan."""
    entities = find_all(document.root, "participant/associatedEntity")
    named = [(text_of(find(e, "scopingOrganization/name")).rstrip(":"), dt.telecoms(e)) for e in entities]
    named.append((document.custodian.name, list(document.custodian.telecom)))
    found = []
    for name, points in named:
        for point in points:
            parts = [{"url": "name", "valueString": name}, {"url": "telecom", "valueContactPoint": point}]
            found.append({"url": CONTACT, "extension": parts if name else parts[1:]})
    return found


def _consent(document: CdaDocument) -> bool | None:
    consent = find(document.root, "authorization/consent")
    if consent is None:
        return None
    return attribute(find(consent, "statusCode"), "code") == "completed"


def _people(document: CdaDocument) -> list[Json]:
    """Return the signers and the team, contained, with profession and telephone."""
    roles = find_all(document.root, "author/assignedAuthor")
    roles += find_all(document.root, "documentationOf/serviceEvent/performer/assignedEntity")
    found: list[Json] = []
    for role in roles:
        professions = _professions(role)
        name = dt.person(role)
        for profession in professions:
            name = name.removeprefix(str(profession.get("text", ""))).strip() or name
        if not name or any(p["practitioner"]["display"] == name for p in found):
            continue
        found.append(
            {
                "resourceType": "PractitionerRole",
                "id": f"person-{len(found) + 1}",
                "practitioner": {"type": "Practitioner", "display": name},
                "code": professions,
                "telecom": dt.telecoms(role),
            }
        )
    return found


def _professions(role: Element) -> list[Json]:
    """Return the profession, then the part a person plays in the plan.

    A signer's own code says only that they signed; the profession stands in an extension of the person.
    """
    relation = find(role, "assignedPerson")
    own = None if relation is None else relation.find(PROFESSION, NS)
    return [code for code in (dt.concept(own), dt.concept(find(role, "code"))) if code]


def _relatives(document: CdaDocument) -> list[Json]:
    """Return the relatives a plan names, on the sender's own Patient."""
    found = []
    source = origin("typed", document.sender.name, document.effective)
    for entity in find_all(document.root, "informant/relatedEntity"):
        code = find(entity, "code")
        name = dt.name(find(entity, "relatedPerson/name")) or {}
        prefix = name.pop("prefix", [])
        text = prefix[0] if prefix else attribute(code, "displayName")
        contact: Json = {
            "extension": [source],
            "relationship": [{"coding": [dt.coding(code)], "text": text}],
            "name": name,
            "telecom": dt.telecoms(entity),
            "address": dt.address(find(entity, "addr")),
        }
        found.append(dict(without_empty(contact)))
    return found


def _entry_key(kind: str, element: Element, document: CdaDocument) -> str:
    own = dt.identifier(find(element, "id"))
    return f"{kind}|{document.set_key}|{own['system']}|{own['value']}".lower() if own else ""


def _conditions(document: CdaDocument, message: Message) -> list[Fact]:
    """Return the diagnoses: coded observations that name an action or secondary diagnosis."""
    facts = []
    for act in find_all(document.root, ".//act"):
        for observation in find_all(act, "entryRelationship/observation"):
            value = find(observation, "value")
            key = _entry_key("condition", observation, document)
            if not key or not dt.concept(value):
                continue
            status = "active" if attribute(find(act, "statusCode"), "code") == "active" else "resolved"
            resource: Json = {
                "resourceType": "Condition",
                "meta": {"source": message.sender.source_uri},
                "extension": [episode_extension(value) for value in document.episodes],
                "clinicalStatus": _status("condition-clinical", status),
                "verificationStatus": _status("condition-ver-status", "confirmed"),
                "category": [dt.concept(find(observation, "code"))],
                "code": dt.concept(value),
                "subject": {"reference": f"fact:{PATIENT}"},
                "onsetDateTime": dt.period(find(observation, "effectiveTime")).get("start", ""),
                "recordedDate": time_of(find(act, "author/time")),
                "asserter": {"display": dt.person(find(act, "author/assignedAuthor"))},
            }
            facts.append(_fact(message, key, dict(without_empty(resource))))
    return facts


def _status(system: str, code: str) -> Json:
    return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": code}]}


def _goals(document: CdaDocument, message: Message) -> list[Fact]:
    facts = []
    for observation in find_all(document.root, ".//observation"):
        key = _entry_key("goal", observation, document)
        text = _referenced(document, observation)
        if attribute(observation, "moodCode") != "GOL" or not key or not text:
            continue
        resource: Json = {
            "resourceType": "Goal",
            "meta": {"source": message.sender.source_uri},
            "lifecycleStatus": _GOAL_STATUS.get(attribute(find(observation, "statusCode"), "code"), "active"),
            "description": {"text": text},
            "subject": {"reference": f"fact:{PATIENT}"},
            "startDate": time_of(find(observation, "effectiveTime"))[:10],
        }
        facts.append(_fact(message, key, dict(without_empty(resource))))
    return facts


def _observations(document: CdaDocument, message: Message) -> list[Fact]:
    """Return the measurements: observations with a physical quantity and a code."""
    facts = []
    for observation in find_all(document.root, ".//observation"):
        value = find(observation, "value")
        key = _entry_key("observation", observation, document)
        if not key or value is None or (value.get(XSI_TYPE) or "").rsplit(":", 1)[-1] != "PQ":
            continue
        amount = dt.quantity(value)
        code = dt.concept(find(observation, "code"))
        if amount is None or not code:
            continue
        effective = find(observation, "effectiveTime")
        resource: Json = {
            "resourceType": "Observation",
            "meta": {"source": message.sender.source_uri},
            "identifier": dt.identifiers(observation),
            "status": "final",
            "code": code,
            "subject": {"reference": f"fact:{PATIENT}"},
            "effectiveDateTime": dt.period(effective).get("start", ""),
            "performer": [message.sender.reference()],
            "valueQuantity": amount,
        }
        facts.append(_fact(message, key, dict(without_empty(resource))))
    return facts
