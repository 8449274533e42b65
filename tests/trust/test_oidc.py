"""Signing in at a provider that is not ours: what is believed, what is not, and who comes of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from msgspec.structs import replace

from overblik.fhir.errors import OverblikError, Unavailable
from overblik.trust.oidc.claims import claims_of
from overblik.trust.oidc.login import COOKIE, Login
from overblik.trust.oidc.providers import Provider, read_providers
from overblik.trust.organisations import Directory, Organisation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ISSUER = "https://id.example.dk"
HERE = "https://overblik.example.dk"
PROVIDER = Provider(
    name="mit", title="Mit login", issuer=ISSUER, client_id="overblik", kind="either",
    claims={"cpr": "dk.cpr", "name": "name", "authorisation": ["prof", "auth"], "role": "role", "yder": "yder",
            "organisation": "sor", "level": "loa"},
    levels=("low", "substantial", "high"), minimum="substantial",
)  # fmt: skip
KEY, OTHER = ECKey.generate_key("P-256", {"kid": "a"}), ECKey.generate_key("P-256", {"kid": "a"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
PERSON = {"dk.cpr": "2512489996", "name": "Åse Bæk", "loa": "substantial"}
Change = "Callable[[Answer], None]"


@dataclass
class Answer:
    """What the provider answers; a test changes one thing of it."""

    claims: dict[str, Any]
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "ES256", "kid": "a"})
    key: Any = None
    token: str | None = None
    status: int = 200
    userinfo: dict[str, Any] = field(default_factory=dict)

    def id_token(self) -> str:
        if self.token is not None:
            return self.token
        return jwt.encode(self.header, self.claims, self.key, algorithms=[self.header["alg"]])


class World:
    """A provider that says what it is told to say, and Overblik's side of it."""

    def __init__(self, provider: Provider = PROVIDER) -> None:
        self.provider = provider
        self.asked: list[str] = []
        self.change: Callable[[Answer], None] = lambda _: None
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/jwks",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
        }
        self.keys: list[Any] = [KEY.as_dict(private=False), RSA.as_dict(private=False)]
        self.challenge = self.nonce = ""
        self.answer: Answer | None = None
        self.login = Login((provider,), HERE, bytes(32))
        self.login.local[ISSUER] = httpx2.MockTransport(self._serve)

    async def sign_in(self, **query: str) -> Any:
        """Go out and come back, with the code of a person; `query` changes the answer in the address."""
        begun = await self.login.start(self.provider, note={"to": "x"})
        asked = {k: v[0] for k, v in parse_qs(urlsplit(begun.url).query).items()}
        assert asked["redirect_uri"] == f"{HERE}/sign-in/callback"
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        self.challenge, self.nonce = asked["code_challenge"], asked["nonce"]
        came = {"code": "c", "state": asked["state"], **query}
        return await self.login.finish(came, {begun.cookie: begun.value})

    def _serve(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return httpx2.Response(200, json=self.metadata)
        if path == "/jwks":
            return httpx2.Response(200, json={"keys": self.keys})
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": "overblik", "sub": "s", "nonce": self.nonce, "iat": now, "exp": now + 60}
        self.answer = answer = Answer({**PERSON, **claims}, key=KEY)
        self.change(answer)
        if path == "/userinfo":
            return httpx2.Response(200, json=answer.userinfo)
        form = {k: v[0] for k, v in parse_qs(request.content.decode()).items()}
        proof = encoded(hashlib.sha256(form["code_verifier"].encode()).digest())
        assert proof == self.challenge
        if form["code"] != "c":
            return httpx2.Response(400, json={"error": "invalid_grant"})
        body = {"access_token": "t", "token_type": "Bearer", "id_token": answer.id_token()}
        return httpx2.Response(answer.status, json=body)


async def test_whoever_the_provider_names_is_signed_in() -> None:
    done = await World().sign_in()
    assert done.note == {"to": "x"}
    assert claims_of(done.provider, done.told, directory()) == {
        "kind": "citizen",
        "sub": "2512489996",
        "name": "Åse Bæk",
    }


@pytest.mark.parametrize("key", [KEY, RSA], ids=["ES256", "RS256"])
async def test_signatures_with_a_private_key_are_believed(key: Any) -> None:
    world = World()
    alg = "ES256" if key is KEY else "RS256"
    world.change = lambda a: (setattr(a, "key", key), setattr(a, "header", {"alg": alg, "kid": key.kid}))  # type: ignore[func-returns-value, assignment]  # both set
    assert (await world.sign_in()).told["sub"] == "s"


def claim(name: str, value: Any) -> Callable[[Answer], None]:
    return lambda answer: answer.claims.__setitem__(name, value)


def without(name: str) -> Callable[[Answer], None]:
    return lambda answer: answer.claims.pop(name)


def encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).decode().rstrip("=")


def unsigned(answer: Answer) -> None:
    """A02: `alg: none`."""
    answer.token = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "none"}, answer.claims)) + "."


def confused(answer: Answer) -> None:
    """HS256 with the provider's public key as the secret."""
    signed = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "a"}, answer.claims))
    proof = hmac.digest(KEY.as_pem(private=False), signed.encode(), "sha256")
    answer.token = f"{signed}.{encoded(proof)}"


