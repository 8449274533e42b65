"""Places within a distance: a box of latitudes and longitudes that an index answers, then the true distance.

A place is a row of `index_number`, its latitude as `lo` and its longitude as `hi`. Distances are along great
circles of a sphere of the Earth's mean radius, at most 0.6 % from those of WGS 84's ellipsoid.
"""

from __future__ import annotations

from decimal import Decimal
from math import asin, cos, degrees, pi, radians, sin
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from overblik.fhir.index.parameters import kept_as, number_of
from overblik.store.search.scope import Condition, Scope, any_of, item

if TYPE_CHECKING:
    from overblik.fhir.query import Circle, Near

RADIUS = 6_371_008.8
"""Metres; the mean radius of the ellipsoid."""
_MARGIN = 1e-6
"""Degrees by which a box is wider, so that no rounding cuts off what is within the distance."""


class Box(NamedTuple):
    """From south to north, and from west to east in one or two ranges: two where it lies over the 180th meridian."""

    south: Decimal
    north: Decimal
    west: Decimal
    east: Decimal
    other_west: Decimal
    other_east: Decimal


def box(circle: Circle) -> Box:
    """Return the smallest box around a circle, of all longitudes where a pole is within it."""
    latitude, longitude = float(circle.latitude), float(circle.longitude)
    angle = circle.metres / RADIUS
    south, north = latitude - degrees(angle) - _MARGIN, latitude + degrees(angle) + _MARGIN
    ranges = [(-180.0, 180.0)]
    if south > -90 and north < 90:
        wide = degrees(asin(min(1.0, sin(angle) / cos(radians(latitude))))) + _MARGIN
        west, east = longitude - wide, longitude + wide
        ranges = [(west, east)]
        if west < -180:
            ranges = [(-180.0, east), (west + 360, 180.0)]
        elif east >= 180:
            ranges = [(west, 180.0), (-180.0, east - 360)]
    bounds = [bound for one in [*ranges, (1.0, 0.0)][:2] for bound in one]
    return Box(*(Decimal(repr(bound)) for bound in (max(south, -90.0), min(north, 90.0), *bounds)))


def near(criterion: Near, scope: Scope) -> Condition:
    """Say that a row's place is in one of the circles.

    What is within is collected once for the statement, by the index on latitudes, and the rows are found by it.
    """
    tests: list[LiteralString] = []
    for number in range(len(criterion.values)):
        test = _TEST.replace("{latitude}", item("_latitude", "float8", number))
        test = test.replace("{longitude}", item("_longitude", "float8", number))
        for name in _BOUNDS:
            test = test.replace("{" + name + "}", item("_" + name, "numeric", number))
        tests.append(test.replace("{most}", item("_most", "float8", number)))
    numbers = [number_of(scope.type, name) for name in kept_as(scope.type, criterion.param)]
    boxes = [box(circle) for circle in criterion.values]
    params: dict[str, Any] = {"_param": numbers[0], "_most": [_haversine(c.metres) for c in criterion.values]}
    params |= {"_" + name: [getattr(one, name) for one in boxes] for name in _BOUNDS}
    params["_latitude"] = [float(circle.latitude) for circle in criterion.values]
    params["_longitude"] = [float(circle.longitude) for circle in criterion.values]
    return Condition(_WITHIN.replace("{test}", any_of(tests)), params)


_BOUNDS: tuple[LiteralString, ...] = ("south", "north", "west", "east", "other_west", "other_east")
# Only what belongs to nobody has a place (Location); its narrow rows have pid 0.
_WITHIN: LiteralString = """{r}.rid <> 0 and {r}.rid = any(array(
    select x.rid from index_number x where x.pid = 0 and x.param = %({p}_param)s and ({test})))"""
_TEST: LiteralString = """x.lo between {south} and {north}
    and (x.hi between {west} and {east} or x.hi between {other_west} and {other_east})
    and power(sind((x.lo::float8 - {latitude}) / 2), 2)
        + cosd(x.lo::float8) * cosd({latitude}) * power(sind((x.hi::float8 - {longitude}) / 2), 2) <= {most}"""


def _haversine(metres: float) -> float:
    """Return the square that the formula of the statement gives of a distance; beyond half way round it is all."""
    angle = metres / RADIUS
    return 1.1 if angle >= pi else sin(angle / 2) ** 2 * (1 + 1e-9)
