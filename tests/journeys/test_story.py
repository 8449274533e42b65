"""The main job in a browser: one course, four people, every step, and every earlier step as it was known.

Told twice: Inger's story as it happens, and that of a generated person whose messages come out of
order and more than once, among blocks that concern nobody of the four.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from playwright.async_api import async_playwright

from overblik.demo.cast import GP, INGER, NURSE, ODENSE, OTHER_CLINIC, OTHER_NURSING, STRANGER, SURGEON
from overblik.demo.people import make_person
from overblik.demo.story import Story
from overblik.fhir.identifiers import CPR
from overblik.trust.callers.identity import Caller
from tests.conftest import NOW
from tests.journeys.live import CHROMIUM, Live, live, needs_chromium
from tests.journeys.told import DANISH, Told, story_as_told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from playwright.async_api import Page

    from overblik.demo.delivery import Delivery, Step
    from overblik.demo.people import Person

pytestmark = [pytest.mark.long, needs_chromium]

PROFESSIONALS = {"nurse": NURSE, "gp": GP, "surgeon": SURGEON}
SECTIONS: tuple[str, ...] = ("course", "asked", "before", "handover", "problems", "medication", "results", "plans")
SECTIONS += ("appointments", "messages", "contacts", "documents", "master-data")
"""What the past must tell word for word; what is new and who has looked are of the present."""


@dataclass
class Viewer:
    """One of the four, with a page of the same browser open, and what it said at each step."""

    name: str
    page: Page
    home: str
    saw: dict[str, dict[str, str]] = field(default_factory=dict)
    record: str = ""

    @property
    def is_citizen(self) -> bool:
        return self.name == "citizen"

    async def group(self, person: Person) -> str:
        """Return the heading of the list the person stands in, and open the person's page; "" for none."""
        await self.page.goto(self.home)
        row = self.page.locator("section.group").filter(has_text=f"{person.cpr[:6]}-{person.cpr[6:]}")
        if not await row.count():
            return ""
        heading = await row.locator("h2").inner_text()
        await row.get_by_role("link", name=person.name).click()
        self.record = self.page.url
        return heading.rsplit(" ", 1)[0]

    async def sections(self) -> dict[str, str]:
        """Return the text of every section that stands on the page."""
        found = {}
        for name in SECTIONS:
            section = self.page.locator(f"section#{name}")
            if await section.count():
                found[name] = await section.inner_text()
        return found

    async def text(self, selector: str) -> str:
        """Return the text of the first element that matches; "" where none does."""
        found = self.page.locator(selector).first
        return await found.inner_text() if await found.count() else ""


@asynccontextmanager
async def four_viewers(server: Live, person: Person) -> AsyncIterator[list[Viewer]]:
    """Sign all four in, each in a page of one browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await browser.new_context(locale="da-DK", java_script_enabled=False)
        claims: dict[str, dict[str, Any]] = {"citizen": {"kind": "citizen", "sub": person.cpr, "name": person.name}}
        claims |= {name: staff.claims() for name, staff in PROFESSIONALS.items()}
        viewers = []
        for name, claim in claims.items():
            page = await context.new_page()
            await page.goto(await server.link(**claim))
            viewers.append(Viewer(name, page, page.url))
        yield viewers
        await browser.close()


async def look(viewer: Viewer, person: Person, told: Told) -> None:
    """Open a viewer's page, and hold it to what must be told."""
    where = f"{told.step}, {viewer.name}"
    if viewer.is_citizen:
        await viewer.page.goto(viewer.home)
        viewer.record = viewer.home
    else:
        assert await viewer.group(person) == getattr(told, viewer.name), where
        if not getattr(told, viewer.name):
            return
    articles = viewer.page.locator("#course article.course")
    assert await articles.count() == told.courses, where
    if told.courses:
        strip = "#course article.course >> nth=0"
        assert await viewer.text(f"{strip} >> .state") == (told.standing if viewer.is_citizen else told.label), where
        facts = await viewer.text(f"{strip} >> dl.facts")
        assert told.holder in facts, where
        assert bool(facts) is bool(told.holder), where
        assert told.deadline in facts, where
        assert ("Næste frist" in facts) is bool(told.deadline), where
        assert told.session in facts, where
    if viewer.name == "gp":
        assert await viewer.page.locator("#asked li").count() == told.asked, where
    viewer.saw[told.step] = await viewer.sections()


