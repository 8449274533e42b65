"""The workloads, each a list of requests."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

from bench.population import CODES
from bench.wrk import Ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.loading import Loaded

MANY = 2000


def _some(values: list[str], seed: str) -> list[str]:
    return Random(seed).choices(values, k=min(MANY, 4 * len(values)))  # noqa: S311 - the same choice every time


def read(loaded: Loaded) -> list[Ask]:
    """Read an Observation by id."""
    return [Ask("GET", f"/Observation/{i}") for i in _some(loaded.ids["Observation"], "read")]


def overview(loaded: Loaded) -> list[Ask]:
    """Read a patient's whole overview (Overblik only)."""
    return [Ask("GET", f"/Patient/{i}/$overview") for i in _some(loaded.ids["Patient"], "overview")]


def everything(loaded: Loaded) -> list[Ask]:
    """Read a patient's whole record."""
    return [Ask("GET", f"/Patient/{i}/$everything?_count=1000") for i in _some(loaded.ids["Patient"], "everything")]


def by_patient(loaded: Loaded) -> list[Ask]:
    """Search fifty Observations of a patient."""
    return [Ask("GET", f"/Observation?patient={i}&_count=50") for i in _some(loaded.ids["Patient"], "by patient")]


def by_patient_and_code(loaded: Loaded) -> list[Ask]:
    """Search one code's Observations of a patient."""
    rng = Random("codes")  # noqa: S311 - the same choice every time
    patients = _some(loaded.ids["Patient"], "code")
    return [Ask("GET", f"/Observation?patient={i}&code={rng.choice(CODES)}&_count=50") for i in patients]


def transaction_of_two(loaded: Loaded) -> list[Ask]:
    """Write two Observations of a patient in one durable transaction."""
    asks = []
    for patient in _some(loaded.ids["Patient"], "two"):
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


WORKLOADS: dict[str, Callable[[Loaded], list[Ask]]] = {
    "read": read,
    "overview": overview,
    "everything": everything,
    "by-patient": by_patient,
    "by-patient-and-code": by_patient_and_code,
    "transaction": transaction_of_two,
}
