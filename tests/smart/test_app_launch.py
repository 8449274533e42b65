"""Apps of citizens and professionals: let in by a person, narrowed to what was said yes to, ended at once."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey

from overblik.demo.cast import GP, INGER, NURSE, STRANGER
from tests.smart.app import MOST, REDIRECT, SCOPE, App, answered, assertion, bearer, challenge_of, jwks, register
from tests.web.browse import CITIZEN, document, known, sign_in, told, words

if TYPE_CHECKING:
    from tests.conftest import World


async def patient_of(world: World) -> str:
    return await world.patient_id(INGER.cpr)


async def test_a_citizen_lets_an_app_in_and_it_sees_what_was_said_yes_to(world: World) -> None:
    await known(world)
    app = await register(world)
    page = await app.consent(CITIZEN)
    text = words(document(page))
    assert "Vil du give Hjerteappen adgang?" in text
    assert "målinger og prøvesvar" in text
    assert "navn, CPR-nummer" in text
    assert "Kun så længe du er logget ind" in text
    assert "https://app.example.dk;" in page.headers["content-security-policy"].replace("'self' ", "")
    came = await app.let_in(page)
    assert (came["state"], came["iss"]) == ("s t&te", "http://test")
    tokens = (await app.redeem(came["code"])).json()
    patient = await patient_of(world)
    assert (tokens["patient"], tokens["token_type"], tokens["expires_in"]) == (patient, "Bearer", 300)
    assert set(tokens["scope"].split()) == set(SCOPE.split())
    assert (await world.get(f"/Patient/{patient}", bearer(tokens))).status_code == 200
    assert (await world.get("/Observation", bearer(tokens))).status_code == 200
    assert (await world.get("/Condition", bearer(tokens))).status_code == 403
    assert (await world.get(f"/Patient/{patient}/$overview", bearer(tokens))).status_code == 403
    rows = await world.run.database.fetch("select actor, channel from access_log where action = 'read'")
    assert (INGER.cpr, "app:Hjerteappen") in {(row.actor, row.channel) for row in rows}
    log = words(document(await (await sign_in(world, CITIZEN)).get("/log")))
    assert "gennem appen Hjerteappen" in log


async def test_an_id_token_says_who_it_is_to_this_app_only(world: World) -> None:
    await known(world)
    first, second = await register(world, "app"), await register(world, "other")
    found = []
    for app in (first, second):
        keys = KeySet.import_key_set((await world.http.get("/oauth/jwks")).json())
        token = (await app.tokens(CITIZEN))["id_token"]
        found.append(jwt.decode(token, keys, algorithms=["ES256"]).claims)
    assert (found[0]["iss"], found[0]["aud"], found[0]["nonce"]) == ("http://test", "app", "n-1")
    assert found[0]["fhirUser"] == f"http://test/fhir/Patient/{await patient_of(world)}"
    assert found[0]["sub"] != found[1]["sub"]
    assert INGER.cpr not in json.dumps(found)


async def test_whoever_says_no_is_believed(world: World) -> None:
    await known(world)
    app = await register(world)
    came = await app.let_in(await app.consent(CITIZEN), "deny")
    assert (came["error"], came["state"]) == ("access_denied", "s t&te")
    assert not await world.run.database.fetch("select 1 as found from app_grant")


async def test_a_professional_opens_an_app_from_a_patients_page(world: World) -> None:
    """EHR launch: the patient of the page, and no other of those the professional may see."""
    await told(world)
    app = await register(world, launch_url="https://app.example.dk/launch")
    nurse = await sign_in(world, NURSE.claims())
    patient = str((await nurse.open(INGER.cpr)).url).rpartition("/")[2]
    listed = await nurse.get(f"/patient/{patient}/apps")
    (link,) = document(listed).xpath("//a[@class='button']/@href")
    to = urlsplit((await world.http.get(link)).headers["location"])
    query = {k: v[0] for k, v in parse_qs(to.query).items()}
    assert f"{to.scheme}://{to.netloc}{to.path}" == "https://app.example.dk/launch"
    assert query["iss"] == "http://test/fhir"
    asked = {**app.asked, "scope": "launch openid fhirUser patient/*.rs", "launch": query["launch"]}
    page = await world.http.get("/oauth/authorize", params=asked, follow_redirects=True)
    assert INGER.name in words(document(page))
    assert str(page.url.path).startswith(nurse.base), "the session it was opened from, not a new one"
    tokens = (await app.redeem((await app.let_in(page))["code"])).json()
    assert (tokens["patient"], tokens["need_patient_banner"]) == (patient, True)
    assert (await world.get(f"/Patient/{patient}/$overview", bearer(tokens))).status_code == 200
    claims = json.loads(urlsafe_b64decode(tokens["id_token"].split(".")[1] + "=="))
    assert claims["fhirUser"].startswith("http://test/fhir/PractitionerRole/")
    # the same launch in somebody else's hands, by another app, or by one that was not launched
    gp = await sign_in(world, GP.claims())
    other = await world.http.get(f"{gp.base}/authorize", params=asked)
    assert other.status_code == 400
    await register(world, "another")
    assert (await world.http.get("/oauth/authorize", params={**asked, "client_id": "another"})).status_code == 400
    assert (await world.http.get("/oauth/authorize", params={**asked, "launch": "x"})).status_code == 400


async def test_a_professional_chooses_the_patient_where_the_app_was_opened_alone(world: World) -> None:
    await told(world)
    app = await register(world)
    page = await app.consent(NURSE.claims())
    assert "CPR-nummer på den patient" in words(document(page))
    came = await app.let_in(page, cpr=INGER.cpr)
    tokens = (await app.redeem(came["code"])).json()
    found = (await world.get(f"/Patient/{tokens['patient']}", bearer(tokens))).json()
    assert INGER.cpr in json.dumps(found), "any Patient of the record opens it"
    stranger = await app.consent(STRANGER.claims())
    refused = [await answered(world, stranger, "allow", cpr=cpr) for cpr in (INGER.cpr, "0905489971")]
    assert [r.status_code for r in refused] == [404, 404]
    assert (await answered(world, stranger, "allow", cpr="x")).status_code == 422


REQUESTS: list[tuple[str, dict[str, str], str]] = [
    ("no response_type", {"response_type": "-"}, "unsupported_response_type"),
    ("implicit", {"response_type": "token"}, "unsupported_response_type"),
    ("A07 no challenge", {"code_challenge": "-"}, "invalid_request"),
    ("A07 plain", {"code_challenge_method": "plain"}, "invalid_request"),
    ("A07 no method", {"code_challenge_method": "-"}, "invalid_request"),
    ("A07 a short challenge", {"code_challenge": "x"}, "invalid_request"),
    ("A05 another audience", {"aud": "https://evil.example/fhir"}, "invalid_request"),
    ("A05 no audience", {"aud": "-"}, "invalid_request"),
    ("no state", {"state": "-"}, "invalid_request"),
    ("A22 a scope of version 1", {"scope": "patient/*.read"}, "invalid_scope"),
    ("A22 letters out of order", {"scope": "patient/*.sr"}, "invalid_scope"),
    ("A22 two spaces", {"scope": "openid  patient/*.rs"}, "invalid_scope"),
    ("A22 a scope with a condition", {"scope": "patient/Observation.rs?code:not=x"}, "invalid_scope"),
    ("more than registered", {"scope": "patient/*.cruds"}, "invalid_scope"),
    ("of a system", {"scope": "system/*.rs"}, "invalid_scope"),
    ("nothing to see", {"scope": "openid"}, "invalid_scope"),
    ("launch without its scope", {"launch": "x"}, "invalid_request"),
    ("its scope without launch", {"scope": "launch patient/*.rs"}, "invalid_request"),
    ("a request object", {"request": "x"}, "request_not_supported"),
    ("a request elsewhere", {"request_uri": "https://evil.example"}, "request_uri_not_supported"),
    ("a thumbprint that is none", {"dpop_jkt": "x"}, "invalid_request"),
    ("a NUL", {"nonce": "a\x00b"}, "invalid_request"),
    ("too long", {"nonce": "n" * 3000}, "invalid_request"),
    ("too long as it is written", {"nonce": "æ" * 500}, "invalid_request"),
]


async def test_a05_a07_a22_a_request_that_is_wrong_goes_back_to_the_app_before_anybody_signs_in(world: World) -> None:
    app = await register(world)
    for what, changed, error in REQUESTS:
        asked = {k: v for k, v in {**app.asked, **changed}.items() if v != "-"}
        answer = await world.http.get("/oauth/authorize", params=asked)
        assert answer.status_code == 303, what
        to = answer.headers["location"]
        query = {k: v[0] for k, v in parse_qs(urlsplit(to).query, keep_blank_values=True).items()}
        assert to.startswith(REDIRECT + "?")
        assert (query["error"], query["iss"], query["state"]) == (error, "http://test", asked.get("state", "")), what


async def test_a11_a_parameter_that_comes_twice_leads_nowhere_and_a_field_neither(world: World) -> None:
    """https://www.rfc-editor.org/rfc/rfc6749#section-3.1: which of the two was checked, nobody could say."""
    app = await register(world)
    for name, second in (("redirect_uri", "https://evil.example"), ("scope", "patient/*.cruds"), ("state", "x")):
        for pairs in ([*app.asked.items(), (name, second)], [(name, second), *app.asked.items()]):
            answer = await world.http.get("/oauth/authorize", params=urlencode(pairs))
            assert (answer.status_code, "location" in answer.headers) == (400, False)
            assert "evil" not in answer.text
    body = urlencode([("grant_type", "authorization_code"), ("grant_type", "refresh_token")])
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in ("token", "introspect", "revoke", "par"):
        answer = await world.http.post(f"/oauth/{path}", content=body, headers=form)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), path


