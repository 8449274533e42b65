"""Can a clock tell hidden from absent? `./run bench timing` (S11).

A professional asks for what they may not see and for what does not exist, turn about, on sixteen connections. From
the seconds alone a classifier guesses which was which: its AUC is 0.5 where it knows nothing, 1 where it knows all.
Three features are tried and the best counts, either way round: the seconds, how they differ from the median of what was
asked around then (the machine's load goes away), and which of a pair took longer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass, field
from datetime import date
from random import Random
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from tests.folders import open_folder

from bench.machine import machine
from bench.own import NURSE, SOURCE, bearer, page_of, served
from bench.population import CPR, UNIT, cpr_of, person

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.target import Target

CONNECTIONS = 16
AROUND = 32
HIDDEN = 60
"""Persons whom the asking unit has never met; each has a record."""
MOST = 0.55
MOST_GAP = 0.001
FHIR = {"Content-Type": "application/fhir+json"}


@dataclass
class Known:
    """What there is that the caller may not see."""

    patients: list[str] = field(default_factory=list)
    observations: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    visible: str = ""
    slot: str = ""
    cookie: str = ""


def _absent() -> str:
    return uuid4().hex


PATHS: dict[str, Callable[[Known, Random], tuple[str, str]]] = {}
"""What is asked, by name: returns the path of something hidden, and of nothing."""


def _asked(name: str) -> Callable[[Callable[[Known, Random], tuple[str, str]]], None]:
    def keep(make: Callable[[Known, Random], tuple[str, str]]) -> None:
        PATHS[name] = make

    return keep


def _both(template: str, name: str) -> tuple[str, str]:
    return template.format(name), template.format(_absent())


@_asked("read, no relation")
def _(known: Known, rng: Random) -> tuple[str, str]:
    return _both("/fhir/Observation/{}", rng.choice(known.observations))


@_asked("read, blocked")
def _(known: Known, rng: Random) -> tuple[str, str]:
    return _both("/fhir/Condition/{}", rng.choice(known.blocked))


@_asked("vread")
def _(known: Known, rng: Random) -> tuple[str, str]:
    return _both("/fhir/Observation/{}/_history/1", rng.choice(known.observations))


@_asked("search by id")
def _(known: Known, rng: Random) -> tuple[str, str]:
    return _both("/fhir/Observation?_id={}", rng.choice(known.observations))


@_asked("search by id, blocked")
def _(known: Known, rng: Random) -> tuple[str, str]:
    return _both("/fhir/Condition?_id={}", rng.choice(known.blocked))


@_asked("_has")
def _(known: Known, rng: Random) -> tuple[str, str]:
    return _both(f"/fhir/Patient?_id={known.visible}&_has:Condition:patient:_id={{}}", rng.choice(known.blocked))


@_asked("search by patient")
def _(known: Known, rng: Random) -> tuple[str, str]:
    return _both("/fhir/Observation?patient={}", rng.choice(known.patients))


@_asked("$everything")
def _(known: Known, rng: Random) -> tuple[str, str]:
    return _both("/fhir/Patient/{}/$everything", rng.choice(known.patients))


@_asked("page")
def _(known: Known, rng: Random) -> tuple[str, str]:
    return _both(f"{known.slot}patient/{{}}", rng.choice(known.patients))


class Connection:
    """One connection over HTTP/1.1, with as little between the clock and the wire as can be."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, headers: dict[str, str]) -> tuple[float, int, int]:
        """GET a path; return the seconds to the last byte, the status and the length."""
        if self._open is None:
            self._open = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._open
        head = {"Host": f"{self._host}:{self._port}", "Accept": "*/*", **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        began = perf_counter()
        writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(answer.partition("content-length:")[2].partition("\r\n")[0] or 0)
        await reader.readexactly(length)
        return perf_counter() - began, int(answer.split(" ", 2)[1]), length

    def close(self) -> None:
        """Close it."""
        if self._open is not None:
            self._open[1].close()


@dataclass(frozen=True)
class Pair:
    """When a pair was asked, its seconds, and what was answered."""

    at: float
    hidden: float
    absent: float


def auc(hidden: Sequence[float], absent: Sequence[float]) -> float:
    """Return how well a threshold parts two samples, either way round: the rank statistic, ties by half."""
    ordered = sorted([(value, 1) for value in hidden] + [(value, 0) for value in absent])
    ranks, place = 0.0, 0
    while place < len(ordered):
        end = place
        while end < len(ordered) and ordered[end][0] == ordered[place][0]:
            end += 1
        ranks += sum(kind for _, kind in ordered[place:end]) * (place + 1 + end) / 2
        place = end
    found = (ranks - len(hidden) * (len(hidden) + 1) / 2) / (len(hidden) * len(absent))
    return max(found, 1 - found)


def features(pairs: Sequence[Pair]) -> dict[str, float]:
    """Return the AUC by each feature."""
    ordered = sorted(pairs, key=lambda pair: pair.at)
    around = [
        median(value for near in ordered[max(0, n - AROUND) : n + AROUND] for value in (near.hidden, near.absent))
        for n in range(len(ordered))
    ]
    longer = sum(pair.hidden > pair.absent for pair in ordered) / len(ordered)
    return {
        "seconds": auc([p.hidden for p in ordered], [p.absent for p in ordered]),
        "against its surroundings": auc(
            [p.hidden / m for p, m in zip(ordered, around, strict=True)],
            [p.absent / m for p, m in zip(ordered, around, strict=True)],
        ),
        "within the pair": max(longer, 1 - longer),
    }


async def measured(
    target: Target, known: Known, headers: dict[str, str], many: int, seed: int
) -> dict[str, list[Pair]]:
    """Ask every pair, all kinds in turn, on every connection at once."""
    rng = Random(seed)
    left = [(name, *make(known, rng), rng.random() < 0.5) for _ in range(many) for name, make in PATHS.items()]
    rng.shuffle(left)
    found: dict[str, list[Pair]] = {name: [] for name in PATHS}
    whole = len(left)

    async def work() -> None:
        connection = Connection(target.base)
        cookie = {"Cookie": known.cookie}
        while left:
            name, hidden, absent, first = left.pop()
            sent = cookie if name == "page" else headers
            got = [await connection.ask(path, sent) for path in ((hidden, absent) if first else (absent, hidden))]
            one, other = got if first else got[::-1]
            if one[1] != other[1]:
                raise SystemExit(f"bench timing: {hidden} is answered {one[1]}, {absent} {other[1]}")
            found[name].append(Pair(perf_counter(), one[0], other[0]))
            if len(left) % 500 == 0:
                sys.stderr.write(f"\r{whole - len(left)} of {whole} pairs ")
                sys.stderr.flush()
        connection.close()

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return found


async def staged(target: Target, folder: Path) -> Known:
    """Write one record with a relation and a block, and many without any; sign the professional in."""
    known = Known()
    async with httpx.AsyncClient(base_url=target.base, timeout=120) as http:
        for number in range(HIDDEN + 1):
            body = json.dumps(person(number, 40))
            if number:
                body = body.replace(UNIT, f"{UNIT}9")
            answer = await http.post("", headers=FHIR | target.headers, content=body)
            answer.raise_for_status()
            names = [e["response"]["location"].split("/_history")[0].split("/")[-2:] for e in answer.json()["entry"]]
            if number == 0:
                known.visible = names[0][1]
            else:
                known.patients.append(names[0][1])
                known.observations += [name for kind, name in names if kind == "Observation"]
        for number in range(200):
            condition = {"resourceType": "Condition", "code": {"text": str(number)},
                         "subject": {"reference": f"Patient/{known.visible}"}}  # fmt: skip
            answer = await http.post("/Condition", headers=FHIR | target.headers, content=json.dumps(condition))
            known.blocked.append(answer.json()["id"])
        citizen = bearer(folder, {"kind": "citizen", "sub": cpr_of(0), "name": "x"})
        answer = await http.post("/Consent", headers=FHIR | citizen, content=json.dumps(_block()))
        answer.raise_for_status()
    known.slot, known.cookie = await page_of(target, NURSE)
    return known


def _block() -> dict[str, Any]:
    """Return the Consent that blocks the citizen's Conditions for everybody."""
    terms = "http://terminology.hl7.org/CodeSystem"
    return {
        "resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": f"{terms}/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": f"{terms}/consentcategorycodes", "code": "infa"}]}],
        "patient": {"type": "Patient", "identifier": {"system": CPR, "value": cpr_of(0)}},
        "policyRule": {"coding": [{"system": f"{terms}/v3-ActCode", "code": "OPTOUT"}]},
        "provision": {"type": "deny", "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}]},
    }  # fmt: skip


