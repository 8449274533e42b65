"""Real clients sign in: npm fhirclient in Chromium, Python's fhirclient, and a backend service by authlib."""

from __future__ import annotations

import json
import shutil
import threading
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]  # it has no types
from authlib.oauth2.rfc7523 import PrivateKeyJWT  # type: ignore[import-untyped]  # it has no types
from fhirclient.client import FHIRClient  # type: ignore[import-untyped]  # it has no types
from fhirclient.models.observation import Observation  # type: ignore[import-untyped]  # it has no types
from joserfc.jwk import RSAKey
from playwright.async_api import async_playwright

from overblik.demo.cast import GP, UNITS
from overblik.trust.callers.scopes import parse_scopes
from overblik.trust.smart.clients import Client
from tests.conftest import NOW
from tests.journeys.live import CHROMIUM, needs_chromium
from tests.web.browse import document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Page

    from tests.clients.conftest import Server

pytestmark = pytest.mark.long
CPR = "2512489996"
SYSTEM = "urn:oid:1.2.208.176.1.2"
CITIZEN = {"kind": "citizen", "sub": CPR, "name": "Åse Bæk"}
MOST = "launch launch/patient openid fhirUser offline_access patient/*.rs"
HERE = Path(__file__).parent


@pytest.fixture
def page_server(tmp_path: Path, node_modules: Path) -> Iterator[str]:
    """Serve the app's page and the library beside it, at an origin of their own."""
    shutil.copy(HERE / "app.html", tmp_path)
    shutil.copy(node_modules / "node_modules" / "fhirclient" / "build" / "fhir-client.min.js", tmp_path)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
