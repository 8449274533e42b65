"""What IHE BALP 1.1.4 asks of an AuditEvent that names one of its patterns, written from its profiles.

A profile is `https://profiles.ihe.net/ITI/BALP/StructureDefinition-IHE.BasicAudit.PatientRead.html`, and so on. What R4
itself requires is not asked again. A little more is asked than there: an action, a role of what was read, the type of
the Patient that is referred to, a number of the request. How HL7's validator judges the same: docs/log.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

BALP = "https://profiles.ihe.net/ITI/BALP/"
PROFILE = f"{BALP}StructureDefinition/IHE.BasicAudit."
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_SOURCE, _DESTINATION, _APPLICATION = (_DCM, "110153"), (_DCM, "110152"), (_DCM, "110150")
_CUSTODIAN = (f"{_TERMINOLOGY}provenance-participant-type", "custodian")
_RECIPIENT = {(f"{_TERMINOLOGY}v3-ParticipationType", "IRCP")}
_DATA_SOURCES = {(f"{_TERMINOLOGY}v3-ParticipationType", code) for code in ("AUT", "INF", "CST")}
_PERSON, _OBJECT = ((f"{_TERMINOLOGY}audit-entity-type", code) for code in "12")
_REQUEST = (f"{BALP}CodeSystem/BasicAuditEntityType", "XrequestId")


@dataclass(frozen=True)
class Pattern:
    """What one profile fixes: `agents` are the types of client and server, `users` those of who asked."""

    action: str
    subtypes: frozenset[str]
    agents: tuple[tuple[str, str], tuple[str, str]]
    users: set[tuple[str, str]]
    about: str


def _pattern(action: str, subtypes: str, *, about: str = "data") -> Pattern:
    agents = (_DESTINATION, _SOURCE) if action == "R" else (_SOURCE, _DESTINATION)
    agents = (_APPLICATION, _CUSTODIAN) if action == "D" else agents
    return Pattern(action, frozenset(subtypes.split()), agents, _RECIPIENT if action in "RE" else _DATA_SOURCES, about)


PATTERNS = {
    "PatientRead": _pattern("R", "read vread"),
    "PatientQuery": _pattern("E", "search search-type search-system", about="query"),
    "PatientCreate": _pattern("C", "create"),
    "PatientUpdate": _pattern("U", "update patch"),
    "PatientDelete": _pattern("D", "delete"),
}


def claimed(event: dict[str, Any]) -> list[str]:
    """Return the names of the profiles that an event says it follows."""
    return [url.removeprefix(PROFILE) for url in event["meta"].get("profile", [])]


def broken(event: dict[str, Any]) -> list[str]:
    """Return what an event breaks of the profiles that it names, one short text each."""
    return [what for name in claimed(event) for what in _broken(event, PATTERNS[name])]


def _broken(event: dict[str, Any], pattern: Pattern) -> Iterator[str]:
    subtypes = [one.get("code") for one in event.get("subtype", []) if _RESTFUL in one.items()]
    found = {
        "type": _is(event.get("type"), (f"{_TERMINOLOGY}audit-event-type", "rest")),
        "subtype": sum(code in pattern.subtypes for code in subtypes) == 1,
        "action": event.get("action") == pattern.action,
        "recorded": "recorded" in event,
        "outcome": event.get("outcome") == "0",
    }
    yield from (what for what, holds in found.items() if not holds)
    yield from _agents(event.get("agent", []), pattern)
    yield from _entities(event.get("entity", []), pattern)


_RESTFUL = ("system", "http://hl7.org/fhir/restful-interaction")


def _agents(agents: list[dict[str, Any]], pattern: Pattern) -> Iterator[str]:
    for name, kind in zip(("client", "server"), pattern.agents, strict=True):
        which = [agent for agent in agents if kind in _codings(agent)]
        if len(which) != 1 or not {"who", "network"} <= which[0].keys() or "media" in which[0]:
            yield name
    users = [agent for agent in agents if pattern.users & _codings(agent)]
    if len(users) > 1 or any(not _is_user(user) for user in users):
        yield "user"


def _is_user(agent: dict[str, Any]) -> bool:
    return agent.get("requestor") is True and "who" in agent and not {"media", "network"} & agent.keys()


def _codings(agent: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one.get("system", ""), one.get("code", "")) for one in agent.get("type", {}).get("coding", [])}


def _entities(entities: list[dict[str, Any]], pattern: Pattern) -> Iterator[str]:
    requests = [one for one in entities if _is(one.get("type"), _REQUEST)]
    if len(requests) > 1 or any("value" not in one.get("what", {}).get("identifier", {}) for one in requests):
        yield "transaction"
    patients = [one for one in entities if _is(one.get("type"), _PERSON)]
    if len(patients) != 1 or not _in_role(patients[0], "1") or not _is_patient(patients[0].get("what")):
        yield "patient"
    about = [one for one in entities if _is(one.get("type"), _OBJECT)]
    if len(about) != 1 or not (_is_query(about[0]) if pattern.about == "query" else _is_data(about[0])):
        yield pattern.about


def _is_patient(what: dict[str, Any] | None) -> bool:
    if what is None:
        return False
    return what.get("type", "Patient") == "Patient" and str(what.get("reference", "Patient/")).startswith("Patient/")


def _is_query(entity: dict[str, Any]) -> bool:
    return _in_role(entity, "24") and "query" in entity and not {"what", "lifecycle", "detail"} & entity.keys()


def _is_data(entity: dict[str, Any]) -> bool:
    return _in_role(entity, "3", "4", "20") and "what" in entity


def _in_role(entity: dict[str, Any], *codes: str) -> bool:
    return any(_is(entity.get("role"), (f"{_TERMINOLOGY}object-role", code)) for code in codes)


def _is(coding: dict[str, str] | None, of: tuple[str, str]) -> bool:
    return coding is not None and (coding.get("system"), coding.get("code")) == of