@pytest.mark.parametrize(
    "redirect",
    [
        f"{REDIRECT}/x", f"{REDIRECT}/../evil", f"{REDIRECT}/", f"{REDIRECT}?x", "https://app.example.dk:444/back",
        "https://app.example.dk@evil.example/back", "https://x.app.example.dk/back", "https://APP.example.dk/back",
        "http://app.example.dk/back", "", "javascript:alert(1)", "https://app.example.dk/back#x",
    ],
)  # fmt: skip
async def test_a11_nobody_is_sent_to_an_address_that_is_not_registered(world: World, redirect: str) -> None:
    app = await register(world)
    for changed in ({"redirect_uri": redirect}, {"client_id": "unknown"}, {"client_id": "x" * 300}):
        answer = await world.http.get("/oauth/authorize", params={**app.asked, **changed})
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "Appen kendes ikke her" in answer.text
        assert redirect == "" or redirect not in answer.text


CODES: list[tuple[str, dict[str, str], str]] = [
    ("A07 another verifier", {"code_verifier": "x" * 50}, "invalid_grant"),
    ("A07 no verifier", {"code_verifier": "-"}, "invalid_grant"),
    ("another address", {"redirect_uri": "https://app.example.dk/other"}, "invalid_grant"),
    ("no address", {"redirect_uri": "-"}, "invalid_grant"),
    ("another code", {"code": "x"}, "invalid_grant"),
    ("another app", {"client_id": "other"}, "invalid_grant"),
    ("no app", {"client_id": "-"}, "invalid_client"),
    ("an app that has keys", {"client_id": "keyed"}, "invalid_client"),
    ("no such way", {"grant_type": "password"}, "unsupported_grant_type"),
    ("a service's way", {"grant_type": "client_credentials"}, "unauthorized_client"),
]


