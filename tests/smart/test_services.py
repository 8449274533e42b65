"""Clients with keys: backend services, and what is no proof of being one."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, OctKey, RSAKey

from overblik.fhir.errors import Unprocessable
from overblik.trust.callers.scopes import parse_scopes
from overblik.trust.smart.clients import Client, require_sound
from tests.smart.app import KEY, REDIRECT, App, assertion, bearer, jwks, register
from tests.web.browse import CITIZEN, known

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World

PATIENT = {"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2.208.176.1.2", "value": "2512489996"}]}
SERVICE = "system/Patient.crs system/Observation.cruds"
"""The most the service here may ask for."""


async def service(world: World, **more: Any) -> App:
    more = {"kind": "backend", "acts_as": "gateway", "jwks": jwks(), **more}
    return await register(world, "service", scope=more.pop("scope", SERVICE), name="Modtageren", **more)


async def asked(app: App, scope: str = SERVICE, **form: str) -> httpx.Response:
    """Ask for a token as a service does."""
    return await app.token(**{"grant_type": "client_credentials", "client_id": "-", "scope": scope, **form})


async def test_a_service_writes_and_reads_as_its_source(world: World) -> None:
    app = await service(world)
    answer = await asked(app, **assertion("service"))
    tokens = answer.json()
    assert (answer.status_code, tokens["token_type"], tokens["expires_in"]) == (200, "Bearer", 300)
    assert "refresh_token" not in tokens
    made = await world.post("/Patient", bearer(tokens), PATIENT)
    assert made.status_code == 201
    assert (await world.get(f"/Patient/{made.json()['id']}", bearer(tokens))).status_code == 200
    assert (await world.get(f"/Patient/{made.json()['id']}", world.source("gateway"))).status_code == 200
    assert (await world.http.delete(f"/fhir/Patient/{made.json()['id']}", headers=bearer(tokens))).status_code == 403
    rows = await world.run.database.fetch("select distinct actor, channel from access_log where actor_kind = 'source'")
    assert ("gateway", "app:Modtageren") in {(row.actor, row.channel) for row in rows}


OTHER = ECKey.generate_key("P-384", {"kid": "one"})
SMALL = RSAKey.generate_key(2048, {"kid": "one"})
NOW_ = int(time.time())
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("another audience", {"aud": "https://evil.example/oauth/token"}),
    ("no audience", {"aud": "-"}),
    ("two audiences", {"aud": ["http://test/oauth/token", "https://evil.example"]}),
    ("over five minutes", {"exp": NOW_ + 3600}),
    ("expired", {"exp": NOW_ - 60}),
    ("no end", {"exp": "-"}),
    ("an end that is no number", {"exp": "soon"}),
    ("no jti", {"jti": "-"}),
    ("an empty jti", {"jti": ""}),
    ("a jti too long", {"jti": "x" * 300}),
    ("a jti with a NUL", {"jti": "x\x00y"}),
    ("not yet", {"nbf": NOW_ + 86_400}),
    ("iss is another", {"iss": "other"}),
    ("sub is another", {"sub": "other"}),
    ("no iss", {"iss": "-"}),
    ("another's key", {"key": OTHER}),
    ("an algorithm that its key is not of", {"key": SMALL, "header": {"alg": "RS384"}}),
    ("no kid", {"header": {"kid": ""}}),
    ("kid is a path", {"header": {"kid": "../../etc/passwd"}}),
    ("a jku that is not the registered one", {"header": {"jku": "https://evil.example/jwks"}}),
    ("a key of its own in the header", {"header": {"jwk": OTHER.as_dict(private=False)}, "key": OTHER}),
    ("HS256 with the public key", {"header": {"alg": "HS256"}, "key": OctKey.import_key(str(jwks()))}),
]


async def test_a13_an_assertion_that_proves_nothing_is_one_answer(world: World) -> None:
    app = await service(world)
    unknown = await asked(app, **assertion("nobody"))
    for what, changed in REFUSED:
        answer = await asked(app, **assertion("service", **changed))
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), what
        assert answer.content == unknown.content, what
    odd = assertion("service")
    head = urlsafe_b64encode(b'{"alg":"ES384","kid":"one","crit":5}').decode().rstrip("=")
    odd["client_assertion"] = ".".join([head, *odd["client_assertion"].split(".")[1:]])
    assert (await asked(app, **odd)).content == unknown.content
    assert (await asked(app, **assertion("service"))).status_code == 200


async def test_a13_an_assertion_is_taken_once_in_every_worker(world: World) -> None:
    app = await service(world)
    once = assertion("service")
    assert (await asked(app, **once)).status_code == 200
    assert (await asked(app, **once)).json()["error"] == "invalid_client"
    fields = {**assertion("service"), "client_assertion_type": "x"}
    assert (await asked(app, **fields)).json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    "scope", ["", "system/*.rs", "system/Patient.cruds", "patient/Patient.r", "openid", "system/Patient.read"]
)
async def test_a_service_gets_no_more_than_it_is_registered_for(world: World, scope: str) -> None:
    app = await service(world)
    answer = await asked(app, scope, **assertion("service"))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("kind", ["authorization_code", "refresh_token", "password", ""])
async def test_a_service_gets_tokens_in_one_way_only(world: World, kind: str) -> None:
    app = await service(world)
    answer = await asked(app, **assertion("service"), grant_type=kind)
    assert answer.json()["error"] in {"unauthorized_client", "unsupported_grant_type"}


async def test_a14_keys_at_an_address_are_read_again_and_the_old_ones_are_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = [jwks()]
    place = "https://keys.example.dk/jwks"
    world.run.login.local[place] = httpx2.MockTransport(lambda _: httpx2.Response(200, json=served[0]))
    app = await service(world, jwks=None, jwks_uri=place)
    assert (await asked(app, **assertion("service", header={"jku": place}))).status_code == 200
    new = ECKey.generate_key("P-384", {"kid": "two"})
    served[0] = {"keys": [new.as_dict(private=False)]}
    moment = time.monotonic()
    monkeypatch.setattr("overblik.trust.oidc.fetch.time.monotonic", lambda: moment + 31)
    assert (await asked(app, **assertion("service", key=new, header={"kid": "two"}))).status_code == 200
    assert (await asked(app, **assertion("service"))).status_code == 401


async def test_an_app_with_keys_shows_them_for_every_token(world: World) -> None:
    await known(world)
    app = await register(world, "keyed", kind="confidential", jwks=jwks())
    code = (await app.let_in(await app.consent(CITIZEN)))["code"]
    assert (await app.redeem(code)).json()["error"] == "invalid_client"
    answer = await app.redeem(code, **assertion("keyed"))
    assert answer.status_code == 200
    form = {"token": answer.json()["access_token"], **assertion("keyed", aud="http://test/oauth/introspect")}
    assert (await world.http.post("/oauth/introspect", data=form)).json()["active"] is True
    assert (await world.http.post("/oauth/introspect", data=form)).status_code == 401, "and each proof counts once"


PUBLIC: dict[str, Any] = {"kind": "public", "scopes": "patient/*.rs", "redirects": (REDIRECT,)}
BACKEND: dict[str, Any] = {"kind": "backend", "scopes": SERVICE, "acts_as": "gateway", "jwks": jwks()}
_MODULUS = rsa.generate_private_key(65537, 1024).public_key().public_numbers().n.to_bytes(128)  # noqa: S505 - too short is what it is for
SHORT = {"kty": "RSA", "n": urlsafe_b64encode(_MODULUS).decode().rstrip("="), "e": "AQAB", "kid": "s"}


@pytest.mark.parametrize(
    ("client", "says"),
    [
        (PUBLIC | {"id": "a b"}, "id"),
        (PUBLIC | {"name": " "}, "name"),
        (PUBLIC | {"redirects": ()}, "redirect"),
        (PUBLIC | {"redirects": ("http://app.example.dk/",)}, "https"),
        (PUBLIC | {"redirects": ("https://*.example.dk/",)}, "https"),
        (PUBLIC | {"redirects": ("https://app.example.dk/#x",)}, "https"),
        (PUBLIC | {"redirects": ("https://u@app.example.dk/",)}, "https"),
        (PUBLIC | {"redirects": ("javascript:alert(1)",)}, "https"),
        (PUBLIC | {"launch_url": "http://app.example.dk/"}, "https"),
        (PUBLIC | {"scopes": "system/*.rs"}, "system/"),
        (PUBLIC | {"acts_as": "gateway"}, "signs in"),
        (PUBLIC | {"jwks": jwks()}, "no keys"),
        (PUBLIC | {"kind": "confidential"}, "keys"),
        (PUBLIC | {"kind": "confidential", "jwks_uri": "http://keys.example.dk"}, "https"),
        (BACKEND | {"jwks": None}, "keys"),
        (BACKEND | {"jwks": {"keys": []}}, "empty"),
        (BACKEND | {"jwks": {"keys": [KEY.as_dict(private=True)]}}, "public"),
        (BACKEND | {"jwks": {"keys": [{"kty": "oct", "k": "eA"}]}}, "public"),
        (BACKEND | {"jwks": {"keys": [SHORT]}}, "2048"),
        (BACKEND | {"jwks": {"x": 1}}, "Key Set"),
        (BACKEND | {"acts_as": ""}, "whom"),
        (BACKEND | {"acts_as": "a.b"}, "dot"),
        (BACKEND | {"scopes": "patient/*.rs"}, "system/"),
        (BACKEND | {"scopes": "openid system/*.rs"}, "system/"),
        (BACKEND | {"redirects": (REDIRECT,)}, "addresses"),
        (BACKEND | {"pushed": True}, "authorization requests"),
    ],
)
def test_a_client_that_could_not_be_safe_is_not_registered(client: dict[str, Any], says: str) -> None:
    given = {"id": "x", "name": "X", **client, "scopes": parse_scopes(client["scopes"])}
    with pytest.raises(Unprocessable, match=says):
        require_sound(Client(**given), allow_local=False)
