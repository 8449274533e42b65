"""What a record shows, entry by entry; a version that was parsed once is not fetched and parsed again.

The decision and the log entry are made for every request by the statement that says *which* versions
may be seen (`gather`). Only what never changes is kept here, by (rid, version): the version itself, and
what has been worked out from it alone (`once`).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from overblik.store.body import unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from overblik.fhir.strict_json import Json

T = TypeVar("T")
KEPT_BYTES = 24 * 1024 * 1024
"""How much of stored bodies a process keeps parsed; in memory about four times as much."""
BESIDE = 400
"""What an entry takes beside its body, counted in bytes of body."""


@dataclass(slots=True, eq=False)
class Entry:
    """A disclosed version inside its record, with where it came from. Never changed once it is made.

    `change` and `created` are the changes that wrote this version and the first one; the record knows
    their numbers. `reference` is `Type/id`. Not frozen, which would cost three times as much to make.
    """

    resource: Json
    source: str
    via: str
    recorded: datetime | None
    received: datetime
    change: int
    created: int
    deleted: bool = False
    known: dict[Any, Any] = field(init=False, default_factory=dict, repr=False)
    type: str = field(init=False)
    reference: str = field(init=False)

    def __post_init__(self) -> None:
        """Name the resource once; it is asked for all over the overview."""
        self.type = self.resource["resourceType"]
        self.reference = f"{self.type}/{self.resource['id']}"


def once(function: Callable[[Entry], T]) -> Callable[[Entry], T]:
    """Let what a function says of an entry be worked out once; it may look at nothing but the entry."""

    def remembered(entry: Entry) -> T:
        known = entry.known
        if function in known:
            return known[function]  # type: ignore[no-any-return]
        value = known[function] = function(entry)
        return value

    remembered.__doc__ = function.__doc__
    return remembered


def entry_of(row: Any) -> Entry:
    """Return a stored version as an entry; a deleted one has no content."""
    if row.deleted or row.body is None:
        resource: Json = {"resourceType": row.type, "id": row.id}
    else:
        resource = unpack(row.type, row.id, row.version, row.received_at, row.body)
    return Entry(resource, row.source, row.via, row.recorded_at, row.received_at, row.cid, row.created_cid, row.deleted)


class Kept:
    """Entries by (rid, version), the least lately used given up first."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[int, int], tuple[Entry, int]] = OrderedDict()
        self._size = 0

    def get(self, rid: int, version: int, recorded: datetime | None) -> Entry | None:
        """Return an entry that is kept, and was last told at the same time; a fact told again is told anew."""
        key = rid, version
        found = self._kept.get(key)
        if found is None or found[0].recorded != recorded:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, rid: int, version: int, entry: Entry, size: int) -> None:
        """Keep an entry made from `size` bytes."""
        known = self._kept.pop((rid, version), None)
        self._kept[rid, version] = entry, size + BESIDE
        self._size += size + BESIDE - (known[1] if known else 0)
        while self._size > self._most:
            self._size -= self._kept.popitem(last=False)[1][1]
