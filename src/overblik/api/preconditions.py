"""Conditions that a request is held to: what it has seen (ETags), and what a search finds.

https://hl7.org/fhir/R4/http.html#cread and https://hl7.org/fhir/R4/http.html#ccreate. A condition
is asked with the caller's rights, so a resource that is hidden is not found.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from overblik.api.http import Response, version_headers, version_of
from overblik.fhir.errors import Malformed, PreconditionFailed
from overblik.fhir.query import FullText, parse_query

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from overblik.api.http import Request
    from overblik.fhir.query import Query
    from overblik.trust.door.access import Disclosed
    from overblik.trust.door.work import Work

_RESULT = frozenset({"_count", "_cursor", "_format", "_pretty", "_total", "_sort", "_summary", "_elements"})
"""Parameters that say how a result is shown and not what is found; a condition shows none."""


def not_modified(request: Request, found: Disclosed) -> Response | None:
    """Return 304 where the caller has this version already; None where it must be sent.

    If-None-Match goes before If-Modified-Since, as RFC 9110 has it; a date that is none is passed over.
    """
    known = request.headers.get("if-none-match")
    since = request.headers.get("if-modified-since")
    headers = version_headers(found.version, found.updated)
    if known is not None:
        same = known.strip() == "*" or found.version in {_version_known(etag.strip()) for etag in known.split(",")}
    else:
        moment = _http_date(since) if since is not None else None
        same = moment is not None and found.updated.replace(microsecond=0) <= moment
    return Response(304, b"", headers) if same else None


def _version_known(etag: str) -> int:
    """Return the version that a reader knows; fhirpy names it by its bare number."""
    return int(etag) if re.fullmatch(r"[0-9]{1,9}", etag) else version_of(etag, "http.If-None-Match")


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def condition(resource_type: str, text: str, place: str) -> Query:
    """Parse a condition; one that would match anything is refused, and so is every unknown parameter."""
    return condition_of(resource_type, parse_qsl(text.removeprefix("?"), keep_blank_values=True), place)


def condition_of(resource_type: str, pairs: Iterable[tuple[str, str]], place: str) -> Query:
    """Return a condition of parameters already taken apart."""
    query = parse_query(resource_type, [pair for pair in pairs if pair[0] not in _RESULT])
    if not query.criteria:
        text = "A condition needs a search parameter with a value; without one it would match anything."
        raise Malformed("condition-empty", text, expression=place)
    if query.as_of is not None or query.includes:
        text = "A condition is about what is known now, and includes nothing."
        raise Malformed("parameter-unknown", text, expression=place)
    if any(isinstance(criterion, FullText) for criterion in query.criteria):
        text = "A condition is decided by what is indexed; _text and _content read every resource."
        raise Malformed("parameter-unknown", text, expression=place)
    return replace(query, count=2)


async def only_match(work: Work, query: Query, place: str) -> tuple[str, str] | None:
    """Return the one resource a condition finds, None for none; several are a failed precondition."""
    found = await work.match(query)
    if len(found) > 1:
        text = "The condition finds more than one resource; make it narrower."
        raise PreconditionFailed("condition-ambiguous", text, expression=place)
    return found[0] if found else None