@pytest.mark.parametrize(("what", "changed", "error"), CODES, ids=[r[0] for r in CODES])
async def test_a07_a_code_is_for_the_app_and_the_request_it_was_made_for(
    world: World, what: str, changed: dict[str, str], error: str
) -> None:
    await known(world)
    app = await register(world)
    await register(world, "other")
    await register(world, "keyed", kind="confidential", jwks_uri="https://keys.example.dk/jwks")
    code = (await app.let_in(await app.consent(CITIZEN)))["code"]
    answer = await app.redeem(code, **changed)
    assert (answer.status_code, answer.json()["error"]) == (401 if error == "invalid_client" else 400, error), what
    assert answer.headers["cache-control"] == "no-store"


async def test_a_code_lasts_a_minute(world: World) -> None:
    await known(world)
    app = await register(world)
    code = (await app.let_in(await app.consent(CITIZEN)))["code"]
    await world.run.database.run("update app_credential set expires_at = expires_at - interval '61 seconds'")
    assert (await app.redeem(code)).json()["error"] == "invalid_grant"


async def opens(world: World, tokens: dict[str, Any]) -> int:
    """Say how a token is answered, without what this worker remembers of it."""
    world.run.smart.grants._known = {}  # noqa: SLF001 - it counts for a second
    return (await world.get(f"/Patient/{await patient_of(world)}", bearer(tokens))).status_code


