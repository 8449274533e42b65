"""The overview as JSON: the same values as the page, names in camelCase, times as FHIR instants."""

from __future__ import annotations

from dataclasses import fields
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from overblik.fhir.dates import instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from overblik.fhir.strict_json import Json
    from overblik.overview.service import Overview

CAUTION = (
    "May be incomplete: the citizen can have blocked information, and not every source is connected. "
    "Kan være ufuldstændigt: borgeren kan have spærret oplysninger, og ikke alle kilder er tilsluttet."
)
"""The same line for every patient, so that it says nothing of any."""


def overview_json(overview: Overview) -> Json:
    """Return an overview as plain JSON values."""
    body = _plain(overview)
    return {"resourceType": "Overview", "caution": CAUTION, **body}


def _plain(value: Any) -> Any:
    kind: Any = type(value)
    if kind in _AS_IT_IS:
        return value
    writer = _WRITERS.get(kind)
    if writer is not None:
        return writer(value)
    return {name: _plain(getattr(value, field)) for field, name in _names(kind)}


_AS_IT_IS = frozenset({str, int, bool, float, type(None)})
_WRITERS: dict[type, Callable[[Any], Any]] = {
    tuple: lambda value: [_plain(item) for item in value],
    datetime: instant,
    date: date.isoformat,
}


@cache
def _names(kind: Any) -> tuple[tuple[str, str], ...]:
    """Return (field, camelCase name) of a dataclass, once a class."""
    return tuple((f.name, _camel(f.name)) for f in fields(kind))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
