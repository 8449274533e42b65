"""Searches share round trips as long as they are quick; one that is not runs alone, and is known for a while.

A batch answers no sooner than its slowest, so each has a bound: what takes longer is stopped, and asked again on a
connection of its own (store/pool.py). The neighbours wait for that bound once, not for the search.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import errors

from overblik.fhir.errors import Unavailable
from overblik.store.lanes import Lane

if TYPE_CHECKING:
    from collections.abc import Mapping

WIRES = 3
MOST = 6
"""How many go out together: beyond some a batch gains little, and its first waits for its last."""
MOST_MS = 150
KNOWN_FOR = 60.0
"""Seconds for which a statement that was stopped is not tried here again."""
MOST_KNOWN = 1000


class Quick:
    """Statements that are mostly quick, beside each other; durable before they are answered, as in every lane."""

    def __init__(self, conninfo: str, name: str, *, most_ms: int = MOST_MS) -> None:
        self._lane = Lane(conninfo, name, wires=WIRES, most=MOST, most_ms=most_ms, by_key=False)
        self._slow: dict[str, float] = {}

    async def fetch(self, text: LiteralString, params: Mapping[str, Any]) -> list[Any] | None:
        """Return the rows of one statement, None if it has to run alone."""
        if (until := self._slow.get(text)) is not None:
            if monotonic() < until:
                return None
            del self._slow[text]
        try:
            return await self._lane.fetch(text, params)
        except errors.InvalidSqlStatementName:  # a neighbour was to prepare it, and was stopped
            return None
        except Unavailable as error:
            if not isinstance(error.__cause__, errors.QueryCanceled):
                raise
        if len(self._slow) >= MOST_KNOWN:
            del self._slow[next(iter(self._slow))]
        self._slow[text] = monotonic() + KNOWN_FOR
        return None

    async def close(self) -> None:
        """Stop, once what is on its way has been answered."""
        await self._lane.close()
