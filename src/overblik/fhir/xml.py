"""FHIR XML in and out without loss (https://hl7.org/fhir/R4/xml.html).

    b'<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>'
      <->  {"resourceType": "Patient", "active": True}

Decimals keep their digits, lists their nulls, narratives their bytes. Comments and processing
instructions are passed over; elements may come in any order and leave in that of the definitions.
A DOCTYPE is refused, and with it every entity. expat reads, for it alone says at which byte an element
begins, so that a narrative can be kept as it was sent (docs/decisions/009-fhir-xml.md).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn
from xml.parsers import expat

from overblik.fhir import narrative
from overblik.fhir.definitions import r4
from overblik.fhir.errors import Malformed, OverblikError, TooLarge, Unprocessable
from overblik.fhir.fields import Field, fields
from overblik.fhir.strict_json import MAX_BYTES, loads

if TYPE_CHECKING:
    from collections.abc import Callable

    from overblik.fhir.strict_json import Json

NAMESPACE = "http://hl7.org/fhir"
DEEPEST = 190
"""Levels of the JSON that results: what is stored must be read again, and jiter stops at 200."""

_FHIR = NAMESPACE + "}"
_SCHEMA_HINTS = "http://www.w3.org/2001/XMLSchema-instance}"
_XML_ID = "http://www.w3.org/XML/1998/namespace}id"
_BOM = b"\xef\xbb\xbf"
_WHOLE = re.compile(r"[-+]?\d{1,4000}", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", re.ASCII)


def from_xml(data: bytes) -> Json:
    """Return the resource that a document holds, as its JSON would be parsed.

    Malformed where it is no XML that is read here; Unprocessable, with a FHIRPath to the place, where
    it is XML that FHIR does not know. Both say the line. The shape is the structure check's to judge.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge("body-too-large", f"The body is over {MAX_BYTES // 1024**2} MB; send it in parts.")
    return _Reader(data.removeprefix(_BOM)).read()


class _Frame:
    """An element that is open: a resource's place (no fields), an object, or a primitive (`extends`)."""

    __slots__ = ("depth", "extends", "field", "fields", "padded", "step", "text", "value")

    def __init__(self, step: str, field: Field | None, known: dict[str, Field] | None, depth: int) -> None:
        self.step = step
        self.field = field
        self.fields = known
        self.value: Json = {}
        self.extends = field is not None and field.primitive
        self.text: Any = None
        self.padded: list[str] = []
        self.depth = depth

    @property
    def filled(self) -> bool:
        """Say whether a resource's place has its resource."""
        return bool(self.value)


