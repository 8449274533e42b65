"""Loads transaction Bundles over HTTP and remembers the ids that came back."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx


@dataclass
class Loaded:
    """What a server holds after the load; `rate` is resources a second."""

    resources: int = 0
    rate: float = 0.0
    ids: dict[str, list[str]] = field(default_factory=dict)


async def load(base: str, headers: dict[str, str], bundles: list[bytes], *, at_once: int = 4) -> Loaded:
    """Post every Bundle, `at_once` at a time."""
    found = Loaded()
    waiting = iter(bundles)
    sent = headers | {"Content-Type": "application/fhir+json"}

    async def work(http: httpx.AsyncClient) -> None:
        for body in waiting:
            response = await http.post(base, content=body, headers=sent)
            response.raise_for_status()
            _note(found, json.loads(response.content))

    began = time.perf_counter()
    async with httpx.AsyncClient(timeout=120) as http:
        await asyncio.gather(*(work(http) for _ in range(at_once)))
    found.rate = found.resources / (time.perf_counter() - began)
    return found


def _note(found: Loaded, answer: dict[str, object]) -> None:
    for entry in answer["entry"]:  # type: ignore[attr-defined]
        path = urlsplit(entry["response"]["location"]).path.split("/_history")[0]
        resource_type, identifier = path.rsplit("/", 2)[-2:]
        found.ids.setdefault(resource_type, []).append(identifier)
        found.resources += 1
