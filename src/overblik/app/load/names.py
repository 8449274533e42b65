"""Ids of files, in the source's own namespace; and the links between the files' resources.

A source chooses ids below its own name only (`gateway.4711`), so that it can never take another's.
A file's ids are put there, and so are the references between its resources. An id that the source
already has here, because it was exported from here or delivered by REST, stays as it is.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from overblik.fhir.errors import Unprocessable
from overblik.fhir.references import parse_reference

if TYPE_CHECKING:
    from overblik.fhir.strict_json import Json

MOST = 64
_LINKS = frozenset({"reference", "url", "uri"})
_NAME = re.compile(r"[A-Za-z0-9\-]{1,31}")


class Namespace:
    """The ids of one source."""

    def __init__(self, via: str) -> None:
        self._prefix = f"{via}."
        self.own = lru_cache(maxsize=8192)(self._own)
        if not _NAME.fullmatch(via):
            text = "Ids begin with the source's name: it needs 31 of the characters A-Z, a-z, 0-9 and - at the most."
            raise Unprocessable("source-name", text)

    def _own(self, given: str) -> str:
        """Return the id that a file's id has here; a long one is shortened to its digest."""
        if given.startswith(self._prefix):
            return given
        plain = self._prefix + given
        return plain if len(plain) <= MOST else self.of(given.encode())

    def of(self, content: bytes) -> str:
        """Return the id of something without one, from its content: the same content has the same id."""
        return self._prefix + hashlib.sha256(content).hexdigest()[:32]


@dataclass(slots=True)
class Link:
    """One place in a resource that names another: `text` as it stood in `holder[key]`."""

    holder: Json
    key: str
    text: str
    target: tuple[str, str]
    literal: bool

    def point(self, target: tuple[str, str]) -> None:
        """Let it name another resource; an address elsewhere is left as it is written."""
        if self.literal:
            rest = self.text[len("/".join(self.target)) :]
            self.holder[self.key] = "/".join(target) + rest


@dataclass(slots=True)
class Named:
    """What a resource names: others by link, persons by (system, value) of a reference's identifier."""

    links: list[Link] = field(default_factory=list)
    persons: list[tuple[str, str]] = field(default_factory=list)


def named_in(value: Any, found: Named) -> None:
    """Collect what a resource names, contained resources included."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str):
                if key in _LINKS and (link := _link(value, key, item)) is not None:
                    found.links.append(link)
            elif isinstance(item, (dict, list)):
                if key == "identifier" and isinstance(item, dict):
                    found.persons.append((str(item.get("system", "")), str(item.get("value", ""))))
                named_in(item, found)
    elif isinstance(value, list):
        for item in value:
            named_in(item, found)


def _link(holder: Json, key: str, text: str) -> Link | None:
    parsed = parse_reference(text.partition("#")[0])
    if parsed is None or (parsed.base and key != "reference"):
        return None
    return Link(holder, key, text, (parsed.type, parsed.id), not parsed.base)
