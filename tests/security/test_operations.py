"""Rows of group O that no test of the server's start or of its database has."""

from __future__ import annotations

import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from overblik.app.runtime import providers_of
from overblik.app.settings import Settings
from overblik.fhir.errors import Forbidden, Unauthenticated
from overblik.trust.callers.tokens import TestIssuer
from tests.folders import open_folder

if TYPE_CHECKING:
    from tests.security.conftest import Scene

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"^[a-zA-Z0-9._-]+(\[[a-z,]+\])?==[^\s;]+( ; .+)? \\$")


def test_o01_what_nobody_has_set_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Production, nobody signed in by a test, only this machine listened to; unknown modes are none."""
    for name in list(Settings.model_fields):
        monkeypatch.delenv(f"OVERBLIK_{name.upper()}", raising=False)
    settings = Settings()
    assert (settings.mode, settings.host) == ("production", "127.0.0.1")
    assert providers_of(settings) == ()
    with pytest.raises(ValueError, match="production"):
        Settings(mode="debug")  # type: ignore[arg-type]  # what is asked is that it is refused
    assert not [name for name in Settings.model_fields if re.search("debug|bypass|disable|skip|insecure|admin", name)]


async def test_o01_a_test_token_opens_nothing_in_production(scene: Scene) -> None:
    run = scene.world.run
    with pytest.raises(Forbidden, match="test-issuer-refused"):
        TestIssuer("production", run.keyring, run.database, run.directory)
    with pytest.raises(Unauthenticated):
        await run.smart.grants.caller(scene.doctor["Authorization"][7:])


def test_o03_whatever_is_installed_is_known_by_its_hash() -> None:
    """Every requirement has one version and a SHA-256, and no place that it must come from."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    named = [n for n, line in enumerate(lines) if line and line[0] not in " #"]
    assert len(named) > 30
    for number in named:
        assert PINNED.match(lines[number]), lines[number]
        assert lines[number + 1].strip().startswith("--hash=sha256:")
    assert "://" not in "".join(lines)
    run = (ROOT / "run").read_text()
    assert "--require-hashes" in run


@pytest.mark.long
def test_o04_two_builds_are_the_same_bytes() -> None:
    sums = set()
    for _ in range(2):
        with open_folder("build") as folder:
            command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            (wheel,) = folder.glob("*.whl")
            sums.add(sha256(wheel.read_bytes()).hexdigest())
    assert len(sums) == 1
