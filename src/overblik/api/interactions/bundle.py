"""batch and transaction (https://hl7.org/fhir/R4/http.html#transaction).

Every entry of a batch goes by the route table, like a request of its own. In a transaction the
writes are one database transaction; what is read is read after it, through the door, because a
refusal must stay in the log whatever becomes of the rest.
"""

from __future__ import annotations

from dataclasses import replace
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from overblik.api.http import (
    Response,
    bundle_response,
    done,
    may_show,
    require_json_answer,
    stored_json,
    version_headers,
)
from overblik.api.interactions.transaction import checked_entries, placed, write_all
from overblik.api.matching import find
from overblik.fhir.dates import instant, parse_interval
from overblik.fhir.errors import Forbidden, Malformed, OverblikError
from overblik.fhir.outcome import operation_outcome
from overblik.fhir.strict_json import dumps, loads
from overblik.trust.callers.identity import require_kind

if TYPE_CHECKING:
    from overblik.api.http import Request, Services
    from overblik.fhir.strict_json import Json
    from overblik.trust.door.work import Stored, Work

_READS = frozenset({"GET", "HEAD"})
_ALONE = frozenset({"batch", "transaction", "$process-message", "$overview"})
"""What is only done as a request of its own."""
_HEADERS = {
    "ifMatch": "if-match",
    "ifNoneMatch": "if-none-match",
    "ifNoneExist": "if-none-exist",
}


async def bundle(services: Services, request: Request) -> Response:
    """Process a batch or transaction Bundle posted to the base; answers come in the order asked."""
    require_json_answer(request)
    body = request.json()
    entries = checked_entries(body)
    if body["type"] == "batch":
        answers = [await _alone(services, request, entry, number) for number, entry in enumerate(entries)]
    else:
        answers = await _transaction(services, request, entries)
    return bundle_response(body["type"] + "-response", answers)


async def _transaction(services: Services, request: Request, entries: list[Json]) -> list[Json]:
    writes = [n for n, e in enumerate(entries) if e["request"]["method"] not in _READS]
    reads = [n for n in range(len(entries)) if n not in set(writes)]
    for number in reads:
        with placed(number):
            _one(services, request, entries[number])  # what can never be answered undoes the transaction
    results: dict[int, Json] = {}
    if writes:
        require_kind(request.caller, "write")

        async def work(work: Work) -> dict[int, Stored | None]:
            return await write_all(work, entries, writes, request.base)

        what = f"transaction of {len(writes)}"
        stored = await services.writer.write(request.caller, "transaction", what, work)
        methods = {number: str(entries[number]["request"]["method"]) for number in writes}
        results |= {number: _written(request, methods[number], item) for number, item in stored.items()}
    for number in reads:
        results[number] = await _alone(services, request, entries[number], number, strict=not writes)
    return [results[number] for number in range(len(entries))]


def _written(request: Request, method: str, stored: Stored | None) -> Json:
    """Return the answer to one entry of a transaction, with what the client prefers to have back."""
    if stored is None:
        return {"response": {"status": "204 No Content"}}
    status = "201 Created" if stored.created else "204 No Content" if stored.resource is None else "200 OK"
    response: dict[str, Any] = {"status": status}
    if stored.resource is not None:
        response["location"] = f"{request.base}/{stored.type}/{stored.id}/_history/{stored.version}"
    response["etag"] = version_headers(stored.version, stored.updated)["ETag"]
    response["lastModified"] = instant(stored.updated)
    wanted = request.preferences.get("return")
    if wanted == "operationoutcome":
        response["outcome"] = done(stored)
    if wanted == "representation" and stored.resource is not None and may_show(request, method, stored):
        return {"resource": stored_json(stored), "response": response}
    return {"response": response}


async def _alone(services: Services, request: Request, entry: Json, number: int, *, strict: bool = False) -> Json:
    """Process one entry on its own; its error is its own answer, unless `strict`."""
    try:
        with placed(number):
            route, one = _one(services, request, entry)
            response = await route.interaction(services, one)
            form = one.form
    except OverblikError as error:
        if strict:
            raise
        if isinstance(error, Forbidden):
            await services.door.refused(request.caller, error.code, str(entry["request"]["url"]).partition("?")[0])
        return {"response": {"status": _status(error.status), "outcome": operation_outcome(error.issues)}}
    answer: Json = {"status": _status(response.status)}
    for name, header in (("location", "Location"), ("etag", "ETag")):
        if header in response.headers:
            answer[name] = response.headers[header]
    if not response.body or one.method == "HEAD":
        return {"response": answer}
    body = loads(response.body)
    if body["resourceType"] == "OperationOutcome":
        return {"response": {**answer, "outcome": body}}
    return {"resource": form.part(body), "response": answer}


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _one(services: Services, request: Request, entry: Json) -> tuple[Any, Request]:
    """Return the route of an entry and the request it stands for."""
    asked = entry["request"]
    method = asked["method"]
    path, _, query = asked["url"].partition("?")
    route, named = find(services.routes, method, "/" + unquote(path))
    if route.open or route.code in _ALONE:
        raise Malformed("entry-url", "This is not done as an entry of a Bundle.", expression="request.url")
    headers = {"accept": "application/fhir+json"} | {
        header: str(asked[name]) for name, header in _HEADERS.items() if name in asked
    }
    if since := parse_interval(str(asked.get("ifModifiedSince", ""))):
        headers["if-modified-since"] = format_datetime(since.start, usegmt=True)
    if "prefer" in request.headers:
        headers["prefer"] = request.headers["prefer"]
    one = replace(
        request,
        method=method,
        type=named.get("type", ""),
        id=named.get("id", ""),
        version=named.get("version", ""),
        pairs=tuple(parse_qsl(query, keep_blank_values=True)),
        headers=headers,
        body=dumps(entry["resource"]) if "resource" in entry else b"",
    )
    return route, one
