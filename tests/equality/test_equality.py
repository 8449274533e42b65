"""U11 and O3: what a proxy saw leave is what the log says left, over every channel and across kills.

`pytest tests/equality --equality 10000` asks so many times, with a kill at every hundredth.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from overblik.app.runtime import runtime
from overblik.app.settings import Settings
from overblik.demo.cast import GP, INGER, NURSE, ORTHOPAEDICS, SURGEON
from overblik.demo.client import Sources
from overblik.demo.clock import DemoClock
from overblik.demo.delivery import deliver
from overblik.demo.population import residents
from overblik.demo.stage import directory_bundle, set_stage
from tests.conftest import NOW
from tests.equality.judge import differences, read_log
from tests.equality.mix import NOBODY, TYPES, Asked, Mix
from tests.equality.proxy import Proxy
from tests.folders import open_folder
from tests.kill.rounds import plan
from tests.kill.victim import Victim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long
CLIENTS, BETWEEN = 4, 100
PEOPLE = residents(4, NOW.date())
CLAIMS: dict[str, dict[str, Any]] = {
    "citizen": {"kind": "citizen", "sub": INGER.cpr, "name": INGER.name},
    "other citizen": {"kind": "citizen", "sub": PEOPLE[1].person.cpr, "name": "Borger"},
    "stranger": {"kind": "citizen", "sub": "0101010101", "name": "Borger"},
    "nurse": NURSE.claims(),
    "gp": GP.claims(),
    "surgeon": SURGEON.claims(),
    "strange doctor": {"kind": "professional", "sub": "X", "name": "Læge", "role": "læge", "org": "99900000016041"},
    "source": {"kind": "source", "sub": ORTHOPAEDICS.slug, "name": "x"},
    "system": {"kind": "system", "sub": "system", "name": "Overblik"},
}
IN_PAGES = ("citizen", "nurse", "gp", "surgeon")


@pytest.fixture
def memory() -> Iterator[Path]:
    with open_folder("equality", in_memory=True) as made:
        yield made


class Bench:
    """A server that is killed, the proxy before it, and who asks through it."""

    def __init__(self, folder: Path) -> None:
        self.victim = Victim(folder)
        self.proxy = Proxy(int(self.victim.address.rpartition(":")[2]))
        self.headers: dict[str, dict[str, str]] = {}
        self.known: set[str] = set()
        self.answered = 0

    async def open(self) -> Mix:
        """Start the server, tell it of some people, sign everybody in, and return what can be asked."""
        await asyncio.to_thread(self.victim.start)
        settings = Settings(data=self.victim.folder, mode="demo", connections=4)
        pages = {}
        async with runtime(settings, self.victim.postgres.conninfo, migrating=False) as run:
            issuer = run.issuer
            assert issuer
            assert run.provider
            for label, claims in CLAIMS.items():
                token = {"Authorization": f"Bearer {issuer.token(claims)}"}
                self.headers[label] = token | {"X-Test-Caller": label}
            clock = DemoClock(self.victim.folder / "clock")
            await set_stage(run.door, NOW.date())
            system = self.headers["system"]["Authorization"].removeprefix("Bearer ")
            sources = Sources(
                self.victim.address, lambda slug, name: issuer.token({"kind": "source", "sub": slug, "name": name})
            )
            sources.send("/fhir", "application/fhir+json", directory_bundle(), system)
            await run.directory.refresh(force=True)
            told = sorted((d for r in PEOPLE for d in r.deliveries(NOW)), key=lambda d: d.at)
            await deliver(told, sources.post, clock.set, run.drain)
            sources.close()
            clock.set(NOW)
            for label in IN_PAGES:
                pages[label] = await self._sign_in(label, await run.provider.add(CLAIMS[label]))
            rows = await run.database.fetch("select type, id from locator where type = any(%(t)s)", {"t": list(TYPES)})
        ids: dict[str, list[str]] = {kind: [NOBODY] for kind in TYPES}
        for row in rows:
            ids[row.type].append(row.id)
        with self.victim.connect() as connection:
            self.known = {str(r[0]) for r in connection.execute("select distinct request::text from access_log")}
        return Mix(ids, tuple(CLAIMS), pages)

    async def _sign_in(self, label: str, hint: str) -> str:
        """Sign somebody in past the proxy; return the path of their pages."""
        async with httpx.AsyncClient(base_url=self.victim.address) as http:
            answer = await http.get("/sign-in", params={"hint": hint})
            while answer.status_code == 303 and "/s/" not in answer.headers["location"]:
                answer = await http.get(answer.headers["location"])
            cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in http.cookies.jar)
            self.headers[f"page {label}"] = {"Cookie": cookies, "X-Test-Caller": label}
            return str(httpx.URL(answer.headers["location"]).path).removesuffix("/")

    async def ask(self, mix: Mix, address: str, total: int, rng: Random) -> None:
        """Ask until so many have been answered; what is cut off is asked anew as something else."""
        async with httpx.AsyncClient(base_url=address, timeout=120) as http:
            while self.answered < total:
                who, asked = mix.draw(rng)
                with suppress(httpx.HTTPError):
                    headers = self._header(who, asked)
                    answer = await http.request(asked.method, asked.path, headers=headers, json=asked.body)
                    if answer.status_code < 500:
                        self.answered += 1
                        continue
                await asyncio.sleep(0.05)

    def _header(self, who: str, asked: Asked) -> dict[str, str]:
        return self.headers[f"page {who}" if asked.path.startswith("/s/") else who]

    async def kill(self, total: int, rng: Random) -> None:
        """Kill something at every hundredth answer, and wait until the server is there again."""
        for number, kind in enumerate(plan(total // BETWEEN, rng), 1):
            while self.answered < min(number * BETWEEN, total - CLIENTS):  # noqa: ASYNC110 - counted by four tasks
                await asyncio.sleep(0.005)
            await asyncio.sleep(rng.uniform(0, 0.05))
            await asyncio.to_thread(self.victim.kill, kind, rng)
            await asyncio.to_thread(self.victim.wait_ready)
            if number % 10 == 0:
                print(f"{self.answered} answered, {number} kills", flush=True)  # noqa: T201 - a long run tells how far it is

    def judged(self) -> list[str]:
        """Return how the log and the wire differ."""
        callers = {label: f"{claims['kind']} {claims['sub']}" for label, claims in CLAIMS.items()}
        people = {resident.person.name: resident.person.cpr for resident in PEOPLE}
        with self.victim.connect() as connection:
            return differences(read_log(connection, self.known), self.proxy.sent, callers, people)


async def test_u11_what_left_is_what_was_logged_across_kills(memory: Path, request: pytest.FixtureRequest) -> None:
    total = int(request.config.getoption("--equality"))
    bench, rng = Bench(memory), Random(11)
    mix = await bench.open()
    address = await bench.proxy.start()
    try:
        clients = [bench.ask(mix, address, total, Random(seed)) for seed in range(CLIENTS)]
        await asyncio.gather(bench.kill(total, rng), *clients)
        await asyncio.to_thread(bench.victim.wait_ready)
        found = bench.judged()
        sent = bench.proxy.sent
        statuses = {code: sum(s.status == code for s in sent) for code in sorted({s.status for s in sent})}
        disclosed = sum(len(s.disclosed) for s in sent)
        print(f"{len(sent)} requests, {total // BETWEEN} kills, {disclosed} versions disclosed, statuses {statuses}")  # noqa: T201 - the figures of a long run
        assert found[:20] == []
        assert disclosed > total // 2
        with bench.victim.connect() as connection:  # and the comparison can fail
            gone = next(s.request for s in sent if s.disclosed and s.whole)
            connection.execute("alter table access_log disable trigger all")
            connection.execute("delete from access_log where request = %s", [gone])
        assert bench.judged()
    finally:
        await bench.proxy.stop()
        await asyncio.to_thread(bench.victim.stop)
