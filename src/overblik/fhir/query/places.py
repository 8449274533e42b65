"""`near` of a Location: `latitude|longitude|distance|units` (https://hl7.org/fhir/R4/location.html#search)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from overblik.fhir.errors import Malformed
from overblik.fhir.query.tree import MOST_VALUES, Circle, Near
from overblik.fhir.query.values import decimal, plain, refuse, split

if TYPE_CHECKING:
    from collections.abc import Sequence

NEARBY = Decimal(10)
"""Kilometres that are near where no distance is given."""
METRES = {
    "m": 1.0, "km": 1000.0, "cm": 0.01, "mm": 0.001, "[ft_i]": 0.3048, "[yd_i]": 0.9144, "[mi_i]": 1609.344,
    "[nmi_i]": 1852.0, "[ft_us]": 1200 / 3937, "[mi_us]": 5280 * 1200 / 3937,
}  # fmt: skip
"""Units of length of UCUM, in metres."""


def places(param: str, parts: Sequence[str]) -> Near:
    """Read places, each with how far from it is near."""
    if len(parts) > MOST_VALUES:
        raise Malformed("search-too-long", f"At most {MOST_VALUES} values in {param}.", expression=f"http.{param}")
    return Near(param, tuple(_circle(param, part) for part in parts))


def _circle(param: str, text: str) -> Circle:
    stated = [plain(part).strip() for part in split(text, "|")]
    if not 2 <= len(stated) <= 4:
        raise refuse(param, f"{param} takes latitude|longitude|distance|units, not {text[:40]!r}.")
    latitude, longitude = decimal(stated[0]), decimal(stated[1])
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        text = f"{param} takes a latitude from -90 to 90 and a longitude from -180 to 180, not {text[:40]!r}."
        raise refuse(param, text)
    far, units = [*stated[2:], "", ""][:2]
    distance = decimal(far) if far else NEARBY
    if distance is None or distance < 0:
        raise refuse(param, f"{param} takes a distance such as 5 or 0.5, not {far[:40]!r}.")
    metres = METRES.get(units if far and units else "km")
    if metres is None:
        raise refuse(param, f"{param} takes a distance in one of {', '.join(METRES)}, not {units[:40]!r}.")
    return Circle(latitude, longitude, float(distance) * metres)
