"""Runs workloads against servers, turn about, so that what the machine does meanwhile hits all alike."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from bench.own import NURSE, bearer
from bench.page import citizens
from bench.workloads import WORKLOADS
from bench.wrk import Figure, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.loading import Loaded
    from bench.target import Target
    from bench.workloads import Workload
    from bench.wrk import Ask

WARM = 1.0
COMPILED = 5.0
"""Seconds of each workload that a server on a virtual machine gets beforehand, for it to be compiled."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one server did in one workload; microseconds of processor time are for one request."""

    figure: Figure
    server: float = 0.0
    database: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One workload at one number of connections, by server; None where it has no such thing."""

    name: str
    connections: int
    cells: list[Cell | None]


def measure(
    servers: list[tuple[Target, Loaded]], names: Iterable[str], connections: list[int], seconds: float
) -> Iterator[Row]:
    """Walk the rows as they are measured."""
    for name in names:
        workload = WORKLOADS[name]
        prepared = [_prepared(name, workload, *server) for server in servers]
        for count in (c for c in connections if c in workload.connections):
            yield Row(name, count, [_cell(one, count, seconds) for one in prepared])


def warm(servers: list[tuple[Target, Loaded]], names: Iterable[str]) -> None:
    """Run every workload for a while, unmeasured."""
    for target, loaded in servers:
        for name in names:
            one = _prepared(name, WORKLOADS[name], target, loaded)
            if one is not None and not one.why:
                run(one.base, one.headers, one.asks, connections=16, seconds=COMPILED)


@dataclass(frozen=True, slots=True)
class _Prepared:
    target: Target
    base: str
    headers: dict[str, str]
    asks: list[Ask]
    why: str = ""


def _prepared(name: str, workload: Workload, target: Target, loaded: Loaded) -> _Prepared | None:
    """Make the requests, and send one to see whether this server answers such."""
    if (workload.own and not target.headers) or (workload.kind != "source" and target.folder is None):
        return None
    headers, base, asks = target.headers, target.base, workload.asks(loaded)
    if workload.kind == "professional" and target.folder:
        headers = bearer(target.folder, NURSE)
    if name == "page":
        headers, base = {}, target.base.removesuffix("/fhir")
        asks = asyncio.run(citizens(target))[0]
    headers = headers | ({"Content-Type": "application/fhir+json"} if asks[0].method == "POST" else {})
    ask = asks[0]
    cookie = {"Cookie": ask.cookie} if ask.cookie != "-" else {}
    answer = httpx.request(ask.method, base + ask.path, content=ask.body, headers=headers | cookie, timeout=60)
    return _Prepared(target, base, headers, asks, "" if answer.is_success else f"answers {answer.status_code}")


def _cell(one: _Prepared | None, connections: int, seconds: float) -> Cell | None:
    if one is None:
        return None
    if one.why:
        return Cell(Figure(0, 0, 0, 0, 0), why=one.why)
    run(one.base, one.headers, one.asks, connections=connections, seconds=WARM)
    before = one.target.spent()
    figure = run(one.base, one.headers, one.asks, connections=connections, seconds=seconds)
    cost = one.target.spent().since(before)
    requests = max(1.0, figure.rate * seconds)
    return Cell(figure, cost.server / requests, cost.database / requests)