def pointing(name: str, value: Any) -> Callable[[Answer], None]:
    """A04: a header that says where the key is to be had."""

    def change(answer: Answer) -> None:
        answer.header = {**answer.header, name: value}
        answer.key = OTHER

    return change


NOW = int(time.time())
REFUSED: dict[str, Callable[[Answer], None]] = {
    "iss": claim("iss", "https://evil.example"),
    "no iss": without("iss"),
    "aud": claim("aud", "another"),
    "no aud": without("aud"),
    "two aud without azp": claim("aud", ["overblik", "another"]),
    "azp": claim("azp", "another"),
    "nonce": claim("nonce", "x"),
    "no nonce": without("nonce"),
    "expired": claim("exp", NOW - 3600),
    "no exp": without("exp"),
    "exp is no number": claim("exp", "tomorrow"),
    "of yesterday": claim("iat", NOW - 86400),
    "of tomorrow": claim("iat", NOW + 86400),
    "no iat": without("iat"),
    "no sub": without("sub"),
    "alg none": unsigned,
    "HS256": confused,
    "another key": lambda answer: setattr(answer, "key", OTHER),
    "jwk in the header": pointing("jwk", OTHER.as_dict(private=False)),
    "jku in the header": pointing("jku", "https://evil.example/jwks"),
    "x5u in the header": pointing("x5u", "https://evil.example/x"),
    "kid is a path": pointing("kid", "../../etc/passwd"),
    "no token": lambda answer: setattr(answer, "token", ""),
    "no JWT": lambda answer: setattr(answer, "token", "x.y.z"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a02_a04_a05_an_id_token_that_cannot_be_believed_signs_nobody_in(what: str) -> None:
    world = World()
    world.change = REFUSED[what]
    with pytest.raises(OverblikError) as found:
        await world.sign_in()
    assert (found.value.status, found.value.code) == (400, "sign-in-invalid")
    assert set(world.asked) <= {"/.well-known/openid-configuration", "/token", "/jwks"}, "nothing else is fetched"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"state": "x"}, 400, "sign-in-invalid"),
        ({"state": ""}, 400, "sign-in-invalid"),
        ({"iss": "https://evil.example"}, 400, "sign-in-invalid"),
        ({"code": "used"}, 400, "sign-in-invalid"),
        ({"error": "access_denied", "code": ""}, 403, "sign-in-cancelled"),
    ],
)
async def test_an_answer_in_the_address_that_is_not_ours_signs_nobody_in(
    query: dict[str, str], status: int, code: str
) -> None:
    with pytest.raises(OverblikError) as found:
        await World().sign_in(**query)
    assert (found.value.status, found.value.code) == (status, code)


async def test_an_answer_is_worth_nothing_in_another_browser() -> None:
    world = World()
    mine, theirs = await world.login.start(PROVIDER, note={}), await world.login.start(PROVIDER, note={})
    state = parse_qs(urlsplit(mine.url).query)["state"][0]
    for cookies in ({}, {theirs.cookie: theirs.value}, {mine.cookie: theirs.value}, {mine.cookie: mine.value[:-4]}):
        with pytest.raises(OverblikError, match="sign-in-invalid"):
            await world.login.finish({"state": state, "code": "c"}, cookies)
    assert mine.cookie.startswith(COOKIE)
    assert mine.cookie != theirs.cookie


async def test_asked_to_prove_it_again_an_old_sign_in_is_not_enough() -> None:
    world = World()
    for auth_time, good in ((int(time.time()), True), (int(time.time()) - 3600, False), (None, False)):
        world.change = claim("auth_time", auth_time)
        begun = await world.login.start(PROVIDER, note={}, again=True)
        asked = {k: v[0] for k, v in parse_qs(urlsplit(begun.url).query).items()}
        assert (asked["prompt"], asked["max_age"]) == ("login", "0")
        world.challenge, world.nonce = asked["code_challenge"], asked["nonce"]
        finished = world.login.finish({"state": asked["state"], "code": "c"}, {begun.cookie: begun.value})
        if good:
            assert (await finished).told["sub"] == "s"
        else:
            with pytest.raises(OverblikError, match="sign-in-invalid"):
                await finished


async def test_a_new_key_is_fetched_but_not_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.keys = [RSA.as_dict(private=False)]
    with pytest.raises(OverblikError, match="sign-in-invalid"):
        await world.sign_in()
    assert world.asked.count("/jwks") == 1, "keys read just now are not asked for again"
    world.keys = [KEY.as_dict(private=False)]
    moment = time.monotonic()
    monkeypatch.setattr("overblik.trust.oidc.fetch.time.monotonic", lambda: moment + 31)
    assert (await world.sign_in()).told["sub"] == "s"
    assert world.asked.count("/jwks") == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://id.example.dk/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": ""},
    ],
)
async def test_a_description_that_is_not_the_providers_own_is_not_used(wrong: dict[str, str]) -> None:
    world = World()
    world.metadata |= wrong
    with pytest.raises(Unavailable, match="sign-in-provider"):
        await world.sign_in()
    assert world.asked == ["/.well-known/openid-configuration"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"x" * 300_000])