async def look_back(viewer: Viewer, steps: Sequence[Step]) -> None:
    """Hold the page, asked for each earlier step, to what it said then, word for word."""
    for step in steps:
        if step.code in viewer.saw:
            await viewer.page.goto(f"{viewer.record}?asOf={step.until.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z")
            known, then = await viewer.sections(), viewer.saw[step.code]
            for name in known.keys() | then.keys():
                assert known.get(name, "") == then.get(name, ""), (step.code, viewer.name, name)


async def check_days(viewer: Viewer, story: Story) -> None:
    """Hold the strip of the closed course to the day each step was taken, whatever was said of it later."""
    await viewer.page.goto(viewer.home)
    at = await viewer.page.locator("#course ol.strip li .at").all_text_contents()
    days = story.days
    expected = [
        *(days.admitted, days.operated, days.discharged, days.discharged, days.accepted, days.accepted),
        *(days.first_session, days.report, days.closed),
    ]
    assert [t.strip() for t in at] == [DANISH.day(day, story.steps()[-1].until) for day in expected]


async def check_log(viewer: Viewer, told: list[Told]) -> None:
    """Hold the citizen's log to the looks that were taken: who, where, when, what and why."""
    await viewer.page.goto(f"{viewer.home}log")
    rows = [r.replace("\n", " ").replace("\t", " ") for r in await viewer.page.locator("tbody tr").all_inner_texts()]
    assert len(rows) > 2 * len(told)
    for name, staff in PROFESSIONALS.items():
        days = [t.step for t in told if getattr(t, name)]
        for action in ("så overblikket", "så dig på sin arbejdsliste"):
            mine = [r for r in rows if staff.name in r and staff.unit.name in r and action in r]
            assert len(mine) == len({viewer_day(t) for t in days}), (name, action)
            assert all("Behandling" in r for r in mine)


def viewer_day(step: str) -> str:
    """Return what the log writes as one line: what the same person does on one day."""
    return {"discharge": "plan", "offer": "acceptance"}.get(step, step)


async def check_strangers(server: Live, record: str, person: Person) -> None:
    """A stranger must get what a patient who does not exist would give, byte for byte."""
    identifier, absent = record.rstrip("/").rsplit("/", 1)[1].split("?")[0], str(uuid4())
    other = make_person(Random(99), NOW.date())
    strangers: list[dict[str, Any]] = [
        STRANGER.claims(),
        {"kind": "citizen", "sub": other.cpr, "name": other.name},
    ]
    async with httpx.AsyncClient(base_url=server.address) as client:
        for claims in strangers:
            for path in ("/fhir/Patient/{}", "/fhir/Patient/{}/$overview", "/fhir/Patient/{}/_history"):
                a, b = [await client.get(path.format(i), headers=server.token(**claims)) for i in (identifier, absent)]
                assert telling(a) == telling(b)
                assert a.status_code == 404
            searched = [
                await client.post(
                    "/fhir/Patient/_search", data={"identifier": f"{CPR}|{n}"}, headers=server.token(**claims)
                )
                for n in (person.cpr, "0101011234")
            ]
            assert telling(searched[0]) == telling(searched[1])
            signed = await client.get(await server.link(**claims), follow_redirects=True)
            slot = signed.url.path
            cookie = {"Cookie": "; ".join(f"{c.name}={c.value}" for c in client.cookies.jar if c.path == slot)}
            a, b = [await client.get(f"{slot}patient/{i}", headers=cookie) for i in (identifier, absent)]
            assert telling(a) == telling(b)
            assert a.status_code == 404


