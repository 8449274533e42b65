"""Rows of group W that no test of the pages has."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import pytest

from overblik.demo.cast import NURSE
from overblik.trust.door.access import Door
from tests.trust.stage import CPR, OTHER, stage
from tests.web.browse import document, sign_in
from tests.web.test_sign_in import prove

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World
    from tests.security.conftest import Scene

CITIZEN = {"kind": "citizen", "sub": CPR, "name": "Borger"}
SAID = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"


def harmless(page: httpx.Response) -> bool:
    """Say whether nothing of what was said became markup."""
    tree = document(page)
    scripts = [s.get("src") for s in tree.xpath("//script")]
    return set(scripts) <= {"/static/overblik.js"} and not tree.xpath("//img | //@*[starts-with(name(), 'on')]")


async def test_w03_what_an_address_says_is_shown_as_text_or_not_at_all(scene: Scene) -> None:
    tab = await sign_in(scene.world, CITIZEN)
    http = scene.world.http
    for page in (
        await tab.get("/", params={"asOf": SAID, "lang": SAID, "redirect": SAID}),
        await tab.get(f"/patient/{SAID}"),
        await tab.get("/nowhere" + SAID),
        await tab.get("/prove", params={"next": SAID}),
        await tab.get("/proved", params={"proof": SAID}),
        await http.get("/", params={"error": SAID}),
        await http.get("/sign-in/callback", params={"state": SAID, "code": SAID, "error_description": SAID}),
        await http.get("/oauth/authorize", params={"client_id": SAID, "redirect_uri": "javascript:alert(1)"}),
        await http.get("/s/" + SAID + "/"),
        await tab.post("/look-up", {"cpr": SAID}),
    ):
        assert page.headers.get("content-type", "text/html").startswith("text/html")
        assert page.status_code == 303 or harmless(page), page.url
        assert "alert(1)</script>" not in page.text


NEXT = (
    "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "javascript:alert(1)",
    "/../../evil", "..//evil.example", "\t//evil.example", "x\r\nLocation: https://evil.example", "%2f%2fevil.example",
    "@evil.example",
)  # fmt: skip


@pytest.mark.parametrize("to", NEXT)
async def test_w05_nobody_is_led_elsewhere_by_an_address(scene: Scene, to: str) -> None:
    """After proving who one is, and after signing in: a page of one's own slot, whatever was asked for."""
    world = scene.world
    assert world.run.provider is not None
    tab = await sign_in(world, CITIZEN)
    query = urlencode({"next": to, "redirect": to, "redirect_uri": to})
    proved = await prove(world, tab, await world.run.provider.add(CITIZEN), f"/prove?{query}")
    done = await world.http.get(proved.headers["location"])
    where = done.headers["location"]
    assert (done.status_code, where.startswith(f"{tab.base}/")) == (303, True)
    assert "\n" not in where
    assert "\\" not in where
    begun = await scene.world.http.get("/sign-in", params={"next": to, "redirect_uri": to, "hint": "x"})
    assert urlsplit(begun.headers["location"]).netloc in {"", "test"}


async def test_w20_a_fault_tells_nothing_of_the_program(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    tab = await sign_in(scene.world, NURSE.claims())
    secret = "select * from access_log -- /src/overblik"

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError(secret)

    for name in ("worklist", "read", "find"):
        monkeypatch.setattr(Door, name, broken)
    page = await tab.get()
    api = await scene.world.get(f"/Patient/{scene.mine}", scene.doctor)
    for answer in (page, api):
        assert answer.status_code == 500
        assert not re.search(
            r"select|Traceback|overblik/|RuntimeError|psycopg|granian|starlette", answer.text, re.IGNORECASE
        )
        assert not {"server", "x-powered-by"} & set(answer.headers)


async def test_w21_every_page_is_made_of_our_own_files(scene: Scene) -> None:
    tab = await sign_in(scene.world, CITIZEN)
    for path in ("/", "/log", "/blocks", "/proxies", "/sign-ins"):
        page = await tab.get(path)
        assert page.status_code == 200
        asked = document(page).xpath("//@src | //link/@href | //form/@action | //@srcset | //@poster | //@data")
        assert asked
        for address in asked:
            assert urlsplit(address).netloc in {"", "test"}
            assert not urlsplit(address).scheme
    for name in ("overblik.css", "overblik.js"):
        text = (await scene.world.http.get(f"/static/{name}")).text
        assert not re.search(r"https?://(?!www\.w3\.org)|@import|//cdn", text)


async def test_w11_a_form_that_is_sent_twice_has_one_effect(world: World) -> None:
    """One after the other and both at once: one block and one power of attorney, and ended they are gone."""
    identifier = await stage(world)
    tab = await sign_in(world, CITIZEN)
    token = await tab.token()
    block = {"form_token": token, "who": "all", "what": "all"}
    mandate = {"form_token": token, "cpr": OTHER, "how": "whole"}
    for path, form in (("/blocks/set", block), ("/proxies/grant", mandate)):
        answers = [await world.http.post(tab.base + path, data=form)]
        answers += await asyncio.gather(*(world.http.post(tab.base + path, data=form) for _ in range(3)))
        assert {answer.status_code for answer in answers} == {303}
    found = (await world.get("/Consent", world.citizen(CPR))).json()["entry"]
    assert len(found) == 2
    for entry in found:
        await tab.post("/blocks/end", {"id": entry["resource"]["id"]})
    assert not await world.run.database.fetch("select from deny union all select from mandate")
    await world.http.post(tab.base + "/blocks/set", data=block)
    assert len((await world.get("/Consent", world.citizen(CPR))).json()["entry"]) == 3, "said again is said anew"
    assert identifier
