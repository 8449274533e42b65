"""Which narratives only say something: whoever shows one runs nothing, fetches nothing and sends nothing by it.

https://hl7.org/fhir/R4/narrative.html allows the formatting elements of HTML 4, links and images. Links may lead
anywhere that is no program (in a transaction, to `urn:uuid:` of another entry); images and styles name nothing outside
of the narrative's own place, because a browser would fetch it, and so tell others who is reading about whom.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from overblik.fhir.narrative import DIV, XHTML, with_numbers

_ELEMENTS = frozenset({
    "a", "abbr", "acronym", "address", "b", "bdo", "big", "blockquote", "br", "caption", "center", "cite", "code",
    "col", "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "font", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "i", "img", "ins", "kbd", "li", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strike", "strong",
    "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var",
})  # fmt: skip
_ATTRIBUTES = frozenset({
    "abbr", "accesskey", "align", "alt", "axis", "bgcolor", "border", "cellpadding", "cellspacing", "char",
    "charoff", "charset", "cite", "class", "clear", "color", "colspan", "compact", "coords", "datetime", "dir",
    "face", "frame", "headers", "height", "href", "hreflang", "hspace", "id", "lang", "longdesc", "name", "nohref",
    "noshade", "nowrap", "rel", "rev", "rowspan", "rules", "scope", "shape", "size", "span", "src", "start",
    "style", "summary", "tabindex", "title", "type", "valign", "value", "vspace", "width", "xml:lang", "xml:space",
})  # fmt: skip
_LINKS = frozenset({"href", "cite", "longdesc"})
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "urn"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")
_BLANKS = re.compile(r"[\x00-\x20]+")
_PICTURE = r"data:image/(?:png|gif|jpeg);base64,[a-z0-9+/=]*"
_OWN = re.compile(rf"(?:{_PICTURE}|#[\w.-]*|urn:[\w:.-]*|(?!//)[\w.%/-]*)")
_URL = re.compile(rf"url\(['\"]?(?:{_PICTURE}|(?!//)[\w.%/-]*)['\"]?\)")
_IN_STYLES = ("url(", "//", "\\", "expression(", "image-set(", "image(", "src(", "javascript:", "@", "<")


class _Fault(Exception):
    """What must not stand in a narrative."""


def harm_in(text: str) -> str | None:
    """Return what of a narrative must not stand there, "" for one that is no XHTML at all; None for a good one."""
    parser = expat.ParserCreate("UTF-8", "}")
    roots: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        roots.append(name)
        space, _, local = name.rpartition("}")
        if space not in {"", XHTML} or local not in _ELEMENTS:
            raise _Fault(f"<{local}>")
        for key, value in attributes.items():
            _attribute(key.replace("http://www.w3.org/XML/1998/namespace}", "xml:"), value)

    def comment(said: str) -> None:  # HTML ends some comments earlier than XML does
        if ">" in said:
            raise _Fault("<!--")

    def refuse(*_: object) -> None:
        raise _Fault("<!")

    parser.StartElementHandler = start
    parser.CommentHandler = comment
    parser.StartDoctypeDeclHandler = parser.XmlDeclHandler = refuse
    parser.ProcessingInstructionHandler = parser.StartCdataSectionHandler = refuse
    try:
        parser.Parse(with_numbers(text.strip()).encode(), True)
    except _Fault as fault:
        return str(fault)
    except (expat.ExpatError, UnicodeEncodeError):
        return ""
    return None if roots[0] in {DIV, "div"} else ""


def _attribute(name: str, value: str) -> None:
    plain = _BLANKS.sub("", value).lower()
    if name not in _ATTRIBUTES:
        raise _Fault(name)
    if name in _LINKS:
        scheme = _SCHEME.match(plain)
        harmful = scheme is not None and scheme[1] not in _SCHEMES
    elif name == "src":
        harmful = _OWN.fullmatch(plain) is None
    else:
        harmful = name == "style" and any(word in _URL.sub("", plain) for word in _IN_STYLES)
    if harmful:
        raise _Fault(f"{name}={value[:40]}")
