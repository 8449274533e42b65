"""Signing in and out: a slot for each link, all in one browser, and nothing open without one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from overblik.demo.cast import INGER
from overblik.trust.callers.sessions import ABSOLUTE, IDLE
from tests.web.browse import CITIZEN, FOUR, arrive, document, known, sign_in, told, words

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World


async def test_a_sign_in_opens_a_slot_of_its_own_with_a_cookie_of_its_own(world: World) -> None:
    answer = await arrive(world, CITIZEN)
    where, cookie = answer.headers["location"], answer.headers.get_list("set-cookie")[0]
    assert answer.status_code == 303
    assert where.startswith("/s/")
    assert f"Path={where}" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert INGER.cpr not in where + cookie


async def test_a25_a_session_is_new_at_every_sign_in(world: World) -> None:
    """A25: no cookie that a browser held before signing in is worth anything after it."""
    first, second = await arrive(world, CITIZEN), await arrive(world, CITIZEN)
    assert first.headers["location"] != second.headers["location"]
    assert first.headers["set-cookie"] != second.headers["set-cookie"]


async def test_four_people_are_signed_in_at_once_in_one_browser(world: World) -> None:
    await known(world)
    tabs = {name: await sign_in(world, claims) for name, claims in FOUR.items()}
    assert len({tab.base for tab in tabs.values()}) == 4
    for _ in range(2):
        for name, tab in tabs.items():
            page = await tab.get()
            assert page.status_code == 200
            who = words(document(page).xpath("//p[@class='who']")[0])
            assert FOUR[name]["name"] in who


async def test_w06_signing_out_of_one_leaves_the_others(world: World) -> None:
    await known(world)
    tabs = {name: await sign_in(world, claims) for name, claims in FOUR.items()}
    kept = {c.path: c.value for c in world.http.cookies.jar}
    out = await tabs["gp"].post("/sign-out", {})
    assert out.status_code == 200
    assert "Du er logget ud" in out.text
    assert out.headers["clear-site-data"] == '"cache"'
    for name, tab in tabs.items():
        assert (await tab.get()).status_code == (401 if name == "gp" else 200)
    # the old cookie, kept by somebody, opens nothing either
    stolen = {"Cookie": f"overblik_session={kept[tabs['gp'].base + '/']}"}
    assert (await tabs["gp"].get(headers=stolen)).status_code == 401


async def test_the_cookie_of_one_slot_opens_no_other(world: World) -> None:
    await known(world)
    nurse, citizen = await sign_in(world, FOUR["nurse"]), await sign_in(world, CITIZEN)
    values = {c.path: c.value for c in world.http.cookies.jar}
    crossed = {"Cookie": f"overblik_session={values[nurse.base + '/']}"}
    assert (await citizen.get(headers=crossed)).status_code == 401


@pytest.mark.parametrize(
    ("column", "age", "status"),
    [
        ("seen_at", IDLE - timedelta(minutes=1), 200),
        ("seen_at", IDLE + timedelta(seconds=1), 401),
        ("expires_at", ABSOLUTE + timedelta(seconds=1), 401),
    ],
)
async def test_a26_a_session_ends_when_left_idle_and_after_a_day_at_most(
    world: World, column: str, age: timedelta, status: int
) -> None:
    await known(world)
    tab = await sign_in(world, CITIZEN)
    texts = {"seen_at": "update session set seen_at = seen_at - %(age)s::interval"}
    texts["expires_at"] = "update session set expires_at = expires_at - %(age)s::interval"
    await world.run.database.run(texts[column], {"age": age})
    assert (await tab.get()).status_code == status


@pytest.mark.parametrize(("age", "noted"), [(timedelta(seconds=40), False), (timedelta(minutes=10), True)])
async def test_a_use_is_noted_a_minute_after_the_last(world: World, age: timedelta, noted: bool) -> None:
    await known(world)
    tab = await sign_in(world, CITIZEN)
    await world.run.database.run("update session set seen_at = now() - %(age)s::interval", {"age": age})
    assert (await tab.get()).status_code == 200
    (row,) = await world.run.database.fetch("select now() - seen_at < interval '30 seconds' as fresh from session")
    assert row.fresh == noted


async def test_the_storys_clock_signs_nobody_out(world: World) -> None:
    await known(world)
    tab = await sign_in(world, CITIZEN)
    world.clock.forward(days=40)
    assert (await tab.get()).status_code == 200


@pytest.mark.parametrize("kind", ["source", "system"])
async def test_systems_do_not_sign_in(world: World, kind: str) -> None:
    answer = await arrive(world, {"kind": kind, "sub": "x", "name": "X"})
    assert answer.status_code == 403
    assert "Login siger ikke, hvem du er" in answer.text
    assert "set-cookie" not in answer.headers


CLOSED = ["/s/abc/", "/s/abc/log", "/s/abc/log/file", "/s/abc/patient/" + "0" * 32, "/s/abc/raw/" + "0" * 32]


@pytest.mark.parametrize("path", CLOSED)
async def test_without_a_session_every_page_is_the_same_refusal(world: World, path: str) -> None:
    answer = await world.http.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.text == (await world.http.get(CLOSED[0])).text


FOREIGN: list[tuple[str, dict[str, str], str | None]] = [
    ("no token", {}, ""),
    ("a wrong token", {}, "x" * 32),
    ("another session's token", {}, "other"),
    ("a token that is no ASCII", {}, "æøå"),
    ("another site's origin", {"Origin": "https://evil.example"}, None),
    ("a browser that says so", {"Sec-Fetch-Site": "cross-site"}, None),
    ("another site of the same domain", {"Sec-Fetch-Site": "same-site"}, None),
]


@pytest.mark.parametrize(("what", "headers", "token"), FOREIGN, ids=[f[0] for f in FOREIGN])
@pytest.mark.parametrize("path", ["/look-up", "/break-glass", "/sign-out"])
async def test_w08_a_form_that_is_not_ours_does_nothing(
    world: World, path: str, what: str, headers: dict[str, str], token: str | None
) -> None:
    await known(world)
    nurse, other = await sign_in(world, FOUR["nurse"]), await sign_in(world, FOUR["gp"])
    sent = await other.token() if token == "other" else token if token is not None else await nurse.token()
    fields = {"form_token": sent, "cpr": INGER.cpr, "reason": "Bevidstløs i modtagelsen"}
    answer = await world.http.post(nurse.base + path, data=fields, headers=headers)
    assert answer.status_code == 403, what
    assert "Formularen kom ikke fra denne side" in answer.text
    assert (await nurse.get()).status_code == 200
    assert not await relations(world, "break-glass")


async def relations(world: World, kind: str) -> list[Any]:
    return list(await world.run.database.fetch("select * from relation where kind = %(kind)s", {"kind": kind}))


@pytest.mark.parametrize("headers", [{"Origin": "http://test"}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "null"}])
async def test_our_own_form_is_taken(world: World, headers: dict[str, str]) -> None:
    await told(world)
    nurse = await sign_in(world, FOUR["nurse"])
    answer: httpx.Response = await nurse.post("/look-up", {"cpr": INGER.cpr}, headers=headers)
    assert answer.status_code == 200
    assert INGER.name in answer.text


async def test_a_form_too_large_is_refused(world: World) -> None:
    await known(world)
    nurse = await sign_in(world, FOUR["nurse"])
    answer = await nurse.post("/break-glass", {"cpr": INGER.cpr, "reason": "x" * 20_000})
    assert answer.status_code == 413
    assert "Der er skrevet for meget" in answer.text
