"""Named SQL: each declares its scope, says what it is for where that is not plain, and keeps to its scope."""

from __future__ import annotations

import re

import pytest

from overblik.store.queries import named_queries
from overblik.store.visibility import KINDS

SHARED_TABLES = {
    "shared_resource", "shared_history", "organisation", "routing", "source", "connection",
    "sign_in_link", "session", "sequencer",
}  # fmt: skip
CROSS_TABLES = {"person_key", "locator", "inbox", "message_key", "outbox", "record_alias"}
_TABLES = re.compile(r"\b(?:from|join|into|update)\s+([a-z_]+)\b(?!\s*\()")


def tables(text: str) -> set[str]:
    """Return the tables a statement names (not its CTEs, functions or keywords)."""
    without = re.sub(r"--[^\n]*", "", text)
    ctes = set(re.findall(r"\b([a-z_]+)(?:\s*\([a-z_, ]+\))?\s+as\s+(?:not\s+)?(?:materialized\s+)?\(", without))
    return set(_TABLES.findall(without)) - ctes - {"set", "unnest", "lateral", "distinct", "nothing"}


@pytest.mark.parametrize("name", sorted(named_queries()))
def test_a_query_of_one_record_names_its_record(name: str) -> None:
    query = named_queries()[name]
    if query.scope == "patient":
        assert "pid" in query.text, "a statement of scope patient names the record"
        assert not tables(query.text) & CROSS_TABLES
    if query.scope == "shared":
        assert tables(query.text) <= SHARED_TABLES, tables(query.text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_access_has_a_rule(kind: str) -> None:
    from overblik.store.visibility import permit, visible  # noqa: PLC0415

    assert permit(kind).strip()  # type: ignore[arg-type]
    assert visible(kind).strip()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(n for n, q in named_queries().items() if "insert into access_log" in q.text))
def test_a_log_entry_queues_for_its_number(name: str) -> None:
    assert "insert into log_queue" in named_queries()[name].text
