"""Places within a distance: the box has every one of them, and an index leads to it."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overblik.fhir.index.parameters import number_of
from overblik.fhir.query import Circle, parse_query
from overblik.store.search import compile_search, compile_shared
from overblik.store.search.near import RADIUS, box
from tests.conftest import NOW, Clones, Copies
from tests.store.test_search_plans import KEY, NURSE, explained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overblik.store.search.near import Box

degrees = st.decimals(-90, 90, places=4)
longitudes = st.decimals(-180, 180, places=4)
metres = st.sampled_from([0.0, 1.0, 500.0, 10_000.0, 300_000.0, 5e6, 1.0e7, 1.9e7, 2.1e7])


def apart(one: tuple[Decimal, Decimal], other: tuple[Decimal, Decimal]) -> float:
    """Return metres between two places, by the angle between the vectors to them."""
    (ax, ay, az), (bx, by, bz) = vector(*one), vector(*other)
    cross = (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)
    return math.atan2(math.hypot(*cross), ax * bx + ay * by + az * bz) * RADIUS


def vector(latitude: Decimal, longitude: Decimal) -> tuple[float, float, float]:
    phi, turn = math.radians(latitude), math.radians(longitude)
    return math.cos(phi) * math.cos(turn), math.cos(phi) * math.sin(turn), math.sin(phi)


def has(found: Box, latitude: Decimal, longitude: Decimal) -> bool:
    turned = longitude - 360 if longitude >= 180 else longitude
    east = found.west <= turned <= found.east or found.other_west <= turned <= found.other_east
    return found.south <= latitude <= found.north and east


@given(degrees, longitudes, metres, degrees, longitudes)
def test_a_box_has_all_that_is_within_the_distance(
    latitude: Decimal, longitude: Decimal, far: float, other: Decimal, beside: Decimal
) -> None:
    if apart((latitude, longitude), (other, beside)) <= far:
        assert has(box(Circle(latitude, longitude, far)), other, beside)


@given(degrees, longitudes, metres, st.floats(0, 360), st.sampled_from([0.0, 0.5, 0.999999]))
def test_a_box_has_the_whole_rim(
    latitude: Decimal, longitude: Decimal, far: float, bearing: float, part: float
) -> None:
    """Walk from the middle towards the rim, over poles and the 180th meridian."""
    angle, way, phi = far * part / RADIUS, math.radians(bearing), math.radians(latitude)
    sine = math.sin(phi) * math.cos(angle) + math.cos(phi) * math.sin(angle) * math.cos(way)
    across = math.sin(way) * math.sin(angle) * math.cos(phi)
    turn = math.degrees(math.atan2(across, math.cos(angle) - math.sin(phi) * sine))
    there = (float(longitude) + turn + 540) % 360 - 180
    place = Decimal(repr(math.degrees(math.asin(max(-1.0, min(1.0, sine)))))), Decimal(repr(there))
    assert has(box(Circle(latitude, longitude, far)), *place)


def test_a_box_is_no_wider_than_it_must_be() -> None:
    copenhagen = box(Circle(Decimal("55.676"), Decimal("12.568"), 10_000))
    assert copenhagen.north - copenhagen.south < Decimal("0.18")
    assert copenhagen.east - copenhagen.west < Decimal("0.32")
    assert copenhagen.other_west > copenhagen.other_east
    fiji = box(Circle(Decimal(-17), Decimal("179.95"), 10_000))
    assert (fiji.east, fiji.other_west) == (Decimal("180.0"), Decimal("-180.0"))
    assert fiji.west > 179
    assert fiji.other_east < -179
    pole = box(Circle(Decimal("89.99"), Decimal(12), 10_000))
    assert (pole.north, pole.west, pole.east) == (Decimal(90), Decimal(-180), Decimal(180))


@pytest.fixture(scope="module")
def placed(copies: Copies) -> Iterator[psycopg.Connection[Any]]:
    """Give a database with 20 000 Locations and as many others, and its statistics."""
    made = Clones(copies)
    with psycopg.connect(made.make(), autocommit=True) as connection:
        connection.execute(
            "insert into shared_resource (type, id, version, body, source, via, received_at, index_version, rid)"
            " select kind, n::text, 1, '{}', 'x', 'x', now(), 1, n + shift"
            " from generate_series(1, 20000) n, (values ('Location', 0), ('Practitioner', 20000)) k (kind, shift)"
        )
        connection.execute(
            "insert into index_number (pid, rid, param, lo, hi)"
            " select 0, n, %s, 54.5 + n %% 200 * 0.015, 8 + n / 200 * 0.05 from generate_series(1, 20000) n",
            [number_of("Location", "near")],
        )
        connection.execute("vacuum (analyze)")
        connection.execute("set plan_cache_mode = force_generic_plan")
        yield connection
    made.drop()


def test_places_are_found_by_an_index(placed: psycopg.Connection[Any]) -> None:
    for value in ("55.68|12.57|2|km", "55.68|12.57|20|km,56.1|10.2|1|km", "0|0|1"):
        compiled = compile_shared(parse_query("Location", [("near", value)]), KEY)
        lines = explained(placed, compiled.text, compiled.params)
        assert any("index_number_lo" in line or "index_number_hi" in line for line in lines), lines
        assert not any("Seq Scan" in line for line in lines), lines
    compiled = compile_search(parse_query("Encounter", [("location.near", "55.68|12.57|2|km")]), "professional", KEY)
    lines = explained(placed, compiled.text, NURSE.params(NOW, "search", "") | compiled.params)
    assert compiled.driver == "step"
    assert not any("Seq Scan on shared_resource" in line or "Seq Scan on index_number" in line for line in lines)
