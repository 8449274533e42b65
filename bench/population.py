"""A synthetic population as plain FHIR transactions: the same people for every server and every run."""

from __future__ import annotations

import json
from datetime import date, timedelta
from random import Random
from typing import Any
from uuid import UUID

CPR = "urn:oid:1.2.208.176.1.2"
SOR = "urn:oid:1.2.208.176.1.1"
UNIT = "99900000099001"
"""The unit that every patient is at, so that its staff has a treatment relation."""
CODES = tuple(f"NPU{number:05}" for number in range(1000, 1200))
NAMES = ("Sørensen", "Ågård", "Bæk", "Nørgaard", "Kjær", "Dam", "Holm", "Friis", "Juhl", "Krogh")
SMALL = 5
"""Resources of those who are there to be found among."""


def _reference(rng: Random) -> str:
    return f"urn:uuid:{UUID(int=rng.getrandbits(128), version=4)}"


def cpr_of(number: int) -> str:
    """Return a person's CPR number."""
    return _cpr(Random(number))[0]


def _cpr(rng: Random) -> tuple[str, date]:
    born = date(1930, 1, 2) + timedelta(days=rng.randrange(365 * 65))
    return f"{born:%d%m%y}{rng.randrange(4)}{rng.randrange(100):02}{rng.randrange(10)}", born


def _entry(url: str, resource: dict[str, Any]) -> dict[str, Any]:
    return {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}


def person(number: int, resources: int) -> dict[str, Any]:
    """Return one person's transaction Bundle: Patient, Encounter, the rest mostly Observations, some Conditions."""
    rng = Random(number)
    cpr, born = _cpr(rng)
    patient = _reference(rng)
    entries = [
        _entry(
            patient,
            {
                "resourceType": "Patient",
                "identifier": [{"system": CPR, "value": cpr}],
                "name": [{"family": rng.choice(NAMES), "given": [f"Person{number}"]}],
                "gender": rng.choice(("female", "male")),
                "birthDate": born.isoformat(),
            },
        ),
        _entry(_reference(rng), _encounter(patient)),
    ]
    for _ in range(resources - 2):
        day = date(2016, 1, 1) + timedelta(days=rng.randrange(3900))
        make = _condition if rng.random() < 0.1 else _observation
        entries.append(_entry(_reference(rng), make(rng, patient, day)))
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _encounter(patient: str) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": patient},
        "period": {"start": "2026-01-05T09:00:00+01:00"},
        "serviceProvider": {"identifier": {"system": SOR, "value": UNIT}},
    }


def _observation(rng: Random, patient: str, day: date) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
        ],
        "code": {"coding": [{"system": "http://npu-terminology.org", "code": rng.choice(CODES)}]},
        "subject": {"reference": patient},
        "effectiveDateTime": f"{day}T08:{rng.randrange(60):02}:00+01:00",
        "valueQuantity": {"value": round(rng.uniform(1, 200), 1), "unit": "mmol/l"},
    }


def _condition(rng: Random, patient: str, day: date) -> dict[str, Any]:
    status = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}],
    }
    return {
        "resourceType": "Condition",
        "clinicalStatus": status,
        "code": {"coding": [{"system": "urn:oid:1.2.208.176.2.4", "code": f"DI{rng.randrange(10, 99)}"}]},
        "subject": {"reference": patient},
        "onsetDateTime": day.isoformat(),
    }


def bundles(people: int, resources: int, *, first: int = 0) -> list[bytes]:
    """Return so many persons from number `first`, a Bundle each."""
    numbers = range(first, first + people)
    return [json.dumps(person(number, resources), ensure_ascii=False).encode() for number in numbers]
