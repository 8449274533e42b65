"""Staff whose names are withheld from citizens: a pseudonym wherever the log is read, another for each citizen.

The log itself keeps the name, and its proofs hold: of an entry's two parts the one with the name is given as its hash
(docs/log.md). A pseudonym is the same for one citizen every time, so that they see that it is the same person, and
tells nothing beside another citizen's: it is made from both with a key.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any
from uuid import UUID

from overblik.store.queries import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overblik.store.database import Database
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.access import Door

PSEUDONYM = "urn:uuid:"
"""What a pseudonym begins with, in place of an authorisation id."""


async def withheld_units(database: Database) -> frozenset[str]:
    """Return every unit whose staff are not named."""
    return frozenset(row.sor for row in await database.look_up(sql("withheld_units"), {}))


async def named(door: Door, caller: Caller, rows: Iterable[Any]) -> list[Any]:
    """Return entries of the log as they are told to the citizen whose they are."""
    every = list(rows)
    units = await withheld_units(door.database) if every else frozenset()
    return [_named(door.index_key, caller.subject, row) if is_withheld(row, units) else row for row in every]


def is_withheld(row: Any, units: frozenset[str]) -> bool:
    """Say whether an entry is of somebody whose name is withheld."""
    return row.actor_kind == "professional" and row.org in units


def _named(key: bytes, subject: str, row: Any) -> Any:
    pseudonym = pseudonym_of(key, subject, row.actor)
    return row._replace(actor=PSEUDONYM + str(pseudonym), actor_name=f"Medarbejder {pseudonym.hex[:8]}")


def pseudonym_of(key: bytes, subject: str, actor: str) -> UUID:
    """Return what somebody is called to one citizen: a name-based UUID (version 5), its namespace a secret."""
    digest = hmac.digest(key, f"pseudonym|{subject}|{actor}".encode(), "sha256")
    return UUID(bytes=digest[:16], version=5)
