"""Who reads very many people's records within an hour is told of: a person, a unit, or an app (O13).

Counted from the log itself, behind the requests: one process takes the new leaves of the log's tree every few seconds
and remembers, for each reader, whom they were shown and when. What it remembers is bounded, and is read again from the
log after a start. It refuses nothing: who must be stopped is for people to say, and each look is in the citizens' logs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import structlog

from overblik.fhir.errors import OverblikError
from overblik.store.queries import sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from overblik.clock import Clock
    from overblik.store.database import Database

HOUR = timedelta(hours=1)
EVERY = 10.0
"""Seconds between looks."""
AT_ONCE = 20_000
"""Leaves of the log that one statement looks at."""
BACK = 200_000
"""Leaves that are read again after a start: what lies further back is not counted then."""
MOST = 500_000
"""Patients that are remembered, of all readers together."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """How many different patients within an hour are told of, for each of these; 0 for none."""

    person: int = 300
    unit: int = 3_000
    app: int = 10_000


class Reader(NamedTuple):
    """Who is counted: `of` is person, unit or app."""

    of: str
    key: str


class Readers:
    """What is remembered of each reader: patients in the order in which they were last shown, `limit` at most."""

    def __init__(self, limits: Limits, most: int = MOST) -> None:
        self._limits = limits
        self._most = most
        self._seen: dict[Reader, dict[int, datetime]] = {}
        self._size = 0

    def add(self, row: Any) -> Iterator[tuple[Reader, int]]:
        """Add what one row of the log says (of actor, org, channel, pids, at); walk the readers who are over."""
        for reader, limit in self._of(row):
            seen = self._seen.pop(reader, {})
            self._size -= len(seen)
            for pid in row.pids:
                seen.pop(pid, None)
                seen[pid] = row.at
            while seen and (len(seen) > limit or next(iter(seen.values())) <= row.at - HOUR):
                del seen[next(iter(seen))]
            self._seen[reader] = seen
            self._size += len(seen)
            if len(seen) >= limit:
                yield reader, len(seen)
        self._make_room()

    def _of(self, row: Any) -> Iterator[tuple[Reader, int]]:
        """Walk whom a row counts for, with their limit."""
        app = row.channel.removeprefix("app:") if row.channel.startswith("app:") else ""
        person = row.actor if row.actor_kind == "professional" else ""
        for of, key, limit in (
            ("person", person, self._limits.person),
            ("unit", row.org, self._limits.unit),
            ("app", app, self._limits.app),
        ):
            if key and limit:
                yield Reader(of, key), limit

    def _make_room(self) -> None:
        """Forget those who read longest ago where there are too many."""
        while self._size > self._most and len(self._seen) > 1:
            self._size -= len(self._seen.pop(next(iter(self._seen))))


class ReadingWatch:
    """Counts, where no other process does, and raises what is over."""

    def __init__(self, database: Database, clock: Clock, limits: Limits) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits
        self._me = uuid4()
        self._readers = Readers(limits)
        self._next: int | None = None
        self._raised: dict[Reader, datetime] = {}

    async def look(self) -> None:
        """Count what the log has more than at the last look."""
        mine = await self._database.fetch(sql("be_reading_watch"), {"me": self._me})
        if not mine:
            self._next = None
            return
        if self._next is None:
            self._readers, self._next = Readers(self._limits), max(0, mine[0].size - BACK)
        while self._next < mine[0].size:
            now = self._clock.now()
            self._raised = {reader: at for reader, at in self._raised.items() if at > now - HOUR}
            last = min(self._next + AT_ONCE, mine[0].size)
            params = {"first": self._next, "last": last, "since": now - HOUR}
            for row in await self._database.fetch(sql("read_readers"), params):
                for reader, many in self._readers.add(row):
                    if reader not in self._raised:
                        await self._raise(reader, row, many)
                        self._raised[reader] = now
            self._next = last

    async def _raise(self, reader: Reader, row: Any, many: int) -> None:
        """Tell the unit and the operator; once an hour of the same reader."""
        now = self._clock.now()
        person = reader.of == "person"
        case = await self._database.fetch(sql("put_reading_alert"), {
            "of": reader.of, "now": now, "since": now - HOUR, "many": many,
            "person": row.actor if person else "", "name": row.actor_name if person else "",
            "role": row.actor_role if person else "", "org": "" if reader.of == "app" else row.org,
            "org_name": reader.key if reader.of == "app" else row.org_name,
        })  # fmt: skip
        if case:
            log.warning("reading.many", of=reader.of, org=row.org, patients=many, case=str(case[0].fid))


async def keep_counting(watch: ReadingWatch) -> None:
    """Look every few seconds until cancelled; what could not be counted now is counted later."""
    while True:
        try:
            await watch.look()
        except OverblikError as error:
            log.warning("reading.uncounted", code=error.code)
        except Exception:
            log.exception("reading.fault")
        await asyncio.sleep(EVERY)
