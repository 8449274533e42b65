"""Narratives between JSON, where they are text, and XML, where they are XHTML elements.

https://hl7.org/fhir/R4/narrative.html. A narrative goes over as it is, byte for byte, as long as it
means the same in its new place; only then is it touched.
"""

from __future__ import annotations

import re
from html.entities import html5
from typing import TYPE_CHECKING
from xml.parsers import expat

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Mapping

XHTML = "http://www.w3.org/1999/xhtml"
DIV = XHTML + "}div"
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_XML_OWN = frozenset({"amp", "lt", "gt", "quot", "apos"})


def to_element(text: str) -> str | None:
    """Return the XHTML to write for a narrative's text; None where it is no XHTML, so XML cannot say it.

    What HTML names and XML does not know (`&nbsp;`) becomes a number; a missing namespace is added.
    """
    text = text.strip()
    root = _root(text)
    if root is None:
        text = with_numbers(text)
        root = _root(text)
    if root == DIV:
        return text
    return text.replace("<div", f'<div xmlns="{XHTML}"', 1) if root == "div" and text.startswith("<div") else None


def with_numbers(text: str) -> str:
    """Return a text with numbers for what HTML names and XML does not know."""
    return _ENTITY.sub(_numbered, text)


def to_text(raw: str, declared: Mapping[str | None, str]) -> str | None:
    """Return a narrative's text for the source of its `div`; None where it cannot stand by itself.

    It stays as it was sent unless it leans on namespaces `declared` outside of it.
    """
    if raw.startswith("<div") and _root(raw) == DIV:
        return raw
    names = "".join(f' xmlns{":" + prefix if prefix else ""}="{_quoted(uri)}"' for prefix, uri in declared.items())
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        div = etree.fromstring(f"<x{names}>{raw}</x>", parser)[0]
    except etree.XMLSyntaxError:
        return None
    return etree.tostring(_without_prefix(div), encoding="unicode")


def _without_prefix(element: etree._Element) -> etree._Element:
    """Return a copy whose XHTML needs no prefix, which no browser understands."""
    copy = etree.Element(element.tag, nsmap={None: XHTML})  # type: ignore[dict-item]
    for name, value in element.items():
        copy.set(name, value)
    copy.text = element.text
    for child in element:
        inner = _without_prefix(child)
        inner.tail = child.tail
        copy.append(inner)
    return copy


def _quoted(uri: str) -> str:
    return uri.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _numbered(match: re.Match[str]) -> str:
    if match[1] in _XML_OWN or match[1] + ";" not in html5:
        return match[0]
    return "".join(f"&#{ord(character)};" for character in html5[match[1] + ";"])


class _NotPlain(Exception):
    """A DOCTYPE, or an XML declaration where none may stand."""


def _root(text: str) -> str | None:
    """Return the root's `namespace}name` if the text is one XML element without a DOCTYPE."""
    parser = expat.ParserCreate("UTF-8", "}")
    roots: list[str] = []

    def start(name: str, _: object) -> None:
        if not roots:
            roots.append(name)

    def refuse(*_: object) -> None:
        raise _NotPlain

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    parser.XmlDeclHandler = refuse
    try:
        parser.Parse(text.encode(), True)
    except (expat.ExpatError, _NotPlain, UnicodeEncodeError):
        return None
    return roots[0]
