"""A resource with a token of its own wherever words can stand, and where such tokens are found again (O6).

A token is `overblikcanary` and 128 random bits, as letters: digits could be those of a CPR number, which the log hides.
Whatever holds a token, plain, in base64 or in hexadecimal, holds what somebody wrote.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from overblik.fhir.definitions import r4
from overblik.fhir.identifiers import CPR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from overblik.fhir.definitions import Element

MARK = "overblikcanary"
_TOKEN = re.compile(rf"{MARK}[a-p]{{32}}".encode())
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
_RUN = re.compile(rb"[A-Za-z0-9+/_-]{40,}")
_CORES = tuple(b64encode(b"x" * shift + MARK.encode())[4 * (shift > 0) : 16] for shift in range(3))
_HEX = MARK.encode().hex().encode()
KINDS = sorted(set(r4().patient) - {"AuditEvent", "Consent", "Patient"})
"""What a record can hold beside its Patient; consents are read as rules, and tried as such elsewhere."""
DEPTH = 4
"""How far below a resource its elements are filled."""
_LEFT = frozenset({
    "id", "meta", "implicitRules", "contained", "extension", "modifierExtension", "hash", "size",
})  # fmt: skip
_FIRST = ("string", "markdown", "CodeableConcept", "Annotation", "Attachment", "Reference", "Quantity")
"""Which of several types an element gets: the one that has most words."""
_VALUES: dict[str, Any] = {
    "boolean": True, "integer": 1, "positiveInt": 1, "unsignedInt": 1, "decimal": 1, "date": "2026-11-20",
    "dateTime": "2026-11-20T10:00:00+01:00", "instant": "2026-11-20T10:00:00+01:00", "time": "10:00:00",
    "oid": "urn:oid:1.2.3", "uuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "id": "x",
}  # fmt: skip


_WRITTEN: dict[str, Callable[[str], str]] = {
    "string": str, "markdown": str, "code": str,
    "xhtml": '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'.format,
    "base64Binary": lambda token: b64encode(token.encode()).decode(),
    "uri": "urn:x:{}".format, "url": "urn:x:{}".format, "canonical": "urn:x:{}".format,
}  # fmt: skip
"""How a token stands in a value of each type that has room for one."""


class Canaries:
    """Makes tokens, and remembers the place that each was written to."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def new(self, place: str) -> str:
        """Return the token of a place such as `Observation.note.text`."""
        token = MARK + secrets.token_hex(16).translate(_LETTERS)
        self.places[token] = place
        return token

    def full(self, kind: str, patient: str) -> dict[str, Any]:
        """Return a resource of a type about a patient that has words wherever it may."""
        said = self._object(kind, kind, patient, DEPTH)
        extension = {"url": "http://example.dk/x", "valueString": self.new(f"{kind}.extension")}
        return {"resourceType": kind, **said, "extension": [extension]}

    def person(self, cpr: str, born: date) -> dict[str, Any]:
        """Return a living Patient with a CPR number, who is the one of their record."""
        said = self.full("Patient", "Patient/x")
        del said["link"]
        said |= {"deceasedBoolean": False, "birthDate": f"{born}", "identifier": [{"system": CPR, "value": cpr}]}
        self.places = {
            token: place for token, place in self.places.items()
            if not place.startswith(("Patient.link", "Patient.identifier"))
        }  # fmt: skip
        return said

    def _object(self, kind: str, place: str, patient: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for element in r4().types[kind].elements.values():
            deep = depth <= 0 and "string" not in element.types
            if element.name in _LEFT or (not element.min and (deep or element.name == "language")):
                continue
            chosen = next((name for name in _FIRST if name in element.types), element.types[0])
            name = element.name.replace("[x]", chosen[0].upper() + chosen[1:])
            value = self._value(element, chosen, f"{place}.{name}", patient, depth - 1)
            if value not in (None, {}):
                found[name] = [value] if element.max is None or element.max > 1 else value
        return found

    def _value(self, element: Element, kind: str, place: str, patient: str, depth: int) -> Any:
        if kind in {"Resource", "Extension"}:
            return None
        if kind == "Reference" and {"Patient", "Resource"} & {*(element.targets or ("Resource",))}:
            return {"reference": patient, "display": self.new(f"{place}.display")}
        if element.codes or kind in _VALUES:
            return min(element.codes) if element.codes else _VALUES[kind]
        if (written := _WRITTEN.get(kind)) is not None:
            return written(self.new(place))
        return self._object(kind, place, patient, depth)


def tokens(data: bytes) -> set[str]:
    """Return the tokens that bytes hold, as they are, in base64 or in hexadecimal."""
    small = data.lower()
    found = {text.decode() for text in _TOKEN.findall(small)}
    if any(core in data for core in _CORES):
        for run in _RUN.findall(data):
            found |= {token for decoded in _decoded(run) for token in tokens(decoded)}
    if _HEX in small:
        for run in re.findall(rb"(?:[0-9a-fA-F]{2})+", data):
            found |= tokens(bytes.fromhex(run.decode())) if _HEX in run.lower() else set()
    return found


def _decoded(run: bytes) -> Iterator[bytes]:
    text = run.replace(b"-", b"+").replace(b"_", b"/")
    for shift in range(4):
        part = text[shift:]
        part = part[: len(part) - (len(part) % 4 == 1)]  # no text has that length
        yield b64decode(part + b"=" * (-len(part) % 4))
