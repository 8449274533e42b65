"""An app as the standard has it, written for the tests; and one browser that lets it in."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey

from overblik.trust.callers.scopes import parse_scopes
from overblik.trust.smart.clients import Client
from tests.conftest import NOW
from tests.web.browse import document

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World

REDIRECT = "https://app.example.dk/back"
MOST = "launch launch/patient openid fhirUser profile offline_access online_access patient/*.rs user/*.rs"
SCOPE = "launch/patient openid fhirUser patient/Patient.r patient/Observation.rs"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY = ECKey.generate_key("P-384", {"kid": "one", "alg": "ES384"})
TOKEN_ENDPOINT = "http://test/oauth/token"


def challenge_of(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


@dataclass
class App:
    """A registered app, and what it remembers between its requests."""

    world: World
    id: str = "app"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def asked(self) -> dict[str, str]:
        """An authorization request with nothing wrong in it."""
        return {
            "response_type": "code", "client_id": self.id, "redirect_uri": REDIRECT, "scope": SCOPE, "state": "s t&te",
            "aud": "http://test/fhir", "code_challenge": challenge_of(self.verifier), "code_challenge_method": "S256",
            "nonce": "n-1",
        }  # fmt: skip

    async def consent(self, person: dict[str, Any], **changed: str) -> httpx.Response:
        """Begin at the app, sign a test person in, and return the page that asks them."""
        assert self.world.run.provider is not None
        hint = await self.world.run.provider.add(person)
        asked = {k: v for k, v in {**self.asked, "login_hint": hint, **changed}.items() if v != "-"}
        return await self.world.http.get("/oauth/authorize", params=asked, follow_redirects=True)

    async def let_in(self, page: httpx.Response, decision: str = "allow", **fields: str) -> dict[str, str]:
        """Answer the page; return what the app gets in its address."""
        answer = await answered(self.world, page, decision, **fields)
        assert answer.status_code == 303, answer.text
        to = urlsplit(answer.headers["location"])
        assert f"{to.scheme}://{to.netloc}{to.path}" == REDIRECT
        return {name: values[0] for name, values in parse_qs(to.query).items()}

    async def token(self, **form: str) -> httpx.Response:
        """Ask the token endpoint; `-` leaves a field out."""
        sent = {"client_id": self.id, **form}
        return await self.world.http.post("/oauth/token", data={k: v for k, v in sent.items() if v != "-"})

    async def redeem(self, code: str, /, **changed: str) -> httpx.Response:
        """Exchange a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
        return await self.token(**{**form, "code_verifier": self.verifier, **changed})

    async def tokens(self, person: dict[str, Any], **changed: str) -> dict[str, Any]:
        """Go all the way; return the tokens."""
        code = (await self.let_in(await self.consent(person, **changed)))["code"]
        answer = await self.redeem(code)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


async def answered(world: World, page: httpx.Response, decision: str, **fields: str) -> httpx.Response:
    assert page.status_code == 200, page.text
    form = document(page).xpath("//form[.//input[@name='query']]")[0]
    sent = {i.get("name"): i.get("value") or "" for i in form.xpath(".//input[@type='hidden']")}
    return await world.http.post(form.get("action"), data={**sent, "decision": decision, **fields})


async def register(world: World, identifier: str = "app", *, scope: str = MOST, **more: Any) -> App:
    """Register a public app, or one with keys; return it."""
    kind = more.pop("kind", "public")
    redirects = () if kind == "backend" else (REDIRECT,)
    client = Client(identifier, more.pop("name", "Hjerteappen"), kind, parse_scopes(scope), redirects, **more)
    await world.run.smart.clients.register(client, NOW, allow_local=True)
    return App(world, identifier)


def jwks() -> dict[str, Any]:
    return json.loads(json.dumps({"keys": [KEY.as_dict(private=False)]}))  # type: ignore[no-any-return]  # a copy of it


def assertion(client: str, *, key: Any = KEY, header: dict[str, Any] | None = None, **changed: Any) -> dict[str, str]:
    """Return the fields by which a client with keys says who it is; `-` leaves a claim out."""
    now = int(time.time())
    claims = {"iss": client, "sub": client, "aud": TOKEN_ENDPOINT, "exp": now + 240, "jti": uuid4().hex, **changed}
    head = {"alg": "ES384", "kid": "one", **(header or {})}
    text = jwt.encode(head, {k: v for k, v in claims.items() if v != "-"}, key, algorithms=[head["alg"]])
    return {"client_assertion_type": ASSERTION, "client_assertion": text}


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}
