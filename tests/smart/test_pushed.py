"""Authorization requests that are sent ahead (RFC 9126): each counts once, for its own client, for a minute."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from overblik.demo.cast import INGER, NURSE
from tests.smart.app import REDIRECT, SCOPE, App, answered, assertion, bearer, jwks, register
from tests.smart.test_dpop import KEY, OTHER, TOKEN, ask, proof
from tests.web.browse import CITIZEN, document, known, sign_in, told, words

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World

PAR = "http://test/oauth/par"
PREFIX = "urn:ietf:params:oauth:request_uri:"


async def push(app: App, shown: str = "", /, **changed: str) -> httpx.Response:
    """Send a request ahead, with a proof of a key or none; `-` leaves a field out."""
    sent = {k: v for k, v in {**app.asked, **changed}.items() if v != "-"}
    return await app.world.http.post("/oauth/par", data=sent, headers={"DPoP": shown} if shown else {})


async def pushed(app: App, **changed: str) -> str:
    answer = await push(app, **changed)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["request_uri"])


async def hint(app: App, person: dict[str, Any] = CITIZEN) -> str:
    assert app.world.run.provider is not None
    return await app.world.run.provider.add(person)


async def come(app: App, uri: str, **changed: str) -> httpx.Response:
    """Come with a request_uri, as a browser that follows wherever it is sent."""
    asked = {k: v for k, v in {"client_id": app.id, "request_uri": uri, **changed}.items() if v != "-"}
    return await app.world.http.get("/oauth/authorize", params=asked, follow_redirects=True)


def is_not_good(answer: httpx.Response) -> bool:
    """Say whether it is the page that sends nobody anywhere."""
    return (answer.status_code, "location" in answer.headers) == (400, False) and "anmodning gælder ikke" in answer.text


@pytest.mark.long
async def test_a_request_that_was_sent_ahead_is_put_to_the_person_and_gives_a_code(world: World) -> None:
    await known(world)
    app = await register(world)
    answer = await push(app, login_hint=await hint(app))
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    told = answer.json()
    assert set(told) == {"request_uri", "expires_in"}
    assert told["expires_in"] == 60
    assert told["request_uri"].startswith(PREFIX)
    assert len(told["request_uri"]) == len(PREFIX) + 43, "256 random bits"
    page = await come(app, told["request_uri"], scope="patient/*.rs", state="changed on the way")
    assert "Vil du give Hjerteappen adgang?" in words(document(page))
    assert not {"state", "scope", "code_challenge"} & parse_qs(page.url.query.decode()).keys()
    came = await app.let_in(page)
    assert (came["state"], came["iss"]) == ("s t&te", "http://test")
    tokens = (await app.redeem(came["code"])).json()
    assert set(tokens["scope"].split()) == set(SCOPE.split()), "what was sent ahead, not what the address says"
    assert (await world.get("/Observation", bearer(tokens))).status_code == 200
    assert not await world.run.database.fetch("select 1 as found from pushed_request"), "answered, and forgotten"


@pytest.mark.long
async def test_a_launch_from_a_patients_page_can_be_sent_ahead(world: World) -> None:
    await told(world)
    app = await register(world, launch_url="https://app.example.dk/launch", pushed=True)
    nurse = await sign_in(world, NURSE.claims())
    patient = str((await nurse.open(INGER.cpr)).url).rpartition("/")[2]
    link = str(document(await nurse.get(f"/patient/{patient}/apps")).xpath("string(//a[@class='button']/@href)"))
    launch = parse_qs(urlsplit((await world.http.get(link)).headers["location"]).query)["launch"][0]
    asked = {"scope": "launch openid fhirUser patient/*.rs", "launch": launch}
    early = await push(app, **{**asked, "launch": "x"})
    assert (early.status_code, early.json()["error"]) == (400, "invalid_request")
    page = await come(app, await pushed(app, **asked))
    assert INGER.name in words(document(page))
    assert str(page.url.path).startswith(nurse.base)
    tokens = (await app.redeem((await app.let_in(page))["code"])).json()
    assert tokens["patient"] == patient
    # the form that was answered, once more
    assert is_not_good(await answered(world, page, "allow"))
    assert is_not_good(await answered(world, page, "deny"))


WRONG: list[tuple[str, dict[str, str], str]] = [
    ("no response_type", {"response_type": "-"}, "unsupported_response_type"),
    ("no challenge", {"code_challenge": "-"}, "invalid_request"),
    ("plain", {"code_challenge_method": "plain"}, "invalid_request"),
    ("no state", {"state": "-"}, "invalid_request"),
    ("another audience", {"aud": "https://evil.example/fhir"}, "invalid_request"),
    ("an address not registered", {"redirect_uri": f"{REDIRECT}/x"}, "invalid_request"),
    ("no address", {"redirect_uri": "-"}, "invalid_request"),
    ("a scope of version 1", {"scope": "patient/*.read"}, "invalid_scope"),
    ("more than registered", {"scope": "patient/*.cruds"}, "invalid_scope"),
    ("launch without its scope", {"launch": "x"}, "invalid_request"),
    ("a request object", {"request": "x"}, "request_not_supported"),
    ("a request_uri within", {"request_uri": f"{PREFIX}x"}, "request_uri_not_supported"),
    ("too long", {"nonce": "n" * 3000}, "invalid_request"),
    ("a NUL", {"nonce": "a\x00b"}, "invalid_request"),
    ("a thumbprint that is none", {"dpop_jkt": "x"}, "invalid_request"),
    ("nobody", {"client_id": "nobody"}, "invalid_client"),
    ("no client", {"client_id": "-"}, "invalid_client"),
    ("one that has keys", {"client_id": "keyed"}, "invalid_client"),
]


async def test_a10_what_is_wrong_with_a_request_is_told_before_any_browser(world: World) -> None:
    app = await register(world)
    await register(world, "keyed", kind="confidential", jwks=jwks())
    for what, changed, error in WRONG:
        answer = await push(app, **changed)
        status = 401 if error == "invalid_client" else 400
        assert (answer.status_code, answer.json()["error"]) == (status, error), what
    large = await push(app, nonce="n" * 20_000)
    assert (large.status_code, large.json()["error"]) == (413, "invalid_request")
    assert not await world.run.database.fetch("select 1 as found from pushed_request"), "nothing of it is kept"


async def test_a10_a_request_uri_is_good_once_for_a_minute_and_its_own_client(world: World) -> None:
    await known(world)
    app, other = await register(world), await register(world, "other")
    uri = await pushed(app, login_hint=await hint(app))
    assert is_not_good(await come(other, uri)), "another client's"
    page = await come(app, uri)
    assert "Vil du give" in words(document(page)), "which did not use it up"
    assert is_not_good(await come(app, uri)), "used"
    late = await pushed(app)
    await world.run.database.run(
        "update pushed_request set expires_at = expires_at - interval '61 seconds' where not begun"
    )
    assert is_not_good(await come(app, late)), "too old"
    assert is_not_good(await come(app, f"{PREFIX}{'x' * 43}")), "never there"
    assert is_not_good(await come(app, PREFIX)), "empty"
    unused = (await pushed(app)).removeprefix(PREFIX)
    assert is_not_good(await come(app, "-", pushed=unused)), "not by the name of one that has begun"
    for client in ("nobody", "-", "x\x00y"):
        unknown = await come(app, await pushed(app), client_id=client)
        assert (unknown.status_code, "Appen kendes ikke her" in unknown.text) == (400, True)


@pytest.mark.long
async def test_a10_what_a_request_goes_by_is_for_its_client_and_ends_with_time_and_answer(world: World) -> None:
    await known(world)
    app = await register(world)
    await register(world, "other")
    page = await come(app, await pushed(app, login_hint=await hint(app)))
    again = await world.http.get(str(page.url))
    assert "Vil du give" in words(document(again)), "a page may be loaded again"
    stolen = str(page.url).replace("client_id=app", "client_id=other")
    assert is_not_good(await world.http.get(stolen))
    name = parse_qs(page.url.query.decode())["pushed"][0]
    assert is_not_good(await come(app, f"{PREFIX}{name}")), "a name is no request_uri"
    direct = page.url.copy_with(params={"client_id": "app", "request_uri": await pushed(app)})
    beside = await world.http.get(direct)
    assert beside.status_code == 400, "a request_uri comes by the front door only"
    await world.run.database.run(
        "update pushed_request set expires_at = expires_at - interval '21 minutes' where begun"
    )
    assert is_not_good(await world.http.get(str(page.url)))
    assert is_not_good(await answered(world, page, "allow"))
    assert not await world.run.database.fetch("select 1 as found from app_grant")


@pytest.mark.long
@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_a10_one_request_has_one_answer(world: World, decision: str) -> None:
    await known(world)
    app = await register(world)
    page = await come(app, await pushed(app, login_hint=await hint(app)))
    first = await app.let_in(page, decision)
    assert ("code" in first) is (decision == "allow")
    assert is_not_good(await answered(world, page, "allow"))
    grants = await world.run.database.fetch("select 1 as found from app_grant")
    assert len(grants) == (decision == "allow")


async def test_a10_a_client_that_must_send_ahead_does_not_come_without(world: World) -> None:
    await known(world)
    app = await register(world, pushed=True)
    assert is_not_good(await app.consent(CITIZEN))
    assert is_not_good(await app.consent(CITIZEN, request_uri="https://evil.example"))
    tab = await sign_in(world, CITIZEN)
    assert is_not_good(await world.http.get(f"{tab.base}/authorize", params=app.asked)), "nor by a page further on"
    page = await come(app, await pushed(app, login_hint=await hint(app)))
    form = {"query": "&".join(f"{k}={v}" for k, v in app.asked.items())}
    assert is_not_good(await answered(world, page, "allow", **form)), "nor by the form"
    assert (await app.redeem((await app.let_in(page))["code"])).status_code == 200


@pytest.mark.long
async def test_a10_a_client_with_keys_shows_them_to_send_ahead(world: World) -> None:
    """Each name of the endpoint, of the token endpoint, and of us, is one an assertion may go to (RFC 9126 § 2)."""
    await known(world)
    app = await register(world, "keyed", kind="confidential", jwks=jwks())
    for name in (PAR, "http://test/oauth/token", "http://test"):
        assert (await push(app, **assertion("keyed", aud=name))).status_code == 201
    for name in ("http://test/oauth/revoke", "https://evil.example/oauth/par"):
        assert (await push(app, **assertion("keyed", aud=name))).json()["error"] == "invalid_client"
    once = assertion("keyed", aud=PAR)
    assert [(await push(app, **once)).status_code for _ in range(2)] == [201, 401]
    uri = await pushed(app, login_hint=await hint(app), **assertion("keyed", aud=PAR))
    kept = await world.run.database.fetch("select asked::text as asked from pushed_request")
    assert not any("assertion" in row.asked for row in kept), "what it showed is not kept"
    code = (await app.let_in(await come(app, uri)))["code"]
    assert (await app.redeem(code, **assertion("keyed"))).status_code == 200
    await register(world, "service", kind="backend", acts_as="system", scope="system/*.rs", jwks=jwks())
    refused = await push(App(world, "service"), **assertion("service", aud=PAR))
    assert refused.json()["error"] == "unauthorized_client"


@pytest.mark.long
async def test_a_request_may_name_the_key_that_its_tokens_are_bound_to(world: World) -> None:
    """RFC 9449 § 10: by `dpop_jkt`, in an address too, or by a proof beside what is pushed."""
    await known(world)
    app = await register(world)
    mine = KEY.thumbprint()
    both = await push(app, proof("POST", PAR), dpop_jkt=OTHER.thumbprint())
    assert (both.status_code, both.json()["error"]) == (400, "invalid_dpop_proof")
    assert (await push(app, proof("POST", TOKEN))).json()["error"] == "invalid_dpop_proof"
    person = await hint(app)
    uris = [
        (await push(app, proof("POST", PAR), login_hint=person)).json()["request_uri"],
        await pushed(app, login_hint=person, dpop_jkt=mine),
    ]
    pages = [*[await come(app, uri) for uri in uris], await app.consent(CITIZEN, dpop_jkt=mine)]
    for page in pages:
        answer = await redeem(app, page, proof("POST", TOKEN))
        assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP")
    another = proof("POST", TOKEN, key=OTHER, header={"jwk": OTHER.as_dict(private=False)})
    for shown in ("", another):
        answer = await redeem(app, await app.consent(CITIZEN, dpop_jkt=mine), shown)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), "a code in other hands"


async def redeem(app: App, page: httpx.Response, shown: str) -> httpx.Response:
    code = (await app.let_in(page))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "client_id": "app"}
    return await ask(app.world, {**form, "code_verifier": app.verifier}, shown)


async def test_a10_no_more_wait_than_there_is_room_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overblik.trust.smart.pushed.MOST", 3)
    app, other = await register(world), await register(world, "other")
    uris = [await pushed(app) for _ in range(3)]
    many = await push(app)
    assert (many.status_code, many.json()["error"], many.headers["retry-after"]) == (
        429,
        "temporarily_unavailable",
        "60",
    )
    assert await pushed(other), "each client has room of its own"
    await come(app, uris[0])
    assert (await push(app)).status_code == 429, "one that is under way is still there"
    await world.run.database.run("update pushed_request set expires_at = expires_at - interval '1 hour'")
    assert await pushed(app)
    rows = await world.run.database.fetch("select client from pushed_request")
    assert [row.client for row in rows] == ["app"], "what ran out is swept"


async def test_a10_sending_ahead_tells_nothing_of_anybody(world: World) -> None:
    """Two worlds, of which one has the person: the same answers, and nothing is looked up or logged."""
    app = await register(world)
    before = await sent_ahead(app)
    await known(world)
    logged = await world.run.database.fetch("select count(*) as n from access_log")
    assert await sent_ahead(app) == before
    assert await world.run.database.fetch("select count(*) as n from access_log") == logged


async def sent_ahead(app: App) -> list[tuple[int, Any]]:
    """Send requests ahead that name a person, and others; return the answers without what is random."""
    found = []
    for changed in (
        {"login_hint": INGER.cpr},
        {"login_hint": "0905489971"},
        {"launch": INGER.cpr, "scope": "launch patient/*.rs"},
    ):
        answer = await push(app, **changed)
        told = answer.json()
        found.append((answer.status_code, {**told, "request_uri": PREFIX} if "request_uri" in told else told))
    return found


async def test_the_configuration_names_the_endpoint(world: World) -> None:
    found = (await world.http.get("/fhir/.well-known/smart-configuration")).json()
    assert found["pushed_authorization_request_endpoint"] == PAR
    assert found["require_pushed_authorization_requests"] is False
    assert (await world.http.post("/oauth/par", content=json.dumps({}))).status_code == 400
    assert (await world.http.post("/oauth/par?client_id=app", data={"x": "y"})).json()["error"] == "invalid_request"
