"""Stored bytes: JSON that is sent as it lies, with id, version and time spliced in.

A body begins inside `meta`, so that serving it is one concatenation and never a parse:

    {"resourceType":"Patient","id":"ID","meta":{"versionId":"3","lastUpdated":"…"  +  body
    body = ,"source":"…"},"identifier":[…]}
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from overblik.fhir.dates import instant
from overblik.fhir.strict_json import Json, dumps, load_object

if TYPE_CHECKING:
    from datetime import datetime

_SERVER_META = frozenset({"versionId", "lastUpdated"})


def pack(resource: Json) -> bytes:
    """Return the body to store; the server's own meta and the id are left out."""
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in _SERVER_META}
    rest = {k: v for k, v in resource.items() if k not in {"resourceType", "id", "meta"}}
    inside = dumps(meta)[1:-1]
    outside = dumps(rest)[1:-1]
    return (b"," + inside if inside else b"") + b"}" + (b"," + outside if outside else b"") + b"}"


def splice(resource_type: str, resource_id: str, version: int, updated: datetime, body: bytes) -> bytes:
    """Return the resource as it is sent."""
    return head(resource_type, resource_id, version, updated).encode() + body


def head(resource_type: str, resource_id: str, version: int, updated: datetime) -> str:
    """Return what stands before a body."""
    return (
        f'{{"resourceType":"{resource_type}","id":"{resource_id}",'
        f'"meta":{{"versionId":"{version}","lastUpdated":"{_stamp(updated)}"'
    )


_stamp = lru_cache(maxsize=4096)(instant)
"""What came together has one time."""


def unpack(resource_type: str, resource_id: str, version: int, updated: datetime, body: bytes) -> Json:
    """Return the resource as a parsed value, for those who must look inside."""
    return load_object(splice(resource_type, resource_id, version, updated, body))
