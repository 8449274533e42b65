"""Out to the provider and back, as a browser does it; and the provider that demo and test bring along."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from overblik.app.runtime import providers_of
from overblik.app.settings import Settings
from overblik.demo.cast import INGER, NURSE
from overblik.fhir.errors import OverblikError
from overblik.trust.keys.keyring import Keyring
from overblik.trust.oidc.test_provider import TestProvider
from tests.web.browse import CITIZEN, arrive, document, known, sign_in, words

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.conftest import World
    from tests.web.browse import Tab


async def out(world: World, **query: str) -> str:
    """Begin a sign-in; return the address at the provider."""
    return str((await world.http.get("/sign-in", params=query)).headers["location"])


async def test_the_front_page_leads_to_the_provider_and_a_chosen_person_back(world: World) -> None:
    await known(world)
    assert world.run.provider is not None
    await world.run.provider.add(CITIZEN, name="inger", notice="Her står forløbet.")
    front = await world.http.get("/")
    (way,) = document(front).xpath("//a[@class='button']/@href")
    page = await world.http.get(way, follow_redirects=True)
    assert "Test-login" in words(document(page))
    assert INGER.name in words(document(page))
    assert INGER.cpr not in page.text
    form = document(page).xpath("//form[@class='choice']")[0]
    fields = {i.get("name"): i.get("value") for i in form.xpath(".//input")} | {"person": "inger"}
    home = await world.http.post(form.get("action"), data=fields, follow_redirects=True)
    assert home.status_code == 200
    assert INGER.name in home.text
    assert urlsplit(str(home.url)).path.startswith("/s/")


async def test_whoever_cancels_is_told_so(world: World) -> None:
    query = {k: v[0] for k, v in parse_qs(urlsplit(await out(world)).query).items()}
    answer = await world.http.post("/test-provider/authorize", data={**query, "cancel": "1"}, follow_redirects=True)
    assert answer.status_code == 403
    assert "Login blev afbrudt" in answer.text


async def test_an_answer_is_taken_once_and_in_the_browser_that_asked(world: World) -> None:
    """The cookie of a sign-in is gone with its answer: the address alone, in a history or a log, is worth nothing."""
    assert world.run.provider is not None
    place = await out(world, hint=await world.run.provider.add(CITIZEN))
    back = (await world.http.get(place)).headers["location"]
    assert (await world.http.get(back)).status_code == 303
    again = await world.http.get(back)
    assert again.status_code == 400
    assert "Login kunne ikke gennemføres" in again.text
    assert "set-cookie" not in again.headers
    assert INGER.cpr not in place + back


async def test_two_sign_ins_can_be_on_their_way_at_once(world: World) -> None:
    assert world.run.provider is not None
    places = [await out(world, hint=await world.run.provider.add(CITIZEN)) for _ in range(2)]
    for place in reversed(places):
        back = await world.http.get(place)
        assert (await world.http.get(back.headers["location"])).status_code == 303


async def test_a_level_too_low_is_a_sentence(world: World) -> None:
    answer = await arrive(world, {**CITIZEN, "level": "low"})
    assert answer.status_code == 403
    assert "Login er ikke sikkert nok" in answer.text


async def test_the_cookies_are_for_tls_where_users_come_by_tls(world: World) -> None:
    secure = await world.http.get("https://test/sign-in")
    assert "Secure" in secure.headers["set-cookie"]
    assert "Secure" not in (await world.http.get("/sign-in")).headers["set-cookie"]


async def test_another_name_of_this_server_leads_to_the_one_the_provider_knows(world: World) -> None:
    answer = await world.http.get("http://localhost/sign-in?hint=x")
    assert answer.headers["location"] == "http://test/sign-in?hint=x&here=1"
    assert "/test-provider/authorize" in (await world.http.get("http://localhost/sign-in?here=1")).headers["location"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "another"},
        {"redirect_uri": "http://evil.example/sign-in/callback"},
        {"redirect_uri": "http://test/sign-in/callback/"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
        {"scope": "profile"},
    ],
)
async def test_the_test_provider_answers_no_other_request(world: World, wrong: dict[str, str]) -> None:
    query = {k: v[0] for k, v in parse_qs(urlsplit(await out(world)).query).items()}
    answer = await world.http.get("/test-provider/authorize", params=query | wrong)
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def code(world: World) -> dict[str, str]:
    """Return what a code can be exchanged with, all but the verifier."""
    assert world.run.provider is not None
    place = await out(world, hint=await world.run.provider.add(CITIZEN))
    back = urlsplit((await world.http.get(place)).headers["location"])
    found = {"grant_type": "authorization_code", "code": parse_qs(back.query)["code"][0], "client_id": "overblik"}
    return found | {"redirect_uri": "http://test/sign-in/callback", "code_verifier": "x"}


async def test_the_test_provider_takes_no_code_without_its_verifier(world: World) -> None:
    answer: httpx.Response = await world.http.post("/test-provider/token", data=await code(world))
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})
    answer = await world.http.get("/test-provider/userinfo", headers={"Authorization": "Bearer x"})
    assert answer.status_code == 401


def test_o01_the_test_provider_does_not_start_in_production(tmp_path: Path) -> None:
    with pytest.raises(OverblikError, match="runs in demo and test only"):
        TestProvider("production", "https://x", Keyring(bytes(32)), None)  # type: ignore[arg-type]  # never asked
    assert providers_of(Settings(data=tmp_path, mode="production")) == ()
    (tmp_path / "p.toml").write_text(
        '[[provider]]\nname = "t"\ntitle = "T"\nissuer = "built-in"\nclient_id = "x"\nkind = "citizen"\n'
        'claims = { cpr = "cpr" }\n'
    )
    settings = Settings(data=tmp_path, mode="production", providers_file=tmp_path / "p.toml")
    with pytest.raises(OverblikError, match="which runs in demo and test only"):
        providers_of(settings)
    (found,) = providers_of(settings.model_copy(update={"mode": "demo"}))
    assert found.issuer.endswith("/test-provider")


async def test_a26_signing_out_everywhere_ends_every_session_of_the_person_and_of_nobody_else(world: World) -> None:
    """A26: the next request of each is refused, in whatever browser and at whatever unit."""
    await known(world)
    nurse = await sign_in(world, NURSE.claims())
    mine = [await sign_in(world, CITIZEN) for _ in range(3)]
    listed = await mine[0].get("/sign-ins")
    assert listed.text.count("Test-login") == 3
    assert listed.text.count("denne side") == 1
    out_ = await mine[0].post("/sign-out", {"everywhere": "1"})
    assert "Alle dine login er afsluttet" in out_.text
    assert [(await tab.get()).status_code for tab in mine] == [401] * 3
    assert (await nurse.get()).status_code == 200


async def prove(world: World, tab: Tab, person: str, path: str = "/prove?next=log") -> httpx.Response:
    """Prove again who one is, choosing a test person at the provider; return the answer in the slot."""
    place = (await tab.get(path)).headers["location"]
    query = {k: v[0] for k, v in parse_qs(urlsplit(place).query).items()}
    assert "Testpersoner" in (await world.http.get(place)).text, "a hint does not choose where it is to be proved"
    back = await world.http.post("/test-provider/authorize", data={**query, "person": person})
    return await world.http.get(back.headers["location"], follow_redirects=False)


async def test_a25_who_proves_again_who_they_are_gets_a_new_cookie_and_the_old_one_is_void(world: World) -> None:
    """A25: also at step-up."""
    assert world.run.provider is not None
    await known(world)
    tab = await sign_in(world, CITIZEN)
    old = next(c.value for c in world.http.cookies.jar if c.path == f"{tab.base}/")
    await world.run.database.run("update session set proved_at = proved_at - interval '1 hour'")
    to = (await prove(world, tab, await world.run.provider.add(CITIZEN))).headers["location"]
    done = await world.http.get(to)
    assert done.headers["location"] == f"{tab.base}/log"
    assert (await tab.get("/log")).status_code == 200
    assert (await tab.get(headers={"Cookie": f"overblik_session={old}"})).status_code == 401
    rows = await world.run.database.fetch("select now() - proved_at < interval '1 minute' as fresh from session")
    assert [row.fresh for row in rows] == [True]
    assert (await world.http.get(to)).status_code == 303, "the same person may prove it twice"


async def test_nobody_proves_it_for_another_or_in_another_slot(world: World) -> None:
    assert world.run.provider is not None
    await known(world)
    tab, other = await sign_in(world, CITIZEN), await sign_in(world, NURSE.claims())
    to = (await prove(world, tab, await world.run.provider.add(NURSE.claims()))).headers["location"]
    assert (await world.http.get(to)).status_code == 401
    assert (await world.http.get(to.replace(tab.base, other.base))).status_code == 400
    assert (await tab.get("/proved?proof=x")).status_code == 400
    assert (await tab.get()).status_code == 200
