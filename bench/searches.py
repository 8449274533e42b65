"""The searches that `bench scale` runs on a small and on a large store, each with what is asked of it.

The kinds are those of issue 4: token, name, chained, `_has`, range of dates, composite, `_include`, sorted, counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

CODES = ("NPU02319", "NPU18016", "NPU03429", "NPU03230", "NPU27300", "NPU19748", "NPU01566", "NPU19651")
DIAGNOSES = ("DI109", "DE119", "DJ449", "DJ459", "DM179", "DF329", "DI489", "DE039")
FAMILIES = ("Agerskov", "Brinkholt", "Engsig", "Fladbro", "Granlund", "Havbjerg", "Kildemose", "Langtved")


@dataclass(frozen=True, slots=True)
class Search:
    """One kind of search.

    `make` takes the number of a patient, below the number of all, and returns an address below the base.
    `must` and `aim` are requests a second at 16 connections, 0 where nothing is asked.
    """

    make: Callable[[int, Random], str]
    must: int = 0
    aim: int = 0


def _few(make: Callable[[int, Random], str]) -> Search:
    """Return a search that shows three patients a page at the most."""
    return Search(make, 1500, 2500)


def _page(make: Callable[[int, Random], str]) -> Search:
    """Return a search that shows up to twenty patients a page, each with a log entry."""
    return Search(make, 300, 600)


def _code(rng: Random) -> str:
    return rng.choice(CODES)


def _week(rng: Random) -> str:
    month = f"2025-{rng.randrange(1, 9):02}"
    return f"date=ge{month}-01&date=lt{month}-08"


def _born(rng: Random) -> str:
    return f"{rng.randrange(1935, 2010)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"


SEARCHES: dict[str, Search] = {
    "by patient, newest 50": Search(lambda n, _: f"/Observation?patient=load.p0-{n}&_count=50", 2000, 3500),
    "by patient and code": _few(lambda n, rng: f"/Observation?patient=load.p0-{n}&code={_code(rng)}"),
    "token: by code, newest 3": _few(lambda _, rng: f"/Observation?code={_code(rng)}&_count=3"),
    "token: by code, newest 20": _page(lambda _, rng: f"/Observation?code={_code(rng)}&_count=20"),
    "token: by code and a month": _page(
        lambda _, rng: f"/Observation?code={_code(rng)}&date=2025-0{rng.randrange(1, 9)}&_count=20"
    ),
    "token: by diagnosis, newest 20": _page(lambda _, rng: f"/Condition?code={rng.choice(DIAGNOSES)}&_count=20"),
    "name: 3 of a twentieth of all": _few(lambda _, rng: f"/Patient?family={rng.choice(FAMILIES)}&_count=3"),
    "name: 20 of a twentieth of all": _page(lambda _, rng: f"/Patient?family={rng.choice(FAMILIES)}&_count=20"),
    "name: first and last": _few(lambda _, rng: f"/Patient?family={rng.choice(FAMILIES)}&given=Mette&_count=3"),
    "chained: by patient's name, newest 3": _few(
        lambda _, rng: f"/Observation?patient.family={rng.choice(FAMILIES)}&_count=3"
    ),
    "chained: by patient's birth date, newest 3": _few(
        lambda _, rng: f"/Observation?patient.birthdate={_born(rng)}&_count=3"
    ),
    "_has: a diagnosis, 3": _few(
        lambda _, rng: f"/Patient?_has:Condition:patient:code={rng.choice(DIAGNOSES)}&_count=3"
    ),
    "date range: a week, newest 20": _page(lambda _, rng: f"/Observation?{_week(rng)}&_count=20"),
    "date: born on a day": _few(lambda _, rng: f"/Patient?birthdate={_born(rng)}&_count=3"),
    "composite: code and value, newest 3": _few(
        lambda _, rng: f"/Observation?code-value-quantity={_code(rng)}$gt5&_count=3"
    ),
    "_include: by code, newest 3, with patients": _few(
        lambda _, rng: f"/Observation?code={_code(rng)}&_count=3&_include=Observation:patient"
    ),
    "_revinclude: born on a day, with diagnoses": _few(
        lambda _, rng: f"/Patient?birthdate={_born(rng)}&_count=3&_revinclude=Condition:patient"
    ),
    "sorted: of a record, by value": _few(
        lambda n, _: f"/Observation?patient=load.p0-{n}&_sort=-value-quantity&_count=20"
    ),
    "sorted: born on a day, by name": _page(
        lambda _, rng: f"/Patient?birthdate={_born(rng)}&_sort=family,given&_count=20"
    ),
    "sorted: all Patients, by name": Search(lambda _, __: "/Patient?_sort=family&_count=20"),
    "counted: of a record, by code": _few(
        lambda n, rng: f"/Observation?patient=load.p0-{n}&code={_code(rng)}&_summary=count"
    ),
    "counted: born on a day": Search(lambda _, rng: f"/Patient?birthdate={_born(rng)}&_summary=count"),
    "counted: of a name": Search(lambda _, rng: f"/Patient?family={rng.choice(FAMILIES)}&_summary=count"),
    "counted: of a code": Search(lambda _, rng: f"/Observation?code={_code(rng)}&_summary=count"),
    "read by id": Search(lambda n, _: f"/Patient/load.p0-{n}", 4000, 6000),
    "whole record": Search(lambda n, _: f"/Patient/load.p0-{n}/$everything?_count=1000"),
}
