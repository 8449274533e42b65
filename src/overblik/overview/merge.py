"""Putting two sources together safely: exact keys merge, everything less exact is only grouped.

For display only, after the door. A merged item takes its id from the first visible member, carries
every member's origin, and says by which rule it was merged.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from overblik.trust.door.entries import Entry


class Merged(NamedTuple):
    """Entries that one exact key makes one; `rule` names the key, "" for a single entry."""

    members: tuple[Entry, ...]
    rule: str = ""

    @property
    def first(self) -> Entry:
        """The member that gives the id: the first by reference."""
        return self.members[0]

    @property
    def newest(self) -> Entry:
        """The member said last; where members disagree, all are shown beside each other."""
        return (
            self.members[0]
            if len(self.members) == 1
            else max(self.members, key=lambda e: (e.recorded or e.received, e.source, e.reference))
        )


def merge(entries: Iterable[Entry], key: Callable[[Entry], Hashable | None], rule: str) -> list[Merged]:
    """Merge entries with the same exact key; an entry without a key stands alone."""
    found: list[list[Entry]] = []
    groups: dict[Hashable, list[Entry]] = {}
    for entry in sorted(entries, key=_reference):
        exact = key(entry)
        if exact is None or exact not in groups:
            found.append([entry])
            if exact is not None:
                groups[exact] = found[-1]
        else:
            groups[exact].append(entry)
    return [Merged(tuple(group), rule if len(group) > 1 else "") for group in found]


_reference = attrgetter("reference")


def alike(items: Iterable[Merged], key: Callable[[Entry], Hashable | None]) -> dict[str, tuple[str, ...]]:
    """Return {reference: others possibly the same}; grouped for the reader, never merged."""
    groups: dict[Hashable, list[str]] = {}
    for item in items:
        if (weak := key(item.first)) is not None:
            groups.setdefault(weak, []).append(item.first.reference)
    return {
        reference: tuple(other for other in group if other != reference)
        for group in groups.values()
        if len(group) > 1
        for reference in group
    }


def disagreements(members: Iterable[Entry], value: Callable[[Entry], str]) -> tuple[tuple[str, Entry], ...]:
    """Return (value, entry) of each different value that members state; empty where they agree."""
    found: dict[str, Entry] = {}
    for entry in members:
        if stated := value(entry):
            found.setdefault(stated, entry)
    return tuple(found.items()) if len(found) > 1 else ()
