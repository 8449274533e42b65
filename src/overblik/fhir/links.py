"""Links inside resources: what a transaction rewrites when entries refer to each other.

https://hl7.org/fhir/R4/http.html#trules: literal references, elements of type uri, url, oid and
uuid, and `href` and `src` in narrative. Text that merely looks like a link stays as it is.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from overblik.fhir.definitions import r4

if TYPE_CHECKING:
    from collections.abc import Callable

    from overblik.fhir.strict_json import Json

    Change = Callable[[str], str]

_URI_TYPES = frozenset({"uri", "url", "oid", "uuid"})
_ATTRIBUTE = re.compile(r"""(\b(?:href|src)\s*=\s*)("[^"]*"|'[^']*')""")


def relink(resource: Json, reference: Change, uri: Change) -> Json:
    """Return a copy in which `reference` has changed every literal reference, and `uri` every other link."""
    changed: Json = _changed("Resource", resource, reference, uri)
    return changed


def _changed(kind: str, value: Any, reference: Change, uri: Change) -> Any:
    if isinstance(value, list):
        return [_changed(kind, item, reference, uri) for item in value]
    if isinstance(value, str):
        if kind in _URI_TYPES:
            return uri(value)
        return _narrative(value, uri) if kind == "xhtml" else value
    if not isinstance(value, dict):
        return value
    name = str(value.get("resourceType", kind)) if kind == "Resource" else kind
    return {
        key: reference(item)
        if name == "Reference" and key == "reference" and isinstance(item, str)
        else _changed(_kind(name, key), item, reference, uri)
        for key, item in value.items()
    }


def _narrative(text: str, uri: Change) -> str:
    return _ATTRIBUTE.sub(lambda found: found[1] + found[2][0] + uri(found[2][1:-1]) + found[2][0], text)


def _kind(type_name: str, key: str) -> str:
    if key.startswith("_"):
        return "Element"
    return _kinds(type_name).get(key, "")


@cache
def _kinds(type_name: str) -> dict[str, str]:
    """Return the type of each JSON key of a type."""
    known = r4().types.get(type_name)
    if known is None:
        return {}
    return {
        element.name.replace("[x]", kind[0].upper() + kind[1:]): kind
        for element in known.elements.values()
        for kind in element.types
    }
