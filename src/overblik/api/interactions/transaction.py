"""batch and transaction (https://hl7.org/fhir/R4/http.html#transaction).

A transaction is one database transaction: all or nothing. References by `urn:uuid` or full URL to
other entries, and conditional references (`Patient?identifier=…`), are resolved before anything is
stored. Processing order is FHIR's: DELETE, POST, PUT, then GET.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from overblik.api.http import Response, require_json_answer, version_headers, version_of
from overblik.api.interactions import read as reading
from overblik.api.interactions import search as searching
from overblik.api.interactions import write as writing
from overblik.fhir.definitions import r4
from overblik.fhir.errors import Malformed, NotFound, OverblikError, PreconditionFailed, Unprocessable
from overblik.fhir.outcome import operation_outcome
from overblik.fhir.query import parse_query
from overblik.fhir.references import references, rewrite
from overblik.fhir.strict_json import dumps, loads
from overblik.fhir.structure import check
from overblik.trust.identity import require as require_caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from overblik.api.http import Request, Services
    from overblik.api.negotiation import Form
    from overblik.fhir.strict_json import Json
    from overblik.trust.work import Stored, Work

MOST_ENTRIES = 5000
_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "GET": 3, "HEAD": 3}


async def bundle(services: Services, request: Request) -> Response:
    """Process a batch or transaction Bundle posted to the base."""
    require_json_answer(request)
    body = request.json()
    entries = checked_entries(body)
    if body["type"] == "batch":
        done = [await _batch_entry(services, request, entry) for entry in entries]
    else:
        done = await _transaction(services, request, entries)
    answer = {"resourceType": "Bundle", "type": body["type"] + "-response", "entry": done}
    return Response(200, dumps(answer))


def checked_entries(body: Json) -> list[Json]:
    """Return a Bundle's entries if it is a batch or transaction whose shape is right."""
    if body.get("resourceType") != "Bundle" or body.get("type") not in {"batch", "transaction"}:
        text = "POST to the base takes a Bundle of type batch or transaction; messages go to $process-message."
        raise Unprocessable("bundle-expected", text, expression="Bundle.type")
    if issues := check(body):
        raise Unprocessable.of(issues)
    entries: list[Json] = body.get("entry", [])
    if len(entries) > MOST_ENTRIES:
        raise Unprocessable("bundle-too-large", f"A Bundle may have {MOST_ENTRIES} entries; send several.")
    for number, entry in enumerate(entries):
        _require_entry(entry, number)
    return entries


def _require_entry(entry: Json, number: int) -> None:
    place = f"Bundle.entry[{number}]"
    method = entry.get("request", {}).get("method")
    url = str(entry.get("request", {}).get("url", ""))
    if method not in _ORDER:
        raise Malformed("entry-method", f"{place}.request.method is missing or not done here.", expression=place)
    if url.startswith(("/", "http:", "https:")) or ".." in url or "$" in url:
        raise Malformed("entry-url", f"{place}.request.url must be relative to the base.", expression=place)
    if method in {"POST", "PUT"} and "resource" not in entry:
        raise Malformed("entry-resource", f"{place} needs a resource.", expression=place)


def _target(url: str) -> tuple[str, str, str]:
    """Return (type, id, query) of an entry's url."""
    path, _, query = url.partition("?")
    resource_type, _, resource_id = path.partition("/")
    if resource_type not in r4().resource_types or "/" in resource_id:
        raise Malformed(
            "entry-url",
            "An entry's url is Type, Type/id or Type?query.",
            expression="Bundle.entry.request.url",
        )
    return resource_type, resource_id, query


async def _transaction(services: Services, request: Request, entries: list[Json]) -> list[Json]:
    writes = [n for n, e in enumerate(entries) if e["request"]["method"] not in {"GET", "HEAD"}]
    results: dict[int, Json] = {}
    if writes:
        require_caller(request.caller, "write")
        what = f"transaction of {len(writes)}"

        async def work(work: Work) -> dict[int, Stored]:
            return await write_all(work, entries, writes)

        stored = await services.writer.write(request.caller, "transaction", what, work)
        results |= {number: _written(request, entries[number], item) for number, item in stored.items()}
    for number, entry in enumerate(entries):
        if number not in results:
            results[number] = await _batch_entry(services, request, entry)
    return [results[number] for number in range(len(entries))]