async def patient(server: Server) -> str:
    """Write a patient of the GP with two results; return its id."""
    about = {"type": "Patient", "identifier": {"system": SYSTEM, "value": CPR}}
    resources: list[dict[str, Any]] = [unit.resource() for unit in UNITS]
    resources += [GP.resource()]
    resources += [{"resourceType": "Patient", "identifier": [about["identifier"]], "name": [{"family": "Bæk"}]}]
    resources += [
        {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": about} for _ in range(2)
    ]
    resources += [
        {"resourceType": "Encounter", "status": "in-progress", "class": {"code": "AMB"}, "subject": about,
         "serviceProvider": GP.unit.reference(), "period": {"start": datetime.now(UTC).isoformat(timespec="seconds")}}
    ]  # fmt: skip
    async with httpx.AsyncClient(base_url=server.base) as http:
        token = server.run.issuer.token({"kind": "system", "sub": "system", "name": "Overblik"})  # type: ignore[union-attr]  # a demo has one
        http.headers["Authorization"] = f"Bearer {token}"
        found = (await http.get(f"/Patient?identifier={CPR}")).json().get("entry", [])
        if found:
            return str(found[0]["resource"]["id"])
        answers = [await http.post(f"/{r['resourceType']}", json=r) for r in resources]
        assert {a.status_code for a in answers} == {201}, [a.text for a in answers if a.status_code != 201]
        await server.run.directory.refresh(force=True)
        return next(str(a.json()["id"]) for a in answers if a.json()["resourceType"] == "Patient")


async def register(server: Server, client: Client) -> None:
    await server.run.smart.clients.register(client, NOW, allow_local=True)


@asynccontextmanager
async def browser_page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield await (await browser.new_context(locale="da-DK")).new_page()
        await browser.close()


async def let_in(page: Page) -> dict[str, Any]:
    """Say yes on the page that asks; return what the app says it found."""
    assert "Vil du give" in await page.locator("h1").inner_text()
    await page.get_by_role("button", name="Ja, giv adgang").click()
    await page.wait_for_function("document.title === 'done'")
    found = json.loads(await page.locator("#found").inner_text())
    assert isinstance(found, dict), found
    return found


@needs_chromium
async def test_npm_fhirclient_signs_a_citizen_in_by_browser(server: Server, patient: str, page_server: str) -> None:
    """Standalone launch, with refresh, from a page of another origin."""
    app = f"{page_server}/app.html"
    await register(server, Client("browser", "Hjerteappen", "public", parse_scopes(MOST), (app,), app))
    assert server.run.provider is not None
    await server.run.provider.add(CITIZEN, name="aase")
    async with browser_page() as page:
        await page.goto(f"{app}?iss={server.base}")
        await page.get_by_role("button", name="Åse Bæk").click()
        found = await let_in(page)
    assert (found["name"], found["results"], found["condition"]) == ("Bæk", 2, 403)
    assert (found["patient"], found["user"]) == (patient, f"Patient/{patient}")
    assert (found["refreshed"], found["again"]) == (True, "Bæk")


@needs_chromium
async def test_npm_fhirclient_is_opened_from_a_patients_page(server: Server, patient: str, page_server: str) -> None:
    """EHR launch: the patient of the page is the patient in context."""
    app = f"{page_server}/app.html"
    await register(server, Client("browser", "Hjerteappen", "public", parse_scopes(MOST), (app,), app))
    assert server.run.provider is not None
    name = await server.run.provider.add(GP.claims())
    async with browser_page() as page:
        await page.goto(f"{server.base.removesuffix('/fhir')}/sign-in?hint={name}")
        await page.goto(f"{page.url}patient/{patient}")
        await page.get_by_role("link", name="Åbn i en app").click()
        await page.get_by_role("link", name="Hjerteappen").click()
        found = await let_in(page)
    assert (found["patient"], found["name"], found["results"]) == (patient, "Bæk", 2)
    assert "PractitionerRole/" in found["user"]


async def test_python_fhirclient_signs_in(server: Server, patient: str) -> None:
    """Its user goes through the pages as a browser without scripts does."""
    redirect = "http://127.0.0.1:1/back"
    await register(server, Client("python", "Pythonappen", "public", parse_scopes(MOST), (redirect,)))
    scope = "openid fhirUser launch/patient patient/Patient.rs patient/Observation.rs"
    settings = {"app_id": "python", "api_base": server.base, "redirect_uri": redirect, "scope": scope}
    smart = FHIRClient(settings=settings)
    assert not smart.ready
    assert server.run.provider is not None
    hint = await server.run.provider.add(CITIZEN)
    async with httpx.AsyncClient(follow_redirects=True) as http:
        page = await http.get(f"{smart.authorize_url}&login_hint={hint}")
        fields = dict(_hidden(page))
        base = str(page.url).split("/authorize")[0]
        answer = await http.post(f"{base}/allow", data={**fields, "decision": "allow"}, follow_redirects=False)
    smart.handle_callback(answer.headers["location"])
    assert smart.ready
    assert smart.patient.id == patient
    assert smart.patient.name[0].family == "Bæk"
    assert len(list(Observation.where({"patient": patient}).perform_resources_iter(smart.server))) == 2
    smart.server.session.close()


def _hidden(page: Any) -> Iterator[tuple[str, str]]:
    for field in document(page).xpath("//form[.//input[@name='query']]//input[@type='hidden']"):
        yield field.get("name"), field.get("value")


async def test_authlib_sends_its_request_ahead(server: Server, patient: str) -> None:
    """Its parameters, its PKCE and its `private_key_jwt`, posted by its own client (RFC 9126)."""
    key = RSAKey.generate_key(2048, {"kid": "one"})
    jwks = {"keys": [dict(key.as_dict(private=False))]}
    redirect = "http://127.0.0.1:1/back"
    scopes = parse_scopes("launch/patient openid patient/Patient.rs")
    await register(server, Client("ahead", "Forudappen", "confidential", scopes, (redirect,), jwks=jwks, pushed=True))
    assert server.run.provider is not None
    hint = await server.run.provider.add(CITIZEN)
    async with httpx.AsyncClient(follow_redirects=True) as http:
        told = (await http.get(f"{server.base}/.well-known/smart-configuration")).json()
        place, authorize, endpoint = (
            told[f"{name}_endpoint"] for name in ("pushed_authorization_request", "authorization", "token")
        )
        client = AsyncOAuth2Client(
            "ahead", key.as_dict(private=True), scope=scopes.text, redirect_uri=redirect, code_challenge_method="S256"
        )

        def shows() -> None:
            """Have it make its next assertion anew: the claims it is given keep the jti of the last."""
            claims = {"exp": int(time.time()) + 200}
            client.register_client_auth_method(
                PrivateKeyJWT(endpoint, claims=claims, headers={"kid": "one"}, alg="RS384")
            )

        client.token_endpoint_auth_method = "private_key_jwt"
        verifier = "v" * 64
        async with client:
            url, _ = client.create_authorization_url(
                authorize, code_verifier=verifier, aud=server.base, login_hint=hint
            )
            shows()
            auth = client.client_auth("private_key_jwt")
            sent = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
            ahead = await client.request("POST", place, data=sent, auth=auth, withhold_token=True)
            assert ahead.status_code == 201, ahead.text
            query = {"client_id": "ahead", "request_uri": ahead.json()["request_uri"]}
            page = await http.get(authorize, params=query)
            base = str(page.url).split("/authorize")[0]
            form = {**dict(_hidden(page)), "decision": "allow"}
            answer = await http.post(f"{base}/allow", data=form, follow_redirects=False)
            shows()
            token = await client.fetch_token(
                endpoint, authorization_response=answer.headers["location"], code_verifier=verifier
            )
            assert token["patient"] == patient
            assert (await client.get(f"{server.base}/Patient/{patient}")).status_code == 200
        assert (await http.get(url)).status_code == 400, "it is registered to come in no other way"


async def test_a_backend_service_by_authlib_reads_what_its_source_delivered(server: Server) -> None:
    """`private_key_jwt` and client_credentials, signed by a client that was not written here."""
    key = RSAKey.generate_key(2048, {"kid": "one"})
    jwks = {"keys": [dict(key.as_dict(private=False))]}
    scopes = parse_scopes("system/Patient.crs")
    await register(server, Client("service", "Modtageren", "backend", scopes, jwks=jwks, acts_as="gate"))
    async with httpx.AsyncClient() as http:
        endpoint = (await http.get(f"{server.base}/.well-known/smart-configuration")).json()["token_endpoint"]
    client = AsyncOAuth2Client("service", key.as_dict(private=True), scope=scopes.text, grant_type="client_credentials")
    claims = {"exp": int(time.time()) + 200}
    client.register_client_auth_method(PrivateKeyJWT(endpoint, claims=claims, headers={"kid": "one"}, alg="RS384"))
    client.token_endpoint_auth_method = "private_key_jwt"
    async with client:
        token = await client.fetch_token(endpoint)
        assert (token["token_type"], token["scope"]) == ("Bearer", scopes.text)
        body = {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": "0904661234"}]}
        made = await client.post(f"{server.base}/Patient", json=body)
        assert made.status_code == 201, made.text
        assert (await client.get(f"{server.base}/Patient/{made.json()['id']}")).status_code == 200
        assert (await client.get(f"{server.base}/Observation")).status_code == 403
