"""Documents: what is kept whole, with its source, type and date; never by its title."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.fhir.reading import code_of, moment, words_of
from overblik.shown import Shown

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.overview.context import Context, Origin

MAPPED = frozenset({"39289-4", "81215-6", "PDC", "PCD"})
"""Types whose content already stands in other sections; the reader can still open the document."""


class Document(Shown, frozen=True):
    """A document: its type in words, its date, and the bytes as they came."""

    id: str
    kind: str
    code: str
    at: datetime | None
    media: str
    binary: str
    mapped: bool
    origin: Origin


def documents(ctx: Context) -> list[Document]:
    """Return the documents, the newest first."""
    items = []
    for entry in ctx.of("DocumentReference"):
        resource = entry.resource
        content = (resource.get("content") or [{}])[0].get("attachment", {})
        code = code_of(resource.get("type", {}))
        items.append(
            Document(
                id=entry.reference,
                kind=words_of(resource.get("type", {})),
                code=code,
                at=moment(resource.get("date")),
                media=str(content.get("contentType", "")),
                binary=url if (url := str(content.get("url", ""))).startswith("Binary/") else "",
                mapped=code in MAPPED,
                origin=ctx.origin(entry, moment(resource.get("date"))),
            )
        )
    return sorted(items, key=lambda d: (d.at or d.origin.received, d.id), reverse=True)
