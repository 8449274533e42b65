"""An entry of the log as a FHIR AuditEvent, by the patterns of IHE BALP (https://profiles.ihe.net/ITI/BALP).

The log is the truth: an event is made from its row whenever it is asked for, and is nowhere stored. It says who, for
whom, where, when, what and by which rule; never what was found, nor a name or number of anybody but who acted.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from overblik.fhir.dates import instant
from overblik.fhir.identifiers import AUTHORISATION, SOR
from overblik.trust.withheld import PSEUDONYM

if TYPE_CHECKING:
    from overblik.fhir.strict_json import Json

BALP = "https://profiles.ihe.net/ITI/BALP"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
OUTCOME = f"{TERMINOLOGY}/audit-event-outcome"
REST = {"system": f"{TERMINOLOGY}/audit-event-type", "code": "rest", "display": "RESTful Operation"}
CHANNEL = "urn:overblik:channel"
SOURCE = "urn:overblik:source"
OUTCOMES = {"permit": "0", "refuse": "4"}
_UNKNOWN = [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
_LOG_USED = {"system": DCM, "code": "110101", "display": "Audit Log Used"}
_SENDS = {"system": DCM, "code": "110153", "display": "Source Role ID"}
_RECEIVES = {"system": DCM, "code": "110152", "display": "Destination Role ID"}
_APPLICATION = {"system": DCM, "code": "110150", "display": "Application"}
_CUSTODIAN = {"system": f"{TERMINOLOGY}/provenance-participant-type", "code": "custodian", "display": "Custodian"}
_PURPOSES = {
    "TREAT": "treatment",
    "BTG": "break the glass",
    "PATRQT": "patient requested",
    "FAMRQT": "family requested",
    "HSYSADMIN": "health system administration",
}
_PERSON = re.compile(r"((?<![0-9A-Za-z])(?=[0-9]*[a-f])[0-9a-f]{32}(?![0-9A-Za-z]))|[0-9]{6}-?[0-9]{3}[0-9A-Z]")
"""A number of a person; or an id of ours (group 1), one in twelve of which has ten digits in a row."""
_NAMING = frozenset({
    "name", "family", "given", "phonetic", "address", "address-city", "address-postalcode", "address-state",
    "address-country", "telecom", "phone", "email", "identifier", "birthdate", "_filter", "_text", "_content",
})  # fmt: skip
"""Search parameters whose values may name a person: not those of a record, but whoever was looked for."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Kind:
    """What an action of the log is as an event: `pattern` is BALP's, "" for none; `single` is about one resource."""

    action: str
    interaction: str
    pattern: str = ""
    single: bool = False


_READ, _SEARCH = Kind("R", "read", "PatientRead", single=True), Kind("E", "search", "PatientQuery")
_OPERATION = Kind("E", "operation")
URI = "urn:ietf:rfc:3986"
"""The system of an identifier that is a URI, as a pseudonym is."""
KINDS: dict[str, Kind] = {
    "read": _READ,
    "read raw": _READ,
    "vread": Kind("R", "vread", "PatientRead", single=True),
    "history": Kind("R", "history"),
    "search": _SEARCH,
    "count": _SEARCH,
    "include": _SEARCH,
    "look up": _SEARCH,
    "worklist": _SEARCH,
    "condition": _SEARCH,
    "relations": _SEARCH,
    "read log": _SEARCH,
    "everything": _OPERATION,
    "lastn": _OPERATION,
    "overview": _OPERATION,
    "blocks": _OPERATION,
    "proxies": _OPERATION,
    "preview": _OPERATION,
    "break glass": _OPERATION,
    "state relation": _OPERATION,
    "relation unconfirmed": _OPERATION,
    "follow up": _OPERATION,
    "follow-ups": _SEARCH,
    "deliver": _OPERATION,
    "refused": _OPERATION,
    "erase": Kind("D", "operation"),
    "load": Kind("C", "batch"),
    "transaction": Kind("E", "transaction"),
    "create": Kind("C", "create", "PatientCreate", single=True),
    "update": Kind("U", "update", "PatientUpdate", single=True),
    "patch": Kind("U", "patch", "PatientUpdate", single=True),
    "delete": Kind("D", "delete", "PatientDelete", single=True),
    "block": Kind("C", "create", "PatientCreate", single=True),
    "grant": Kind("C", "create", "PatientCreate", single=True),
    "unblock": Kind("U", "update", "PatientUpdate", single=True),
    "revoke": Kind("U", "update", "PatientUpdate", single=True),
}
"""Every action that is logged; a test holds it against what is written."""
SINGLE = sorted(name for name, kind in KINDS.items() if kind.single)


