"""A28, O13: what fails too often is refused, credentials and look-ups, alike for what is there and what is not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from overblik.app.runtime import runtime
from overblik.app.server import application
from overblik.app.settings import Settings
from overblik.fhir.errors import NotFound, TooMany
from overblik.trust.callers.identity import Caller
from overblik.trust.callers.tries import WINDOW, Tries, address_of, networks
from tests.conftest import NOW, FixedClock, World
from tests.smart.app import register
from tests.trust.consents import CPR_SYSTEM
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, SIBLING, encounter, patient, stage, write
from tests.trust.test_break_glass import asked, smash

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.conftest import Clones

ABSENT = "0905489971"


@pytest.fixture
async def world(clones: Clones, tmp_path: Path, clock: FixedClock) -> AsyncIterator[World]:
    """Return a server that lets three tries fail."""
    settings = Settings(
        data=tmp_path, mode="test", connections=6, base_url="http://test", tries=3, look_ups=3,
        proxies="10.0.0.0/8, ::1",
    )  # fmt: skip
    async with runtime(settings, clones.make(), clock=clock, migrating=False) as run:
        transport = httpx.ASGITransport(application(run), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield World(run, http, clock)


FORM = {"grant_type": "authorization_code", "code": "x", "redirect_uri": "https://a"}
Answers = list[tuple[int, str, bytes]]


async def failing(world: World, names: list[str]) -> Answers:
    """Try a bad token on what is there and what is not, and tokens for a client that is there and one that is not."""
    bad = {"Authorization": "Bearer x", "X-Forwarded-For": "192.0.2.1"}
    answers = [await world.get(f"/Patient/{name}", bad) for name in names]
    answers += [await world.http.post("/oauth/token", data=FORM | {"client_id": client}) for client in ("a28", "none")]
    answers.append(await world.http.get("/sign-in/callback", params={"state": "x", "code": "x"}))
    return [(a.status_code, a.headers.get("Retry-After", ""), a.content) for a in answers]


async def test_a28_what_fails_too_often_is_429_and_what_holds_is_served(world: World) -> None:
    identifier = await stage(world)
    await register(world, "a28", kind="confidential", jwks_uri="https://keys.example.dk/jwks")
    names = [identifier, "0" * 32]
    first = await failing(world, names)
    assert [status for status, _, _ in first] == [401, 401, 401, 429, 429], "counted together, whatever is tried"
    later = await failing(world, names)
    assert [told[:2] for told in later] == [(429, "601")] * 5
    assert later[0] == later[1]
    assert later[2] == later[3]
    assert (await world.get(f"/Patient/{identifier}", world.citizen(CPR))).status_code == 200, "a neighbour is served"
    assert (await world.get(f"/Patient/{identifier}", {})).status_code == 401, "nothing was tried"
    assert (await world.http.get("/")).status_code == 200
    world.clock.forward(minutes=10)
    assert [status for status, _, _ in await failing(world, names)] == [401, 401, 401, 429, 429]


async def test_a28_who_goes_through_numbers_is_stopped_before_any_is_looked_up(world: World) -> None:
    """By every way to look somebody up, with whatever tokens; a number that is there is refused like any other."""
    await stage(world)
    await write(world, patient(OTHER))
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))

    async def look_up(cpr: str, org: str = DEPARTMENT) -> int:
        found = await world.get(f"/Patient?identifier={CPR_SYSTEM}|{cpr}", world.professional(org))
        return found.status_code if found.status_code != 200 else 200 if "entry" in found.json() else 404

    assert [await look_up(cpr) for cpr in (CPR, OTHER, CPR, ABSENT)] == [200, 404, 200, 404]
    assert (await smash(world, world.professional(DEPARTMENT), asked(ABSENT))).status_code == 404
    seen = await world.run.database.fetch("select count(*) as entries from access_log")
    for cpr in (CPR, OTHER, ABSENT):
        assert await look_up(cpr) == 429
        assert await look_up(cpr, SIBLING) == 429, "another unit is the same person"
        refused = await smash(world, world.professional(DEPARTMENT), asked(cpr))
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "601")
        chained = await world.get(f"/Encounter?subject:Patient.identifier={cpr}", world.professional(DEPARTMENT))
        assert chained.status_code == 429
    assert await world.run.database.fetch("select count(*) as entries from access_log") == seen
    other = world.professional(DEPARTMENT, "TEST2")
    assert (await world.get(f"/Patient?identifier={CPR_SYSTEM}|{CPR}", other)).json()["entry"]
    assert (await world.get("/Encounter", world.professional(DEPARTMENT))).status_code == 200, "only look-ups"
    for _ in range(5):
        for who in (world.citizen(ABSENT), world.source(), world.system()):
            assert (await world.get(f"/Patient?identifier={CPR_SYSTEM}|{ABSENT}", who)).status_code == 200
    world.clock.forward(minutes=10)
    assert await look_up(CPR) == 200


async def test_a28_who_acts_for_somebody_is_counted_too(world: World) -> None:
    proxy = Caller("proxy", OTHER, "Fuldmægtig", on_behalf=CPR)
    for error in (NotFound, NotFound, NotFound, TooMany):
        with pytest.raises(error):
            await world.run.door.find(proxy, CPR_SYSTEM, ABSENT)


def told(peer: str, *hops: str, proxies: str = "10.0.0.0/8, fd00::/8, 127.0.0.1") -> str:
    return address_of(peer, {"x-forwarded-for": ", ".join(hops)} if hops else {}, networks(proxies))


SAME = [
    ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
    ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ("::ffff:192.0.2.1", "192.0.2.1", True),
    ("192.0.2.1", "192.0.2.2", False),
    ("fe80::1%eth0", "fe80::2%eth1", True),
    ("", "not an address", True),
]


@pytest.mark.parametrize(("one", "other", "same"), SAME)
def test_o13_neighbours_of_one_network_are_one(one: str, other: str, same: bool) -> None:
    assert (told(one) == told(other)) is same


HOPS = [
    ("192.0.2.1", ("198.51.100.1",), "192.0.2.1"),
    ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
    ("10.0.0.1", ("203.0.113.9", "198.51.100.1"), "198.51.100.1"),
    ("10.0.0.1", ("203.0.113.9", "198.51.100.1", "10.0.0.2"), "198.51.100.1"),
    ("127.0.0.1", (), "127.0.0.1"),
    ("10.0.0.1", ("10.0.0.2",), "10.0.0.2"),
    ("10.0.0.1", ("nonsense",), "unknown"),
]
"""The connection's other end, X-Forwarded-For, and who is counted: what a client wrote there itself is not believed."""


@pytest.mark.parametrize(("peer", "hops", "counted"), HOPS)
def test_o13_a_header_says_who_came_only_where_a_known_proxy_wrote_it(
    peer: str, hops: tuple[str, ...], counted: str
) -> None:
    assert told(peer, *hops) == f"address {counted}"


def test_a28_the_memory_is_bounded_and_a_clock_that_steps_locks_nobody_out() -> None:
    clock = FixedClock()
    tries = Tries(clock, 2, keys=100)
    for number in range(1000):
        tries.failed(f"k{number}")
    assert len(tries._failed) == 100  # noqa: SLF001 - how much is kept
    for step in (timedelta(0), -timedelta(days=1), timedelta(days=9)):
        clock.set(clock.now() + step)
        tries.require("x")
        tries.failed("x")
        tries.failed("x")
        with pytest.raises(TooMany) as refused:
            tries.require("x")
        assert refused.value.after == WINDOW.total_seconds() + 1
    unlimited = Tries(clock, 0)
    for _ in range(50):
        unlimited.failed("x")
    unlimited.require("x")
