"""In a browser: what is taken from somebody is gone from the pages they have open, within a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import async_playwright

from overblik.demo.cast import INGER, NURSE, NURSING, SURGEON
from overblik.demo.population import residents
from tests.conftest import NOW
from tests.journeys.live import CHROMIUM, live, needs_chromium

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.journeys.live import Live

pytestmark = [pytest.mark.long, needs_chromium]
COVERED = """() => new Promise(done => {
  const root = document.documentElement;
  if (root.classList.contains('covered')) done();
  new MutationObserver(() => { if (root.classList.contains('covered')) done(); })
    .observe(root, {attributes: true});
})"""
"""Waits until a page has covered itself."""


async def person(browser: Browser, server: Live, locale: str = "da-DK", **claims: object) -> Page:
    """Sign somebody in, in a browser of their own."""
    page = await (await browser.new_context(locale=locale)).new_page()
    await page.goto(await server.link(**claims))
    return page


async def test_a_page_is_covered_and_fetched_again_when_something_on_it_is_taken(folder: Path) -> None:
    async with live(folder) as server, async_playwright() as playwright:
        await server.set_the_stage(NOW)
        for step in residents(1, NOW.date())[0].story.steps()[:6]:
            await server.tell(step.deliveries, step.until)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        nurse, surgeon = [await person(browser, server, **who.claims()) for who in (NURSE, SURGEON)]
        for page in (nurse, surgeon):
            await page.get_by_role("link", name=INGER.name).first.click()
            await page.evaluate("window.before = true")
        second = await nurse.context.new_page()
        await second.goto(nurse.url.partition("/patient")[0] + "/")
        assert INGER.name in await second.locator("main").inner_text()

        citizen = await person(browser, server, kind="citizen", sub=INGER.cpr, name=INGER.name)
        await citizen.get_by_role("link", name="Spærringer").click()
        await citizen.get_by_label("Hvem må ikke se?").select_option(label=NURSING.name)
        await citizen.get_by_role("button", name="Se, hvad den skjuler").click()
        covered = [asyncio.create_task(page.evaluate(COVERED)) for page in (nurse, second)]
        await citizen.get_by_role("button", name="Ja, sæt spærringen").click()
        await asyncio.gather(*covered)
        await nurse.get_by_text("Her er ikke noget, du kan se").wait_for()
        await second.get_by_text("Enheden har ingen igangværende patienter lige nu.").wait_for()
        assert INGER.name not in await nurse.content() + await second.content()
        assert await surgeon.evaluate("window.before") is True, "who lost nothing reads on"

        other = await surgeon.context.new_page()
        await other.goto(surgeon.url)
        left = asyncio.create_task(surgeon.evaluate(COVERED))
        await other.get_by_role("button", name="Log ud").click()
        await left
        await surgeon.get_by_text("Du er ikke logget ind").wait_for()
        assert INGER.name not in await surgeon.content()
        await browser.close()
