"""Parties of a message: organisations by their identifiers, as logical references.

Organisations in messages are never stored under the message's own ids: a reference carries the
identifier and the name the message gave, and the directory knows the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from overblik.fhir.identifiers import SOR, org_token

if TYPE_CHECKING:
    from overblik.fhir.strict_json import Json


@dataclass(frozen=True, slots=True)
class Party:
    """A sender or receiver. `identifiers` are FHIR Identifiers, best first (SOR, yder, GLN, others)."""

    name: str = ""
    identifiers: tuple[Json, ...] = ()
    telecom: tuple[Json, ...] = field(default=(), compare=False)

    @property
    def token(self) -> str:
        """The key of the organisation; its name where the message gives no identifier."""
        for identifier in self.identifiers:
            if token := org_token(identifier):
                return token
        for identifier in self.identifiers:
            return f"{identifier.get('system', '')}|{identifier.get('value', '')}"
        return f"name:{' '.join(self.name.split()).lower()}" if self.name.strip() else ""

    @property
    def source_uri(self) -> str:
        """The party as a URI, for meta.source."""
        token = self.token
        return f"{SOR}#{token}" if token.isdigit() else f"urn:overblik:source:{token.replace(' ', '-')}"

    def reference(self) -> Json:
        """Return a logical Reference with the name as the message gave it."""
        found: Json = {"type": "Organization"}
        if self.identifiers:
            found["identifier"] = self.identifiers[0]
        if self.name.strip():
            found["display"] = " ".join(self.name.split())
        return found


_RANK = {"": 0, "yder": 1, "gln": 2}


def best_first(identifiers: list[Json]) -> tuple[Json, ...]:
    """Return identifiers with those of known organisation registers first."""

    def rank(identifier: Json) -> int:
        token = org_token(identifier)
        return _RANK.get(token.partition(":")[0] if ":" in token else "", 0) if token else 9

    return tuple(sorted((i for i in identifiers if i.get("value")), key=rank))


def party_of(organization: Json) -> Party:
    """Return the party an Organization resource describes."""
    return Party(
        name=str(organization.get("name", "")),
        identifiers=best_first(organization.get("identifier", [])),
        telecom=tuple(organization.get("telecom", ())),
    )
