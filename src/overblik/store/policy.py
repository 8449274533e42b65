"""The policy by name: every entry of the log says under which one it was decided, and each is kept as it stood.

A policy is the text of the decision in SQL for each kind of access (visibility.py) with the functions that it calls;
its name is a digest of them. `ground` rows (migration 0024) are what it looks at.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, LiteralString

from overblik.store.visibility import KINDS, permit, visible

if TYPE_CHECKING:
    from overblik.store.database import Database

GROUND = ("relation", "deny", "mandate", "person_key", "record_alias", "death")
"""The tables that decisions look at beside the resources themselves."""
FUNCTIONS = {"block_carries": "0026", "block_excepts": "0013", "death_ends": "0028", "death_known": "0028"}
"""The functions that decisions call, by the migration that gave them their text last."""
_TEXTS = {kind: (permit(kind), permit(kind, whole=True), visible(kind)) for kind in KINDS}
_ALL = "\n".join([*(text for kind in KINDS for text in _TEXTS[kind]), *map(str, sorted(FUNCTIONS.items()))])
_NAMED: Any = sha256(_ALL.encode()).hexdigest()[:12]
POLICY: LiteralString = _NAMED  # a digest of the program's own texts is as literal as they are
"""The name of the policy that this program decides by."""


async def keep_policy(database: Database) -> None:
    """Keep the policy of this program where it is not known yet, so that its decisions can be made again."""
    if await database.fetch("select 1 as known from policy where version = %(version)s limit 1", {"version": POLICY}):
        return
    for kind, (ordinary, whole, shown) in _TEXTS.items():
        row = {"version": POLICY, "kind": kind, "permit": ordinary, "whole": whole, "visible": shown}
        await database.run(
            "insert into policy (version, kind, permit, whole, visible)"
            " values (%(version)s, %(kind)s, %(permit)s, %(whole)s, %(visible)s) on conflict do nothing",
            row,
        )