def table(found: dict[str, list[Pair]]) -> tuple[list[str], bool]:
    """Return the lines of the table, and whether every row is within the bounds."""
    lines = [
        "| asked | pairs | hidden ms | absent ms | gap µs | AUC seconds | AUC surroundings | AUC pair |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    well = True
    for name, pairs in found.items():
        one, other = median(p.hidden for p in pairs), median(p.absent for p in pairs)
        got = features(pairs)
        well &= max(got.values()) <= MOST and abs(one - other) < MOST_GAP
        cells = [f"{one * 1000:.2f}", f"{other * 1000:.2f}", f"{(one - other) * 1e6:.0f}"]
        lines.append("| " + " | ".join([name, str(len(pairs)), *cells, *(f"{v:.3f}" for v in got.values())]) + " |")
    return lines, well


def main(arguments: list[str]) -> int:
    """Run it, print the table, and return 1 where a clock can tell."""
    parser = argparse.ArgumentParser(prog="bench timing")
    parser.add_argument("--pairs", type=int, default=2000, help="pairs of each kind of request")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="kinds of request, of " + ", ".join(PATHS))
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    for name in set(PATHS) - set(given.only.split(",") if given.only else PATHS):
        del PATHS[name]

    async def run(target: Target, folder: Path) -> dict[str, list[Pair]]:
        known = await staged(target, folder)
        headers = bearer(folder, NURSE)
        await measured(target, known, headers, 40, given.seed + 1)  # plans and connections are made
        return await measured(target, known, headers, given.pairs, given.seed)

    with open_folder("timing", in_memory=True) as folder, served(folder, given.workers, SOURCE) as target:
        found = asyncio.run(run(target, folder))
    lines, well = table(found)
    sys.stdout.write(f"\n{machine()}\n{date.today().isoformat()}, {CONNECTIONS} connections, seed {given.seed}\n\n")  # noqa: DTZ011 - a note for the reader
    sys.stdout.write("\n".join(lines) + "\n")
    return int(not well)
