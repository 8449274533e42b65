"""One line of a file: parsed, checked, and under the names it has here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from overblik.app.load.names import Named, Namespace, named_in
from overblik.fhir.identifiers import PERSON_SYSTEMS, canonical
from overblik.fhir.strict_json import load_object
from overblik.fhir.structure import require
from overblik.trust.callers.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from overblik.fhir.errors import OverblikError
    from overblik.fhir.strict_json import Json
    from overblik.trust.callers.identity import Caller

Key = tuple[str, str]
"""(type, id) of a resource."""
BUNDLES = frozenset({"transaction", "batch"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that was not taken, and why."""

    line: int
    code: str
    reason: str
    raw: bytes


@dataclass(slots=True)
class Line:
    """One resource of a file. `given` is its name there, `key` its name here."""

    number: int
    raw: bytes
    resource: Json
    given: Key
    names: Named
    key: Key = ("", "")
    checked: bool = False
    persons: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def is_bundle(self) -> bool:
        """Whether it is a Bundle to be carried out, not kept."""
        return self.given[0] == "Bundle" and self.resource.get("type") in BUNDLES

    def refused(self, error: OverblikError) -> Refusal:
        """Return the refusal of this line; the first issue says why and where."""
        return refusal(self.number, self.raw, error)


def refusal(number: int, raw: bytes, error: OverblikError) -> Refusal:
    """Return the refusal of a line."""
    place = error.issues[0].expression
    return Refusal(number, error.code, f"{error.text} ({place})" if place else error.text, raw)


def read_line(number: int, raw: bytes, space: Namespace, caller: Caller) -> Line:
    """Parse a line and note whom and what it names; raise an OverblikError that says what is wrong."""
    resource = _shaped(load_object(raw))
    names = Named()
    named_in(resource, names)
    resource_type = str(resource.get("resourceType", ""))
    line = Line(number, raw, resource, (resource_type, resource.get("id") or space.of(raw)), names)
    line.persons = list(_persons(resource, names, caller))
    return line


def _shaped(resource: Json) -> Json:
    """Refuse what has not even the outer shape of a resource, before anything looks inside."""
    outer: tuple[tuple[str, Any, Any], ...] = (("id", "x", str), ("meta", {}, dict), ("identifier", [], (list, dict)))
    if not all(isinstance(resource.get(name, usual), kind) for name, usual, kind in outer):
        require(resource)
    return resource


def _persons(resource: Json, names: Named, caller: Caller) -> Iterator[tuple[str, str, str]]:
    """Walk the identifiers whose records are asked for: national ones, and a Patient's own."""
    for system, value in names.persons:
        found = canonical(system, value)
        if found.system in PERSON_SYSTEMS:
            yield (*found, "")
    if resource.get("resourceType") == "Patient":
        source = source_of(caller, resource)
        for item in resource.get("identifier", ()):
            if isinstance(item, dict):
                found = canonical(str(item.get("system", "")), str(item.get("value", "")))
                yield (*found, "" if found.system in PERSON_SYSTEMS else source)


def settle_names(line: Line, space: Namespace, places: Mapping[Key, Any], via: str) -> None:
    """Give a line and its links their names here, and check the resource's shape once."""

    def here(key: Key) -> Key:
        known = places.get(key)
        return key if known is not None and known.via == via else (key[0], space.own(key[1]))

    line.key = here(line.given)
    line.resource["id"] = line.key[1]
    for link in line.names.links:
        link.point(here(link.target))
    if not line.checked:
        require(line.resource)
        line.checked = True


def keys_of(lines: list[Line], space: Namespace) -> tuple[list[Key], list[Key]]:
    """Return the names to look up: those of the lines themselves, and those they link to."""
    own = [key for line in lines for key in (line.given, (line.given[0], space.own(line.given[1])))]
    targets = dict.fromkeys(link.target for line in lines for link in line.names.links)
    return own, [key for target in targets for key in (target, (target[0], space.own(target[1])))]
