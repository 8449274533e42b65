"""A search parameter is defined on a served database that is written to, and everything is killed in between."""

from __future__ import annotations

import time
from contextlib import suppress
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from overblik.fhir.strict_json import dumps
from tests.api.test_search_parameters import person
from tests.api.test_transaction import bundle, entry
from tests.fhir.test_definitions_of_parameters import EYES
from tests.folders import open_folder
from tests.kill.victim import Victim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long
BEFORE, EACH = 1_500, 500
WITHIN = 180
JSON = {"Content-Type": "application/fhir+json"}


@pytest.fixture
def memory() -> Iterator[Path]:
    with open_folder("kill", in_memory=True) as made:
        yield made


class Writing(Thread):
    """Writes patients one after the other, whatever becomes of the server; `acknowledged` are those that are there."""

    def __init__(self, victim: Victim) -> None:
        super().__init__(daemon=True)
        self._victim = victim
        self._ended = Event()
        self.acknowledged: list[str] = []
        self.sent = 0

    def run(self) -> None:
        while not self._ended.is_set():
            self.sent += 1
            body = dumps(person(10_000 + self.sent, "blue"))
            try:
                answer = ask(self._victim, "POST", "/Patient", "source", body)
            except httpx.HTTPError:
                self._ended.wait(0.05)
                continue
            if answer.status_code == 201:
                self.acknowledged.append(answer.json()["id"])

    def end(self) -> None:
        self._ended.set()
        self.join(WITHIN)


def ask(victim: Victim, method: str, path: str, kind: str, body: bytes = b"") -> httpx.Response:
    headers = victim.header(kind) | JSON
    return httpx.request(
        method, f"{victim.address}/fhir{path}", headers=headers, content=body, timeout=60, verify=False
    )


def found(victim: Victim) -> set[str] | None:
    """Return the ids of all that is blue, None while that is not known."""
    ids: set[str] = set()
    path = "/Patient?eye-colour=blue&_count=1000&_elements=id"
    while path:
        answer = ask(victim, "GET", path, "source")
        if answer.status_code == 503:
            return None
        assert answer.status_code == 200, answer.text
        ids |= {one["resource"]["id"] for one in answer.json().get("entry", [])}
        links = {link["relation"]: link["url"] for link in answer.json()["link"]}
        path = links.get("next", "").removeprefix(f"{victim.address}/fhir")
    return ids


def percent(victim: Victim) -> int:
    """Return how far it is, as the API tells it; 0 while nobody answers."""
    with suppress(httpx.HTTPError, KeyError, ValueError):
        told: Any = ask(victim, "GET", "/SearchParameter/$indexing", "system").json()
        parts = {part["name"]: part for part in told["parameter"][0]["part"]}
        return int(parts["percent"]["valueInteger"])
    return 0


def test_whatever_is_killed_while_it_is_indexed_a_search_finds_all_or_says_that_it_cannot(memory: Path) -> None:
    victim, rng = Victim(memory), Random(5)
    victim.start()
    writing = Writing(victim)
    try:
        blue: set[str] = set()
        for first in range(0, BEFORE, EACH):
            entries = [entry("POST", "Patient", person(number, "blue")) for number in range(first, first + EACH)]
            answer = ask(victim, "POST", "", "source", dumps(bundle(*entries)))
            assert answer.status_code == 200, answer.text
            blue |= {one["response"]["location"].split("Patient/")[1].split("/")[0] for one in answer.json()["entry"]}
        writing.start()
        assert ask(victim, "POST", "/SearchParameter", "system", dumps(EYES)).status_code == 201
        reached = [0]
        for kind in ("server", "backend", "everything"):
            reached.append(further(victim, reached[-1]))
            victim.kill(kind, rng)
            victim.wait_ready()
            acknowledged = set(writing.acknowledged)
            assert (ids := found(victim)) is None or ids >= blue | acknowledged, (kind, reached)
        assert reached[2] < 100, "nothing was killed in the middle"
        assert further(victim, 99) == 100
        writing.end()
        assert (ids := found(victim)) is not None
        assert ids >= blue | set(writing.acknowledged)
        with victim.connect() as connection:
            ((number,),) = connection.execute("select count(*) from resource where type = 'Patient'").fetchall()
        assert len(ids) == number, "what was written and never acknowledged is found too"
    finally:
        writing.end()
        victim.stop()


def further(victim: Victim, at: int) -> int:
    """Wait until it is further than it was (or done), and return how far."""
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        if (now := percent(victim)) > min(at, 99):
            return now
        time.sleep(0.01)
    raise AssertionError(f"it stays at {at} %")
