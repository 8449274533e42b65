"""The page as a citizen uses it: saved, opened from disk without a network, given a file."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import async_playwright

from tests.journeys.live import CHROMIUM, needs_chromium
from tests.trust.stage import stage
from tests.trust.test_log_file import PAGE, own

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World

pytestmark = [pytest.mark.long, needs_chromium]


async def test_the_saved_page_tells_a_true_log_from_a_changed_one(world: World, tmp_path: Path) -> None:
    patient_id = await stage(world)
    await own(world, patient_id)
    file = await own(world, patient_id)
    entries = sum(len(record["entries"]) for record in file["records"])
    (tmp_path / "true.json").write_text(json.dumps(file), encoding="utf-8")
    last = file["records"][0]["entries"][-1]
    last["what"] = last["what"].replace('"outcome":"permit"', '"outcome":"refuse"')
    (tmp_path / "changed.json").write_text(json.dumps(file), encoding="utf-8")
    shutil.copy(str(PAGE), tmp_path / "verify-log.html")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await (await browser.new_context(offline=True)).new_page()
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        await page.goto((tmp_path / "verify-log.html").as_uri())
        await page.set_input_files("#file", tmp_path / "true.json")
        await page.wait_for_selector("#verdict.sound", timeout=30_000)
        assert f"{entries} " in await page.inner_text("#verdict")
        assert await page.locator("#entries tbody tr").count() == entries
        await page.set_input_files("#file", tmp_path / "changed.json")
        await page.wait_for_selector("#verdict.broken", timeout=30_000)
        assert "not what was sealed" in await page.inner_text("#faults")
        assert said == []
        await browser.close()