def audit_event(row: Any, base: str) -> Json:
    """Return the event of a row of `read_events`; `base` is this server's FHIR address."""
    kind = KINDS.get(row.action, _OPERATION)
    permitted = row.outcome == "permit"
    about = _object(row, kind, permitted=permitted)
    follows = kind.pattern and permitted and about
    event: Json = {
        "resourceType": "AuditEvent",
        "id": str(row.lid),
        "meta": {"versionId": "1", "lastUpdated": instant(row.at)}
        | ({"profile": [f"{BALP}/StructureDefinition/IHE.BasicAudit.{kind.pattern}"]} if follows else {}),
        "type": REST,
        "subtype": [{"system": INTERACTION, "code": kind.interaction}]
        + ([_LOG_USED] if row.action == "read log" else []),
        "action": kind.action,
        "recorded": instant(row.at),
        "outcome": OUTCOMES[row.outcome],
    }
    if not permitted:
        event["outcomeDesc"] = f"refused: {_plain(row.rule)}"
    if row.purpose == "BTG" or row.rule == "break-glass":
        event["purposeOfEvent"] = [_purpose("BTG")]
    event["agent"] = _agents(row, kind, base)
    event["source"] = {
        "site": "Overblik",
        "observer": {"display": "Overblik"},
        "type": [{"system": f"{TERMINOLOGY}/security-source-type", "code": "4", "display": "Application Server"}],
    }
    event["entity"] = [_patient(row), *about, _transaction(row)]
    return event


def _agents(row: Any, kind: Kind, base: str) -> list[Json]:
    """Return client, server, and where somebody asked: who, for which unit, and on whose behalf."""
    person = row.actor_kind in {"citizen", "proxy", "professional"}
    asks, answers = (_RECEIVES, _SENDS) if kind.action == "R" else (_SENDS, _RECEIVES)
    if kind.action == "D":
        asks, answers = _APPLICATION, _CUSTODIAN
    client: Json = {"type": {"coding": [asks]}, "requestor": not person, "network": {"extension": _UNKNOWN}}
    if person:
        client["who"] = {"identifier": {"system": CHANNEL, "value": _plain(row.channel)}}
    else:
        client["who"] = {
            "identifier": {"system": SOURCE, "value": _plain(row.actor)},
            "display": _plain(row.actor_name),
        }
        client |= {"name": _plain(row.actor_name), **_why(row)}
    server = {
        "type": {"coding": [answers]}, "who": {"display": "Overblik"}, "requestor": False,
        "network": {"address": base, "type": "5"},
    }  # fmt: skip
    agents = [client, server]
    if person:
        agents.append(_user(row, kind))
    if row.org:
        unit: Json = {"identifier": {"system": SOR, "value": _plain(row.org)}}
        unit |= {"display": _plain(row.org_name)} if row.org_name else {}
        agents.append({"type": _coded("v3-RoleClass", "PROV", "healthcare provider"), "who": unit, "requestor": False})
    if row.on_behalf:
        agents.append({"type": _coded("v3-RoleClass", "PAT", "patient"), "who": _who(row), "requestor": False})
    return agents


