"""XML, read safely: no DOCTYPE, no entities, no network, no XInclude, a bounded depth.

lxml still accepts a document with a DOCTYPE when entities are off, so a DOCTYPE is refused outright.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lxml import etree

from overblik.fhir.dates import COPENHAGEN, parse_interval
from overblik.fhir.errors import Malformed, TooLarge, Unprocessable
from overblik.fhir.strict_json import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

Element = etree._Element  # noqa: SLF001 - lxml names its public element type so
NS = {"v3": "urn:hl7-org:v3", "sdtc": "urn:hl7-org:sdtc"}
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.\d+)?(Z|[+-]\d{4})?")


def parse_xml(raw: bytes) -> Element:
    """Return the root of an XML document; Malformed with the line where it is not well-formed."""
    if len(raw) > MAX_BYTES:
        raise TooLarge("body-too-large", f"The body is over {MAX_BYTES // 1024**2} MB.")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        if b"<!DOCTYPE" in raw:
            raise _doctype() from None
        line = getattr(error, "lineno", None)
        where = f" (line {line})" if line else ""
        raise Malformed("xml-invalid", f"The body is not well-formed XML{where}.") from None
    if getattr(root.getroottree().docinfo, "doctype", ""):
        raise _doctype()
    return root


def _doctype() -> Malformed:
    return Malformed("xml-doctype", "A DOCTYPE is refused; remove it and send the document again.")


def find(element: Element | None, path: str) -> Element | None:
    """Return the first child along a path of CDA names, such as `patient/name`."""
    if element is None:
        return None
    return element.find("/".join(_qualified(step) for step in path.split("/")))


def find_all(element: Element | None, path: str) -> list[Element]:
    """Return every child along a path of CDA names; `.//name` searches at any depth."""
    if element is None:
        return []
    if path.startswith(".//"):
        return element.findall(".//" + _qualified(path[3:]))
    return element.findall("/".join(_qualified(step) for step in path.split("/")))


def _qualified(step: str) -> str:
    return step if step in {"", ".", "*"} else f"{{{NS['v3']}}}{step}"


def attribute(element: Element | None, name: str) -> str:
    """Return an attribute, "" where the element or the attribute is missing or null-flavoured."""
    if element is None or element.get("nullFlavor"):
        return ""
    return (element.get(name) or "").strip()


def text_of(element: Element | None) -> str:
    """Return the text of a name or line, white space folded."""
    if element is None or element.get("nullFlavor"):
        return ""
    return " ".join("".join(_texts(element)).split())


def _texts(element: Element) -> Iterator[str]:
    for piece in element.itertext():
        yield str(piece)


_BREAKS = frozenset({"br", "tr", "p", "paragraph", "item", "table", "list", "caption"})
_BREAK = "\x00"


def narrative(element: Element | None) -> str:
    """Return a narrative block as plain text: rows and breaks become lines.

    A table whose columns have headings says them in each row, because a number without its heading can be
    misread (`Systolisk: 150 mmHg · Diastolisk: 90 mmHg`); a single heading repeats the section's title and
    is left out.
    """
    if element is None:
        return ""
    lines = "".join(_narrative(element)).split(_BREAK)
    return "\n".join(text for line in lines if (text := " ".join(line.split())))


def _narrative(element: Element) -> Iterator[str]:
    name = _local(element)
    if name == "table":
        yield from (_BREAK + row + _BREAK for row in _table(element))
        return
    yield element.text or ""
    for child in element:
        yield from _narrative(child)
        yield child.tail or ""
    if name in _BREAKS:
        yield _BREAK


def _local(element: Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _table(table: Element) -> Iterator[str]:
    headings: list[str] = []
    for row in (e for e in table.iter() if _local(e) == "tr"):
        cells = [cell for cell in row if _local(cell) in {"td", "th"}]
        texts = [narrative(cell) for cell in cells]
        if all(_local(cell) == "th" for cell in cells):
            headings = texts
        elif len(texts) == 1:
            yield texts[0].replace("\n", _BREAK)
        elif len(texts) == len(headings):
            pairs = zip(headings, texts, strict=True)
            yield " · ".join(f"{head.rstrip(':')}: {_line(text)}" for head, text in pairs if text)
        else:
            yield ": ".join(_line(text).rstrip(":") for text in texts if text)


def _line(text: str) -> str:
    return ", ".join(text.split("\n"))


def hl7_time(text: str) -> str:
    """Return an HL7 timestamp (`20170531110000+0100`) as a FHIR dateTime; refuse an impossible one."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise Unprocessable("date-impossible", "The document has a date that cannot be read.")
    year, month, day, hour, minute, second, offset = match.groups()
    date = "-".join(part for part in (year, month, day) if part)
    if hour is None:
        found = date
    else:
        found = f"{date}T{hour}:{minute or '00'}:{second or '00'}"
        found += _offset(found, offset)
    if parse_interval(found) is None:
        raise Unprocessable("date-impossible", "The document has a date that no calendar has.")
    return found


def _offset(local: str, offset: str | None) -> str:
    if offset == "Z":
        return "Z"
    if offset:
        return f"{offset[:3]}:{offset[3:]}"
    interval = parse_interval(local)
    return interval.start.astimezone(COPENHAGEN).isoformat()[-6:] if interval else "Z"


def time_of(element: Element | None) -> str:
    """Return an element's `value` as a FHIR dateTime, "" where it says nothing."""
    value = attribute(element, "value")
    return hl7_time(value) if value else ""


def instant_of(text: str) -> datetime | None:
    """Return the instant of a FHIR dateTime."""
    interval = parse_interval(text) if text else None
    return interval.start if interval else None
