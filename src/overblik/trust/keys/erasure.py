"""Erasing one person's record by destroying its keys (GDPR article 17), with a receipt in the log.

What the keys sealed can never be opened again, wherever a copy of it lies: in a dead row, in the write-ahead log, on a
replica, in a backup. A copy of the wrapped keys themselves, made before, opens as long as the master key is there that
wrapped them then: `overblik keys rotate --drop` destroys that. What stays readable is in docs/operations.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from overblik.fhir.errors import NotFound, Unavailable
from overblik.store.index_rows import NEVER
from overblik.store.queries import sql
from overblik.trust.callers.identity import system_caller
from overblik.trust.door.access import NOWHERE

if TYPE_CHECKING:
    from overblik.store.database import Transaction
    from overblik.trust.door.access import Door


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an erasure did; the log says the same.

    `keys` are (number, SHA-256 of the key as it was wrapped) of each key destroyed. `bodies` of versions and messages
    are gone; `plain` of them were never sealed, so that older copies of them are still readable. `elsewhere` counts
    resources about this person that lie in others' records, and stay.
    """

    keys: tuple[tuple[str, str], ...]
    bodies: int
    plain: int
    elsewhere: int


async def shred(door: Door, patient_id: str, reason: str) -> Receipt:
    """Destroy the keys of the record that a Patient belongs to, all its parts, and everything its bodies left.

    NotFound where there is no such Patient; Unavailable where bodies are not sealed here.
    """
    vault = door.database.vault
    if vault is None:
        text = "Bodies are not sealed here, so there is no key to destroy; set OVERBLIK_BODY_KEYS and run keys encrypt."
        raise Unavailable("body-keys-needed", text)
    place = await door.locate("Patient", patient_id)
    if place == NOWHERE:
        raise NotFound
    receipt = await door.database.retrying(
        partial(_shred, door=door, pid=place.pid, patient=f"Patient/{patient_id}", reason=reason)
    )
    vault.forget()
    return receipt


async def _shred(transaction: Transaction, *, door: Door, pid: int, patient: str, reason: str) -> Receipt:
    pids = list((await transaction.fetch(sql("parts_of_record"), {"pid": pid}))[0].pids)
    await transaction.run(sql("lock_block_records"), {"pids": pids})
    now = door.clock.now()
    asked: dict[str, Any] = {"pids": pids, "now": now, "never": NEVER}
    keys = await transaction.fetch(sql("destroy_record_keys"), asked)
    gone = [
        (await transaction.fetch(sql(name), asked))[0] for name in ("erase_resources", "erase_history", "erase_raw")
    ]
    await transaction.run(sql("erase_index"), asked)
    receipt = Receipt(
        tuple((f"{row.kid:016x}", row.was) for row in keys),
        sum(row.bodies for row in gone),
        sum(row.plain for row in gone),
        (await transaction.fetch(sql("stays_elsewhere"), asked))[0].count,
    )
    caller = system_caller("keys shred")
    for part in pids:
        destroyed = ", ".join(f"{row.kid:016x} {row.was}" for row in keys if row.pid == part)
        query = f"{patient} keys destroyed: {destroyed or 'none'}; bodies {receipt.bodies}, not sealed {receipt.plain}"
        entry = caller.params(now, "erase", query) | {"pid": part, "rule": "system", "reason": reason}
        await transaction.run(sql("log_disclosure"), entry)
    return receipt
