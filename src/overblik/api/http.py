"""Requests and responses as values, so that interactions know no web framework."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import format_datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from overblik.api.negotiation import FHIR_JSON, JSON_ANSWER, Form, form_of, read_body, require_utf8
from overblik.fhir.dates import instant
from overblik.fhir.errors import Issue, Malformed, NotAcceptable
from overblik.fhir.outcome import operation_outcome
from overblik.fhir.strict_json import dumps
from overblik.trust.door.access import in_one_piece
from overblik.trust.treatment.stated import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from overblik.api.matching import Table
    from overblik.exchange.inbox import Inbox
    from overblik.fhir.strict_json import Json
    from overblik.overview.service import Overviews
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.access import Disclosed, Door
    from overblik.trust.door.search_parameters import SearchParameters
    from overblik.trust.door.work import Stored
    from overblik.trust.door.writer import Writer
    from overblik.trust.log.heads import Heads

_ETAG = re.compile(r'(?:W/)?"([0-9]{1,9})"')


@dataclass(frozen=True, slots=True)
class Services:
    """What interactions work with; made once by the app."""

    door: Door
    writer: Writer
    inbox: Inbox
    overviews: Overviews
    heads: Heads
    parameters: SearchParameters
    routes: Table
    software: str
    mode: str
    smart: Mapping[str, Any] = field(default_factory=dict)
    stating: Rules = field(default_factory=Rules)


@dataclass(frozen=True)
class Request:
    """One FHIR request. `type`, `id` and `version` come from the path; `pairs` from query and form.

    Without slots, so that what its headers and parameters mean is worked out once.
    """

    method: str
    base: str
    caller: Caller
    type: str = ""
    id: str = ""
    version: str = ""
    pairs: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def one(self, name: str) -> str:
        """Return a parameter that may stand once, "" where it is missing."""
        if not self.pairs:
            return ""
        values = [value for key, value in self.pairs if key == name]
        if len(values) > 1:
            raise Malformed("parameter-twice", f"{name} may stand only once.", expression=f"http.{name}")
        return values[0] if values else ""

    @property
    def media(self) -> str:
        """The media type of the body, without its parameters."""
        return self.headers.get("content-type", FHIR_JSON).partition(";")[0].strip().lower()

    def json(self) -> Json:
        """Return the body, FHIR JSON or FHIR XML in UTF-8, as a parsed JSON object; refuse anything else."""
        return read_body(self.headers.get("content-type", ""), self.body)

    def require_utf8(self) -> None:
        """Refuse a body that says it is written in anything but UTF-8."""
        require_utf8(self.headers.get("content-type", ""))

    @cached_property
    def form(self) -> Form:
        """How the answer is to look; NotAcceptable or Malformed where it cannot look so."""
        return form_of(self.headers.get("accept", ""), self.one, lenient=self.lenient)

    @property
    def if_match(self) -> int | None:
        """Return the version of If-Match; None where the header is missing."""
        text = self.headers.get("if-match")
        return None if text is None else version_of(text, "http.If-Match")

    @cached_property
    def preferences(self) -> dict[str, str]:
        """The Prefer header (RFC 7240), names and values in lower case; the first of a name counts."""
        found: dict[str, str] = {}
        if not (stated := self.headers.get("prefer", "")):
            return found
        for part in re.split(r"[,;]", stated):
            name, _, value = part.partition("=")
            found.setdefault(name.strip().lower(), value.strip().strip('"').lower())
        return found

    @property
    def lenient(self) -> bool:
        """Say whether unknown parameters may be left out (Prefer: handling=lenient)."""
        return self.preferences.get("handling") == "lenient"


@dataclass(frozen=True, slots=True)
class Response:
    """What is sent back."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = JSON_ANSWER


def require_json_answer(request: Request) -> None:
    """Refuse a form that is not written here, before anything is looked up."""
    _ = request.form


