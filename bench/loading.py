"""Loads transaction Bundles over HTTP and remembers the ids that came back."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from bench.population import SMALL, bundles

if TYPE_CHECKING:
    from bench.target import Target


@dataclass
class Loaded:
    """What a server holds after the load; `large` people have many resources each.

    `ids` are by type, in the people's order; `rate` is resources a second in transactions of one
    large person, `bytes_each` what the database grew by for one resource, 0 where that is unknown.
    """

    people: int = 0
    large: int = 0
    resources: int = 0
    rate: float = 0.0
    bytes_each: float = 0.0
    ids: dict[str, list[str]] = field(default_factory=dict)

    @property
    def patients(self) -> list[str]:
        """The large people's Patients."""
        return self.ids["Patient"][: self.large]


async def populate(target: Target, people: int, resources: int, small: int) -> Loaded:
    """Load `people` large persons, and `small` ones of a few resources for them to be found among."""
    found = Loaded(people=people + small, large=people)
    began = time.perf_counter()
    await _post(target, bundles(people, resources), found)
    found.rate = found.resources / (time.perf_counter() - began)
    await _post(target, bundles(small, SMALL, first=people), found)
    return found


async def _post(target: Target, wanted: list[bytes], found: Loaded, *, at_once: int = 4) -> None:
    """Post every Bundle, `at_once` at a time; what came back is noted in the order of the Bundles."""
    waiting = iter(enumerate(wanted))
    sent = target.headers | {"Content-Type": "application/fhir+json"}
    answers: dict[int, bytes] = {}

    async def work(http: httpx.AsyncClient) -> None:
        for number, body in waiting:
            response = await http.post(target.base, content=body, headers=sent)
            response.raise_for_status()
            answers[number] = response.content

    async with httpx.AsyncClient(timeout=300) as http:
        await asyncio.gather(*(work(http) for _ in range(at_once)))
    for _, answer in sorted(answers.items()):
        _note(found, json.loads(answer))


def _note(found: Loaded, answer: dict[str, list[dict[str, dict[str, str]]]]) -> None:
    for entry in answer["entry"]:
        path = urlsplit(entry["response"]["location"]).path.split("/_history")[0]
        resource_type, identifier = path.rsplit("/", 2)[-2:]
        found.ids.setdefault(resource_type, []).append(identifier)
        found.resources += 1
