"""The FHIR routes as a table. Order matters: a literal path stands before the pattern that would also match it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from overblik.api.interactions import metadata, operations, read, search, transaction, write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from overblik.api.http import Request, Response, Services

    Interaction = Callable[[Services, Request], Awaitable[Response]]


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
