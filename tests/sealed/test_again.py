"""The ordinary tests again on servers that seal bodies: nothing but what is stored is different."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
AGAIN = [
    "api/test_crud.py", "api/test_everything.py", "api/test_history.py", "api/test_include.py",
    "api/test_search_past.py", "api/test_transaction.py", "exchange/test_bad_input.py",
    "exchange/test_late_facts.py", "journeys/test_two_worlds.py", "overview/test_over_http.py", "store/test_reindex.py",
    "trust/test_consent.py", "trust/test_door.py", "trust/test_entries.py", "trust/test_merged_records.py",
]  # fmt: skip
"""What reads and writes in every way there is. All others run so too: OVERBLIK_TEST_SEALED=1 ./run test."""


def test_the_ordinary_tests_pass_where_bodies_are_sealed() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "--tb=short"]
    run = subprocess.run(
        [*command, *(str(TESTS / name) for name in AGAIN)],
        env={**os.environ, "OVERBLIK_TEST_SEALED": "1"}, cwd=TESTS.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-5000:]
