"""Rows of group A that no test of sign-in or of apps has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from overblik.api.routes import ROUTES
from overblik.web import provider, sign_in
from overblik.web.routes import PAGES
from tests.smart.app import REDIRECT, register

if TYPE_CHECKING:
    from tests.security.conftest import Scene

OPEN = {
    "/",
    "/static/{name}",
    "/livez",
    "/readyz",
    "/oauth/jwks",
    "/log/key",
    "/log/checkpoint",
    "/log/consistency",
    "/log/rotations",
    "/log/witnessed",
    "/log/cosignature",
}
"""What anybody may have: it says nothing of anybody."""
OF_SIGNING_IN = {path for path, _ in (*sign_in.PAGES, *provider.PAGES)} | {"/oauth/authorize"}
OF_CLIENTS = {"/oauth/par", "/oauth/token", "/oauth/introspect", "/oauth/revoke"}
"""Each of these refuses by itself what belongs to no sign-in and to no client."""
STREAMS = {"/s/{slot}/live"}
"""Of a session, like the pages."""
NOTHING = "/{rest:path}"


def filled(path: str) -> str:
    """Return a path with something in its places."""
    return re.sub(r"\{type\}", "Observation", re.sub(r"\{(id|slot|version|client)\}", "1", path))


async def test_a01_whatever_is_served_asks_who_is_there(scene: Scene) -> None:
    """Generated from the tables of routes, so that a new one cannot be forgotten."""
    world = scene.world
    assert world.run.provider is not None
    app = world.run.login.local[world.run.provider.issuer]
    pages = {path for _, path, _ in PAGES}
    assert {route.path for route in app.routes} == OPEN | OF_SIGNING_IN | OF_CLIENTS | STREAMS | pages | {NOTHING}
    asked = [(route.method, f"/fhir{filled(route.path)}") for route in ROUTES if not route.open]
    asked += [(method, filled(path)) for method, path, _ in PAGES]
    asked += [("GET", filled(path)) for path in STREAMS]
    asked += [("POST", path) for path in ("/fhir/Patient/_search", "/fhir/$graphql", "/fhir/Binary", "/fhir/$export")]
    bodies: dict[bool, set[bytes]] = {True: set(), False: set()}
    for method, path in asked:
        answer = await world.http.request(method, path, json={} if method in {"POST", "PUT", "PATCH"} else None)
        assert (answer.status_code, "www-authenticate" in answer.headers) == (401, True), (method, path)
        bodies[path.startswith("/fhir")].add(answer.content if path.startswith("/fhir") else b"")
    assert len(bodies[True]) == 1, "one body for every address"
    for path in OF_CLIENTS:
        assert (await world.http.post(path, data={"token": "x"})).status_code == 401
    assert (await world.http.get("/test-provider/userinfo")).status_code == 401
    assert {route.path for route in ROUTES if route.open} == {"/metadata", "/.well-known/smart-configuration"}


async def test_a28_who_is_registered_is_not_told(scene: Scene) -> None:
    """There are no passwords; a client that is there and one that is not are refused alike."""
    world = scene.world
    await register(world, "a28", kind="confidential", jwks_uri="https://keys.example.dk/jwks")
    answers = set()
    for name in ("a28", "unknown", "x" * 300):
        form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": REDIRECT, "client_id": name}
        for path in sorted(OF_CLIENTS):
            answer = await world.http.post(path, data={**form, "token": "x"})
            answers.add((answer.status_code, answer.text))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401


async def test_a29_what_a_proxy_might_say_of_a_caller_opens_nothing(scene: Scene) -> None:
    """No header but Authorization and the session's cookie says who is there."""
    said = {
        "X-SSL-Client-CN": "gateway", "X-SSL-Client-Verify": "SUCCESS", "X-Client-Cert": "x",
        "X-Forwarded-User": "gateway", "X-Remote-User": "TEST1",
        "Remote-User": "TEST1", "X-Forwarded-Client-Cert": "Subject=gateway",
        "Forwarded": "for=127.0.0.1;by=x", "X-Original-URL": "/fhir/metadata", "X-Rewrite-URL": "/fhir/metadata",
    }  # fmt: skip
    for path in (f"/fhir/Patient/{scene.mine}", "/fhir/Patient", "/s/x/"):
        plain, answer = [await scene.world.http.get(path, headers=headers) for headers in ({}, said)]
        assert answer.status_code == 401
        assert answer.status_code == plain.status_code
