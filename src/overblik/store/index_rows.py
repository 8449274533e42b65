"""The index row of a resource as rows of tables: columns of `resource`, and the narrow tables.

Both ways in use it: the statements of a unit of work and the COPY of the loader.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, LiteralString

from overblik.fhir.errors import Unavailable
from overblik.fhir.index import INDEX_VERSION, IndexRow, Narrow, index_row
from overblik.fhir.index.catalogue import used
from overblik.fhir.index.digests import link
from overblik.fhir.index.parameters import headline_date, number_of
from overblik.store.queries import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overblik.fhir.strict_json import Json
    from overblik.store.database import Transaction

NOBODY = 0
"""The pid under which what belongs to no patient is kept."""
NEVER = datetime(1, 1, 1, tzinfo=UTC)
"""`sort_at` of a resource without a headline date: before every date there is."""
NARROW: dict[LiteralString, dict[str, str]] = {
    "index_headline": {"pid": "int8", "rid": "int8", "token": "int8", "sort_at": "timestamptz"},
    "index_date": {
        "pid": "int8", "rid": "int8", "lo": "timestamptz", "hi": "timestamptz", "param": "int4", "part": "int2",
        "marks": "int8[]",
    },
    "index_number": {
        "pid": "int8", "rid": "int8", "param": "int4", "part": "int2", "lo": "numeric", "hi": "numeric",
        "marks": "int8[]",
    },
    "index_string": {
        "pid": "int8", "rid": "int8", "param": "int4", "part": "int2", "value": "text", "marks": "int8[]",
    },
}  # fmt: skip
"""The narrow tables with their columns and types."""
MOST_PARTS = 32_767


def indexed(resource: Json | None, key: bytes, pid: int, rid: int) -> dict[str, Any]:
    """Return the index columns of a resource, by the context's catalogue, and what stands elsewhere.

    `narrow` has its rows by table, `words` its digests with proofs, `vocabulary` (parameter, text, token)
    of the texts under which a token is found.
    """
    row = index_row(resource, key) if resource is not None else IndexRow()
    resource_type = str(resource["resourceType"]) if resource is not None else ""
    sort_at = row.sort.start if row.sort else NEVER
    place = {"pid": pid, "rid": rid}
    if pid == NOBODY and row.span is not None:  # shared rows have no columns for it
        row.dates.append(Narrow(headline_date(resource_type), *row.span))
    return {
        "tokens": sorted(row.tokens),
        "headline": row.headline[0] if row.headline else None,
        "sort_at": sort_at,
        "sort_to": row.span.end if row.span else None,
        "index_version": INDEX_VERSION,
        "catalogue": used().generation,
        "link": link(key, f"{resource_type}/{resource['id']}").value if resource and "id" in resource else 0,
        "present": row.present,
        "vocabulary": [(number_of(resource_type, code), *found) for code, *found in sorted(row.vocabulary)],
        "clinical": row.clinical,
        "words": row.words,
        "narrow": {
            "index_headline": [place | {"token": token, "sort_at": sort_at} for token in row.headline[1:]],
            "index_date": [place | _columns(resource_type, d) | {"lo": d.lo, "hi": d.hi} for d in row.dates],
            "index_number": [place | _columns(resource_type, n) | {"lo": n.lo, "hi": n.hi} for n in row.numbers],
            "index_string": [place | _columns(resource_type, s) | {"value": s.lo} for s in row.strings],
        },
    }


def _columns(resource_type: str, narrow: Narrow) -> dict[str, Any]:
    return {
        "param": number_of(resource_type, narrow.code),
        "part": min(narrow.part, MOST_PARTS),
        "marks": list(narrow.marks) or None,
    }


def shared_rid(resource_type: str, resource_id: str) -> int:
    """Return the number that stands for a resource of no patient in the narrow tables."""
    return int.from_bytes(sha256(f"{resource_type}/{resource_id}".encode()).digest()[:8], "big") >> 1


def narrow_rows(rows: Iterable[dict[str, Any]], table: str) -> list[dict[str, Any]]:
    """Return the rows of one narrow table for many resources."""
    return [narrow for row in rows for narrow in row["narrow"][table]]


Word = tuple[int, str, int]
"""A parameter's number, a text, and the token of those who have it."""


class Dictionary:
    """Which digests and texts stand in the database's dictionaries already, as far as this process knows."""

    MOST = 100_000

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._texts: set[Word] = set()

    async def note(self, transaction: Transaction, rows: Iterable[dict[str, Any]]) -> None:
        """Enter the digests of new words; Unavailable where one is another word's digest already.

        Only what the database had before is remembered as known: this transaction may yet fail.
        """
        rows = list(rows)
        await self._note_texts(transaction, {word for row in rows for word in row["vocabulary"]} - self._texts)
        words: dict[int, int] = {}
        for row in rows:
            words |= {d: proof for d, proof in row["words"].items() if d not in self._known}
        if not words:
            return
        params = {"digests": list(words), "proofs": list(words.values())}
        found = await transaction.fetch(sql("note_words"), params)
        if any(words[row.digest] != row.proof for row in found):
            raise Unavailable("index-collision", "Two words share a digest; give the index a new key and reindex.")
        if len(self._known) > self.MOST:
            self._known.clear()
        self._known.update(row.digest for row in found)

    async def _note_texts(self, transaction: Transaction, new: set[Word]) -> None:
        if not new:
            return
        params, texts, tokens = (list(part) for part in zip(*sorted(new), strict=True))
        found = await transaction.fetch(sql("note_texts"), {"params": params, "texts": texts, "tokens": tokens})
        if len(self._texts) > self.MOST:
            self._texts.clear()
        self._texts.update((row.param, row.value, row.token) for row in found)