def shaped(request: Request, response: Response) -> Response:
    """Give an answer the form that was asked for; every answer of an interaction passes here.

    The everyday JSON leaves as it is, and so does a Binary that is sent as it came. What was written
    stays written: where XML cannot say it, the answer to a write comes as JSON.
    """
    is_resource = response.media == JSON_ANSWER and "Content-Disposition" not in response.headers
    if not (is_resource and response.body) or (form := request.form).as_stored:
        return response
    try:
        return replace(response, body=form.rewrite(response.body), media=form.media)
    except NotAcceptable:
        if request.method in {"GET", "HEAD"}:
            raise
        return response


def resource_response(status: int, found: Disclosed) -> Response:
    """Send one version of a resource."""
    return Response(status, found.sent(), version_headers(found.version, found.updated))


def found_entries(base: str, found: Iterable[Disclosed], mode: str = "match") -> bytes:
    """Return the entries of a searchset with commas between, written from the stored bytes without parsing them."""
    start = '{"fullUrl":' + dumps(f"{base}/").decode()[:-1]  # types and ids need no escapes
    end = f',"search":{{"mode":"{mode}"}}}}'
    return in_one_piece(found, start, '","resource":', end)


def bundle_response(
    kind: str, entries: list[Json] | bytes, *, links: list[Json] | None = None, **more: Any
) -> Response:
    """Send a Bundle; its entries as values, or as they are sent. An empty list is left out, as FHIR wants."""
    bundle: Json = {"resourceType": "Bundle", "type": kind, **more}
    if links:
        bundle["link"] = links
    if entries and isinstance(entries, bytes):
        return Response(200, b"".join((dumps(bundle)[:-1], b',"entry":[', entries, b"]}")))
    if entries:
        bundle["entry"] = entries
    return Response(200, dumps(bundle))


def may_show(request: Request, method: str, stored: Stored) -> bool:
    """Say whether an answer to a write may have the resource: a patch that changes nothing would be a read."""
    reach = request.caller.reach
    return method != "PATCH" or reach is None or reach.covers("r", (stored.type,))


def stored_response(request: Request, stored: Stored) -> Response:
    """Answer a write as the client prefers (https://hl7.org/fhir/R4/http.html#return)."""
    headers = version_headers(stored.version, stored.updated)
    if stored.resource is not None:
        headers["Location"] = f"{request.base}/{stored.type}/{stored.id}/_history/{stored.version}"
    wanted = request.preferences.get("return", "")
    if wanted == "operationoutcome":
        return Response(201 if stored.created else 200, dumps(done(stored)), headers)
    if stored.resource is None:
        return Response(204, b"", {"ETag": headers["ETag"]})
    hidden = wanted == "minimal" or not may_show(request, request.method, stored)
    body = b"" if hidden else dumps(stored_json(stored))
    return Response(201 if stored.created else 200, body, headers)


def done(stored: Stored) -> Json:
    """Return the OperationOutcome of a write that succeeded."""
    verb = "created" if stored.created else "deleted" if stored.resource is None else "stored"
    text = f"{stored.type}/{stored.id} was {verb} as version {stored.version}."
    return operation_outcome([Issue("done", text, "informational", severity="information")])


def stored_json(stored: Stored) -> Json:
    """Return a written version as a read would give it."""
    resource = stored.resource or {}
    meta = {
        "versionId": str(stored.version),
        "lastUpdated": instant(stored.updated),
        **{k: v for k, v in resource.get("meta", {}).items() if k not in {"versionId", "lastUpdated"}},
    }
    rest = {k: v for k, v in resource.items() if k not in {"resourceType", "id", "meta"}}
    return {"resourceType": stored.type, "id": stored.id, "meta": meta, **rest}


def version_of(etag: str, place: str) -> int:
    """Return the version that an ETag names; raise Malformed, with its place, where it is none."""
    match = _ETAG.fullmatch(etag.strip())
    if match is None:
        raise Malformed("etag-invalid", 'If-Match takes an ETag such as W/"3".', expression=place)
    return int(match[1])


def version_headers(version: int, updated: datetime) -> dict[str, str]:
    """Return ETag and Last-Modified of a version."""
    return {
        "ETag": f'W/"{version}"',
        "Last-Modified": _http_date(updated),
    }


@lru_cache(maxsize=8192)
def _http_date(moment: datetime) -> str:
    """Write an instant as HTTP does (https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7)."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)