def telling(response: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Return all of an answer but its time and number."""
    headers = {k: v for k, v in response.headers.items() if k not in {"date", "x-request-id"}}
    return response.status_code, response.content, headers


async def play(server: Live, story: Story, hand_over: Any) -> None:
    """Tell a story step by step to all four, and look back at the end."""
    steps = story.steps()
    server.clock.set(steps[0].deliveries[0].at)
    await server.set_the_stage(NOW)
    async with four_viewers(server, story.person) as viewers:
        for number, step in enumerate(steps):
            await hand_over(step)
            told = story_as_told(story.days, story.places, step.until)
            assert [t.step for t in told] == [s.code for s in steps]
            for viewer in viewers:
                await look(viewer, story.person, told[number])
        for viewer in viewers:
            await look_back(viewer, steps)
        await check_days(viewers[0], story)
        surgeon = viewers[-1]
        await surgeon.page.goto(surgeon.record)
        before = await surgeon.text("#before")
        assert "Dalteparin" in before
        ended = DANISH.day(story.days.operated + timedelta(days=28), steps[-1].until)
        assert f"sluttede {ended}" in before
        assert "Habituel funktion" in before
        await surgeon.page.get_by_role("link", name="se beskeden").first.click()
        assert story.person.cpr in await surgeon.text("main")
        await check_log(viewers[0], told)
        await check_strangers(server, surgeon.record, story.person)


async def test_the_whole_story_is_told_to_all_four(folder: Path) -> None:
    async with live(folder) as server:
        story = Story(INGER, NOW.date())
        await play(server, story, lambda step: server.tell(step.deliveries, step.until))
        flagged = await server.run.database.fetch("select code, reason from inbox where code like 'clock-%%'")
        assert flagged == [], "nothing comes before it was written"


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_story_holds_for_anybody_in_any_order_among_any_blocks(folder: Path, seed: int) -> None:
    rng = Random(seed)
    person = make_person(rng, NOW.date())
    async with live(folder) as server:
        story = Story(person, NOW.date(), ODENSE)

        async def hand_over(step: Step) -> None:
            await server.tell(shuffled(step, rng), step.until)
            await block(server, person, rng)

        await play(server, story, hand_over)


def shuffled(step: Step, rng: Random) -> list[Delivery]:
    """Return a step's deliveries in any order, some of them again: late, but before its end."""
    found = [*step.deliveries, *(d for d in step.deliveries if rng.random() < 0.3)]
    rng.shuffle(found)
    last = max(d.at for d in step.deliveries)
    return [replace(d, at=last + timedelta(seconds=n)) for n, d in enumerate(found)]


async def block(server: Live, person: Person, rng: Random) -> None:
    """Write a block that hides nothing from the four: of others, of another time, of what nobody has said."""
    past, future = NOW - timedelta(days=9000), NOW + timedelta(days=9000)
    rows: list[dict[str, Any]] = [
        {"person": STRANGER.id},
        {"org": OTHER_NURSING.sor},
        {"org": OTHER_CLINIC.sor},
        {"type": "FamilyMemberHistory"},
        {"source": OTHER_CLINIC.sor},
        {"data_until": past, "type": "DiagnosticReport"},
        {"data_from": future, "org": OTHER_CLINIC.sor},
        {"valid_from": future},
        {"valid_until": past},
        {"org": SURGEON.unit.sor, "type": "Immunization"},
    ]
    found = await server.run.door.find(Caller("citizen", person.cpr, person.name), CPR, person.cpr)
    place = await server.run.door.locate("Patient", found)
    values = {"pid": place.pid, "did": server.run.writer.keys.number(), **rng.choice(rows)}
    names = ", ".join(values)
    given = ", ".join(f"%({name})s" for name in values)
    await server.run.database.run(f"insert into deny ({names}) values ({given})", values)
