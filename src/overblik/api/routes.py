"""The FHIR routes as a table, and the one way in that all of them share.

    request -> limits -> caller -> interaction -> response
                            └── any expected error -> OperationOutcome

Order matters: a literal path stands before the pattern that would also match it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from uuid import uuid4

import structlog
from starlette.responses import Response as HttpResponse
from starlette.routing import Route as HttpRoute

from overblik.api.http import Request, Response, Services, shaped
from overblik.api.interactions import metadata, operations, read, search, transaction, write
from overblik.api.negotiation import outcome_in
from overblik.fhir.definitions import r4
from overblik.fhir.errors import (
    Malformed,
    NotAllowed,
    NotFound,
    OverblikError,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from overblik.fhir.strict_json import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from starlette.requests import Request as HttpRequest

    from overblik.trust.identity import Caller

    Interaction = Callable[[Services, Request], Awaitable[Response]]
    Authenticate = Callable[[str], Awaitable[Caller]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Route:
    """One row: method, path below the base, FHIR interaction code, function, open to everyone or not."""

    method: str
    path: str
    code: str
    interaction: Interaction
    open: bool = False


ROUTES: tuple[Route, ...] = (
    Route("GET", "/metadata", "capabilities", metadata.capabilities, open=True),
    Route("POST", "/$process-message", "$process-message", operations.process_message),
    Route("GET", "/Patient/{id}/$overview", "$overview", operations.overview),
    Route("POST", "/{type}/_search", "", search.search),
    Route("GET", "/{type}/{id}/_history/{version}", "vread", read.vread),
    Route("GET", "/{type}/{id}/_history", "history-instance", read.history),
    Route("GET", "/{type}/{id}", "read", read.read),
    Route("PUT", "/{type}/{id}", "update", write.update),
    Route("DELETE", "/{type}/{id}", "delete", write.delete),
    Route("GET", "/{type}", "search-type", search.search),
    Route("POST", "/{type}", "create", write.create),
    Route("POST", "/", "transaction", transaction.bundle),
    Route("POST", "", "batch", transaction.bundle),
)


def http_routes(services: Services, authenticate: Authenticate, prefix: str = "/fhir") -> list[HttpRoute]:
    """Return the Starlette routes of the table, methods on one path together."""
    by_path: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        methods = by_path.setdefault(route.path, {})
        methods[route.method] = route
    by_path["/{rest:path}"] = dict.fromkeys(_METHODS, Route("*", "/{rest:path}", "", _nothing))
    return [
        HttpRoute(prefix + path, _endpoint(services, authenticate, methods, prefix), methods=_METHODS)
        for path, methods in by_path.items()
    ]


async def _nothing(_: Services, __: Request) -> Response:
    """Answer every other path like one that is not there; the caller is known by then."""
    raise NotFound


_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def _endpoint(
    services: Services, authenticate: Authenticate, methods: dict[str, Route], prefix: str
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    async def endpoint(http: HttpRequest) -> HttpResponse:
        request_id = uuid4()
        try:
            response = await _answer(services, authenticate, methods, prefix, http, request_id)
        except OverblikError as error:
            response = _refusal(error, methods, http)
        except Exception:
            log.exception("api.fault", request=str(request_id))
            fault = OverblikError("internal", "Something failed here; nothing was disclosed. Try again later.")
            response = _refusal(fault, methods, http)
        return _sent(http.method, response, str(request_id))

    return endpoint


async def _answer(
    services: Services,
    authenticate: Authenticate,
    methods: dict[str, Route],
    prefix: str,
    http: HttpRequest,
    request_id: UUID,
) -> Response:
    route = methods.get("GET" if http.method == "HEAD" else http.method)
    caller = await _caller(authenticate, http, request_id, open_=route is not None and route.open)
    if route is None:
        raise NotAllowed("method-not-allowed", f"This path takes {', '.join(sorted(methods))}.")
    resource_type = http.path_params.get("type", "")
    if resource_type and resource_type not in r4().resource_types:
        raise NotFound
    body = await _body(http) if http.method in {"POST", "PUT", "PATCH"} else b""
    pairs = [(key, value) for key, value in http.query_params.multi_items()]
    if route.path.endswith("_search"):
        pairs += _form(body)
    request = Request(
        method=http.method,
        base=f"{http.url.scheme}://{http.url.netloc}{prefix}",
        caller=caller,
        type=resource_type or ("Patient" if "/Patient/" in route.path else ""),
        id=http.path_params.get("id", ""),
        version=http.path_params.get("version", ""),
        pairs=tuple(pairs),
        headers=dict(http.headers),
        body=body,
    )
    return shaped(request, await route.interaction(services, request))


async def _caller(authenticate: Authenticate, http: HttpRequest, request_id: UUID, *, open_: bool) -> Any:
    scheme, _, token = http.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return (await authenticate(token.strip())).asking(channel="api", request=request_id)
    if open_:
        return None
    raise Unauthenticated


async def _body(http: HttpRequest) -> bytes:
    """Read the body up to the limit and no further."""
    announced = http.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > MAX_BYTES:
        raise TooLarge("body-too-large", f"The body is over {MAX_BYTES // 1024**2} MB; send it in parts.")
    chunks: list[bytes] = []
    size = 0
    async for chunk in http.stream():
        size += len(chunk)
        if size > MAX_BYTES:
            raise TooLarge("body-too-large", f"The body is over {MAX_BYTES // 1024**2} MB; send it in parts.")
        chunks.append(chunk)
    return b"".join(chunks)


def _form(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True)
    except UnicodeDecodeError:
        raise Malformed("form-invalid", "The form is not UTF-8.") from None


def _refusal(error: OverblikError, methods: dict[str, Route], http: HttpRequest) -> Response:
    headers: dict[str, str] = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="overblik"'
    elif isinstance(error, (TooMany, Unavailable)):
        headers["Retry-After"] = "1"
    elif isinstance(error, NotAllowed):
        headers["Allow"] = ", ".join(sorted(methods))
    body, media = outcome_in(http.headers.get("accept", ""), http.query_params.get("_format", ""), error.issues)
    return Response(error.status, body, headers, media)


_ALWAYS = {
    "Cache-Control": "no-store, private",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept, Authorization, Prefer",
    "Referrer-Policy": "no-referrer",
}


def _sent(method: str, response: Response, request_id: str) -> HttpResponse:
    headers = {**_ALWAYS, **response.headers, "X-Request-Id": request_id}
    body = b"" if method == "HEAD" else response.body
    sent = HttpResponse(body, response.status, headers, media_type=response.media if response.body else None)
    if method == "HEAD":
        sent.headers["Content-Length"] = str(len(response.body))
    return sent
