"""The workloads, each a list of requests for one server, and what is asked of them.

The targets are those of issue 3, on two cores with the load generator on board.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import quote

from bench.population import CODES, NAMES
from bench.wrk import Ask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.loading import Loaded

MANY = 2000
MIX = (("read", 45), ("patients-20", 20), ("by-patient", 20), ("conditions", 10), ("history", 5))
"""What those who read do, in parts of a hundred."""


def _random(seed: str) -> Random:
    return Random(seed)


def _some(values: list[str], seed: str) -> list[str]:
    return _random(seed).choices(values, k=min(MANY, 4 * len(values)))


def _gets(path: str, values: list[str]) -> list[Ask]:
    """Ask for `path` with each value in the place of `*`, drawn in an order that the path decides."""
    return [Ask("GET", path.replace("*", quote(value))) for value in _some(values, path)]


def _given(loaded: Loaded) -> list[str]:
    """Return first names; each begins those of at most a dozen."""
    return [f"Person{number}" for number in range(loaded.people // 10, loaded.people)]


def _transaction_of_two(loaded: Loaded) -> list[Ask]:
    asks = []
    for patient in _some(loaded.patients, "two"):
        resource = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "@"},
            "subject": {"reference": f"Patient/{patient}"},
        }
        entry = {"resource": resource, "request": {"method": "POST", "url": "Observation"}}
        body = {"resourceType": "Bundle", "type": "transaction", "entry": [entry, entry]}
        asks.append(Ask("POST", "", json.dumps(body)))
    return asks


def _by_code(loaded: Loaded) -> list[Ask]:
    rng = _random("codes")
    patients = _some(loaded.patients, "code")
    return [Ask("GET", f"/Observation?patient={i}&code={rng.choice(CODES)}&_count=50") for i in patients]


def _mix(loaded: Loaded) -> list[Ask]:
    rng = _random("mix")
    asks = {name: _PARTS[name](loaded) for name, _ in MIX}
    drawn = rng.choices([name for name, _ in MIX], [share for _, share in MIX], k=MANY)
    return [rng.choice(asks[name]) for name in drawn]


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request: what it is called, how to make it, what is asked of it.

    `must` and `aim` map connections to requests a second. `own` says that only Overblik has it,
    `kind` who asks: the source that delivered, a professional, or a citizen's browser.
    """

    title: str
    asks: Callable[[Loaded], list[Ask]]
    must: Mapping[int, int] = field(default_factory=dict)
    aim: Mapping[int, int] = field(default_factory=dict)
    own: bool = False
    kind: str = "source"
    connections: tuple[int, ...] = (1, 16, 64)


_PARTS: dict[str, Callable[[Loaded], list[Ask]]] = {
    "read": lambda loaded: _gets("/Observation/*", loaded.ids["Observation"]),
    "patients-20": lambda _: [Ask("GET", "/Patient?_count=20")],
    "by-patient": lambda loaded: _gets("/Observation?patient=*&_count=50", loaded.patients),
    "conditions": lambda loaded: _gets("/Condition?patient=*", loaded.patients),
    "history": lambda loaded: _gets("/Observation/*/_history", loaded.ids["Observation"]),
}
_SEARCH, _SEARCH_AIM = {16: 1500}, {16: 2500}
_PAGE, _PAGE_AIM = {16: 300}, {16: 600}

WORKLOADS: dict[str, Workload] = {
    "read": Workload("read by id", _PARTS["read"], {16: 4000, 64: 8000}, {16: 6000, 64: 12000}),
    "read-professional": Workload("the same, by a professional", _PARTS["read"], own=True, kind="professional"),
    "transaction": Workload("transaction of two", _transaction_of_two, {64: 800}, {64: 1500}),
    "by-patient": Workload("Observation by patient, 50", _PARTS["by-patient"], {16: 2000}, {16: 3500}),
    "by-patient-professional": Workload(
        "the same, by a professional", _PARTS["by-patient"], own=True, kind="professional"
    ),
    "by-patient-and-code": Workload("Observation by patient and code", _by_code),
    "token": Workload(
        "Observation by code, page of 3",
        lambda _: _gets("/Observation?code=*&_count=3", list(CODES)), _SEARCH, _SEARCH_AIM,
    ),
    "name": Workload(
        "Patient by name, page of 3",
        lambda loaded: _gets("/Patient?name=*&_count=3", _given(loaded)), _SEARCH, _SEARCH_AIM,
    ),
    "chained": Workload(
        "Observation by patient's name, page of 3",
        lambda loaded: _gets("/Observation?subject:Patient.name=*&_count=3", _given(loaded)), _SEARCH, _SEARCH_AIM,
    ),
    "token-20": Workload(
        "Observation by code, page of 20",
        lambda _: _gets("/Observation?code=*&_count=20", list(CODES)), _PAGE, _PAGE_AIM,
    ),
    "name-20": Workload(
        "Patient by name, page of 20",
        lambda _: _gets("/Patient?name=*&_count=20", list(NAMES)), _PAGE, _PAGE_AIM,
    ),
    "chained-20": Workload(
        "Observation by patient's name, page of 20",
        lambda _: _gets("/Observation?subject:Patient.name=*&_count=20", list(NAMES)), _PAGE, _PAGE_AIM,
    ),
    "everything": Workload(
        "$everything",
        lambda loaded: _gets("/Patient/*/$everything?_count=1000", loaded.patients), {16: 400}, {16: 1000},
    ),
    "overview": Workload(
        "$overview", lambda loaded: _gets("/Patient/*/$overview", loaded.patients), {16: 300}, {16: 1000}, own=True,
    ),
    "mix": Workload("reading mix", _mix),
    "page": Workload(
        "web page of the overview", lambda _: [], own=True, kind="citizen", connections=(1, 16),
    ),
}  # fmt: skip
