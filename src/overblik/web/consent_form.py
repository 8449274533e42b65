"""A citizen's form and the Consent it stands for, both ways: what is filled in, and what a Consent says in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overblik.fhir.dates import parse_interval
from overblik.fhir.errors import Unprocessable
from overblik.fhir.identifiers import AUTHORISATION, CPR, SOR, authorisation_id
from overblik.trust.consent.rules import (
    ACTION,
    PARTICIPATION,
    RESOURCE_TYPES,
    ROLE_CODE,
    SCOPE,
    SUB_UNITS,
    Names,
    Rule,
    is_mandate,
    rules_of,
)
from overblik.trust.consent.writing import ENTERED_BY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from overblik.fhir.strict_json import Json
    from overblik.trust.door.access import Record
    from overblik.trust.door.entries import Entry
    from overblik.trust.organisations import Directory

GROUPS: dict[str, tuple[str, ...]] = {
    "medication": ("MedicationRequest", "MedicationStatement", "MedicationDispense", "MedicationAdministration"),
    "results": ("Observation", "DiagnosticReport", "ImagingStudy", "Specimen"),
    "problems": ("Condition", "AllergyIntolerance"),
    "plans": ("CarePlan", "Goal", "ServiceRequest", "Task"),
    "appointments": ("Appointment", "AppointmentResponse"),
    "contacts": ("Encounter", "EpisodeOfCare", "Procedure"),
    "messages": ("Communication", "CommunicationRequest"),
    "vaccinations": ("Immunization",),
    "documents": ("DocumentReference", "Composition"),  # the bytes of a document go with what tells of it
}
"""What a citizen chooses between, each with the resource types it stands for."""
_GROUP_OF = {kind: group for group, kinds in GROUPS.items() for kind in kinds}
LONGEST = 100


@dataclass(frozen=True, slots=True)
class Said:
    """One rule in words: whom and what it is about, when it holds; `exceptions` as (whom, what) texts.

    `whom` are names ("" for everybody), `what` codes of GROUPS or resource types, `sources` names, `entries` `Type/id`.
    """

    id: str
    whom: tuple[str, ...]
    alone: bool
    what: tuple[str, ...]
    sources: tuple[str, ...]
    entries: tuple[str, ...]
    data: tuple[datetime | None, datetime | None]
    start: datetime | None
    end: datetime | None
    excepting: bool
    recorded: datetime
    by: str
    word: str
    active: bool


def consent_of(form: Mapping[str, str], patient_id: str, names: Mapping[str, str]) -> Json:
    """Return the Consent that the form of a block stands for; `names` are those of professionals, by id."""
    provision: Json = {"type": "deny"}
    if actor := _actor(form.get("who", ""), form.get("other", "").strip(), names, alone="alone" in form):
        provision["actor"] = [actor]
    what = form.get("what", "all")
    if what.partition(":")[0] == "group" and what[6:] in GROUPS:
        provision["class"] = [{"system": RESOURCE_TYPES, "code": kind} for kind in GROUPS[what[6:]]]
    elif what.startswith("source:"):
        reference = {"type": "Organization", "identifier": {"system": SOR, "value": what[7:]}}
        provision["data"] = [{"meaning": "authoredby", "reference": reference}]
    elif what.startswith("entry:"):
        provision["data"] = [{"meaning": "instance", "reference": {"reference": what[6:][:LONGEST]}}]
    for name, first, last in (("dataPeriod", "data_from", "data_until"), ("period", "from", "until")):
        period = {k: _day(form.get(field, "")) for k, field in (("start", first), ("end", last)) if form.get(field)}
        provision |= {name: period} if period else {}
    return consent(patient_id, provision)


def consent(patient_id: str, provision: Json) -> Json:
    """Return a Consent of the citizen's own."""
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": _coded(*SCOPE),
        "category": [_coded("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "infa")],
        "patient": {"reference": f"Patient/{patient_id}"},
        "policyRule": _coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTOUT"),
        "provision": {**provision, "action": [_coded(*ACTION)]},
    }


def mandate_of(form: Mapping[str, str], patient_id: str, groups: tuple[str, ...]) -> Json:
    """Return the Consent that the form of a power of attorney stands for."""
    cpr = "".join(form.get("cpr", "").split()).replace("-", "")[:LONGEST]
    reference = {"identifier": {"system": CPR, "value": cpr}, "display": form.get("name", "").strip()[:LONGEST] or "–"}
    provision: Json = {"type": "permit", "actor": [{"role": _coded(ROLE_CODE, "HPOWATT"), "reference": reference}]}
    kinds = [kind for group in groups for kind in GROUPS.get(group, ())]
    provision |= {"class": [{"system": RESOURCE_TYPES, "code": kind} for kind in kinds]} if kinds else {}
    period = {k: _day(form.get(field, "")) for k, field in (("start", "from"), ("end", "until")) if form.get(field)}
    return consent(patient_id, provision | ({"period": period} if period else {}))


def _actor(who: str, other: str, names: Mapping[str, str], *, alone: bool) -> Json | None:
    kind, _, value = who.partition(":")
    if kind == "other":
        value = other.upper() if len(other) == 5 else other
        kind = "person" if len(other) == 5 else "org"
    if kind not in {"all", "org", "person"} or (kind != "all" and not value):
        text = "Write the authorisation id or SOR code of whom the block is about, or choose one of the list."
        raise Unprocessable("block-whom", text)
    reference: Json
    if kind == "org":
        reference = {"type": "Organization", "identifier": {"system": SOR, "value": value[:LONGEST]}}
    elif kind == "person":
        reference = {"type": "Practitioner", "identifier": {"system": AUTHORISATION, "value": value[:LONGEST]}}
        reference |= {"display": names[value]} if names.get(value) else {}
    else:
        return None
    actor: Json = {"role": _coded(PARTICIPATION, "PRCP"), "reference": reference}
    return actor | ({"extension": [{"url": SUB_UNITS, "valueBoolean": False}]} if alone and kind == "org" else {})


def _coded(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def _day(text: str) -> str:
    if parse_interval(text) is None:
        raise Unprocessable("block-date", "A date is a day of the calendar, such as 2026-11-23.")
    return text


def said_of(record: Record, directory: Directory, now: datetime, *, mandates: bool = False) -> list[Said]:
    """Return the rules of a record's Consents in words, those in force first, the newest first."""
    found: list[Said] = []
    for entry in record.entries:
        if entry.type == "Consent" and not entry.deleted:
            found += _said(entry, directory, now, mandates=mandates)
    return sorted(found, key=lambda s: (not s.active, -s.recorded.timestamp(), s.id))


def _said(entry: Entry, directory: Directory, now: datetime, *, mandates: bool) -> list[Said]:
    resource = entry.resource
    names = Names(lambda r: _unit(r, directory), _person)
    entered = _entered(resource)  # what a professional calls somebody is not shown to the citizen: the id is
    actors = [] if entered else _actors(resource.get("provision", {}))
    shown = {_person(a["reference"]): a["reference"].get("display", "") for a in actors}
    try:
        rules = rules_of({**resource, "status": "active"}, names)
    except Unprocessable:  # written by another version of this server; it is listed, so that it can be ended
        if mandates or is_mandate(resource) or resource["status"] != "active":
            return []
        return [_words(entry, (Rule(),), directory, shown, now)]
    if mandates:
        return [
            Said(
                resource["id"], (_holder(resource["provision"], m.holder),), False,
                group_names(m.types or ()), (), (), (None, None),
                m.valid_from, m.valid_until, False, entry.received, "", "",
                resource["status"] == "active" and (m.valid_until is None or m.valid_until > now),
            )
            for m in rules.mandates
        ]  # fmt: skip
    return [_words(entry, rules.blocks, directory, shown, now)] if rules.blocks else []


def _words(
    entry: Entry, rules: tuple[Rule, ...], directory: Directory, shown: Mapping[str, str], now: datetime
) -> Said:
    resource = entry.resource
    whom = dict.fromkeys(_whom(r, directory, shown) for r in rules if r.org or r.person)
    sources = dict.fromkeys(_name(r.source, directory) for r in rules if r.source)
    first = rules[0]
    ends = [r.valid_until for r in rules]
    end = None if None in ends else max(e for e in ends if e is not None)
    entered = _entered(resource)
    word: Json = next((v.get("verifiedWith", {}) for v in resource.get("verification", ())), {})
    return Said(
        id=resource["id"],
        whom=tuple(whom),
        alone=any(r.org and not r.sub_units for r in rules),
        what=group_names(tuple(r.type for r in rules if r.type)),
        sources=tuple(sources),
        entries=tuple(dict.fromkeys(r.entry for r in rules if r.entry)),
        data=(first.data_from, first.data_until),
        start=first.valid_from,
        end=end,
        excepting=any(r.exceptions for r in rules),
        recorded=entry.received,
        by=str(entered.get("valueReference", {}).get("display", "")),
        word=str(word.get("display", "")),
        active=resource["status"] == "active" and (end is None or end > now),
    )


def _entered(resource: Json) -> Json:
    """Return the extension that says which professional entered a Consent, as the server wrote it."""
    return next((e for e in resource.get("extension", ()) if e.get("url") == ENTERED_BY), {})


def group_names(types: tuple[str, ...]) -> tuple[str, ...]:
    """Return what types are called: the groups that are whole among them, and the other types."""
    whole = [group for group, kinds in GROUPS.items() if set(kinds) <= set(types)]
    return (*whole, *(kind for kind in dict.fromkeys(types) if _GROUP_OF.get(kind) not in whole))


def _whom(rule: Rule, directory: Directory, shown: Mapping[str, str]) -> str:
    return shown.get(rule.person) or rule.person if rule.person else _name(rule.org or "", directory)


def _name(token: str, directory: Directory) -> str:
    unit = directory.find(token)
    return unit.name if unit else token


def _unit(reference: Json, directory: Directory) -> str:
    return directory.token(reference) or str(reference.get("display", "")) or "?"


def _person(reference: Json) -> str:
    identifier = reference.get("identifier", {})
    return authorisation_id(str(identifier.get("value", ""))) if identifier.get("system") == AUTHORISATION else ""


def _holder(provision: Json, cpr: str) -> str:
    """Return what the citizen called whom they gave a mandate to, with the CPR."""
    named = (a["reference"] for a in _actors(provision) if "reference" in a)
    known = {r.get("identifier", {}).get("value", ""): str(r.get("display", "")) for r in named}
    return ", ".join(part for part in (known.get(cpr, ""), f"{cpr[:6]}-{cpr[6:]}") if part not in {"", "–"})


def _actors(provision: Json) -> list[Json]:
    inner = [actor for one in provision.get("provision", ()) for actor in _actors(one)]
    return [*provision.get("actor", ()), *inner]


def title_of(resource: Json) -> str:
    """Return what an entry of a record is called by those who wrote it, "" where they did not say."""
    names = ("code", "medicationCodeableConcept", "vaccineCode", "type", "category", "class", "description", "title")
    for name in names:
        value: Any = resource.get(name)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, str):
            return value
        if isinstance(value, dict):
            codings = [value, *value.get("coding", ())]
            text = next((c.get("text") or c.get("display") for c in codings if c.get("text") or c.get("display")), "")
            if text:
                return str(text)
    return ""
