"""The documentation says what is so."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import SHARED

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).parents[1] / "scripts" / "check_docs.py"


SPECIFIED = SHARED / "security-cases.md"


@pytest.fixture
def check_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_docs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_documentation_agrees_with_the_program(check_docs: ModuleType) -> None:
    assert len(check_docs.error_codes()) > 80
    assert sum(map(bool, check_docs.cases().values())) > 120
    assert check_docs.problems() == []


def test_a_test_that_is_not_there_is_noticed(
    check_docs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ("| A01 | x | `test_docs.py` |", "| A02 | x | soon |", "| A02 | x | not yet: y |", "`tests/nowhere.py`")
    (tmp_path / "security-cases.md").write_text("\n".join(rows))
    monkeypatch.setattr(check_docs, "DOCS", tmp_path)
    monkeypatch.setattr(check_docs, "ROOT", tmp_path)
    found = [*check_docs._cases(), *check_docs._tests_named()]  # noqa: SLF001 - the parts that are tried
    assert len(found) == 4, found


@pytest.mark.skipif(not SPECIFIED.exists(), reason=f"the table that was asked for is not here ({SPECIFIED})")
def test_every_case_that_was_asked_for_has_its_row(check_docs: ModuleType) -> None:
    asked = re.findall(r"^\| ([A-Z]\d\d) \|", SPECIFIED.read_text(), re.MULTILINE)
    assert list(check_docs.cases()) == asked
