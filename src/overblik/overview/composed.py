"""Overviews composed lately: what a viewer was shown a moment ago is not worked out again.

The decision and the log entry are made for every look, and say *which* versions may be seen. What is kept is used
only for a look that was given exactly those versions, by the same kind of caller of the same units, within the same
minute: times in a record are told to the minute, so nothing comes due in between.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from overblik.overview.context import Context, Viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from overblik.overview.service import Overview
    from overblik.trust.door.access import Record
    from overblik.trust.door.entries import Entry
    from overblik.trust.organisations import Organisation

MOST = 24_000
"""How many entries the overviews that a process keeps are of: as many as it keeps parsed (trust/door/entries.py)."""


class _Made(NamedTuple):
    ctx: Context
    overview: Overview
    minute: datetime
    units: Mapping[str, Organisation]

    def holds(self, entries: tuple[Entry, ...], minute: datetime, units: Mapping[str, Organisation]) -> bool:
        """Say whether composing again would give the same. Entries are the same only if they are the same objects."""
        old = self.ctx.record.entries
        return (
            self.minute == minute
            and self.units is units
            and len(old) == len(entries)
            and all(a is b for a, b in zip(old, entries, strict=True))
        )


class Composed:
    """Overviews by record and viewer, the least lately used given up first."""

    def __init__(self, compose: Callable[[Context], Overview], most: int = MOST) -> None:
        self._compose = compose
        self._most = most
        self._made: OrderedDict[tuple[str, Viewer], _Made] = OrderedDict()
        self._size = 0

    def of(
        self, record: Record, viewer: Viewer, now: datetime, units: Mapping[str, Organisation]
    ) -> tuple[Context, Overview]:
        """Return what every look at these entries shares, with the context that it was composed in."""
        key = record.patient_id, viewer
        minute = now.replace(second=0, microsecond=0)
        made = self._made.get(key)
        if made is not None and made.holds(record.entries, minute, units):
            self._made.move_to_end(key)
            return made.ctx, made.overview
        ctx = Context(record, viewer, now, units.get)
        overview = self._compose(ctx)
        self._keep(key, _Made(ctx, overview, minute, units))
        return ctx, overview

    def _keep(self, key: tuple[str, Viewer], made: _Made) -> None:
        before = self._made.pop(key, None)
        self._made[key] = made
        self._size += len(made.ctx.record.entries) - (len(before.ctx.record.entries) if before else 0)
        while self._size > self._most:
            self._size -= len(self._made.popitem(last=False)[1].ctx.record.entries)
