"""In a browser, by keyboard and mouse: the citizen blocks, looks first at what it hides, and takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import async_playwright, expect

from overblik.demo.cast import INGER, NURSE, NURSING, STRANGER
from overblik.demo.population import residents
from tests.conftest import NOW
from tests.journeys.live import CHROMIUM, live, needs_chromium

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page

pytestmark = [pytest.mark.long, needs_chromium]
WIDTHS = {"wide": 1280, "narrow": 320}


async def shoot(page: Page, folder: Path, name: str) -> None:
    """Take the page at both widths; nothing may run off the side."""
    for width, pixels in WIDTHS.items():
        await page.set_viewport_size({"width": pixels, "height": 900})
        assert await page.evaluate("document.documentElement.scrollWidth") <= pixels, (name, width)
        await page.screenshot(path=folder / f"{name}-{width}.png", full_page=True)
    await page.set_viewport_size({"width": 1280, "height": 900})


async def test_a_block_in_the_browser(folder: Path, tmp_path: Path) -> None:
    async with live(folder) as server, async_playwright() as playwright:
        await server.set_the_stage(NOW)
        for step in residents(1, NOW.date())[0].story.steps()[:6]:
            await server.tell(step.deliveries, step.until)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        citizen = await (await browser.new_context(locale="da-DK")).new_page()
        nurse = await (await browser.new_context(locale="da-DK")).new_page()
        await nurse.goto(await server.link(**NURSE.claims()))
        await nurse.get_by_role("link", name=INGER.name).first.click()
        assert await nurse.locator("section#plans").inner_text()
        await citizen.goto(await server.link(kind="citizen", sub=INGER.cpr, name=INGER.name))
        await citizen.get_by_role("link", name="Spærringer").click()
        await shoot(citizen, tmp_path, "blocks-none")
        await citizen.get_by_label("Hvem må ikke se?").select_option(label=NURSING.name)
        await citizen.get_by_label("Hvad må de ikke se?").select_option("group:plans")
        await citizen.get_by_role("button", name="Se, hvad den skjuler").press("Enter")
        await citizen.get_by_text("Vis hver enkelt").click()
        await shoot(citizen, tmp_path, "preview")
        await citizen.get_by_role("button", name="Ja, sæt spærringen").click()
        assert "Planer og mål" in await citizen.locator("section#blocks").inner_text()
        await shoot(citizen, tmp_path, "blocks-one")
        await expect(nurse.locator("main")).not_to_contain_text("Genoptræningsplan")  # the open page sees to that
        await citizen.get_by_role("link", name="English").click()
        assert "Blocked for" in await citizen.locator("section#blocks").inner_text()
        await shoot(citizen, tmp_path, "blocks-english")
        await citizen.get_by_role("button", name="End the block").click()
        assert "You have not blocked anything." in await citizen.locator("section#blocks").inner_text()
        await expect(nurse.locator("section#plans")).to_contain_text("Genoptræningsplan")
        await browser.close()


async def test_a_power_of_attorney_and_broken_glass_in_the_browser(folder: Path, tmp_path: Path) -> None:
    daughter = "0905489971"
    async with live(folder) as server, async_playwright() as playwright:
        await server.set_the_stage(NOW)
        for step in residents(1, NOW.date())[0].story.steps()[:4]:
            await server.tell(step.deliveries, step.until)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        mother, child, stranger = [await (await browser.new_context(locale="da-DK")).new_page() for _ in range(3)]
        await mother.goto(await server.link(kind="citizen", sub=INGER.cpr, name=INGER.name))
        await mother.get_by_role("link", name="Fuldmagter").click()
        await mother.get_by_label("CPR-nummer på den, der må se").fill(daughter)
        await mother.get_by_label("Navn, så du kan kende fuldmagten igen").fill("Lone")
        await mother.get_by_label("Alt, også hvem der har set").check()
        await mother.get_by_role("button", name="Giv fuldmagt").click()
        await shoot(mother, tmp_path, "proxies")
        await child.goto(await server.link(kind="citizen", sub=daughter, name="Lone Solbakke"))
        await shoot(child, tmp_path, "no-record")
        await child.get_by_role("link", name="Fuldmagter").click()
        await child.get_by_role("button", name="Se oplysningerne").press("Enter")
        await child.wait_for_selector("p.acting")
        assert INGER.name in await child.locator("main").inner_text()
        await shoot(child, tmp_path, "acting")
        await stranger.goto(await server.link(**STRANGER.claims()))
        await stranger.get_by_label("CPR-nummer").last.fill(INGER.cpr)
        await stranger.get_by_label("Begrundelse").fill("Bevidstløs i modtagelsen, kan ikke spørges")
        await stranger.get_by_role("button", name="Åbn med værdispring").click()
        await stranger.wait_for_selector("p.glass-open")
        await mother.get_by_role("link", name="Mit overblik").click()
        assert STRANGER.name in await mother.locator("p.glass-told").inner_text()
        await shoot(mother, tmp_path, "told")
        await mother.get_by_role("link", name="Fuldmagter").click()
        await mother.get_by_role("button", name="Tag fuldmagten tilbage").click()
        await expect(child.locator("main")).not_to_contain_text(INGER.name)
        await browser.close()
