"""`bench scale`: every kind of search of issue 4 is asked of both stores and stands beside its targets."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

import pytest
from bench.scale import Cell, table
from bench.searches import SEARCHES
from bench.table import put

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World

KINDS = ["token", "name", "chained", "_has", "date range", "composite", "_include", "sorted", "counted"]


def test_every_kind_is_there_and_most_have_a_target() -> None:
    for kind in KINDS:
        own = [search for title, search in SEARCHES.items() if title.startswith(kind + ":")]
        assert any(search.must and search.aim > search.must for search in own), kind


async def test_every_address_is_one_that_the_server_answers(world: World) -> None:
    for title, search in SEARCHES.items():
        path = search.make(7, Random(1))
        status = (await world.get(path, world.source("load"))).status_code
        assert status == (404 if title in {"read by id", "whole record"} else 200), (title, path)


def test_the_table_has_both_sizes_beside_the_targets() -> None:
    few = SEARCHES["token: by code, newest 3"]
    sized = list(table([1000, 64000], [("x", few, [Cell(2.0, 100, 1600), Cell(2.5, 150, 750)])]))
    assert sized[0].startswith(
        "| search, one connection | 1,000 patients: p50 ms | 64,000 patients: p50 ms | p50 × | of 1.3 | of 1.1 |"
    )
    assert sized[2] == ("| x | 2.00 | 2.50 | 1.25 | 1.04 | 0.88 | 1.50 | 1,600 | 750 | 1,500 | 0.50 | 2,500 | 0.30 |")
    counted = SEARCHES["counted: of a name"]
    assert list(table([1, 2], [("y", counted, [Cell(1, 0), Cell(3, 9)])]))[2].endswith(" 9.00 |  |  |  |  |  |  |")
    unanswered = list(table([1, 2], [("y", counted, [Cell(1, 0), Cell(math.inf, 9)])]))[2]
    assert unanswered.startswith("| y | 1.00 | none in time | none in time | 0.00 | 0.00 | 9.00 |")
    assert {len(text.split("|")) for text in sized} == {len(sized[0].split("|"))}


def test_a_table_is_put_between_its_own_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\nold\n<!-- end -->\nc\n")
    put(page, "<!-- two -->", ["new"])
    assert page.read_text() == "a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\n\nnew\n\n<!-- end -->\nc\n"
    with pytest.raises(SystemExit, match="three"):
        put(page, "<!-- three -->", ["new"])
