"""Formats: which one an answer is asked in, and which one a body has (https://hl7.org/fhir/R4/http.html#mime-type).

`_format` decides before Accept. JSON without `_pretty`, `_summary` and `_elements` is the everyday
answer: its bytes leave as they were stored, and nothing here parses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from overblik.fhir.errors import Malformed, NotAcceptable, Unsupported
from overblik.fhir.outcome import operation_outcome
from overblik.fhir.shape import WHOLE, Shape, parse_shape, shaped
from overblik.fhir.strict_json import dumps, load_object
from overblik.fhir.xml import from_xml
from overblik.fhir.xml_writing import to_xml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from overblik.fhir.errors import Issue
    from overblik.fhir.strict_json import Json

FHIR_JSON = "application/fhir+json"
FHIR_XML = "application/fhir+xml"
JSON_ANSWER = FHIR_JSON + "; charset=utf-8"
XML_ANSWER = FHIR_XML + "; charset=utf-8"
VERSIONS = frozenset({"", "4.0", "4.0.1"})
_JSON = frozenset({FHIR_JSON, "application/json", "text/json", "json", "application/json+fhir"})
_XML = frozenset({FHIR_XML, "application/xml", "text/xml", "xml", "application/xml+fhir"})
_ANY = frozenset({"*/*", "application/*", "*"})
_PLAIN = frozenset({"", "*/*", FHIR_JSON, "application/json"})


def outcome_in(accept: str, asked: str, issues: Iterable[Issue]) -> tuple[bytes, str]:
    """Return (body, Content-Type) of a refusal, in the format asked for as far as it is one of ours."""
    outcome = operation_outcome(issues)
    try:
        return (to_xml(outcome), XML_ANSWER) if wants_xml(accept, asked) else (dumps(outcome), JSON_ANSWER)
    except NotAcceptable:
        return dumps(outcome), JSON_ANSWER


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer is to look."""

    xml: bool = False
    pretty: bool = False
    shape: Shape = WHOLE

    @property
    def as_stored(self) -> bool:
        """Say whether the bytes may leave as they are."""
        return not (self.xml or self.pretty or self.shape)

    @property
    def media(self) -> str:
        """The Content-Type of such an answer."""
        return XML_ANSWER if self.xml else JSON_ANSWER

    def write(self, resource: Json) -> bytes:
        """Return the bytes of a resource in this form; NotAcceptable where XML cannot say it."""
        found = self.part(resource)
        return to_xml(found, pretty=self.pretty) if self.xml else dumps(found, pretty=self.pretty)

    def part(self, resource: Json) -> Json:
        """Return the part asked for of a resource that goes into a Bundle."""
        return shaped(resource, self.shape) if self.shape else resource

    def rewrite(self, body: bytes) -> bytes:
        """Return a JSON body in this form."""
        return body if self.as_stored else self.write(load_object(body))


PLAIN = Form()


def form_of(accept: str, one: Callable[[str], str], *, lenient: bool = False) -> Form:
    """Return the form asked for; `one` gives a parameter, "" where it is missing.

    NotAcceptable for a format that is not written here, Malformed for a value that means nothing.
    """
    xml = wants_xml(accept, one("_format"))
    pretty, summary, elements = one("_pretty"), one("_summary"), one("_elements")
    if not (xml or pretty or summary or elements):
        return PLAIN
    if pretty not in {"", "true", "false"}:
        raise Malformed("shape-invalid", "_pretty is true or false.", expression="http._pretty")
    return Form(xml, pretty == "true", parse_shape(summary, elements, lenient=lenient))


def wants_xml(accept: str, asked: str = "") -> bool:
    """Say whether an answer is wanted in XML rather than JSON; NotAcceptable where in neither."""
    if asked:
        # In a query the + of application/fhir+xml arrives as a space.
        ranges, place = [("1", asked.strip().replace(" ", "+"))], "http._format"
    elif accept.strip().lower() in _PLAIN:
        return False
    else:
        ranges, place = list(_ranges(accept)), "http.Accept"
    json, xml = _best(ranges, _JSON), _best(ranges, _XML)
    if json <= 0 and xml <= 0:
        text = f"Answers come as {FHIR_JSON} or {FHIR_XML}, of FHIR 4.0."
        raise NotAcceptable("format", text, expression=place)
    return xml > json


def asks_for_fhir(accept: str, asked: str) -> bool:
    """Say whether a resource is asked for by name, rather than the bytes that a Binary holds."""
    return bool(asked) or any("fhir" in media for _, media in _ranges(accept))


def _ranges(accept: str) -> Iterator[tuple[str, str]]:
    """Walk (weight, media range) of an Accept header; other versions of FHIR are passed over."""
    for part in accept.split(","):
        media, parameters = split(part)
        if parameters.get("fhirversion", "") in VERSIONS:
            yield parameters.get("q", "1"), media


def _best(ranges: list[tuple[str, str]], known: frozenset[str]) -> float:
    """Return the weight of a format, the nearest range deciding; between equals JSON and the first named win."""
    exact = [_weight(q) - number / 1e6 for number, (q, media) in enumerate(ranges) if media in known]
    loose = [_weight(q) - number / 1e6 for number, (q, media) in enumerate(ranges) if media in _ANY]
    return max(exact) if exact else max(loose, default=0.0)


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def split(text: str) -> tuple[str, dict[str, str]]:
    """Take a media type apart: (`type/subtype`, {parameter: value}), in lower case."""
    media, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    return media.strip().lower(), {n.strip().lower(): v.strip().strip('"').lower() for n, _, v in pairs}


def read_body(content_type: str, body: bytes) -> Json:
    """Return the resource of a body in JSON or XML, which is always UTF-8; JSON where nothing is said."""
    media, parameters = split(content_type or FHIR_JSON)
    if media not in _JSON | _XML or "/" not in media:
        text = f"Send the body as {FHIR_JSON} or {FHIR_XML}."
        raise Unsupported("content-type", text, expression="http.Content-Type")
    if parameters.get("fhirversion", "") not in VERSIONS:
        raise Unsupported("content-type", "FHIR 4.0 is read here.", expression="http.Content-Type")
    require_utf8(content_type)
    return from_xml(body) if media in _XML else load_object(body)


def require_utf8(content_type: str) -> None:
    """Refuse a body that says it is written in anything but UTF-8."""
    if split(content_type)[1].get("charset", "utf-8") not in {"utf-8", "utf8"}:
        raise Unsupported("charset", "FHIR is always UTF-8.", expression="http.Content-Type")
