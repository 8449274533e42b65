"""The FHIR routes as a table, and the one way in that all of them share.

    request -> route -> caller -> limits -> interaction -> shaped response
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
from overblik.api.interactions import bundle, everything, history, lastn, metadata, operations, read, search, write
from overblik.api.matching import find, matches
from overblik.api.negotiation import outcome_in
from overblik.fhir.errors import (
    Malformed,
    NotAllowed,
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
    Route("GET", "/Patient/{id}/$everything", "$everything", everything.everything),
    Route("POST", "/Patient/{id}/$everything", "$everything", everything.everything),
    Route("GET", "/Observation/$lastn", "$lastn", lastn.lastn),
    Route("POST", "/Observation/$lastn", "$lastn", lastn.lastn),
    Route("GET", "/{type}/{id}/$meta", "$meta", operations.meta),
    Route("POST", "/{type}/{id}/$meta", "$meta", operations.meta),
    Route("GET", "/{type}/{id}/_history/{version}/$meta", "$meta", operations.meta),
    Route("POST", "/{type}/_search", "search-type", search.search),
    Route("GET", "/_history", "history-system", history.of_system),
    Route("GET", "/{type}/_history", "history-type", history.of_type),
    Route("GET", "/{type}/{id}/_history/{version}", "vread", read.vread),
    Route("GET", "/{type}/{id}/_history", "history-instance", history.of_instance),
    Route("GET", "/{type}/{id}", "read", read.read),
    Route("PUT", "/{type}/{id}", "update", write.update),
    Route("PATCH", "/{type}/{id}", "patch", write.patch),
    Route("DELETE", "/{type}/{id}", "delete", write.delete),
    Route("GET", "/{type}", "search-type", search.search),
    Route("POST", "/{type}", "create", write.create),
    Route("PUT", "/{type}", "conditionalUpdate", write.update_matched),
    Route("PATCH", "/{type}", "conditionalPatch", write.patch_matched),
    Route("DELETE", "/{type}", "conditionalDelete", write.delete_matched),
    Route("POST", "/", "transaction", bundle.bundle),
    Route("POST", "", "batch", bundle.bundle),
)
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def http_routes(services: Services, authenticate: Authenticate, prefix: str = "/fhir") -> list[HttpRoute]:
    """Return the Starlette routes: everything below the base goes by the table."""
    endpoint = _endpoint(services, authenticate, prefix)
    return [HttpRoute(prefix + path, endpoint, methods=_METHODS) for path in ("", "/{rest:path}")]


def _endpoint(
    services: Services, authenticate: Authenticate, prefix: str
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    async def endpoint(http: HttpRequest) -> HttpResponse:
        request_id = uuid4()
        path = "/" + http.path_params["rest"] if "rest" in http.path_params else ""
        try:
            response = await _answer(services, authenticate, prefix, path, http, request_id)
        except OverblikError as error:
            response = _refusal(error, services, path, http)
        except Exception:
            log.exception("api.fault", request=str(request_id))
            fault = OverblikError("internal", "Something failed here; nothing was disclosed. Try again later.")
            response = _refusal(fault, services, path, http)
        return _sent(http.method, response, str(request_id))

    return endpoint


async def _answer(
    services: Services, authenticate: Authenticate, prefix: str, path: str, http: HttpRequest, request_id: UUID
) -> Response:
    known = matches(services.routes, path)
    open_ = http.method in {"GET", "HEAD"} and "GET" in known and known["GET"][0].open
    caller = await _caller(authenticate, http, request_id, open_=open_)
    route, named = find(services.routes, http.method, path)
    body = await _body(http) if http.method in {"POST", "PUT", "PATCH"} else b""
    pairs = [(key, value) for key, value in http.query_params.multi_items()]
    if route.path.endswith("_search"):
        pairs += _form(body)
    request = Request(
        method=http.method,
        base=f"{http.url.scheme}://{http.url.netloc}{prefix}",
        caller=caller,
        type=named.get("type", ""),
        id=named.get("id", ""),
        version=named.get("version", ""),
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


def _refusal(error: OverblikError, services: Services, path: str, http: HttpRequest) -> Response:
    headers: dict[str, str] = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="overblik"'
    elif isinstance(error, (TooMany, Unavailable)):
        headers["Retry-After"] = "1"
    elif isinstance(error, NotAllowed):
        headers["Allow"] = ", ".join(sorted(matches(services.routes, path)))
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