async def test_a_provider_that_answers_nonsense_is_away(body: bytes) -> None:
    world = World()
    world.login.local[ISSUER] = httpx2.MockTransport(lambda _: httpx2.Response(200, content=body))
    with pytest.raises(Unavailable, match="sign-in-provider"):
        await world.sign_in()


async def test_userinfo_adds_what_it_knows_of_the_same_person_only() -> None:
    world = World(replace(PROVIDER, userinfo=True))
    world.change = lambda answer: answer.userinfo.update({"sub": "s", "role": "læge", "dk.cpr": "0905489998"})
    told = (await world.sign_in()).told
    assert (told["role"], told["dk.cpr"]) == ("læge", "2512489996"), "what is signed goes before what is not"
    world.change = lambda answer: answer.userinfo.update({"sub": "another"})
    with pytest.raises(OverblikError, match="sign-in-invalid"):
        await world.sign_in()


def directory() -> Directory:
    made = Directory(None)  # type: ignore[arg-type]  # it is not read
    made.units = {"yder:990017": Organisation("99900000016030", "Lægerne", "", "gp", "", "990017", "", "")}
    return made


NURSE = {"prof": {"auth": "DEM01"}, "sor": "99900000016022", "name": "Mette", "role": "sygeplejerske", "loa": "high"}
AS_NURSE = {"kind": "professional", "sub": "DEM01", "org": "99900000016022", "name": "Mette", "role": "sygeplejerske"}
AS_NURSE |= {"org_name": ""}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (NURSE, AS_NURSE),
        (NURSE | {"dk.cpr": "2512489996"}, AS_NURSE),
        (NURSE | {"sor": "", "yder": "990017"}, AS_NURSE | {"org": "99900000016030"}),
        (NURSE | {"sor": "", "yder": "1"}, "sign-in-no-person"),
        (NURSE | {"sor": ""}, "sign-in-no-person"),
        (NURSE | {"sor": ["99900000016022"]}, AS_NURSE),
        (NURSE | {"sor": ["99900000016022", "2"]}, "sign-in-no-person"),
        (NURSE | {"prof": {"auth": "x" * 300}}, "sign-in-no-person"),
        (NURSE | {"prof": "DEM01"}, "sign-in-no-person"),
        (NURSE | {"loa": "low"}, "sign-in-level"),
        (NURSE | {"loa": "highest"}, "sign-in-level"),
        (PERSON | {"loa": ""}, "sign-in-level"),
        (PERSON | {"dk.cpr": "251248-9996"}, {"kind": "citizen", "sub": "2512489996", "name": "Åse Bæk"}),
        (PERSON | {"dk.cpr": "9912489996"}, "sign-in-no-person"),
        (PERSON | {"dk.cpr": ""}, "sign-in-no-person"),
        (PERSON | {"dk.cpr": None}, "sign-in-no-person"),
        (PERSON | {"dk.cpr": True}, "sign-in-no-person"),
    ],
)
def test_claims_become_a_person_or_a_sentence(told: dict[str, Any], expected: dict[str, str] | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(OverblikError, match=expected):
            claims_of(PROVIDER, told, directory())
    else:
        assert claims_of(PROVIDER, told, directory()) == expected


GOOD = """
[[provider]]
name = "mitid"
title = "MitID"
issuer = "https://broker.example.dk"
client_id = "overblik"
kind = "citizen"
scope = "openid ssn"
acr_values = "substantial"
levels = ["low", "substantial", "high"]
minimum = "substantial"
claims = { cpr = "dk.cpr", name = "name", level = ["assurance", "loa"] }
"""


def test_providers_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "p.toml").write_text(GOOD + f'client_secret_file = "{tmp_path}/secret"')
    (found,) = read_providers(tmp_path / "p.toml", allow_local=False)
    assert (found.name, found.secret, found.value({"assurance": {"loa": "high"}}, "level")) == (
        "mitid",
        "s3cret",
        "high",
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[[provider]]", "[[supplier]]", "no list of providers"),
        ('client_id = "overblik"', "", "client_id"),
        ('kind = "citizen"', 'kind = "robot"', "robot"),
        ('kind = "citizen"', 'kind = "professional"', "authorisation"),
        ('issuer = "https', 'issuer = "http', "https"),
        ('issuer = "https://broker', 'issuer = "ftp://broker', "https"),
        ('minimum = "substantial"', 'minimum = "enough"', "minimum"),
        (', level = ["assurance", "loa"]', "", "level"),
        ('name = "name"', 'colour = "name"', "colour"),
        ('scope = "openid ssn"', 'client_secret_file = "/nowhere/x"', "client_secret_file"),
        ('scope = "openid ssn"', 'colour = "red"', "colour"),
        ('title = "MitID"', GOOD.strip(), ""),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    (tmp_path / "p.toml").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(Unavailable) as found:
        read_providers(tmp_path / "p.toml", allow_local=False)
    assert found.value.code == "providers-unreadable"
    assert says in found.value.text
