"""A citizen's own log as a file that can be verified without us: entries, proofs, checkpoint (docs/log.md)."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from overblik.fhir.errors import Forbidden, Unavailable
from overblik.store import tree
from overblik.trust.callers.identity import require
from overblik.trust.log.checkpoint import parsed
from overblik.trust.log.entry import NOTHING, part_hash, sealed
from overblik.trust.log.rotation import Keys
from overblik.trust.withheld import is_withheld, withheld_units

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from overblik.store.tree import Source
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.access import Door
    from overblik.trust.log.heads import Head, Heads
    from overblik.trust.log.rotation import Rotation

FORMAT = "overblik-log-1"
MOST = 5000
"""The newest entries of a log that one file holds."""


async def own_log(door: Door, heads: Heads, caller: Caller, patient_id: str) -> dict[str, Any]:
    """Return the log of the caller's own record as a file; reading it is an entry of its own.

    NotFound for a record that is not the caller's, as for one that is not there; Forbidden to everybody but citizens.
    """
    require(caller, "read", "AuditEvent", letters="rs")
    if not caller.is_citizen:
        raise Forbidden("not-for-this-caller", "Your sign-in does not cover this interaction.")
    head, key = await heads.latest(), await heads.key()
    if head is None:
        raise Unavailable("log-not-signed", "The log has no signed head yet; try again in a few seconds.")
    rows = await door.sealed_log(caller, patient_id, parsed(head.note).size, MOST)
    withheld, rotations = await withheld_units(door.database), await heads.rotations()
    file = await log_file(door.database, rows, head, key, withheld=withheld, rotations=rotations)
    return file | await _witnessed(door.database, heads, parsed(head.note).size)


async def _witnessed(source: Source, heads: Heads, size: int) -> dict[str, Any]:
    """Return the last head that a witness has cosigned, and the proof that the tree of `size` leaves begins with it."""
    note = await heads.witnessed.latest()
    old = parsed(note).size if note else 0
    if not 0 < old <= size:
        return {}
    proof = [_coded(step) for step in await tree.consistency(source, old, size)]
    return {"witnesses": list(heads.witnessed.witnesses), "witnessed": {"note": note, "proof": proof}}


async def log_file(
    source: Source, rows: Iterable[Any], head: Head, key: str, *, withheld: frozenset[str] = frozenset(),
    rotations: Sequence[Rotation] = (),
) -> dict[str, Any]:  # fmt: skip
    """Return sealed entries as a file: rows of leaves with their entries, record by record in their order.

    Who it was is given as a hash where they are of a unit that is `withheld`.
    """
    size = Keys(key, rotations).opened(head.note).size
    covered = [row for row in rows if 0 <= row.n < size]
    try:
        proofs = await tree.inclusion(source, [row.n for row in covered], size)
    except tree.TreeDamaged as error:
        raise Unavailable("log-damaged", f"The log has lost hashes ({error}); run overblik verify-log.") from error
    records: dict[str, dict[str, Any]] = {}
    for row, proof in zip(covered, proofs, strict=True):
        name = bytes(row.record).hex()
        if name not in records:
            records[name] = {"record": name, "before": bytes(row.before or NOTHING).hex(), "entries": []}
        records[name]["entries"].append(_entry(row, withheld) | {"proof": [_coded(step) for step in proof]})
    turned = [one._asdict() for one in rotations]
    about = {"key": key, "checkpoint": head.note} | ({"rotations": turned} if turned else {})
    return {"format": FORMAT, **about, "records": list(records.values())}


def _entry(row: Any, withheld: frozenset[str]) -> dict[str, Any]:
    place = {"n": row.n, "place": row.place, "seq": row.seq, "hash": bytes(row.entry).hex()}
    if row.gone:
        return place
    said = sealed(row)
    told = place | {"what": said.what, "whatSalt": said.salt_what.hex()}
    if is_withheld(row, withheld):
        return told | {"whoHash": part_hash(said.salt_who, said.who).hex()}
    return told | {"who": said.who, "whoSalt": said.salt_who.hex()}


def _coded(data: bytes) -> str:
    return b64encode(data).decode()
