"""The FHIR routes as a table. Order matters: a literal path stands before the pattern that would also match it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from overblik.api.interactions import (
    audit,
    bundle,
    consent,
    everything,
    history,
    indexing,
    lastn,
    metadata,
    operations,
    read,
    relations,
    search,
    search_system,
    write,
)
from overblik.api.matching import Table
from overblik.fhir.definitions import r4

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


ROUTES = Table(
    (
        Route("GET", "/metadata", "capabilities", metadata.capabilities, open=True),
        Route("GET", "/.well-known/smart-configuration", "smart-configuration", metadata.smart, open=True),
        Route("POST", "/$process-message", "$process-message", operations.process_message),
        Route("GET", "/Patient/{id}/$overview", "$overview", operations.overview),
        Route("GET", "/Patient/{id}/$log", "$log", operations.log),
        Route("GET", "/Patient/{id}/$everything", "$everything", everything.everything),
        Route("POST", "/Patient/{id}/$everything", "$everything", everything.everything),
        Route("GET", "/AuditEvent/{id}/_history/{version}", "vread", audit.vread),
        Route("GET", "/AuditEvent/{id}", "read", audit.read),
        Route("GET", "/AuditEvent", "search-type", audit.search),
        Route("POST", "/AuditEvent/_search", "search-type", audit.search),
        Route("GET", "/Patient/{id}/AuditEvent", "search-compartment", audit.of_patient),
        Route("POST", "/Patient/$break-glass", "$break-glass", operations.break_glass),
        Route("GET", "/Patient/$relations", "$relations", relations.of_unit),
        Route("POST", "/Patient/$state-relation", "$state-relation", relations.state),
        Route("GET", "/Patient/$follow-ups", "$follow-ups", relations.to_follow_up),
        Route("POST", "/Patient/$follow-up", "$follow-up", relations.followed_up),
        Route("POST", "/Consent", "create", consent.create),
        Route("PUT", "/Consent/{id}", "update", consent.update),
        Route("GET", "/SearchParameter/$indexing", "$indexing", indexing.indexing),
        Route("GET", "/Observation/$lastn", "$lastn", lastn.lastn),
        Route("POST", "/Observation/$lastn", "$lastn", lastn.lastn),
        Route("GET", "/{type}/{id}/$meta", "$meta", operations.meta),
        Route("POST", "/{type}/{id}/$meta", "$meta", operations.meta),
        Route("GET", "/{type}/{id}/_history/{version}/$meta", "$meta", operations.meta),
        Route("GET", "/Patient/{id}/*", "search-compartment", search_system.of_patient),
        Route("POST", "/Patient/{id}/*/_search", "search-compartment", search_system.of_patient),
        Route("GET", "/Patient/{id}/{type}", "search-compartment", search.of_patient),
        Route("POST", "/Patient/{id}/{type}/_search", "search-compartment", search.of_patient),
        *(
            Route(method, f"/{name}/{{id}}/{{type}}{end}", "search-compartment", partial(search.of_compartment, name))
            for name in sorted(r4().within)
            for method, end in (("GET", ""), ("POST", "/_search"))
        ),
        Route("POST", "/_search", "search-system", search_system.search),
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
        Route("GET", "/", "search-system", search_system.search),
        Route("GET", "", "search-system", search_system.search),
        Route("POST", "/", "transaction", bundle.bundle),
        Route("POST", "", "batch", bundle.bundle),
    )
)
