"""References between resources (https://hl7.org/fhir/R4/references.html)."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from overblik.fhir.definitions import r4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from overblik.fhir.strict_json import Json

_LITERAL = re.compile(
    r"(?:(?P<base>https?://.+?)/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?"
)


class Reference(NamedTuple):
    """A literal reference taken apart; `base` is empty for a relative one."""

    type: str
    id: str
    version: str = ""
    base: str = ""


@lru_cache(maxsize=8192)
def parse_reference(text: str) -> Reference | None:
    """Take a literal reference apart; None for `#fragment`, `urn:` and anything else."""
    match = _LITERAL.fullmatch(text)
    if match is None or match["type"] not in r4().resource_types:
        return None
    return Reference(match["type"], match["id"], match["version"] or "", match["base"] or "")


_served: ContextVar[str] = ContextVar("base", default="")


@contextmanager
def served_at(base: str) -> Iterator[None]:
    """Let absolute references of this base mean this server inside the block."""
    token = _served.set(base)
    try:
        yield
    finally:
        _served.reset(token)


def elsewhere(reference: Reference) -> bool:
    """Say whether a reference names what another server has."""
    return reference.base not in {"", _served.get()}


def references(value: Any) -> list[Json]:
    """Return every Reference object of a resource in the order of the text, contained resources included."""
    found: list[Json] = []
    _collect(value, found)
    return found


def _collect(value: Any, found: list[Json]) -> None:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            found.append(value)
        for item in value.values():
            if isinstance(item, (dict, list)):
                _collect(item, found)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, (dict, list)):
                _collect(item, found)


_STATED = re.compile(rb'"reference":"([^"\\]*)"')


def stated(bodies: Iterable[bytes]) -> list[str]:
    """Return the texts of the References in resources as they are stored, without parsing them; each text once.

    In compact JSON a quotation mark inside a text has a backslash before it, so only a key looks like one.
    """
    return [text.decode() for text in dict.fromkeys(_STATED.findall(b"".join(bodies)))]


def rewrite(value: Any, change: Callable[[str], str]) -> Any:
    """Return a copy in which every literal reference, and every link in a url or uri, is changed."""
    if isinstance(value, dict):
        return {
            key: change(item) if key in {"reference", "url", "uri"} and isinstance(item, str) else rewrite(item, change)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [rewrite(item, change) for item in value]
    return value
