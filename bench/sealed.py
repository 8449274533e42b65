"""What sealing bodies at rest costs: the same requests on two databases, one sealed, turn about.

    .venv/bin/python -m bench.sealed [--people 20] [--rounds 15]

Prints, of each kind of request, the median microseconds of processor time plain and sealed (this process, with the
whole server in it, and its PostgreSQL) and their ratio: of the server the median of the rounds' ratios, of the
database, whose time is counted in hundredths of a second, that of the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.cpu import spent
from bench.population import CODES, bundles
from overblik.app.runtime import Runtime, runtime
from overblik.app.server import application
from overblik.app.settings import Settings
from overblik.store.embedded import EmbeddedPostgres
from overblik.trust.door.entries import Kept
from overblik.trust.keys.masters import FileMasters

RESOURCES = 200


@dataclass
class Side:
    """One of the two servers, in this process, and what is in it."""

    folder: Path
    run: Runtime
    app: Any
    token: str
    patients: list[str]
    observations: list[str]

    async def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Send one request straight to the application; return the body of its answer."""
        path, _, query = path.partition("?")
        answer: list[bytes] = []
        status: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])
            else:
                answer.append(message.get("body", b""))

        headers = [(b"authorization", self.token.encode()), (b"content-type", b"application/fhir+json")]
        scope = {
            "type": "http", "method": method, "path": f"/fhir{path}", "raw_path": path.encode(), "headers": headers,
            "query_string": query.encode(), "scheme": "http", "server": ("test", 80), "client": ("127.0.0.1", 1),
            "http_version": "1.1", "root_path": "",
        }  # fmt: skip
        await self.app(scope, receive, send)
        if status[0] >= 300:
            raise SystemExit(f"{method} {path}: {status[0]} {b''.join(answer)[:500]!r}")
        return b"".join(answer)


async def _read(side: Side, number: int) -> None:
    await side.ask("GET", f"/Observation/{side.observations[number % len(side.observations)]}")


async def _create(side: Side, number: int) -> None:
    subject = {"reference": f"Patient/{side.patients[number % len(side.patients)]}"}
    code = {"coding": [{"system": "http://npu-terminology.org", "code": CODES[number % len(CODES)]}]}
    made = {"resourceType": "Observation", "status": "final", "code": code, "subject": subject,
            "effectiveDateTime": "2026-01-05T09:00:00+01:00", "note": [{"text": "x" * 200}]}  # fmt: skip
    await side.ask("POST", "/Observation", json.dumps(made).encode())


async def _search(side: Side, number: int) -> None:
    await side.ask("GET", f"/Observation?patient={side.patients[number % len(side.patients)]}&_count=50")


async def _everything(side: Side, number: int) -> None:
    await side.ask("GET", f"/Patient/{side.patients[number % len(side.patients)]}/$everything?_count=200")


async def _first(side: Side, number: int) -> None:
    side.run.door._kept = Kept()  # noqa: SLF001 - as a process that has not shown the record lately
    await _again(side, number)


async def _again(side: Side, number: int) -> None:
    await side.ask("GET", f"/Patient/{side.patients[number % len(side.patients)]}/$overview")


async def _stranger(side: Side, number: int) -> None:
    if (vault := side.run.database.vault) is not None:
        vault.forget()  # as a process that has not had the record's key yet
    await _read(side, number)


WORK: dict[str, tuple[int, Any]] = {
    "read by id": (200, _read),
    "read by id, the record's key not unwrapped yet": (200, _stranger),
    "Observation by patient, 50": (40, _search),
    "$everything, 200": (20, _everything),
    "$overview, first look": (20, _first),
    "$overview, again": (40, _again),
    "create": (100, _create),
}


async def _side(stack: AsyncExitStack, folder: Path, people: int, *, sealed: bool) -> Side:
    keys = folder / "bodies.keys" if sealed else None
    if keys is not None:
        FileMasters(keys).add()
    postgres = EmbeddedPostgres(folder)
    stack.callback(postgres.stop)
    settings = Settings(data=folder, mode="test", base_url="http://test", body_keys=keys)
    run = await stack.enter_async_context(runtime(settings, postgres.start()))
    if run.issuer is None:
        raise SystemExit("no test issuer")
    token = "Bearer " + run.issuer.token({"kind": "source", "sub": "bench", "name": "bench"})
    side = Side(folder, run, application(run), token, [], [])
    for bundle in bundles(people, RESOURCES):
        entries = json.loads(await side.ask("POST", "", bundle))["entry"]
        names = [entry["response"]["location"].split("/") for entry in entries]
        side.patients += [name[-3] for name in names if "Patient" in name]
        side.observations += [name[-3] for name in names if "Observation" in name]
    await run.drain()
    await run.database.run("analyze")
    return side


async def _cost(side: Side, times: int, work: Any, first: int) -> tuple[float, float]:
    """Return the microseconds of processor time of one request: of this process, and of its PostgreSQL."""
    database, own = spent(0, side.folder).database, time.process_time()
    for number in range(first, first + times):
        await work(side, number)
    own = time.process_time() - own
    return own / times * 1e6, (spent(0, side.folder).database - database) / times


async def _compare(sides: list[Side], times: int, work: Any, rounds: int) -> str:
    """Ask both sides in turn; return the columns of one line."""
    for side in sides:
        await _cost(side, max(times // 4, 5), work, 0)
    found: list[list[tuple[float, float]]] = [[], []]
    for turn in range(rounds):
        for which in (0, 1) if turn % 2 else (1, 0):
            found[which].append(await _cost(sides[which], times, work, turn * times))
    columns = ""
    for part in (0, 1):
        plain, sealed = ([cost[part] for cost in side] for side in found)
        ratio = median(sealed) / median(plain) if part else median(b / a for a, b in zip(plain, sealed, strict=True))
        columns += f" | {median(plain):,.0f} | {median(sealed):,.0f} | {ratio:.2f}"
    return columns


def _folder() -> Path:
    """Return a folder with two in it, which PostgreSQL's own user can enter."""
    root = Path(tempfile.mkdtemp(prefix="overblik-sealed-"))
    root.chmod(0o755)
    for name in ("plain", "sealed"):
        (root / name).mkdir(mode=0o755)
    return root


async def measure(people: int, rounds: int) -> None:
    """Fill both, ask both in turn, print the table."""
    async with AsyncExitStack() as stack:
        root = _folder()
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        sides = [await _side(stack, root / name, people, sealed=name == "sealed") for name in ("plain", "sealed")]
        for side in sides:
            sizes = await side.run.database.fetch(
                "select sum(pg_total_relation_size(t::regclass)) / (select count(*) from resource) as bytes"
                " from unnest(array['resource', 'history', 'raw', 'record_key']) t"
            )
            print(f"{side.folder.name}: {sizes[0].bytes:.0f} bytes a resource in its tables")
        print("| request | server µs plain | sealed | × | database µs plain | sealed | × |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for name, (times, work) in WORK.items():
            print(f"| {name}{await _compare(sides, times, work, rounds)} |", flush=True)


def main() -> None:
    """Take the sizes and measure."""
    parser = argparse.ArgumentParser(prog="bench.sealed", description=__doc__)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    asyncio.run(measure(given.people, given.rounds))


if __name__ == "__main__":
    main()
