"""The server without rules is what it says, and is to be had by a measurement only."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import bare
from overblik.store import queries

ROOT = Path(__file__).parents[2]


def test_it_does_not_start_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERBLIK_MODE", "production")
    with pytest.raises(SystemExit, match="made-up data"):
        bare.create()


def test_nothing_that_is_shipped_knows_of_it() -> None:
    for path in (ROOT / "src").rglob("*"):
        if path.suffix in {".py", ".sql", ".toml"}:
            text = path.read_text(encoding="utf-8")
            assert "bench" not in text.replace("benchmark", ""), path
    assert 'packages = ["src/overblik"]' in (ROOT / "pyproject.toml").read_text()


def test_its_statements_differ_in_the_entry_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads is left as it is, and nothing of it writes to the log or its queue."""
    full = {name: query.text for name, query in queries.named_queries().items()}
    monkeypatch.setattr(queries, "queued", bare.unlogged)
    queries.named_queries.cache_clear()
    plain = {name: query.text for name, query in queries.named_queries().items()}
    queries.named_queries.cache_clear()
    assert full.keys() == plain.keys()
    for name in ("read_set", "gather", "read_version", "worklist", "log_disclosure"):
        assert "insert into access_log" in full[name]
        assert "access_log" not in plain[name] + plain[name].partition("log_queue")[2]
        assert plain[name] == "select" or full[name].startswith(plain[name].partition("logged as")[0])
