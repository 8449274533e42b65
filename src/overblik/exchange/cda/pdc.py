"""PDC, the master-data card (stamkort, template 1.2.208.184.16.1), to a Patient.

Register fields and typed-in ones stand in one Patient of the register's; every value carries its
origin, and a typed one its author and time. The card is a snapshot: what a later card leaves out
is gone. Marks of registration (organ donor, wills) say yes or no, to professionals only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.exchange.cda import datatypes as dt
from overblik.exchange.cda.xml import XSI_TYPE, attribute, find, find_all, text_of, time_of
from overblik.exchange.documents import document_body
from overblik.exchange.message import PATIENT, without_empty
from overblik.fhir.errors import Unprocessable
from overblik.trust.facts import Fact

if TYPE_CHECKING:
    from overblik.exchange.cda.document import CdaDocument
    from overblik.exchange.cda.xml import Element
    from overblik.exchange.message import Message
    from overblik.fhir.strict_json import Json

TEMPLATE = "1.2.208.184.16.1"
ORIGIN = "urn:overblik:extension:origin"
INSURANCE = "urn:overblik:extension:insurance-group"
NOTE = "urn:overblik:extension:note"
RELATION = "urn:overblik:relation"
REGISTER = "urn:overblik:register"
_MARKS = {
    "OrganDonorRegistration": "organ-donor",
    "LivingWillRegistration": "living-will",
    "TreatmentWillRegistration": "treatment-will",
    "NoResuscitationRegistration": "no-resuscitation",
}
_FACETS = {
    "name": ("name",),
    "birth": ("birthDate",),
    "gender": ("gender",),
    "address": ("address",),
    "telecom": ("telecom",),
    "language": ("communication",),
    "contacts": ("contact",),
    "gp": ("contained", "generalPractitioner"),
    "insurance": ("extension",),
}


def add_facts(message: Message, document: CdaDocument) -> None:
    """Add what a PDC states: the Patient whole, and the registration marks."""
    statement = document.patient()
    role = find(document.root, "recordTarget/patientRole")
    if statement is None or role is None:
        raise Unprocessable("patient-missing", "The card has no patient.", expression="recordTarget")
    written = document.effective
    register = origin("register", message.sender.name, written)
    typed = _typed(document)
    elements = statement.elements
    elements["address"] = [a | {"extension": [register]} for a in elements.get("address", [])]
    elements["address"] += [value for value in typed["address"] if value]
    elements["telecom"] = typed["telecom"]
    elements["communication"] = typed["communication"]
    elements["contact"] = [*_register_contacts(document, role, register), *typed["contact"]]
    elements |= _practitioner(role)
    stated = _stated(document, role)
    elements["extension"] = _insurance(stated)
    statement.elements = dict(without_empty(elements))
    statement.facets = dict(_FACETS)
    statement.registered = True
    message.patient = statement
    message.targets = (PATIENT,)
    message.activity = ("http://medcom.dk/codes", "PDC")
    message.document = document_body(document.type_code(), message) | document.authorship()
    message.facts += _marks(stated, message)


def origin(kind: str, author: str, time: str, *, own: bool = False) -> Json:
    """Return the extension that says where a value comes from: register or typed, by whom, when."""
    parts: list[Json] = [{"url": "kind", "valueCode": kind}]
    if author:
        parts.append({"url": "author", "valueString": author})
    if time:
        parts.append({"url": "time", "valueDateTime": time})
    if own:
        parts.append({"url": "self", "valueBoolean": True})
    return {"url": ORIGIN, "extension": parts}


def _practitioner(role: Element) -> Json:
    """Return the registered GP, with telephone and address contained."""
    clinic = find(role, "providerOrganization")
    party = dt.organisation(clinic)
    if not party.token:
        return {"generalPractitioner": [], "contained": []}
    contained: Json = {
        "resourceType": "Organization",
        "id": "gp",
        "identifier": list(party.identifiers),
        "name": party.name,
        "telecom": list(party.telecom),
        "address": [dt.address(find(clinic, "addr"))],
    }
    return {"contained": [contained], "generalPractitioner": [{"reference": "#gp", **party.reference()}]}


def _stated(document: CdaDocument, role: Element) -> dict[str, str]:
    """Return what registers say in one word, by name: as ids of the patient, or as observations (from PDC 3.0)."""
    found = {attribute(e, "assigningAuthorityName"): attribute(e, "extension") for e in find_all(role, "id")}
    for observation in find_all(document.root, ".//observation"):
        value = find(observation, "value")
        if value is not None and _kind(value) == "II" and (stated := attribute(value, "extension")):
            found[attribute(find(observation, "code"), "code")] = stated
    return found


def _insurance(stated: dict[str, str]) -> list[Json]:
    group = stated.get("CoverageGroup", "") or stated.get("Sygesikringen", "")
    return [{"url": INSURANCE, "valueString": group.removeprefix("Gruppe_")}] if group else []


def _marks(stated: dict[str, str], message: Message) -> list[Fact]:
    """Return the registration marks, each a Flag that only professionals see; what is not stated is no mark."""
    facts = []
    for name, code in _MARKS.items():
        if stated.get(name) not in {"true", "false"}:
            continue
        resource: Json = {
            "resourceType": "Flag",
            "meta": {"source": message.sender.source_uri},
            "status": "active" if stated[name] == "true" else "inactive",
            "category": [{"coding": [{"system": REGISTER, "code": "registration"}]}],
            "code": {"coding": [{"system": REGISTER, "code": code}]},
            "subject": {"reference": f"fact:{PATIENT}"},
        }
        facts.append(
            Fact(
                key=f"mark|{code}",
                resource=resource,
                source=message.sender.token,
                order=message.order,
                recorded=message.recorded,
                labels=["staff"],
            )
        )
    return facts


def _register_contacts(document: CdaDocument, role: Element, register: Json) -> list[Json]:
    """Return guardian and relatives as the registers know them."""
    found = []
    guardian = find(role, "patient/guardian")
    if guardian is not None:
        found.append(_contact(guardian, find(guardian, "guardianPerson/name"), "guardian", "Værge", register))
    for entity in find_all(document.root, "informant/relatedEntity"):
        code = find(entity, "code")
        name = find(entity, "relatedPerson/name")
        found.append(_contact(entity, name, attribute(code, "code"), attribute(code, "displayName"), register))
    return found


def _contact(role: Element, name: Element | None, code: str, text: str, source: Json) -> Json:
    return {
        "extension": [source],
        "relationship": [{"coding": [{"system": RELATION, "code": code}] if code else [], "text": text}],
        "name": dt.name(name),
        "telecom": dt.telecoms(role),
        "address": dt.address(find(role, "addr")),
    }


def _typed(document: CdaDocument) -> dict[str, list[Json]]:
    """Return the typed-in values by Patient element, each with its author and time."""
    found: dict[str, list[Json]] = {"address": [], "telecom": [], "communication": [], "contact": []}
    own = {i.value for i in (document.patient().identifiers if document.patient() else [])}  # type: ignore[union-attr]
    organisers = [(o, find_all(o, "component/observation")) for o in find_all(document.root, ".//organizer")]
    organised = [observation for _, observations in organisers for observation in observations]
    for observation in find_all(document.root, ".//observation"):
        author = find(observation, "author")
        values = find_all(observation, "value")
        if author is None or not values or observation in organised:
            continue
        source = _author(author, own)
        code = attribute(find(observation, "code"), "code")
        if code == "LanguageTypedIn":
            found["communication"] += [_language(value, source) for value in values]
        elif code == "TempAddrTypedIn":
            found["address"] += [_temporary(observation, value, source) for value in values]
        elif code == "PatientContactTypedIn":
            found["telecom"] += [{**t, "extension": [source]} for t in map(dt.telecom, values) if t]
        elif code == "DentistTypedIn":
            found["contact"].append(_typed_contact(values, "dentist", "Tandlæge", source))
        elif code == "GuardianTypedIn":
            found["contact"].append(_typed_contact(values, "guardian", "Værge", source))
        elif code == "RelativeTypedIn":
            found["contact"].append(_relative(author, [observation], own))
    found["contact"] += [_relative(find(o, "author"), observations, own) for o, observations in organisers]
    return found


def _author(author: Element, own: set[str]) -> Json:
    assigned = find(author, "assignedAuthor")
    by_self = any(attribute(i, "extension") in own for i in find_all(assigned, "id"))
    return origin("typed", dt.person(assigned), time_of(find(author, "time")), own=by_self)


def _language(value: Element, source: Json) -> Json:
    code = attribute(value, "code")
    language = {
        "coding": [{"system": "urn:ietf:bcp:47", "code": code}],
        "text": attribute(value, "displayName"),
    }
    return {"extension": [source], "language": language, "preferred": True}


def _temporary(observation: Element, value: Element, source: Json) -> Json:
    found = dt.address(value)
    if found is None:
        return {}
    return found | {
        "extension": [source],
        "use": "temp",
        "period": dt.period(find(observation, "effectiveTime")),
    }


def _typed_contact(values: list[Element], code: str, text: str, source: Json) -> Json:
    """Return a person typed in as a name, telephones and an address."""
    kinds = {"PN": "name", "EN": "name", "AD": "address", "TEL": "telecom"}
    contact: Json = {
        "extension": [source],
        "relationship": [{"coding": [{"system": RELATION, "code": code}] if code else [], "text": text}],
        "telecom": [],
    }
    for value in values:
        kind = kinds.get(_kind(value), "")
        if kind == "name":
            contact["name"] = dt.name(value)
        elif kind == "address":
            contact["address"] = dt.address(value)
        elif kind == "telecom" and (point := dt.telecom(value)):
            contact["telecom"].append(point)
    return contact


def _relative(author: Element | None, observations: list[Element], own: set[str]) -> Json:
    """Return a typed-in relative: name and telephones, relation, note.

    They stand in observations of their own or as values of one; both are found.
    """
    source = _author(author, own) if author is not None else origin("typed", "", "")
    values = [value for observation in observations for value in find_all(observation, "value")]
    relation = next((v for v in values if _kind(v) == "CD"), None)
    note = next((text for v in values if _kind(v) == "ST" and (text := text_of(v))), "")
    contact = _typed_contact(values, attribute(relation, "code"), attribute(relation, "displayName"), source)
    if note:
        contact["extension"] = [source, {"url": NOTE, "valueString": note}]
    return contact


def _kind(value: Element) -> str:
    """Return the data type of a value, without its namespace prefix."""
    return (value.get(XSI_TYPE) or "").rsplit(":", 1)[-1]