async def test_a08_a_code_that_comes_twice_ends_what_the_first_gave(world: World) -> None:
    await known(world)
    app = await register(world)
    code = (await app.let_in(await app.consent(CITIZEN)))["code"]
    tokens = (await app.redeem(code)).json()
    assert await opens(world, tokens) == 200
    assert (await app.redeem(code)).json()["error"] == "invalid_grant"
    assert await opens(world, tokens) == 401


async def test_a_public_app_may_leave_its_name_out_beside_a_refresh_token(world: World) -> None:
    """As npm fhirclient does (RFC 6749 § 6); one that has keys still shows them."""
    await known(world)
    app, keyed = await register(world), await register(world, "keyed", kind="confidential", jwks=jwks())
    tokens = await app.tokens(CITIZEN, scope=OFFLINE)
    refresh = {"grant_type": "refresh_token", "client_id": "-"}
    assert (await app.token(**refresh, refresh_token=tokens["refresh_token"])).status_code == 200
    code = (await keyed.let_in(await keyed.consent(CITIZEN, scope=OFFLINE)))["code"]
    tokens = (await keyed.redeem(code, **assertion("keyed"))).json()
    assert (await keyed.token(**refresh, refresh_token=tokens["refresh_token"])).status_code == 401
    assert (await keyed.token(**refresh, refresh_token="x")).status_code == 401
    assert (await keyed.token(**refresh)).status_code == 401


OFFLINE = f"{SCOPE} offline_access"


async def test_a17_a_refresh_token_is_good_once_and_a_used_one_ends_its_family(world: World) -> None:
    await known(world)
    app = await register(world)
    first = await app.tokens(CITIZEN, scope=OFFLINE)
    second = (await app.token(grant_type="refresh_token", refresh_token=first["refresh_token"])).json()
    assert second["patient"] == first["patient"]
    assert second["refresh_token"] != first["refresh_token"]
    assert await opens(world, second) == 200
    again = await app.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert (await app.token(grant_type="refresh_token", refresh_token=second["refresh_token"])).status_code == 400
    assert [await opens(world, tokens) for tokens in (first, second)] == [401, 401]


async def test_a17_a_refresh_token_in_another_apps_hands_ends_its_family(world: World) -> None:
    await known(world)
    app, thief = await register(world), await register(world, "thief")
    tokens = await app.tokens(CITIZEN, scope=OFFLINE)
    stolen = await thief.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert stolen.json()["error"] == "invalid_grant"
    assert await opens(world, tokens) == 401


