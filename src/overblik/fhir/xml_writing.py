"""Resources as FHIR XML (https://hl7.org/fhir/R4/xml.html); fhir/xml.py reads it back.

What XML cannot say (a character that XML 1.0 has no place for, a narrative that is no XHTML) is
refused with its place rather than lost.
"""

from __future__ import annotations

import re
from typing import Any

from overblik.fhir import narrative
from overblik.fhir.definitions import r4
from overblik.fhir.errors import NotAcceptable
from overblik.fhir.fields import Field, fields
from overblik.fhir.strict_json import Json, dumps

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
_SPECIAL = re.compile(r"[&<>\"\t\n\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def to_xml(resource: Json, *, pretty: bool = False) -> bytes:
    """Return a resource as an XML document; NotAcceptable, with its place, where XML cannot say it."""
    writer = _Writer(pretty=pretty)
    writer.resource(resource, ' xmlns="http://hl7.org/fhir"', "", 0)
    return (_HEAD + "".join(writer.out) + ("\n" if pretty else "")).encode()


class _Writer:
    """The document so far. Each method writes one element, `path` says where it stands, `level` how deep."""

    def __init__(self, *, pretty: bool) -> None:
        self.out: list[str] = []
        self._pretty = pretty

    def resource(self, value: Any, attributes: str, path: str, level: int) -> None:
        """Write a resource as the element of its type's name."""
        name = value.get("resourceType") if isinstance(value, dict) else None
        if name not in r4().resource_types:
            raise _unwritable(path, "it is no resource of R4")
        self._object(name, fields(name), value, attributes, path or name, level)

    def _object(self, name: str, known: dict[str, Field], value: Any, attributes: str, path: str, level: int) -> None:
        if not isinstance(value, dict):
            raise _unwritable(path, "it is no object")
        names = {key.removeprefix("_") for key in value if key != "resourceType" or "resourceType" in known}
        if strange := names - known.keys():
            raise _unwritable(f"{path}.{min(strange)[:64]}", "the standard has no such element")
        inner = []
        for field in sorted((known[n] for n in names), key=lambda f: f.order):
            if field.attribute:
                attributes += f' {field.name}="{_text(value.get(field.name), path)}"'
            else:
                inner.append(field)
        self._open(name, attributes, level, empty=not inner)
        for field in inner:
            self._field(field, value, f"{path}.{field.name}", level + 1)
        if inner:
            self._close(name, level)

    def _field(self, field: Field, owner: Json, path: str, level: int) -> None:
        value, sibling = owner.get(field.name), owner.get("_" + field.name)
        if not field.many:
            self._one(field, value, sibling, path, level)
            return
        values, siblings = value or [], sibling or []
        if not isinstance(values, list) or not isinstance(siblings, list):
            raise _unwritable(path, "it is no list")
        for number in range(max(len(values), len(siblings))):
            item = values[number] if number < len(values) else None
            beside = siblings[number] if number < len(siblings) else None
            self._one(field, item, beside, f"{path}[{number}]", level)

    def _one(self, field: Field, value: Any, sibling: Any, path: str, level: int) -> None:
        if field.kind == "xhtml":
            self._narrative(value, path, level)
        elif field.primitive:
            self._primitive(field, value, sibling, path, level)
        elif field.kind == "Resource":
            self._open(field.name, "", level, empty=False)
            self.resource(value, "", path, level + 1)
            self._close(field.name, level)
        else:
            self._object(field.name, fields(field.kind), value, "", path, level)

    def _primitive(self, field: Field, value: Any, sibling: Any, path: str, level: int) -> None:
        if value is None and sibling is None:
            raise _unwritable(path, "it is null")
        text = "" if value is None else f' value="{_text(value, path)}"'
        if sibling is None:
            self._open(field.name, text, level, empty=True)
            return
        if isinstance(sibling, dict) and "id" in sibling:
            text = f' id="{_text(sibling["id"], path)}"' + text
            sibling = {key: item for key, item in sibling.items() if key != "id"}
        self._object(field.name, fields("Element"), sibling, text, path, level)

    def _narrative(self, value: Any, path: str, level: int) -> None:
        written = narrative.to_element(value) if isinstance(value, str) else None
        if written is None:
            raise _unwritable(path, "it is no XHTML")
        self._line(level)
        self.out.append(written)

    def _open(self, name: str, attributes: str, level: int, *, empty: bool) -> None:
        self._line(level)
        self.out.append(f"<{name}{attributes}{'/>' if empty else '>'}")

    def _close(self, name: str, level: int) -> None:
        self._line(level)
        self.out.append(f"</{name}>")

    def _line(self, level: int) -> None:
        if self._pretty:
            self.out.append("\n" + "  " * level)


def _text(value: Any, path: str) -> str:
    """Return a JSON value as an attribute's text, with the digits it has."""
    if not isinstance(value, str):
        if isinstance(value, (dict, list)) or value is None:
            raise _unwritable(path, "it is no single value")
        return str(value) if type(value) is int else dumps(value).decode()
    if _SPECIAL.search(value) is None:
        return value

    def escaped(match: re.Match[str]) -> str:
        if match[0] not in _ESCAPES:
            raise _unwritable(path, "XML has no such character")
        return _ESCAPES[match[0]]

    return _SPECIAL.sub(escaped, value)


def _unwritable(path: str, why: str) -> NotAcceptable:
    text = f"{path} cannot be written as XML: {why}. Ask for application/fhir+json."
    return NotAcceptable("not-in-xml", text, expression=path)
