"""The page of powers of attorney: given, used in a slot beside one's own, named in the log, taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from overblik.demo.cast import INGER, NURSE
from tests.smart.app import register
from tests.web.browse import CITIZEN, Tab, document, section, sign_in, told, words

if TYPE_CHECKING:
    from tests.conftest import World

DAUGHTER = "0905489971"
HERSELF = {"kind": "citizen", "sub": DAUGHTER, "name": "Kirsten Solbakke"}


async def known(world: World) -> tuple[Tab, Tab]:
    """Tell the story, and have a record for the daughter."""
    await told(world)
    body = {"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2.208.176.1.2", "value": DAUGHTER}]}
    await world.post("/Patient", world.source(), body)
    return await sign_in(world, CITIZEN), await sign_in(world, HERSELF)


async def act(tab: Tab) -> Tab:
    """Begin to act for whom the page offers."""
    page = await tab.get("/proxies")
    cpr = document(page).xpath("string(//section[@id='acting']//input[@name='cpr']/@value)")
    answer = await tab.post("/proxies/act", {"cpr": cpr})
    assert answer.status_code == 200, answer.text
    return Tab(tab.world, str(answer.url.path).removesuffix("/"))


async def test_a_whole_power_of_attorney_from_gift_to_end(world: World) -> None:
    mother, daughter = await known(world)
    assert "Ingen har givet dig fuldmagt." in section(await daughter.get("/proxies"), "acting")
    given = await mother.post(
        "/proxies/grant", {"cpr": f"{DAUGHTER[:6]}-{DAUGHTER[6:]}", "name": "Kirsten", "how": "whole"}
    )
    assert f"Kirsten, {DAUGHTER[:6]}-{DAUGHTER[6:]}: alt, også loggen" in section(given, "given")
    assert INGER.name in section(await daughter.get("/proxies"), "acting")
    acting = await act(daughter)
    page = await acting.get()
    assert page.status_code == 200
    assert f"Du handler for CPR {INGER.cpr[:6]}-{INGER.cpr[6:]}" in page.text
    assert INGER.name in page.text
    assert (await acting.get("/log")).status_code == 200
    for path in ("/blocks", "/proxies"):
        assert (await acting.get(path)).status_code == 404
    assert (await acting.post("/proxies/grant", {"cpr": DAUGHTER, "how": "whole"})).status_code == 404
    log = words(document(await mother.get("/log")))
    assert "Kirsten Solbakke på vegne af dig" in log
    assert "Fuldmagt" in log
    identifier = document(given).xpath("string(//section[@id='given']//input[@name='id']/@value)")
    ended = await mother.post("/blocks/end", {"id": identifier, "page": "proxies"})
    assert "Du har ikke givet nogen fuldmagt." in section(ended, "given")
    assert (await acting.get()).status_code == 404
    assert (await acting.get("/log")).status_code in {200, 404}
    assert NURSE.name not in (await acting.get("/log")).text


async def test_a_limited_one_shows_its_part_and_no_log(world: World) -> None:
    mother, daughter = await known(world)
    fields = {"cpr": DAUGHTER, "name": "Kirsten", "how": "parts", "group-appointments": "1", "group-medication": "1"}
    given = await mother.post("/proxies/grant", fields)
    assert "Medicin, Aftaler" in section(given, "given")
    acting = await act(daughter)
    page = await acting.get()
    own = await mother.get()
    assert "Blodtrykskontrol" in section(page, "appointments")
    assert "/raw/" in own.text
    assert "/raw/" not in page.text, "a message as it came is no part of it"
    assert "Genoptræningsplan" in section(own, "plans")
    assert "Genoptræningsplan" not in page.text
    log = await acting.get("/log")
    assert NURSE.name not in log.text
    assert "Ingen fagfolk har set" in page.text or "seen" not in page.text


@pytest.mark.parametrize(
    ("fields", "told_so"),
    [
        ({"cpr": "123", "how": "whole"}, "Det er ikke et CPR-nummer"),
        ({"cpr": INGER.cpr, "how": "whole"}, "Det er ikke et CPR-nummer"),
        ({"cpr": DAUGHTER}, "Hvad må de se?"),
        ({"cpr": DAUGHTER, "how": "parts"}, "Hvad må de se?"),
        ({"cpr": DAUGHTER, "how": "whole", "group-plans": "1"}, "Hvad må de se?"),
    ],
)
async def test_what_is_not_clear_gives_nothing(world: World, fields: dict[str, str], told_so: str) -> None:
    mother, daughter = await known(world)
    page = await mother.post("/proxies/grant", fields)
    assert page.status_code == 422
    assert told_so in page.text
    assert (await world.run.database.fetch("select 1 from mandate")) == []
    assert (await daughter.post("/proxies/act", {"cpr": INGER.cpr})).status_code == 404


async def test_acting_for_somebody_lasts_no_longer_than_ones_own_sign_in_and_ends_with_it(
    world: World,
) -> None:
    mother, daughter = await known(world)
    await mother.post("/proxies/grant", {"cpr": DAUGHTER, "name": "Kirsten", "how": "whole"})
    await world.run.database.run("update session set expires_at = expires_at - interval '3 hours'")
    acting = await act(daughter)
    text = "select count(distinct expires_at) as n from session where slot = any(%(slots)s)"
    slots = [tab.base.rpartition("/")[2] for tab in (daughter, acting)]
    assert (await world.run.database.fetch(text, {"slots": slots}))[0].n == 1
    other = await act(daughter)
    await other.post("/sign-out", {})
    assert [(await tab.get()).status_code for tab in (other, acting, daughter)] == [401, 200, 200]
    again = await sign_in(world, HERSELF)
    other = await act(again)
    await again.post("/sign-out", {})
    assert [(await tab.get()).status_code for tab in (other, again, acting, daughter)] == [401, 401, 200, 200]
    await daughter.post("/sign-out", {"everywhere": "1"})
    assert [(await tab.get()).status_code for tab in (acting, daughter, mother)] == [401, 401, 200]


async def test_no_app_comes_in_by_a_power_of_attorney(world: World) -> None:
    """An app is let in by the person themself: what a mandate is for, nobody has said of apps."""
    mother, daughter = await known(world)
    await mother.post("/proxies/grant", {"cpr": DAUGHTER, "name": "Kirsten", "how": "whole"})
    acting = await act(daughter)
    app = await register(world)
    answer = await acting.get("/authorize", params=app.asked)
    assert answer.status_code == 403
    assert "location" not in answer.headers
