"""What an entry of the log is hashed as, written from docs/log.md; the sequencer does the same in SQL.

The two are held against each other by tests, and by `overblik verify-log` on every entry there is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from overblik.store.merkle import leaf_hash

if TYPE_CHECKING:
    from datetime import datetime

NOTHING = bytes(32)
"""What stands before the first link of a chain, and for an entry that was gone before it was sealed."""
_VERSION = b"\x01"


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry as its owner gets it: two texts, and the salt of each."""

    what: str
    salt_what: bytes
    who: str
    salt_who: bytes

    @property
    def hash(self) -> bytes:
        """The hash of the entry."""
        return entry_hash(part_hash(self.salt_what, self.what), part_hash(self.salt_who, self.who))


def sealed(row: Any) -> Sealed:
    """Return a row of `access_log` as it is hashed."""
    salts = [sha256(bytes([use]) + row.salt).digest() for use in (1, 2, 3)]
    seen = f"{'' if row.evidence is None else row.evidence};{_list(row.rids)};{_list(row.versions)}"
    ground = (row.policy, row.orgs, row.reach, row.snapshot)
    decided = any(part is not None for part in ground)
    if decided:
        seen += "".join(";" + _text(part) for part in ground)
    what = {
        "id": str(row.lid),
        "at": _instant(row.at),
        "request": str(row.request),
        "channel": row.channel,
        "action": row.action,
        "outcome": row.outcome,
        "rule": row.rule,
        "kind": row.actor_kind,
        "role": row.actor_role,
        "org": row.org,
        "orgName": row.org_name,
        "purpose": row.purpose,
        "reason": row.reason,
        "query": row.query,
        "resources": len(row.rids),
        **({"policy": row.policy} if decided else {}),
        "digest": sha256(salts[2] + seen.encode()).hexdigest(),
    }
    who = {"actor": row.actor, "name": row.actor_name, "onBehalf": row.on_behalf}
    return Sealed(_text(what), salts[0], _text(who), salts[1])


def part_hash(salt: bytes, text: str) -> bytes:
    """Return the hash of one part of an entry."""
    return sha256(salt + text.encode()).digest()


def entry_hash(what: bytes, who: bytes) -> bytes:
    """Return the hash of an entry from those of its parts."""
    return sha256(what + who).digest()


def record_name(secret: bytes, pid: int) -> bytes:
    """Return what a record is called in its leaves."""
    return sha256(secret + pid.to_bytes(8, signed=True)).digest()


def link_hash(record: bytes, place: int, seq: int, before: bytes, entry: bytes) -> bytes:
    """Return the hash of a leaf, which is the next link of its record's chain."""
    return leaf_hash(_VERSION + record + place.to_bytes(8, signed=True) + seq.to_bytes(8, signed=True) + before + entry)


def _text(fields: Any) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _list(numbers: list[int]) -> str:
    return ",".join(map(str, numbers))


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