class _Reader:
    """One document on its way in."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._frames = [_Frame("", None, None, 0)]
        self._names: list[tuple[str | None, str]] = []
        self._div_begin = 0
        self._div_depth = 0
        self._div_empty = True
        parser = expat.ParserCreate("UTF-8", "}")
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartNamespaceDeclHandler = lambda prefix, uri: self._names.append((prefix, uri or ""))
        parser.EndNamespaceDeclHandler = lambda _: self._names.pop()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        self._parser = parser

    def read(self) -> Json:
        try:
            self._data.decode()
            self._parser.Parse(self._data, True)
        except UnicodeDecodeError:
            raise _not_utf8() from None
        except expat.ExpatError as error:
            where = f" (line {error.lineno}, column {error.offset + 1})"
            raise Malformed("xml-invalid", f"The body is not well-formed XML{where}.") from None
        return self._frames[0].value

    def _fault(
        self, code: str, text: str, *, at: str | None = None, kind: type[OverblikError] = Unprocessable
    ) -> NoReturn:
        expression = self._path() if at is None else at
        sentence = f"{text.rstrip('.')} (line {self._parser.CurrentLineNumber})."
        raise kind(code, sentence, expression=expression, kind="structure")

    def _path(self, name: str = "") -> str:
        steps = [frame.step for frame in self._frames if frame.step]
        return ".".join([*steps, name] if name else steps)

    # What expat reports

    def _declaration(self, _: str, encoding: str | None, __: int) -> None:
        if encoding is not None and encoding.upper() not in {"UTF-8", "UTF8"}:
            raise _not_utf8()

    def _doctype(self, *_: object) -> None:
        text = "A DOCTYPE is refused; remove it and send the document again."
        self._fault("xml-doctype", text, at="", kind=Malformed)

    def _characters(self, text: str) -> None:
        if self._div_depth:
            self._div_empty = False
        elif text.strip(" \t\r\n"):
            self._fault("xml-text", "Text stands between the elements; FHIR keeps values in attributes")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._div_depth:
            self._div_depth += 1
            self._div_empty = False
            return
        parent = self._frames[-1]
        if name == narrative.DIV and parent.fields is not None and "div" in parent.fields:
            self._begin_narrative(parent)
            return
        if not name.startswith(_FHIR):
            text = f"{name.rpartition('}')[2][:64]!r} is not in FHIR's namespace {NAMESPACE}"
            self._fault("xml-namespace", text, kind=Malformed)
        local = name[len(_FHIR) :]
        frame = self._resource(parent, local) if parent.fields is None else self._element(parent, local)
        self._frames.append(frame)
        if frame.depth > DEEPEST:
            self._fault("xml-too-deep", "The XML is nested too deeply", at="", kind=Malformed)
        for key, text in attributes.items():
            self._attribute(frame, key, text)

    def _end(self, _: str) -> None:
        if self._div_depth:
            self._div_depth -= 1
            if self._div_depth == 0:
                self._end_narrative()
            return
        frame = self._frames[-1]
        for name in frame.padded:
            _pad(frame.value, name)
        if frame.fields is None and not frame.filled:
            self._fault("resource-type-missing", f"{self._path()} needs a resource")
        self._frames.pop()
        if frame.field is None:
            self._frames[-1].value = frame.value
        else:
            _attach(self._frames[-1], frame.field, frame)

    # What it means

    def _resource(self, parent: _Frame, name: str) -> _Frame:
        if parent.filled:
            self._fault("element-twice", f"{self._path()} holds one resource; give each its own element")
        if name not in r4().resource_types:
            self._fault("resource-type-unknown", f"There is no resource type {name[:64]!r} in R4")
        frame = _Frame("" if parent.step else name, None, fields(name), parent.depth + 1)
        frame.value["resourceType"] = name
        return frame

    def _element(self, parent: _Frame, name: str) -> _Frame:
        field = (parent.fields or {}).get(name)
        if field is None or field.attribute or field.kind == "xhtml":
            path = self._path()
            self._fault("unknown-element", f"{path} has no element {name[:64]!r}", at=f"{path}.{name[:64]}")
        if field.many:
            return _Frame(f"{name}[{_count(parent.value, name)}]", field, _known(field), parent.depth + 2)
        if name in parent.value or "_" + name in parent.value:
            path = self._path(name)
            self._fault("element-twice", f"{path} may stand only once", at=path)
        return _Frame(name, field, _known(field), parent.depth + 1)

    def _attribute(self, frame: _Frame, name: str, text: str) -> None:
        known = (frame.fields or {}).get(name)
        if name == "value" and frame.extends and frame.field is not None:
            frame.text = _value(frame.field.kind, text)
            if frame.text is None:
                self._fault("wrong-value", f"{self._path()} is not a valid {frame.field.kind}")
        elif known is not None and known.attribute:
            frame.value[name] = text
        elif not name.startswith(_SCHEMA_HINTS):
            say = "use the attribute id, without a prefix" if name == _XML_ID else "look at its spelling"
            shown = name.rpartition("}")[2][:64]
            self._fault("unknown-element", f"{self._path()} has no attribute {shown!r}: {say}")

    # Narratives, kept as they were sent

    def _begin_narrative(self, parent: _Frame) -> None:
        if "div" in parent.value:
            self._fault("element-twice", f"{self._path('div')} may stand only once", at=self._path("div"))
        self._div_begin = self._parser.CurrentByteIndex
        self._div_depth = 1
        self._div_empty = True

    def _end_narrative(self) -> None:
        end = self._parser.CurrentByteIndex
        # expat stands behind `<div/>`, but before the `</div>` of any other.
        closed = self._div_empty and self._data[self._div_begin : end].endswith(b"/>")
        end = end if closed else self._data.index(b">", end) + 1
        text = narrative.to_text(self._data[self._div_begin : end].decode(), dict(self._names))
        if text is None:
            self._fault("wrong-value", f"{self._path('div')} is not a valid xhtml", at=self._path("div"))
        self._frames[-1].value["div"] = text


def _not_utf8() -> Malformed:
    return Malformed("xml-not-utf8", "The body is not UTF-8; FHIR XML is always UTF-8.")


def _known(field: Field) -> dict[str, Field] | None:
    if field.kind == "Resource":
        return None
    return fields("Element" if field.primitive else field.kind)


def _count(value: Json, name: str) -> int:
    return len(value.get(name, ()))


def _attach(parent: _Frame, field: Field, frame: _Frame) -> None:
    """Give an element that has ended to the one it stands in."""
    name, value = field.name, parent.value
    if not frame.extends:
        if field.many:
            value.setdefault(name, []).append(frame.value)
        else:
            value[name] = frame.value
    elif field.many:
        texts = value.setdefault(name, [])
        texts.append(frame.text)
        if frame.value or frame.text is None:
            if "_" + name not in value:
                parent.padded.append(name)
            siblings = value.setdefault("_" + name, [])
            siblings += [None] * (len(texts) - 1 - len(siblings))
            siblings.append(frame.value)
    else:
        if frame.text is not None:
            value[name] = frame.text
        if frame.value or frame.text is None:
            value["_" + name] = frame.value


def _pad(value: Json, name: str) -> None:
    """Bring a list and its siblings to one length; a list of nothing but nulls is left out."""
    texts, siblings = value[name], value["_" + name]
    siblings += [None] * (len(texts) - len(siblings))
    if all(text is None for text in texts):
        del value[name]


def _value(kind: str, text: str) -> Any:
    """Return an attribute's text as JSON has it; None where it is no value of the kind."""
    return _CONVERT[kind](text) if kind in _CONVERT else text


def _whole(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) else None


def _decimal(text: str) -> Any:
    return loads(text.encode()) if _DECIMAL.fullmatch(text) else None


_CONVERT: dict[str, Callable[[str], Any]] = {
    "boolean": {"true": True, "false": False}.get,
    "decimal": _decimal,
    "integer": _whole,
    "positiveInt": _whole,
    "unsignedInt": _whole,
}