def _user(row: Any, kind: Kind) -> Json:
    """Return who asked. Of citizens the name, and no number: that of the record's own stands in the Patient."""
    if row.actor_kind == "professional":
        system = URI if row.actor.startswith(PSEUDONYM) else AUTHORISATION
        who: Json = {"type": "Practitioner", "identifier": {"system": system, "value": _plain(row.actor)}}
    else:
        who = {} if row.on_behalf else _who(row)
    reads = kind.action in {"R", "E"}
    user: Json = {
        "type": _coded("v3-ParticipationType", *(("IRCP", "information recipient") if reads else ("AUT", "author"))),
        "who": who | {"display": _plain(row.actor_name)},
        "name": _plain(row.actor_name),
        "requestor": True,
    }
    if row.actor_role:
        user["role"] = [{"text": _plain(row.actor_role)}]
    return user | _why(row)


def _why(row: Any) -> Json:
    """Return by which rule, and for what purpose; a stated reason is the purpose's own text."""
    purpose = _purpose(row.purpose)
    if row.reason:
        purpose["text"] = _plain(row.reason)
    return {"policy": [f"urn:overblik:rule:{row.rule.replace(' ', '-')}"], "purposeOfUse": [purpose]}


def _purpose(code: str) -> Json:
    display = {"display": _PURPOSES[code]} if code in _PURPOSES else {}
    return {"coding": [{"system": f"{TERMINOLOGY}/v3-ActReason", "code": code, **display}]}


def _patient(row: Any) -> Json:
    return {
        "what": _who(row),
        "type": {"system": f"{TERMINOLOGY}/audit-entity-type", "code": "1", "display": "Person"},
        "role": {"system": f"{TERMINOLOGY}/object-role", "code": "1", "display": "Patient"},
    }


def _who(row: Any) -> Json:
    """Return the record's own Patient; one who has none left is named by nothing."""
    return {"reference": f"Patient/{row.patient}"} if row.patient else {"type": "Patient", "display": "Patient"}


def _object(row: Any, kind: Kind, *, permitted: bool) -> list[Json]:
    """Return what the entry was about: one resource, or what was asked. Of a refusal, nothing."""
    system = {"system": f"{TERMINOLOGY}/audit-entity-type", "code": "2", "display": "System Object"}
    if kind.single:
        role = {"system": f"{TERMINOLOGY}/object-role", "code": "4", "display": "Domain Resource"}
        what = {"reference": f"{row.data}/_history/{row.version}"}
        return [{"what": what, "type": system, "role": role}] if row.data and permitted else []
    role = {"system": f"{TERMINOLOGY}/object-role", "code": "24", "display": "Query"}
    text = asked(row.query)
    return [{"type": system, "role": role, "query": b64encode(text.encode()).decode()}] if text else []


def asked(query: str) -> str:
    """Return a question without what may name somebody else: numbers of persons, and the values of names."""
    path, mark, rest = query.partition("?")
    pairs = [
        (name, "…" if _NAMING & set(re.split("[.:]", name)) else _unnamed(value))
        for name, value in parse_qsl(rest, keep_blank_values=True)
    ]
    return _unnamed(path) + mark + urlencode(pairs, safe=",:|/$").replace("%E2%80%A6", "…")


def _unnamed(text: str) -> str:
    return _PERSON.sub(lambda found: found[1] or "…", text)


def _transaction(row: Any) -> Json:
    kind = {"system": f"{BALP}/CodeSystem/BasicAuditEntityType", "code": "XrequestId"}
    return {"what": {"identifier": {"value": str(row.request)}}, "type": kind}


def _coded(system: str, code: str, display: str) -> Json:
    return {"coding": [{"system": f"{TERMINOLOGY}/{system}", "code": code, "display": display}]}


def _plain(text: str) -> str:
    """Return a text as FHIR takes it: no control characters, never empty."""
    return _CONTROL.sub(" ", text).strip() or "–"
