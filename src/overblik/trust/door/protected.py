"""Where somebody with a protected address lives is shown to nobody but themselves, and to who delivered it.

Protection is the person's, whichever source says it: any Patient of the record that does, hides the addresses and
telephones of all of them, in what others read. A message as it came is not shown either, for it states them too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from overblik.fhir.index import token_digest
from overblik.fhir.protection import RESTRICTED, TELLING, without_address
from overblik.store.body import pack
from overblik.store.queries import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overblik.store.database import Database
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.access import Disclosed

SHIELDED = frozenset({"professional", "proxy"})
"""Kinds of access that see no protected address."""


async def shielded(
    database: Database, index_key: bytes, caller: Caller, found: Iterable[Disclosed]
) -> tuple[Disclosed, ...]:
    """Return what was disclosed, without the addresses that this caller may not see."""
    every = tuple(found)
    if caller.kind not in SHIELDED:
        return every
    telling = {(one.type, one.id) for one in every if one.type in TELLING and one.body is not None}
    if not telling:
        return every
    hidden = await _protected(database, index_key, telling)
    return tuple(_without(one) if (one.type, one.id) in hidden else one for one in every)


def _without(one: Disclosed) -> Disclosed:
    return one if one.body is None else replace(one, body=pack(without_address(one.json())))


async def _protected(database: Database, index_key: bytes, named: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of the resources named whose record says that its person is protected."""
    token = token_digest(index_key, "Patient", "_security", None, RESTRICTED)
    names = sorted(named)
    params = {"types": [kind for kind, _ in names], "ids": [name for _, name in names], "token": token}
    return {(row.type, row.id) for row in await database.look_up(sql("protected_among"), params)}
