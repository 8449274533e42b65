"""Open pages are watched: as soon as something that one shows may no longer be shown to its viewer, it looks again.

One look twice a second for the whole process, whatever it has open: one statement asks which of the records on
pages were written to, and which sessions have ended. Only what was touched, or is due by the clock, is decided
anew, by the same condition as every read; a page is told when what it showed is not all there any more.

What a page is told is a function of what its viewer saw and may see. A change that is hidden from them changes no
digest and says nothing, whenever it comes, and what is new does not call either (docs/consent.md).
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from msgspec.structs import replace

from overblik.fhir.errors import OverblikError, TooMany
from overblik.store.queries import sql, sql_for_set
from overblik.trust.live.seen import NOT_SEEN, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from overblik.clock import Clock
    from overblik.store.database import Database
    from overblik.trust.callers.sessions import Session, Sessions
    from overblik.trust.live.seen import Seen
    from overblik.trust.organisations import Directory

EVERY = 0.4
"""Seconds between looks: what is taken is gone from the page within one second of it, drawing included."""
ANYWAY = timedelta(seconds=60)
"""How long a decision stands where nothing was written and nothing is due: what few things write no change
(the directory, a merge) is found then."""
MOST_PAGES = 2_000
MOST_OF_SESSION = 24
MOST_RECORDS = 20_000
TOGETHER = 400
"""How many records are decided in one statement."""
NEVER_DECIDED = datetime.min.replace(tzinfo=UTC)
log = structlog.get_logger()


@dataclass(eq=False)
class Watched:
    """An open page; `told` is set when it must look `again`, or when this process stops."""

    session: Session
    seen: tuple[Seen, ...]
    told: asyncio.Event = field(default_factory=asyncio.Event)
    again: bool = False
    near: frozenset[int] = frozenset()
    due: datetime = NEVER_DECIDED

    def __post_init__(self) -> None:
        """Begin with the records that are shown."""
        self.near = frozenset(pid for s in self.seen for pid in s.pids)

    def call(self) -> None:
        """Have the page look again."""
        self.again = True
        self.told.set()


class Watcher:
    """The open pages of one process."""

    def __init__(self, database: Database, clock: Clock, directory: Directory, sessions: Sessions) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory
        self._sessions = sessions
        self._open: set[Watched] = set()
        self._some = asyncio.Event()
        self._last: dict[int, int] = {}

    @property
    def pages(self) -> int:
        """How many pages are open."""
        return len(self._open)

    def require_room(self, session: Session) -> None:
        """Refuse one more page of a session where more are open than a process watches."""
        of_session = sum(page.session.hash == session.hash for page in self._open)
        records = sum(len(page.near) for page in self._open)
        if len(self._open) >= MOST_PAGES or of_session >= MOST_OF_SESSION or records >= MOST_RECORDS:
            raise TooMany("pages-open", "Too many pages are open; close some, or try again shortly.")

    @contextmanager
    def watching(self, session: Session, seen: tuple[Seen, ...]) -> Iterator[Watched]:
        """Watch a page as long as the block lasts."""
        page = Watched(session, seen)
        self._open.add(page)
        self._some.set()
        try:
            yield page
        finally:
            self._open.discard(page)
            if not self._open:
                self._some.clear()

    async def keep_looking(self) -> None:
        """Look as long as pages are open, until cancelled; where the database is away, nothing can be taken either."""
        while True:
            await self._some.wait()
            try:
                await self.look()
            except OverblikError as error:
                log.warning("pages.unseen", code=error.code)
            except Exception:
                log.exception("pages.fault")
                self.release()
            await asyncio.sleep(EVERY)

    def release(self) -> None:
        """Have every page look again: what it is told then is decided by the page itself."""
        for page in self._open:
            page.call()

    def close(self) -> None:
        """End every stream; the pages stay, and ask another process, or this one when it is back."""
        for page in self._open:
            page.told.set()

    async def look(self) -> None:
        """Look once at everything that is open."""
        open_pages = [page for page in self._open if not page.again]
        if not open_pages:
            return
        last, sessions = await self._changes(open_pages)
        touched = {pid for pid, cid in last.items() if self._last.get(pid) != cid}
        now = self._clock.now()
        asked = []
        for page in open_pages:
            if page.session.hash not in sessions:
                page.call()
            elif page.seen and (page.due <= now or not touched.isdisjoint(page.near)):
                asked.append(page)
        await self._directory.refresh()
        for kind in {page.session.caller.kind for page in asked}:
            of_kind = [(p, s, pid) for p in asked if p.session.caller.kind == kind for s in p.seen for pid in s.pids]
            found: list[Any] = []
            for first in range(0, len(of_kind), TOGETHER):
                params = self._params(of_kind[first : first + TOGETHER], now)
                found += await self._database.look_up(sql_for_set("watch_set", kind), params)
            _settle(of_kind, found, now + ANYWAY)
        self._last = last  # not before: what could not be decided is touched still

    async def _changes(self, pages: Sequence[Watched]) -> tuple[dict[int, int], set[bytes]]:
        """Return the last change of each record that is shown, and the sessions that are open."""
        records = set().union(*(page.near for page in pages))
        params = self._sessions.open_since() | {
            "pids": list(records),
            "hashes": ["\\x" + value.hex() for value in {page.session.hash for page in pages}],
        }
        rows = await self._database.look_up(sql("watch_changes"), params)
        last = {row.pid: row.cid for row in rows if row.what == "change"}
        return last, {bytes(row.hash) for row in rows if row.what == "session"}

    def _params(self, some: Iterable[tuple[Watched, Seen, int]], now: datetime) -> dict[str, Any]:
        """Return the arrays of `watch_set`: an item for each record of each page."""
        items = []
        for n, (page, seen, pid) in enumerate(some):
            caller = page.session.caller
            caller = replace(caller, orgs=self._directory.path(caller.org)) if caller.org else caller
            items.append(
                caller.params(now, "")
                | {
                    "n": n,
                    "pid": pid,
                    "types": list(seen.types),
                    "rids": None if seen.rids is None else list(seen.rids),
                }
                | {"upto": seen.upto, "past": seen.past, "alone": seen.alone}
            )
        return {name: [item[name] for item in items] for name in items[0]}


def _settle(asked: list[tuple[Watched, Seen, int]], rows: list[Any], anyway: datetime) -> None:
    """Compare what may be seen now with what was shown; tell those pages where it is not the same."""
    digests: dict[int, list[str]] = {}
    near: dict[Watched, set[int]] = {}
    due: dict[Watched, datetime] = {}
    for (page, seen, _), row in zip(asked, rows, strict=True):
        digests.setdefault(id(seen), []).append(row.digest if row.permitted else NOT_SEEN)
        near.setdefault(page, set()).update(row.near)
        due[page] = min(due.get(page, anyway), row.due or anyway)
    for page, pids in near.items():
        page.near, page.due = frozenset(pids), due[page]
        if any(together(digests[id(seen)]) != seen.digest for seen in page.seen):
            page.call()
