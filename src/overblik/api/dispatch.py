"""The one way in that all FHIR routes share, as a plain ASGI application.

    request -> limits -> caller -> interaction -> response
                            └── any expected error -> OperationOutcome

Written against ASGI itself, because this is on the path of every request: a router and two response
classes in between cost as much as the read does.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from uuid import UUID, uuid4

import structlog

from overblik.api.http import Request, Response, Services, shaped
from overblik.api.matching import choose, matches
from overblik.api.negotiation import outcome_in, split
from overblik.fhir.errors import (
    Forbidden,
    Full,
    Malformed,
    NotAllowed,
    OverblikError,
    TooLarge,
    TooMany,
    TooSlow,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from overblik.fhir.index.catalogue import using
from overblik.fhir.outcome import operation_outcome
from overblik.fhir.references import served_at
from overblik.fhir.strict_json import MAX_BYTES, dumps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from overblik.trust.callers.identity import Caller

    Authenticate = Callable[[str, tuple[str, str, str] | None], Awaitable[Caller]]
    """A token, and with one that is bound to a key: the proof, the method and the path it came with."""
    Refused = Callable[[tuple[str, int] | None, Mapping[str, str]], None]
    """Told of a token that did not hold: the other end of its connection, and the headers. May raise TooMany."""

log = structlog.get_logger()
SILENT, LONGEST = 20.0, 300.0
"""Seconds that a body may pause, and that it may take in all."""

MOST_FORM = 256 * 1024
FORM = "application/x-www-form-urlencoded"
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_ALWAYS = (
    (b"cache-control", b"no-store, private"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"Accept, Authorization, Prefer"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
)


class Api:
    """The FHIR API below a prefix."""

    def __init__(self, services: Services, authenticate: Authenticate, refused: Refused, prefix: str = "/fhir") -> None:
        self._services = services
        self._refused = refused
        self._authenticate = authenticate
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every error is an OperationOutcome."""
        request_id = uuid4()
        path = scope["path"][len(self._prefix) :]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"]
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []
        try:
            response = await self._answer(scope, receive, path, headers, pairs, request_id)
        except OverblikError as error:
            response = self._refusal(error, path, headers, pairs)
        except Exception:
            log.exception("api.fault", request=str(request_id))
            fault = OverblikError("internal", "Something failed here; nothing was disclosed. Try again later.")
            response = self._refusal(fault, path, headers, pairs)
        await _send(send, scope["method"], response, request_id)

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        path: str,
        headers: dict[str, str],
        pairs: list[tuple[str, str]],
        request_id: UUID,
    ) -> Response:
        method, routes = scope["method"], self._services.routes
        known = matches(routes, path)
        wanted = "GET" if method == "HEAD" else method
        asked = method, scope.get("raw_path", b"").decode("latin-1") or scope["path"]
        try:
            caller = await self._caller(headers, request_id, asked, open_=wanted in known and known[wanted][0].open)
        except Unauthenticated as error:
            if "authorization" in headers and not error.genuine:
                self._refused(scope.get("client"), headers)
            raise
        route, named = choose(known, method)
        body = await read_body(headers, receive) if method in _WITH_BODY else b""
        request = Request(
            method=method,
            base=f"{scope['scheme']}://{headers.get('host') or '{}:{}'.format(*scope['server'])}{self._prefix}",
            caller=caller,
            type=named.get("type", ""),
            id=named.get("id", ""),
            version=named.get("version", ""),
            pairs=tuple(pairs + _form(headers, body)) if path.endswith("/_search") else tuple(pairs),
            headers=headers,
            body=body,
        )
        # The parameters are for conditions; a search looks which there are.
        with using(self._services.parameters.current), served_at(request.base):
            try:
                return shaped(request, await route.interaction(self._services, request))
            except Forbidden as error:
                await self._services.door.refused(caller, error.code, path)
                raise

    def _refusal(
        self, error: OverblikError, path: str, sent: Mapping[str, str], pairs: list[tuple[str, str]]
    ) -> Response:
        """Return the answer of an expected error, in the format asked for."""
        headers: dict[str, str] = {}
        if isinstance(error, Unauthenticated):
            headers["WWW-Authenticate"] = 'Bearer realm="overblik"'
        elif isinstance(error, (TooMany, Unavailable, Full)):
            headers["Retry-After"] = str(error.after if isinstance(error, TooMany) else 1)
        elif isinstance(error, NotAllowed):
            headers["Allow"] = ", ".join(sorted(matches(self._services.routes, path)))
        asked = next((value for name, value in pairs if name == "_format"), "")
        body, media = outcome_in(sent.get("accept", ""), asked, error.issues)
        return Response(error.status, body, headers, media)

    async def _caller(
        self, headers: Mapping[str, str], request_id: UUID, asked: tuple[str, str], *, open_: bool
    ) -> Any:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() in {"bearer", "dpop"} and token:
            proof = (headers.get("dpop", ""), *asked) if scheme.lower() == "dpop" else None
            return (await self._authenticate(token.strip(), proof)).asking(channel="api", request=request_id)
        if open_:
            return None
        raise Unauthenticated


async def refuse(scope: Scope, send: Send, error: Unavailable) -> None:
    """Answer a request that there is nothing here to answer with."""
    body = dumps(operation_outcome(list(error.issues)))
    await _send(send, scope["method"], Response(error.status, body, {"Retry-After": "1"}), uuid4())


async def read_body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """Read a body up to the limit and no further, and no longer than it may take."""
    announced = headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > MAX_BYTES:
        raise _too_large()
    chunks: list[bytes] = []
    size, more = 0, True
    until = monotonic() + LONGEST
    while more:
        try:
            async with asyncio.timeout(min(SILENT, until - monotonic())):
                message = await receive()
        except TimeoutError:
            raise TooSlow("body-too-slow", "The body did not come in time; send it again.") from None
        if message["type"] == "http.disconnect":
            raise Malformed("body-cut-off", "The body ended before it was whole; send it again.")
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(chunk)
        if size > MAX_BYTES:
            raise _too_large()
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large() -> TooLarge:
    return TooLarge("body-too-large", f"The body is over {MAX_BYTES // 1024**2} MB; send it in parts.")


def _form(headers: Mapping[str, str], body: bytes) -> list[tuple[str, str]]:
    media, _ = split(headers.get("content-type", FORM))
    if body and media != FORM:
        raise Unsupported("content-type", f"Send a search as {FORM}.", expression="http.Content-Type")
    if len(body) > MOST_FORM:
        raise TooLarge("body-too-large", f"A form is at most {MOST_FORM // 1024} kB.")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True)
    except UnicodeDecodeError:
        raise Malformed("form-invalid", "The form is not UTF-8.") from None


@lru_cache(maxsize=200)
def _wire_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


async def _send(send: Send, method: str, response: Response, request_id: UUID) -> None:
    headers = [*_ALWAYS, (b"x-request-id", str(request_id).encode()), (b"content-length", b"%d" % len(response.body))]
    headers += [(_wire_name(name), value.encode("latin-1")) for name, value in response.headers.items()]
    if response.body:
        headers.append((b"content-type", response.media.encode("latin-1")))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else response.body})
