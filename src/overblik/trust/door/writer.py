"""Runs writing work in one durable transaction, with its change row and its log entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from psycopg import errors

from overblik.fhir.errors import Conflict, Unavailable
from overblik.store.unit import Unit
from overblik.trust.callers.identity import require_kind, require_scope
from overblik.trust.door.work import Work
from overblik.trust.treatment.evidence import Durations

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from overblik.clock import Clock
    from overblik.store.database import Database, Transaction
    from overblik.store.keys import Keys
    from overblik.trust.callers.identity import Caller, Interaction
    from overblik.trust.door.search_parameters import SearchParameters
    from overblik.trust.organisations import Directory

T = TypeVar("T")
ATTEMPTS = 3


class Writer:
    """The writing side of the door. One instance serves every request of a process."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        keys: Keys,
        index_key: bytes,
        directory: Directory,
        parameters: SearchParameters,
        durations: Durations | None = None,
    ) -> None:
        self.database = database
        self.clock = clock
        self.keys = keys
        self.directory = directory
        self.parameters = parameters
        self._index_key = index_key
        self._durations = durations or Durations()

    async def write(
        self,
        caller: Caller,
        action: str,
        what: str,
        work: Callable[[Work], Awaitable[T]],
        interaction: Interaction = "write",
    ) -> T:
        """Run `work` in a transaction and commit it durably, or leave nothing of it.

        A lost race for the same id or key runs the work again, on what the winner left; so does a search parameter
        that was defined meanwhile.
        """
        require_kind(caller, interaction)
        self.database.room.require()
        await self.directory.refresh()
        for _ in range(ATTEMPTS):
            try:
                return await self.database.retrying(lambda t: self._run(t, caller, action, what, work))
            except errors.UniqueViolation:
                continue
            except errors.NotNullViolation as error:
                if error.diag.column_name == "index_version":
                    await self.parameters.fresh()
                    continue
                if error.diag.column_name != "version":
                    raise
                raise Conflict("changed-meanwhile", "Somebody else changed it meanwhile; read it again.") from None
        raise Unavailable("too-much-contention", "Too many writers at once; try again in a second.")

    async def _run(
        self,
        transaction: Transaction,
        caller: Caller,
        action: str,
        what: str,
        work: Callable[[Work], Awaitable[T]],
    ) -> T:
        now = self.clock.now()

        def may(resource_type: str, letter: str) -> None:
            require_scope(caller, letter, resource_type)

        unit = Unit(transaction, self.keys, self._index_key, now, self.parameters.current, may)
        entry = caller.params(now, action, what) | {"rule": "system" if caller.kind == "system" else "own delivery"}
        result = await work(Work(unit, caller, self.directory, self._durations, self._index_key, entry))
        await unit.flush(caller.via, entry)
        return result
