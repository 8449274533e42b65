"""Named SQL: each declares its scope, says what it is for where that is not plain, and keeps to its scope."""

from __future__ import annotations

import re

import pytest

from overblik.fhir.query import parse_query
from overblik.store.queries import named_queries
from overblik.store.search import compile_count, compile_search
from overblik.store.visibility import KINDS, Kind, permit, visible

SHARED_TABLES = {
    "shared_resource", "shared_history", "organisation", "routing", "source", "connection", "withheld_unit",
    "test_person", "session", "sequencer", "search_catalogue", "search_parameter", "search_place", "search_pass",
    "app_client", "app_grant", "app_credential", "app_assertion", "pushed_request",
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
def test_every_kind_of_access_has_a_rule(kind: Kind) -> None:
    assert permit(kind).strip()
    assert visible(kind).strip()


@pytest.mark.parametrize("name", sorted(n for n, q in named_queries().items() if "insert into access_log" in q.text))
def test_a_log_entry_queues_for_its_number(name: str) -> None:
    assert "insert into log_queue" in named_queries()[name].text


DECISIONS = {
    "citizen": {"person_key", "record_alias"},
    "proxy": {"person_key", "record_alias"},
    "professional": {"record_alias"},
    "source": set(),
    "system": set(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_decision_touches_no_other_table_of_another_key(kind: Kind) -> None:
    """What docs/decisions/011 says of each kind of access on a cluster."""
    assert tables(permit(kind) + visible(kind)) & CROSS_TABLES == DECISIONS[kind]


SEARCHES: list[tuple[str, Kind, set[str]]] = [
    ("Observation?patient=1", "system", {"locator", "record_alias"}),
    ("Observation?patient=1", "source", {"locator", "record_alias"}),
    ("Observation?patient:identifier=0101010101", "system", {"record_alias"}),
    ("Observation?code=x", "citizen", {"person_key", "record_alias"}),
    ("Observation?_id=1", "system", {"locator"}),
    ("Observation?code=x&date=2026&value-quantity=5", "system", set()),
    ("Observation?status=final&_sort=value-quantity", "system", set()),
    ("Observation?status=final", "professional", {"record_alias"}),
    ("Patient?name=x", "system", set()),
    ("Patient?identifier=x", "system", set()),
]  # fmt: skip


@pytest.mark.parametrize(("search", "kind", "touched"), SEARCHES)
def test_a_search_touches_no_other_table_of_another_key(search: str, kind: Kind, touched: set[str]) -> None:
    resource_type, _, asked = search.partition("?")
    pairs = [(name, value) for name, _, value in (pair.partition("=") for pair in asked.split("&"))]
    query = parse_query(resource_type, pairs)
    for compiled in (compile_search(query, kind, b"key"), compile_count(query, kind, b"key", 10)):
        assert tables(compiled.text) & CROSS_TABLES == touched
