"""docs/real-files.md says what happens now."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import DATA, needs_shared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from overblik.app.runtime import Runtime
    from tests.conftest import Clones

SCRIPT = Path(__file__).parents[2] / "scripts" / "real_files_table.py"


def script() -> Any:
    """Return the script that writes the page, as a module."""
    spec = importlib.util.spec_from_file_location("real_files_table", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@needs_shared
@pytest.mark.long
async def test_the_committed_page_is_what_the_script_writes_now(clones: Clones, tmp_path: Path) -> None:
    table = script()

    @asynccontextmanager
    async def empty() -> AsyncIterator[Runtime]:
        async with table.opened(clones.make(), tmp_path) as run:
            yield run

    assert len(table.files(DATA)) == 45 + 22 + 60
    assert table.page(await table.rows(DATA, empty)) == table.PAGE.read_text(encoding="utf-8")


def test_every_row_that_was_not_taken_says_why() -> None:
    page = script().PAGE.read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("|") and "---" not in line]
    for cells in rows:
        assert len(cells) == 6, cells
        if {"held", "refused"} & {cells[2], cells[3]}:
            code, _, sentence = cells[4].partition(": ")
            assert code.startswith("`"), cells
            assert len(sentence) > 20, cells
    assert sum("held" in cells for cells in rows) >= 5


def test_the_page_names_no_place_on_a_machine() -> None:
    page = script().PAGE.read_text(encoding="utf-8")
    assert not [word for word in ("/work/", "/home/", "/tmp/", "/root/") if word in page]


def test_files_that_fared_alike_stand_in_one_row_and_a_reason_stands_once() -> None:
    table = script()
    good, bad = table.Outcome("taken", "K", came="Encounter"), table.Outcome("held", "K", "c-1", "Because.", "nothing")
    found = [table.Row(f"top/low/{n}", good, good) for n in range(5)] + [table.Row("top/other/x", good, bad)]
    page = table.page(found).splitlines()
    assert "| all 5 in `top/low` | K | taken | taken |  | Encounter |" in page
    assert "| `other/x` | K | taken | held | `c-1`: Because. | Encounter |" in page
    assert "All together: 1 held, 5 taken." in page
