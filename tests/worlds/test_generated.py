"""O1: requests over every route and page, drawn by hypothesis; two worlds answer each with the same bytes.

`--worlds N` asks N requests instead of 2 000; the everyday tests ask the first few hundred of them. `--fresh`
asks others.
"""

from __future__ import annotations

import hashlib
import secrets
import zlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from overblik.api.routes import ROUTES
from overblik.web.routes import PAGES as WEB
from tests.conftest import DRAWN
from tests.journeys.worlds import Answer, Pair, two_worlds
from tests.web.browse import Tab, sign_in
from tests.worlds import stages
from tests.worlds.requests import PAGES, Ask, Drawer, drawn, drawn_page, made, of_route, page
from tests.worlds.stages import STAGES, Stage, populations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

    import httpx

    from tests.conftest import Clones, FixedClock, World
    from tests.search.evaluate import Population

EACH = 10
"""Requests of one example."""
EVERYDAY = frozenset({"professional", "citizen"})
FIRST = 8
"""Examples of a stage that are asked first; of two stages, every day."""
ROUND = 40
"""Examples of a turn beyond those; each turn draws what its worlds hold."""
MOST_PAGES = 12


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every stage as many turns as the requests asked for need."""
    if "turn" in metafunc.fixturenames:
        wanted = int(metafunc.config.getoption("--worlds")) // len(STAGES) - FIRST * EACH
        metafunc.parametrize("turn", range(-(-max(0, wanted) // (ROUND * EACH))))
    if "stage" in metafunc.fixturenames:
        marks = [] if "turn" in metafunc.fixturenames else [pytest.mark.long]
        stages_ = [pytest.param(s, id=s.name, marks=[] if s.name in EVERYDAY else marks) for s in STAGES]
        metafunc.parametrize("stage", stages_)


class Drawn:
    """Keys that are the same in both worlds: drawn for each request anew, from its number."""

    def __init__(self) -> None:
        self._request = ""
        self._given = 0

    def begin(self, request: int) -> None:
        """Begin a request."""
        self._request, self._given = f"request {request}", 0

    def _next(self) -> str:
        self._given += 1
        return hashlib.sha256(f"{self._request}, key {self._given}".encode()).hexdigest()

    def number(self) -> int:
        """Return a positive 63-bit key."""
        return int(self._next()[:15], 16) | 1 << 61

    def id(self) -> str:
        """Return a resource id."""
        return self._next()[:32]


@dataclass
class Opened:
    """The worlds of one turn, and who is signed in to both."""

    stage: Stage
    population: Population
    pair: Pair
    tabs: list[tuple[dict[str, str], Tab, Tab]]
    keys: tuple[Drawn, Drawn] = field(default_factory=lambda: (Drawn(), Drawn()))
    asked: int = 0

    def begin(self) -> None:
        """Begin a request in both worlds."""
        self.asked += 1
        for keys in self.keys:
            keys.begin(self.asked)


def drawn_population(stage: Stage, name: str | None) -> Population:
    """Draw what the worlds of a turn hold: the same for a name, or anything."""
    found: list[Population] = []

    @seed(zlib.crc32(name.encode()) if name else secrets.randbits(32))
    @settings(max_examples=2, database=None, phases=[Phase.generate])
    @given(population=populations(stage))
    def take(population: Population) -> None:
        found.append(population)

    take()
    return found[-1]


@pytest.fixture
async def opened(
    request: pytest.FixtureRequest, stage: Stage, clones: Clones, tmp_path: Path, clock: FixedClock
) -> AsyncIterator[Opened]:
    population = drawn_population(stage, None if request.config.getoption("--fresh") else request.node.nodeid)
    shared, hidden = (partial(write, stage=stage, population=population) for write in (stages.shared, stages.hidden))
    async with two_worlds(clones, tmp_path, clock, shared, hidden) as pair:
        tabs = []
        for claims in stage.pages:
            one, other = await sign_in(pair.a, claims), await sign_in(pair.b, claims)
            names = {tab.base: "/s/SLOT" for tab in (one, other)}
            names |= {await one.token(): "TOKEN", await other.token(): "TOKEN"}
            tabs.append((names, one, other))
        made = Opened(stage, population, pair, tabs)
        for world, keys in zip((pair.a, pair.b), made.keys, strict=True):
            world.run.writer.keys = keys
        yield made


async def sent(world: World, ask: Ask, who: dict[str, str]) -> httpx.Response:
    return await world.http.request(ask.method, f"/fhir{ask.path}", headers={**ask.headers, **who}, content=ask.content)


async def compare(opened: Opened, ask: Ask, name: str) -> None:
    """Ask both worlds, and follow the pages of the answer to their end."""
    pair, stage = opened.pair, opened.stage
    for _ in range(MOST_PAGES):
        opened.begin()
        a, b = [await sent(world, ask, stage.callers(world)[name]) for world in (pair.a, pair.b)]
        same(told(a, ask), told(b, ask), f"{name}: {ask}")
        if (
            "AuditEvent" in ask.path
            or ask.method == "HEAD"
            or a.status_code != 200
            or b'{"relation":"next"' not in a.content
        ):
            return
        links = [{link["relation"]: link["url"] for link in r.json().get("link", ())} for r in (a, b)]
        if "next" not in links[0]:
            return
        paths = [found["next"].removeprefix("http://test/fhir") for found in links]
        opened.begin()
        a, b = [await sent(world, Ask("GET", path), stage.callers(world)[name])
                for world, path in zip((pair.a, pair.b), paths, strict=True)]  # fmt: skip
        same(Answer.of(a), Answer.of(b), f"{name}: the next page of {ask}")


def told(response: httpx.Response, ask: Ask, names: dict[str, str] | None = None) -> Answer:
    """Return what is compared of an answer: of the log no more than its status.

    The log tells everybody whose it is that something was written, and who has read (docs/log.md), so it cannot be
    the same where more was. What it must not tell of the hidden is asked in tests/trust/test_log_events.py.
    """
    if "AuditEvent" in ask.path or ask.path.partition("?")[0].endswith("/log"):
        return Answer(response.status_code, (), b"")
    return Answer.of(response, names)


class Differ(BaseException):
    """The worlds differ. No Exception: hypothesis would ask again to make it smaller, of worlds that have changed."""


def same(a: Answer, b: Answer, what: str) -> None:
    """Fail with what is asked, and where the answers part."""
    if a == b:
        return
    at = next(
        (n for n, (x, y) in enumerate(zip(a.body, b.body, strict=False)) if x != y), min(len(a.body), len(b.body))
    )
    heads = set(a.headers) ^ set(b.headers)
    parts = [answer.body[max(0, at - 200) : at + 200].decode("utf-8", "replace") for answer in (a, b)]
    raise Differ(f"{what}\n{a.status} {b.status} {heads}\nA …{parts[0]}…\nB …{parts[1]}…")


async def compare_page(opened: Opened, ask: Ask, number: int) -> None:
    """Ask for a page in both worlds."""
    opened.begin()
    names, *tabs = opened.tabs[number]
    answers = []
    for tab in tabs:
        if ask.fields is not None:
            response = await tab.post(ask.path, ask.fields)
        else:
            response = await tab.world.http.request(ask.method, tab.base + ask.path)
        answers.append(told(response, ask, names))
    same(answers[0], answers[1], f"{opened.stage.pages[number]}: {ask}")


async def unless_broken(comparing: Coroutine[Any, Any, None], ask: Ask) -> None:
    """Compare, and tell of an error as of a difference: hypothesis would ask again."""
    try:
        await comparing
    except Exception as error:
        raise Differ(f"{ask}: {error!r}") from error


async def ask_both(opened: Opened, data: st.DataObject) -> None:
    """Draw some requests, and ask both worlds."""
    drawer = Drawer(cast("st.DrawFn", data.draw), opened.population)
    names = list(opened.stage.callers(opened.pair.a))
    for number in range(EACH):
        if opened.tabs and number % 4 == 3:
            ask, tab = drawn_page(drawer), drawer.pick(range(len(opened.tabs)))
            await unless_broken(compare_page(opened, ask, tab), ask)
        else:
            ask, name = drawn(drawer), drawer.pick(names)
            await unless_broken(compare(opened, ask, name), ask)


@settings(DRAWN, max_examples=FIRST)
@given(data=st.data())
async def test_o1_what_is_hidden_changes_no_byte_of_any_answer(opened: Opened, data: st.DataObject) -> None:
    await ask_both(opened, data)


@pytest.mark.long
@settings(DRAWN, max_examples=ROUND)
@given(data=st.data())
async def test_o1_nor_of_many(opened: Opened, turn: int, data: st.DataObject) -> None:
    assert turn >= 0
    await ask_both(opened, data)


@settings(max_examples=1, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_route_is_among_the_requests(data: st.DataObject) -> None:
    """A route that is new is asked for too, or this fails."""
    population = data.draw(populations(STAGES[0]))
    drawer = Drawer(cast("st.DrawFn", data.draw), population)
    for route in ROUTES:
        found = of_route(made(drawer, route))
        assert (found.code, found.interaction) == (route.code, route.interaction) or route.path in {"/", ""}, route
    for method, path in PAGES:
        assert page(drawer, method, path).path.startswith("/")


def test_every_page_has_the_fields_of_its_form() -> None:
    """A page that is new is asked for too, or this fails."""
    assert set(PAGES) == {(method, path) for method, path, _ in WEB}
