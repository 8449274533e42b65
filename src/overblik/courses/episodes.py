"""Which visible resources belong together: those of one episode of care, however they name it.

A resource names its episode by id (as messages and documents do) or by pointing at something that
does: the stay it happened in, the plan it answers. A pointer to what the viewer may not see joins
nothing, so what is hidden shows in no grouping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.fhir.reading import code_of, episodes
from overblik.trust.door.entries import once

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from overblik.fhir.strict_json import Json
    from overblik.trust.door.entries import Entry

ERROR = "entered-in-error"
_POINTERS = ("encounter", "focus", "basedOn", "partOf")
_STATUSES = ("status", "lifecycleStatus")


@once
def in_error(entry: Entry) -> bool:
    """Say whether a source has withdrawn what it said; the element that says so depends on the type."""
    stated = [entry.resource.get(name) for name in _STATUSES]
    return ERROR in stated or code_of(entry.resource.get("verificationStatus", {})) == ERROR


def by_episode(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Return {episode: entries}; ids that one resource names together, such as LPR3's and the hospital's, are one."""
    by_reference = {entry.reference: entry for entry in entries}
    named = {
        reference: sorted(_keys(entry, by_reference))
        for reference, entry in sorted(by_reference.items())
        if any(_own(entry))
    }
    same: dict[str, str] = {}

    def first(episode: str) -> str:
        while (other := same.setdefault(episode, episode)) != episode:
            episode = other
        return episode

    for ids in named.values():
        for one in ids:
            low, high = sorted((first(ids[0]), first(one)))
            same[high] = low
    found: dict[str, list[Entry]] = {}
    for reference, ids in named.items():
        if ids:
            found.setdefault(first(ids[0]), []).append(by_reference[reference])
    return found


def _keys(entry: Entry, by_reference: dict[str, Entry]) -> set[str]:
    """Return the episodes an entry names itself and those of the visible entries it points at."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [entry.reference]
    while waiting:
        reference = waiting.pop()
        target = by_reference.get(reference)
        if reference in seen or target is None:
            continue
        seen.add(reference)
        keys, pointers = _own(target)
        found |= keys
        waiting += pointers
    return found


@once
def _own(entry: Entry) -> tuple[set[str], tuple[str, ...]]:
    """Return the episodes an entry names, by id or as a resource of the same server, and what it points at."""
    resource = entry.resource
    named = resource.get("episodeOfCare", ()) if resource.get("resourceType") == "Encounter" else ()
    references = {str(r["reference"]) for r in named if r.get("reference") and not r.get("identifier")}
    return episodes(resource) | references, tuple(_pointers(resource))


def _pointers(resource: Json) -> Iterator[str]:
    for name in _POINTERS:
        value = resource.get(name, ())
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, dict) and item.get("reference"):
                yield str(item["reference"])
