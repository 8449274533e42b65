"""The search parameters that this server has beside the standard's: who defines them, and which are known here.

The system defines them, by SearchParameter resources; a source's words are data and change nothing of
how others' are found. What a process knows of them may be old: a write by old ones is refused by the
database and done again by the new, and a search that names any looks first.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from overblik.fhir.errors import Forbidden, Unavailable
from overblik.fhir.index.catalogue import STANDARD, Catalogue
from overblik.fhir.query import definition, searched
from overblik.store.definitions import define, read_catalogue
from overblik.store.queries import sql
from overblik.trust.callers.identity import require_scope

if TYPE_CHECKING:
    from overblik.fhir.query import Query
    from overblik.store.database import Database, Transaction
    from overblik.store.unit import StagedShared, Unit
    from overblik.trust.callers.identity import Caller


class SearchParameters:
    """What one process knows of the definitions; `current` may be old, `fresh` is not."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.current: Catalogue = STANDARD
        self._reading: asyncio.Task[Catalogue] | None = None

    async def fresh(self) -> Catalogue:
        """Return the definitions as they are now, with how far they are indexed."""
        self.current = await read_catalogue(self._database)
        return self.current

    async def recent(self) -> Catalogue:
        """Return the same for a crowd: who asks while it is read waits for that one reading."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self.fresh())
        return await asyncio.shield(self._reading)

    async def learn(self, generation: int) -> None:
        """Read the definitions again where these are not they."""
        if generation != self.current.generation:
            await self.fresh()


async def follow(unit: Unit, caller: Caller, staged: StagedShared) -> None:
    """Do what a SearchParameter says: defined while it is active, and gone with it. Only the system may say so."""
    if caller.kind != "system":
        raise Forbidden("not-for-this-caller", "Only the system defines what can be searched by.")
    resource = staged.resource
    param = definition(resource) if resource is not None and resource.get("status") == "active" else None
    if await define(unit.transaction, staged.id, param):
        unit.catalogue = await read_catalogue(unit.transaction)


async def require_current(transaction: Transaction, caller: Caller, query: Query) -> None:
    """Refuse a condition that the caller's app may not search by, or that was read by definitions changed since."""
    require_scope(caller, "s", *searched(query))
    if (generation := query.catalogue.generation) == 0:
        return
    if (await transaction.fetch(sql("read_generation")))[0].generation != generation:
        text = "What this type can be searched by has just been changed; send it again."
        raise Unavailable("search-parameter-indexing", text)
