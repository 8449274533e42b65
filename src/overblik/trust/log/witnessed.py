"""What witnesses have cosigned of this log, as they bring it: lines below its signed heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.fhir.errors import Forbidden, Malformed
from overblik.store.queries import sql
from overblik.trust.log.checkpoint import BadNote, parsed
from overblik.trust.log.cosignature import cosignatures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overblik.clock import Clock
    from overblik.store.database import Database


class Witnessed:
    """The cosignatures of one log by `witnesses`, whose keys the operator names; nobody else's are kept."""

    def __init__(self, database: Database, clock: Clock, witnesses: Sequence[str] = ()) -> None:
        self._database = database
        self._clock = clock
        self.witnesses = tuple(witnesses)

    async def keep(self, note: str) -> None:
        """Keep what our witnesses have cosigned of one of our heads, once each.

        Malformed where the note is none of ours, or a line of theirs does not hold; Forbidden without one of theirs.
        """
        try:
            head = parsed(note)
            found = cosignatures(note, self.witnesses)
        except BadNote as error:
            raise Malformed("cosignature-wrong", f"This is not cosigned: {error}.") from None
        rows = await self._database.fetch(sql("log_head_of"), {"size": head.size})
        if not rows or parsed(rows[0].note).text != note.partition("\n\n")[0] + "\n":
            raise Malformed("cosignature-wrong", "This is no signed head of this log.")
        if not found:
            raise Forbidden("witness-unknown", "No witness that this server knows has signed this.")
        for one in found:
            params = {"size": head.size, "witness": one.witness, "line": one.line, "at": self._clock.now()}
            await self._database.run(sql("put_log_cosignature"), params)

    async def shown(self, size: int, note: str) -> str:
        """Return the note of a head with the lines of our witnesses below its signatures."""
        rows = await self._database.fetch(sql("log_cosignatures"), {"size": size})
        return note + "".join(row.line for row in rows if row.witness in self.witnesses)

    async def latest(self) -> str:
        """Return the last head that a witness has cosigned, with their lines; "" where there is none."""
        rows = await self._database.fetch(sql("log_cosigned_head"))
        return await self.shown(rows[0].size, rows[0].note) if rows else ""
