"""Small readings of FHIR resources that several layers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overblik.fhir.dates import parse_interval
from overblik.fhir.identifiers import episode_key, org_token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from overblik.fhir.strict_json import Json

EPISODE = "http://hl7.org/fhir/StructureDefinition/workflow-episodeOfCare"


def extension(element: Json, url: str) -> Json:
    """Return the first extension with this url, {} where there is none."""
    return next(extensions(element, url), {})


def extensions(element: Json, url: str) -> Iterator[Json]:
    """Walk the extensions with this url."""
    for item in element.get("extension", ()):
        if item.get("url") == url:
            yield item


def parts(complex_extension: Json) -> dict[str, Any]:
    """Return {url: value} of a complex extension's parts."""
    found = {}
    for part in complex_extension.get("extension", ()):
        found[str(part.get("url", ""))] = next((v for k, v in part.items() if k.startswith("value")), None)
    return found


def episodes(resource: Json) -> set[str]:
    """Return the keys of the episodes of care a resource names, by extension or element."""
    named = [extension.get("valueReference", {}) for extension in extensions(resource, EPISODE)]
    named += resource.get("episodeOfCare", []) if resource.get("resourceType") == "Encounter" else []
    values = [str(reference.get("identifier", {}).get("value", "")) for reference in named]
    if resource.get("resourceType") == "Task":
        values.append(str(resource.get("groupIdentifier", {}).get("value", "")))
    return {episode_key(value) for value in values if value}


def code_of(concept: Json, system: str = "") -> str:
    """Return a concept's first code, or its code in one system."""
    for coding in concept.get("coding", ()):
        if coding.get("code") and (not system or coding.get("system") == system):
            return str(coding["code"])
    return ""


def words_of(concept: Json) -> str:
    """Return a concept in words: its text, a display, else the code as sent."""
    if concept.get("text"):
        return str(concept["text"])
    for coding in concept.get("coding", ()):
        if coding.get("display"):
            return str(coding["display"])
    return code_of(concept)


def token_of(reference: Json | None) -> str:
    """Return the organisation key of a logical reference, "" where it has none."""
    return org_token((reference or {}).get("identifier", {}))


def display_of(reference: Json | None) -> str:
    """Return the name a reference carries."""
    return str((reference or {}).get("display", ""))


def moment(text: Any) -> datetime | None:
    """Return the instant a FHIR date begins at; None where it is missing."""
    interval = parse_interval(text) if isinstance(text, str) else None
    return interval.start if interval else None


def phone_of(points: list[Json]) -> str:
    """Return the first telephone number of a list of contact points."""
    return next((str(p["value"]) for p in points if p.get("system") == "phone" and p.get("value")), "")


def name_of(names: list[Json]) -> str:
    """Return a person's name in one line: the official one, else the first."""
    chosen = next((n for n in names if n.get("use") == "official"), names[0] if names else {})
    text = " ".join([*chosen.get("given", ()), chosen.get("family", "")]).strip()
    return text or str(chosen.get("text", ""))