async def test_a_refresh_may_ask_for_less_and_never_for_more(world: World) -> None:
    await known(world)
    app = await register(world)
    tokens = await app.tokens(CITIZEN, scope=OFFLINE)
    more = await app.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"], scope="patient/*.rs")
    assert more.json()["error"] == "invalid_scope"
    tokens = await app.tokens(CITIZEN, scope=OFFLINE)
    less = await app.token(
        grant_type="refresh_token", refresh_token=tokens["refresh_token"], scope="patient/Observation.rs"
    )
    assert less.json()["scope"] == "patient/Observation.rs"
    assert (await world.get("/Observation", bearer(less.json()))).status_code == 200
    assert (await world.get("/Patient", bearer(less.json()))).status_code == 403


async def test_without_a_scope_for_it_there_is_no_refresh_token(world: World) -> None:
    await known(world)
    assert "refresh_token" not in await (await register(world)).tokens(CITIZEN)


async def test_a20_signing_out_ends_what_apps_may_while_one_is_there(world: World) -> None:
    """A26: in every browser at once where that is asked for, and then also what goes on without one."""
    await known(world)
    app = await register(world)
    page = await app.consent(CITIZEN)
    slot = str(page.url.path).removesuffix("/authorize")
    tokens = (await app.redeem((await app.let_in(page))["code"])).json()
    offline = await app.tokens(CITIZEN, scope=OFFLINE)
    home = document(await world.http.get(slot + "/sign-ins"))
    form_token = str(home.xpath("string(//input[@name='form_token']/@value)"))
    await world.http.post(slot + "/sign-out", data={"form_token": form_token})
    assert [await opens(world, t) for t in (tokens, offline)] == [401, 200]
    active = await world.http.post("/oauth/introspect", data={"token": tokens["access_token"], "client_id": "app"})
    assert active.json() == {"active": False}
    tab = await sign_in(world, CITIZEN)
    await tab.post("/sign-out", {"everywhere": "1"})
    assert await opens(world, offline) == 401


async def test_no_professionals_app_goes_on_without_them(world: World) -> None:
    """Whoever changes jobs would keep the old unit's patients by an app."""
    await told(world)
    app = await register(world)
    page = await app.consent(NURSE.claims(), scope=OFFLINE)
    assert "90 dage" not in words(document(page))
    assert "Kun så længe du er logget ind" in words(document(page))
    slot = str(page.url.path).removesuffix("/authorize")
    tokens = (await app.redeem((await app.let_in(page, cpr=INGER.cpr))["code"])).json()
    assert await opens(world, tokens) == 200
    home = document(await world.http.get(slot + "/"))
    form_token = str(home.xpath("string(//input[@name='form_token']/@value)"))
    await world.http.post(slot + "/sign-out", data={"form_token": form_token})
    assert await opens(world, tokens) == 401
    again = await app.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert again.json()["error"] == "invalid_grant"


async def test_a_person_sees_which_apps_are_in_and_takes_it_back(world: World) -> None:
    await known(world)
    app = await register(world)
    tokens = await app.tokens(CITIZEN, scope=OFFLINE)
    tab, nurse = await sign_in(world, CITIZEN), await sign_in(world, NURSE.claims())
    page = await tab.get("/sign-ins")
    grant = str(document(page).xpath("string(//button[@name='grant']/@value)"))
    assert "Hjerteappen" in words(document(page))
    await nurse.post("/revoke", {"grant": grant})
    assert await opens(world, tokens) == 200, "nobody takes back what another gave"
    assert (await tab.post("/revoke", {"grant": "x"})).status_code == 404
    await tab.post("/revoke", {"grant": grant})
    assert await opens(world, tokens) == 401


async def test_an_app_gives_its_tokens_back(world: World) -> None:
    await known(world)
    app, other = await register(world), await register(world, "other")
    for use in ("access_token", "refresh_token"):
        tokens = await app.tokens(CITIZEN, scope=OFFLINE)
        form = {"token": tokens[use]}
        assert (await world.http.post("/oauth/revoke", data={**form, "client_id": other.id})).status_code == 200
        assert await opens(world, tokens) == 200
        assert (await world.http.post("/oauth/revoke", data={**form, "client_id": "app"})).status_code == 200
        assert await opens(world, tokens) == 401
    assert (await world.http.post("/oauth/revoke", data={"token": "x", "client_id": "app"})).status_code == 200
    assert (await world.http.post("/oauth/revoke", data={"token": "x"})).status_code == 401


async def test_a19_introspection_is_for_the_client_that_the_token_was_given_to(world: World) -> None:
    await known(world)
    app = await register(world)
    await register(world, "other")
    tokens = await app.tokens(CITIZEN)
    form = {"token": tokens["access_token"]}
    mine = (await world.http.post("/oauth/introspect", data={**form, "client_id": "app"})).json()
    assert mine["active"] is True
    assert (mine["client_id"], mine["patient"]) == ("app", tokens["patient"])
    assert mine["exp"] > time.time()
    assert set(mine["scope"].split()) == set(SCOPE.split())
    assert (await world.http.post("/oauth/introspect", data={**form, "client_id": "other"})).json() == {"active": False}
    assert (await world.http.post("/oauth/introspect", data=form)).status_code == 401
    for text in ("x", tokens["id_token"], world.system()["Authorization"].removeprefix("Bearer ")):
        answer = await world.http.post("/oauth/introspect", data={"token": text, "client_id": "app"})
        assert answer.json() == {"active": False}


CRITICAL: tuple[Any, ...] = (5, None, [None], [[]])
"""What stands as `crit` in a header, and is no list of names."""


def encoded(part: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def forged(tokens: dict[str, Any], world: World) -> dict[str, str]:
    """Return texts that are nearly access tokens."""
    key = world.run.smart.grants.key
    head, claims, sign = tokens["access_token"].split(".")
    stated = json.loads(urlsafe_b64decode(claims + "=="))
    typed = {"alg": "ES256", "typ": "at+jwt", "kid": key.kid}
    public = OctKey.import_key(json.dumps(key.as_dict(private=False)))

    def made(header: dict[str, Any] | None = None, signing: Any = None, **changed: Any) -> str:
        alg = str((header or typed)["alg"])
        return str(jwt.encode(header or typed, {**stated, **changed}, signing or key, algorithms=[alg]))

    return {
        "unsigned": f"eyJhbGciOiJub25lIn0.{claims}.",  # {"alg":"none"}
        "cut": f"{head}.{claims}.",
        "another's claims": f"{head}.{claims[:-4]}AAAA.{sign}",
        "HS256 by the public key": made({"alg": "HS256", "typ": "at+jwt"}, public),
        "another issuer": made(iss="https://evil.example"),
        "another audience": made(aud="https://evil.example/fhir"),
        "expired": made(exp=int(time.time()) - 1),
        "no end": made(exp="never"),
        "an id_token": tokens["id_token"],
        "typ JWT": made({"alg": "ES256", "typ": "JWT"}),
        **{f"crit {crit}": f"{encoded({**typed, 'crit': crit})}.{claims}.{sign}" for crit in CRITICAL},
        "another grant": made(grant="00000000-0000-4000-8000-000000000000"),
    }


async def test_a02_a04_a05_only_our_own_tokens_open_anything(world: World) -> None:
    await known(world)
    tokens = await (await register(world)).tokens(CITIZEN)
    assert await opens(world, tokens) == 200
    answers = {
        name: await world.get("/Patient", {"Authorization": f"Bearer {t}"}) for name, t in forged(tokens, world).items()
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 401)
    assert len({answer.content for answer in answers.values()}) == 1, "one answer to every cause"


async def test_a_client_that_is_removed_does_nothing_more(world: World) -> None:
    await known(world)
    app = await register(world)
    tokens = await app.tokens(CITIZEN, scope=OFFLINE)
    await world.run.smart.clients.disable("app", world.clock.now())
    assert await opens(world, tokens) == 401
    assert (await app.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])).status_code == 401
    assert (await world.http.get("/oauth/authorize", params=app.asked)).status_code == 400


async def test_a_client_that_is_registered_for_less_does_no_more_than_that(world: World) -> None:
    await known(world)
    app = await register(world)
    tokens = await app.tokens(CITIZEN, scope=OFFLINE)
    await register(world, scope=MOST)
    assert (
        await world.http.post("/oauth/introspect", data={"token": tokens["access_token"], "client_id": "app"})
    ).json()["active"]
    await register(world, scope=MOST.replace("patient/*.rs user/*.rs", "patient/Patient.r"))
    assert await opens(world, tokens) == 401
    assert (await app.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])).status_code == 400


async def test_the_configuration_says_what_there_is(world: World) -> None:
    found = (await world.http.get("/fhir/.well-known/smart-configuration")).json()
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["issuer"] == "http://test"
    assert {"launch-ehr", "launch-standalone", "permission-v2", "client-confidential-asymmetric"} <= set(
        found["capabilities"]
    )
    statement = (await world.http.get("/fhir/metadata")).json()["rest"][0]["security"]
    uris = {e["url"]: e["valueUri"] for e in statement["extension"][0]["extension"]}
    assert uris["token"] == found["token_endpoint"]
    for place in (found["token_endpoint"], found["introspection_endpoint"], found["revocation_endpoint"]):
        assert (await world.http.post(place, json={})).status_code == 400
        assert (await world.http.post(f"{place}?client_id=app", data={"token": "x"})).json()[
            "error"
        ] == "invalid_request"


async def test_w08_pages_of_registered_apps_may_ask_and_no_others(world: World) -> None:
    await register(world)
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    for origin, allowed in (("https://app.example.dk", True), ("https://evil.example", False), ("null", False)):
        preflight = await world.http.options("/fhir/Patient", headers={"Origin": origin, **asked})
        answer = await world.http.get("/fhir/Patient", headers={"Origin": origin})
        token = await world.http.post("/oauth/token", headers={"Origin": origin}, data={"grant_type": "x"})
        for found in (preflight, answer, token):
            assert found.headers.get("access-control-allow-origin") == (origin if allowed else None)
            assert "access-control-allow-credentials" not in found.headers
        assert (preflight.status_code == 204) is allowed
        open_ = await world.http.get("/fhir/.well-known/smart-configuration", headers={"Origin": origin})
        assert open_.headers["access-control-allow-origin"] == "*"
        page = await world.http.get("/", headers={"Origin": origin})
        assert "access-control-allow-origin" not in page.headers


async def test_the_page_of_an_app_that_has_just_been_registered_may_ask(world: World, monkeypatch: Any) -> None:
    """It could not for two seconds, where another app's page had asked before; nobody makes us look without a pause."""
    at = [100.0]
    monkeypatch.setattr("overblik.app.cors.time.monotonic", lambda: at[0])

    async def allowed() -> str | None:
        answer = await world.http.get("/fhir/Patient", headers={"Origin": "https://app.example.dk"})
        found: str | None = answer.headers.get("access-control-allow-origin")
        return found

    assert await allowed() is None
    await register(world)
    assert await allowed() is None
    at[0] += 0.2
    assert await allowed() == "https://app.example.dk"


def test_the_verifier_is_the_standards() -> None:
    """RFC 7636, appendix B."""
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


async def test_w06_without_a_person_nobody_answers_for_an_app(world: World) -> None:
    """W06: the page that asks belongs to a session, and so does its answer."""
    app: App = await register(world)
    page = await world.http.get("/s/abc/authorize", params=app.asked)
    assert page.status_code == 401
    assert (await world.http.post("/s/abc/allow", data={"query": "x", "decision": "allow"})).status_code == 401
