"""The overview as JSON: the same values as the page, names in camelCase, times as FHIR instants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from overblik.fhir.strict_json import dumps

if TYPE_CHECKING:
    from overblik.overview.service import Overview

CAUTION = (
    "May be incomplete: the citizen can have blocked information, and not every source is connected. "
    "Kan være ufuldstændigt: borgeren kan have spærret oplysninger, og ikke alle kilder er tilsluttet."
)
"""The same line for every patient, so that it says nothing of any."""
_HEAD = dumps({"resourceType": "Overview", "caution": CAUTION})[:-1] + b","
_ENCODER = msgspec.json.Encoder()


def overview_json(overview: Overview) -> bytes:
    """Return an overview as JSON."""
    return _HEAD + _ENCODER.encode(overview)[1:]
