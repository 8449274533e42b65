"""Rows as a writer sees them: stored, or staged and not yet written; and what it means to say the same again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overblik.fhir.strict_json import dumps
from overblik.store.body import pack

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.fhir.strict_json import Json
    from overblik.store.unit import Staged

REGISTERED = "registered"
"""Marks a part of a Patient that the authority for it stated; see trust/facts.py."""


@dataclass(frozen=True, slots=True)
class Row:
    """A staged version in the shape of a stored row."""

    pid: int
    rid: int
    version: int
    deleted: bool
    via: str
    source: str
    origins: list[str]
    fact_key: str | None
    facets: dict[str, Any] | None
    received_at: datetime
    body: bytes | None


def as_row(staged: Staged, now: datetime) -> Row:
    """Return a staged version as it will be stored."""
    return Row(
        staged.pid, staged.rid, staged.version, staged.resource is None, staged.via, staged.source,
        staged.origins, staged.fact_key, staged.facets, now, pack(staged.resource) if staged.resource else None,
    )  # fmt: skip


def unregistered(facets: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return facets without the register's mark: what plain FHIR replaces is no longer the register's word."""
    return {name: [mark for mark in entry if mark != REGISTERED] for name, entry in facets.items()} if facets else None


def same_content(left: Json, right: Json) -> bool:
    """Say whether two resources differ in nothing but what the server sets."""
    return _plain(left) == _plain(right)


def _plain(resource: Json) -> bytes:
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in {"versionId", "lastUpdated"}}
    return dumps({**{k: resource[k] for k in sorted(resource) if k not in {"id", "meta"}}, "meta": meta})
