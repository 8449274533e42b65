"""A search that is asked again is not parsed again; nobody is told by that what others ask."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from overblik.api.interactions import search
from overblik.api.parameters import query_string
from tests.api.test_search import BO, INGE, write

if TYPE_CHECKING:
    from tests.conftest import World


@given(st.lists(st.tuples(st.text(), st.text())))
def test_a_query_string_is_what_the_library_writes(pairs: list[tuple[str, str]]) -> None:
    assert query_string(pairs) == urlencode(pairs)


async def test_each_viewer_has_what_they_have_asked(world: World) -> None:
    await write(world)
    search.remembered.cache_clear()
    path = "/Observation?_count=50"
    counted, bodies = [], []
    for cpr in (INGE, INGE, BO, INGE):
        bodies.append((await world.get(path, world.citizen(cpr))).text)
        info = search.remembered.cache_info()
        counted.append((info.misses, info.hits))
    assert counted == [(1, 0), (1, 1), (2, 1), (2, 2)]
    assert bodies[0] == bodies[1] == bodies[3]
    assert bodies[0] != bodies[2]


async def test_what_must_be_looked_up_is_looked_up_each_time(world: World) -> None:
    await write(world)
    search.remembered.cache_clear()
    for path in (
        "/Observation?_list=none",
        "/Patient?_include=*",
        "/Encounter?location:below=42",
        "/Observation?code:in=http://hl7.org/fhir/ValueSet/observation-vitalsignresult",
    ):
        await world.get(path, world.citizen(INGE))
    assert search.remembered.cache_info().currsize == 0
