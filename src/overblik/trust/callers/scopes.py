"""Scopes of SMART App Launch 2.2, and how far they reach.

    patient/Observation.rs   read and search Observations of the patient in context
    user/Practitioner.r      read what the person may read
    system/Encounter.cud     write, as a system

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from overblik.fhir.definitions import r4
from overblik.fhir.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTEXT = frozenset({
    "openid", "fhirUser", "profile", "launch", "launch/patient", "offline_access", "online_access",
})  # fmt: skip
_RESOURCE = re.compile(r"(patient|user|system)/([A-Za-z]+|\*)\.(c?r?u?d?s?)")
LONGEST = 2_000


class Scope(Struct, frozen=True):
    """One scope about resources; `type` is `*` for every type, `letters` some of `cruds` in that order."""

    level: str
    type: str
    letters: str

    @property
    def text(self) -> str:
        """The scope as it is written."""
        return f"{self.level}/{self.type}.{self.letters}"


class Scopes(Struct, frozen=True):
    """What was asked for or granted: scopes about resources, and those about the launch."""

    resources: tuple[Scope, ...] = ()
    context: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The scopes as they are written, parted by spaces."""
        return " ".join([*self.context, *(scope.text for scope in self.resources)])

    @property
    def of_patient(self) -> bool:
        """Say whether a patient must be in context."""
        return "launch/patient" in self.context or any(scope.level == "patient" for scope in self.resources)

    def allow(self, letters: str, resource_type: str) -> bool:
        """Say whether each of these letters is allowed for a type (`*`: for every type)."""
        found = {letter for scope in self.resources if scope.type in {"*", resource_type} for letter in scope.letters}
        return found >= set(letters)

    def within(self, other: Scopes) -> bool:
        """Say whether everything here is also there."""
        return set(self.context) <= set(other.context) and all(
            any(
                o.level == s.level and o.type in {"*", s.type} and set(s.letters) <= set(o.letters)
                for o in other.resources
            )
            for s in self.resources
        )

    def types(self, letters: str, *levels: str) -> list[str]:
        """Return the types of which the scopes of these levels alone allow each of these letters; `*` for all."""
        here = Scopes(tuple(scope for scope in self.resources if scope.level in levels))
        return sorted({scope.type for scope in here.resources if here.allow(letters, scope.type)})


@lru_cache(maxsize=1000)
def parse_scopes(text: str) -> Scopes:
    """Return scopes as they were asked for; Malformed names the one that means nothing here. None is passed over."""
    words = text.split(" ")
    if len(text) > LONGEST or "" in words:
        raise _invalid("Scopes are parted by one space each, in at most 2000 characters.")
    resources, context = [], []
    for word in dict.fromkeys(words):
        match = _RESOURCE.fullmatch(word)
        if word in CONTEXT:
            context.append(word)
        elif match and match[3] and (match[2] == "*" or match[2] in r4().resource_types):
            resources.append(Scope(match[1], match[2], match[3]))
        else:
            raise _invalid(f"{word[:60]} is no scope here: those of version 2 are, such as patient/Observation.rs.")
    return Scopes(tuple(resources), tuple(context))


def _invalid(text: str) -> Malformed:
    return Malformed("scope-invalid", text)


class Reach(Struct, frozen=True):
    """How far an app reaches with a person's rights: its scopes, and the record of the patient in context."""

    scopes: Scopes
    pids: tuple[int, ...] = ()

    def params(self, letters: str) -> dict[str, list[str] | list[int]]:
        """Return the parameters of the condition that narrows every row (store/visibility.py).

        What is found by search is narrowed by the scopes to search, and what is read by those to read: that a type may
        be read of everybody does not let it be searched but in the patient's own record.
        """
        return {
            "reach_user": self.scopes.types(letters, "user", "system"),
            "reach_patient": self.scopes.types(letters, "patient"),
            "reach_pids": list(self.pids),
        }

    def covers(self, letters: str, types: Iterable[str]) -> bool:
        """Say whether the scopes cover these types; no type named is never covered."""
        wanted = list(types)
        return bool(wanted) and all(self.scopes.allow(letters, resource_type) for resource_type in wanted)


EVERYTHING: dict[str, None] = {"reach_user": None, "reach_patient": None, "reach_pids": None}
"""The parameters of who comes without an app: nothing is narrowed."""
