"""The demo's clock: moved by one process, seen at once by the others."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from overblik.demo.clock import DemoClock

if TYPE_CHECKING:
    from pathlib import Path

MOMENT = datetime(2026, 11, 19, 9, 15, tzinfo=UTC)
OTHER = """
import sys
from pathlib import Path
from overblik.demo.clock import DemoClock
clock = DemoClock(Path(sys.argv[1]))
for _ in sys.stdin:
    print(clock.now().isoformat(), flush=True)
"""


def test_before_it_is_set_it_is_the_machines(tmp_path: Path) -> None:
    clock = DemoClock(tmp_path / "clock")
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)


@pytest.mark.parametrize("left", [b"", b"abc", b"AAAAAAAAAA"], ids=["empty", "cut", "longer"])
def test_a_file_that_a_power_cut_left_is_a_clock_that_was_never_set(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "clock").write_bytes(left)
    before = datetime.now(UTC)
    assert before - timedelta(seconds=1) <= DemoClock(tmp_path / "clock").now() <= datetime.now(UTC)
    DemoClock(tmp_path / "clock").set(MOMENT)
    assert timedelta() <= DemoClock(tmp_path / "clock").now() - MOMENT < timedelta(hours=1)


def test_another_process_never_sees_an_earlier_moment_than_was_set(tmp_path: Path) -> None:
    """What a source sends after the clock was moved was else received before it was written."""
    clock = DemoClock(tmp_path / "sub" / "clock")
    command = [sys.executable, "-c", OTHER, str(tmp_path / "sub" / "clock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for days in (-400, -3, -2, 0, 1, 1, 30):
            moment = MOMENT + timedelta(days=days)
            clock.set(moment)
            other.stdin.write("?\n")
            other.stdin.flush()
            seen = datetime.fromisoformat(other.stdout.readline().strip())
            assert moment <= seen < moment + timedelta(hours=1)
        other.stdin.close()