async def write_all(work: Work, entries: list[Json], writes: Iterable[int]) -> dict[int, Stored]:
    """Give every new resource its id, resolve the references, then write in FHIR's order."""
    planned: dict[int, tuple[str, str]] = {}
    matched: dict[int, tuple[str, str]] = {}
    names: dict[str, str] = {}
    for number in writes:
        entry = entries[number]
        resource_type, resource_id, _ = _target(entry["request"]["url"])
        if entry["request"]["method"] == "POST":
            found = await writing.existing(work, resource_type, entry["request"].get("ifNoneExist", ""))
            if found:
                matched[number] = found
            resource_id = found[1] if found else work.unit.keys.id()
        planned[number] = (resource_type, resource_id)
        if "fullUrl" in entry:
            if entry["fullUrl"] in names:
                raise Malformed(
                    "full-url-twice",
                    "A fullUrl stands twice in the Bundle.",
                    expression="Bundle.entry.fullUrl",
                )
            names[entry["fullUrl"]] = f"{resource_type}/{resource_id}"
    names |= await _conditional_references(work, entries)
    results: dict[int, Stored] = {}
    for number in sorted(writes, key=lambda n: (_ORDER[entries[n]["request"]["method"]], _patients_first(entries[n]))):
        if number in matched:
            results[number] = await work.current(*matched[number])
        else:
            results[number] = await _write_one(work, entries[number], planned[number], _resolver(names))
    return results


def _patients_first(entry: Json) -> int:
    """Patients are written before what refers to them."""
    return 0 if entry.get("resource", {}).get("resourceType") == "Patient" else 1


async def _conditional_references(work: Work, entries: list[Json]) -> dict[str, str]:
    """Resolve references such as `Patient?identifier=…` with the caller's rights."""
    found: dict[str, str] = {}
    for entry in entries:
        for reference in references(entry.get("resource", {})):
            text = reference["reference"]
            resource_type, mark, query = text.partition("?")
            if not mark or text in found or resource_type not in r4().resource_types:
                continue
            matches = await work.match(parse_query(resource_type, parse_qsl(query)))
            if len(matches) != 1:
                say = "A conditional reference must find exactly one resource that you can see."
                raise PreconditionFailed("reference-unresolved", say, expression="Bundle.entry.resource")
            found[text] = "/".join(matches[0])
    return found


def _resolver(names: dict[str, str]) -> Callable[[str], str]:
    def resolve(text: str) -> str:
        base, mark, fragment = text.partition("#")
        if text in names:
            return names[text]
        return names[base] + mark + fragment if base in names else text

    return resolve


async def _write_one(work: Work, entry: Json, target: tuple[str, str], resolve: Callable[[str], str]) -> Stored:
    method = entry["request"]["method"]
    resource_type, resource_id = target
    etag = entry["request"].get("ifMatch")
    if_match = None if etag is None else version_of(etag, "Bundle.entry.request.ifMatch")
    if method == "DELETE":
        return await work.delete(resource_type, resource_id, if_match=if_match)
    resource: Json = rewrite(entry["resource"], resolve)
    if resource["resourceType"] != resource_type:
        raise Unprocessable("type-mismatch", "An entry's resource is not of the type in its url.")
    if method == "POST":
        return await work.create(resource, new_id=resource_id)
    return await work.update(resource_type, resource_id, {**resource, "id": resource_id}, if_match=if_match)


def _written(request: Request, entry: Json, stored: Stored) -> Json:
    status = "201 Created" if stored.created else "204 No Content" if stored.resource is None else "200 OK"
    headers = version_headers(stored.version, stored.updated)
    response: dict[str, Any] = {"status": status, "etag": headers["ETag"]}
    response["lastModified"] = stored.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if entry["request"]["method"] != "DELETE":
        response["location"] = f"{request.base}/{stored.type}/{stored.id}/_history/{stored.version}"
    return {"response": response}


async def _batch_entry(services: Services, request: Request, entry: Json) -> Json:
    """Process one entry on its own; its error is its own answer."""
    try:
        response, form = await _one(services, request, entry)
    except OverblikError as error:
        outcome = operation_outcome(error.issues)
        return {"response": {"status": _status(error.status), "outcome": outcome}}
    answer: Json = {"response": {"status": _status(response.status)}}
    if "ETag" in response.headers:
        answer["response"]["etag"] = response.headers["ETag"]
    if "Location" in response.headers:
        answer["response"]["location"] = response.headers["Location"]
    if response.body:
        answer["resource"] = form.part(loads(response.body))
    return answer


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


async def _one(services: Services, request: Request, entry: Json) -> tuple[Response, Form]:
    method = entry["request"]["method"]
    resource_type, resource_id, query = _target(entry["request"]["url"])
    headers = {"accept": "application/fhir+json"}
    headers |= {"if-match": entry["request"]["ifMatch"]} if "ifMatch" in entry["request"] else {}
    headers |= {"if-none-exist": entry["request"]["ifNoneExist"]} if "ifNoneExist" in entry["request"] else {}
    one = replace(
        request,
        method=method,
        type=resource_type,
        id=resource_id,
        pairs=tuple(parse_qsl(query, keep_blank_values=True)),
        headers=headers,
        body=dumps(entry["resource"]) if "resource" in entry else b"",
    )
    if method == "GET":
        response = await (reading.read if resource_id else searching.search)(services, one)
        return response, one.form
    handlers = {"POST": writing.create, "PUT": writing.update, "DELETE": writing.delete}
    if method not in handlers:
        raise NotFound
    return await handlers[method](services, one), one.form
