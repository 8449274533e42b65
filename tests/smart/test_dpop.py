"""Tokens bound to a key (RFC 9449): worth nothing to whoever has only the token."""

from __future__ import annotations

import hashlib
import time
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from tests.smart.app import REDIRECT, SCOPE, App, register
from tests.web.browse import CITIZEN, known

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World

KEY, OTHER = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
TOKEN = "http://test/oauth/token"
PATIENTS = "http://test/fhir/Patient"
OFFLINE = f"{SCOPE} offline_access patient/Patient.rs"


def proof(
    method: str, url: str, token: str = "", *, key: Any = KEY, header: dict[str, Any] | None = None, **claims: Any
) -> str:
    """Return a proof; `-` leaves a claim out."""
    stated = {"htm": method, "htu": url, "iat": int(time.time()), "jti": uuid4().hex}
    if token:
        stated["ath"] = urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip("=")
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": KEY.as_dict(private=False), **(header or {})}
    head = {k: v for k, v in head.items() if v != "-"}
    sent = {k: v for k, v in {**stated, **claims}.items() if v != "-"}
    return str(jwt.encode(head, sent, key, algorithms=[head["alg"]], default_type=None))


async def bound(world: World) -> tuple[App, dict[str, Any]]:
    """Let an app in that shows its key; return its tokens."""
    await known(world)
    app = await register(world)
    code = (await app.let_in(await app.consent(CITIZEN, scope=OFFLINE)))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "client_id": "app"}
    answer = await ask(world, {**form, "code_verifier": app.verifier}, proof("POST", TOKEN))
    assert answer.status_code == 200, answer.text
    return app, answer.json()


async def ask(world: World, form: dict[str, str], shown: str) -> httpx.Response:
    return await world.http.post("/oauth/token", data=form, headers={"DPoP": shown} if shown else {})


async def get(world: World, token: str, shown: str, scheme: str = "DPoP", path: str = "/Patient") -> int:
    headers = {"Authorization": f"{scheme} {token}"} | ({"DPoP": shown} if shown else {})
    return (await world.http.get(f"/fhir{path}", headers=headers)).status_code


async def test_a_bound_token_opens_with_a_proof_of_its_key_each_time_anew(world: World) -> None:
    _, tokens = await bound(world)
    token = tokens["access_token"]
    assert tokens["token_type"] == "DPoP"
    shown = proof("GET", PATIENTS, token)
    assert await get(world, token, shown) == 200
    assert await get(world, token, shown) == 401, "a proof counts once"
    assert await get(world, token, proof("GET", PATIENTS, token), path="/Patient?_count=1") == 200
    answer = await world.http.post("/oauth/introspect", data={"token": token, "client_id": "app"})
    assert answer.json()["cnf"] == {"jkt": KEY.thumbprint()}
    assert answer.json()["token_type"] == "DPoP"


async def test_a16_a_bound_token_is_none_as_bearer_and_a_free_one_none_as_dpop(world: World) -> None:
    app, tokens = await bound(world)
    assert await get(world, tokens["access_token"], "", "Bearer") == 401
    assert await get(world, tokens["access_token"], proof("GET", PATIENTS, tokens["access_token"]), "Bearer") == 401
    free = (await app.tokens(CITIZEN, scope=OFFLINE))["access_token"]
    assert await get(world, free, proof("GET", PATIENTS, free)) == 401
    assert await get(world, free, "", "Bearer") == 200


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("another method", {"htm": "POST"}),
    ("another address", {"htu": "http://test/fhir/Observation"}),
    ("another server", {"htu": "https://evil.example/fhir/Patient"}),
    ("of another token", {"ath": "x"}),
    ("of no token", {"ath": "-"}),
    ("old", {"iat": int(time.time()) - 3600}),
    ("of tomorrow", {"iat": int(time.time()) + 3600}),
    ("no time", {"iat": "-"}),
    ("no jti", {"jti": "-"}),
    ("a jti with a NUL", {"jti": "a\x00b"}),
    ("another typ", {"header": {"typ": "JWT"}}),
    ("another key", {"header": {"jwk": OTHER.as_dict(private=False)}, "key": OTHER}),
    ("a key it is not signed with", {"header": {"jwk": OTHER.as_dict(private=False)}}),
    ("a private key", {"header": {"jwk": KEY.as_dict(private=True)}}),
    ("a secret", {"header": {"alg": "HS256", "jwk": {"kty": "oct", "k": "eA"}}, "key": OctKey.generate_key(256)}),
    ("no key", {"header": {"jwk": "-"}}),
    ("a key of no kind", {"header": {"jwk": {"kty": []}}}),
    ("a key that is a list", {"header": {"jwk": {"kty": "EC", "crv": [], "x": "AA", "y": "AA"}}}),
]


async def test_a_proof_of_something_else_opens_nothing(world: World) -> None:
    _, tokens = await bound(world)
    token = tokens["access_token"]
    for what, changed in REFUSED:
        assert await get(world, token, proof("GET", PATIENTS, token, **changed)) == 401, what
    assert await get(world, token, proof("GET", PATIENTS, token)) == 200
    assert await get(world, token, "") == 401
    assert await get(world, token, "x.y.z") == 401


async def test_a_proof_that_does_not_hold_gets_no_tokens(world: World) -> None:
    app = await register(world)
    for shown in ("x", proof("GET", TOKEN), proof("POST", PATIENTS), "." * 5000):
        answer = await ask(world, {"grant_type": "authorization_code", "client_id": app.id}, shown)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


@pytest.mark.parametrize("shown", ["none", "another"])
async def test_a17_a_refresh_token_without_its_key_ends_its_family(world: World, shown: str) -> None:
    _, tokens = await bound(world)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "app"}
    again = (await ask(world, form, proof("POST", TOKEN))).json()
    assert again["token_type"] == "DPoP"
    header = {"jwk": OTHER.as_dict(private=False)}
    stolen = "" if shown == "none" else proof("POST", TOKEN, key=OTHER, header=header)
    answer = await ask(world, {**form, "refresh_token": again["refresh_token"]}, stolen)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert await get(world, again["access_token"], proof("GET", PATIENTS, again["access_token"])) == 401
