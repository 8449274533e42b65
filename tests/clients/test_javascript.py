"""fhir-kit-client, fhirclient and @medplum/core (JavaScript), unchanged, doing a day's work."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.long
PAGES = [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12]]
EXPECTED: dict[str, dict[str, Any]] = {
    "fhirKitClient": {
        "version": "4.0.1",
        "read": "Bæk",
        "updated": "2",
        "stale": [412, "version-changed"],
        "patched": "1966-02-11",
        "first": None,
        "history": ["3", "2", "1"],
        "pages": PAGES,
        "posted": 1,
        "resolved": True,
        "everything": 13,
        "batch": ["200", "404"],
        "deleted": [410, "deleted"],
        "nobody": [404, "not-found"],
        "wrong": [422, "unknown-element"],
        "stranger": [404, "not-found"],
        "unknown": [401, "sign-in-needed"],
    },
    "fhirClient": {
        "version": "4.0.1",
        "read": "Bæk",
        "updated": "2",
        "stale": 412,
        "patched": "female",
        "walked": list(range(1, 13)),
        "subject": "Bæk",
        "history": 3,
        "deleted": 410,
        "nobody": 404,
        "wrong": 422,
    },
    "medplum": {
        "read": "Bæk",
        "updated": "2",
        "patched": "1966-02-17",
        "history": 3,
        "first": None,
        "pages": PAGES,
        "one": True,
        "once": True,
        "reference": True,
        "deleted": [None, "deleted"],
        "nobody": [None, "not-found"],
        "wrong": [None, "unknown-element"],
    },
}


@pytest.fixture(scope="module")
def told(run_js: Any) -> dict[str, Any]:
    return dict(run_js("work.mjs"))


@pytest.mark.parametrize(("client", "what"), [(client, what) for client, all_ in EXPECTED.items() for what in all_])
def test_a_client_does_its_work(told: dict[str, Any], client: str, what: str) -> None:
    assert "failed" not in told[client], told[client]["failed"]
    assert told[client][what] == EXPECTED[client][what]


def test_nothing_that_a_client_tried_is_left_unjudged(told: dict[str, Any]) -> None:
    assert {client: set(found) for client, found in told.items()} == {c: set(e) for c, e in EXPECTED.items()}
