"""The overview as JSON: the same values as the page, names in camelCase, times as FHIR instants."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from overblik.fhir.dates import instant

if TYPE_CHECKING:
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
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, field)) for field, name in _names(type(value))}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return instant(value)
    return value.isoformat() if isinstance(value, date) else value


@cache
def _names(kind: Any) -> tuple[tuple[str, str], ...]:
    """Return (field, camelCase name) of a dataclass, once a class."""
    return tuple((f.name, _camel(f.name)) for f in fields(kind))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
