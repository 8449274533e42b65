"""The inbox and outbox tables: what came in, what became of it, what is owed in return.

Nothing that was received is lost: its bytes are kept before anything is understood of them, and
they move to the patient's record only in the transaction that gives them a place there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from overblik.store.queries import sql
from overblik.trust.callers.identity import system_caller

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overblik.clock import Clock
    from overblik.store.database import Database, Transaction
    from overblik.trust.callers.identity import Caller

UNSETTLED_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a message. `code` is stable, `reason` a sentence.

    `placed` says that its bytes lie elsewhere too, so that the inbox need not keep them.
    """

    state: str
    format: str = ""
    sender: str = ""
    code: str = ""
    reason: str = ""
    pid: int | None = None
    rid: int | None = None
    placed: bool = False


class Intake:
    """Reads and writes the inbox and the outbox."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock

    async def keep(self, caller: Caller, raw: bytes, content_type: str) -> UUID:
        """Keep what was received, durably, and return its number."""
        self.database.room.require()
        iid = uuid4()
        params = {
            "iid": iid,
            "now": self.clock.now(),
            "via": caller.via,
            "digest": hashlib.sha256(raw).digest(),
            "content_type": content_type[:200],
            "raw": raw,
        }
        if (vault := self.database.vault) is None:
            await self.database.run(sql("keep_message"), params)
            return iid
        async with self.database.transaction() as transaction:
            sealed = await vault.seal_loose(transaction, {_name(iid): raw})
            await transaction.run(sql("keep_message"), params | {"raw": sealed[_name(iid)]})
        return iid

    async def settle(
        self, iid: UUID, settled: Settled, answer: bytes = b"", transaction: Transaction | None = None
    ) -> None:
        """Note what became of a message and what is owed for it, in the given transaction or alone."""
        if transaction is None:
            async with self.database.transaction() as own:
                await self.settle(iid, settled, answer, own)
            return
        params = {
            "iid": iid,
            "state": settled.state,
            "format": settled.format,
            "sender": settled.sender,
            "code": settled.code,
            "reason": settled.reason,
            "pid": settled.pid,
            "rid": settled.rid,
            "placed": settled.placed,
        }
        if settled.placed and self.database.vault is not None:
            await transaction.run(sql("destroy_message_key"), params)
        await transaction.run(sql("settle_message"), params)
        if answer:
            now = self.clock.now()
            owed = {
                "iid": iid,
                "pid": settled.pid,
                "receiver": settled.sender,
                "kind": "acknowledgement",
                "body": answer,
                "now": now,
                "sent_at": now,  # the answer to the request carries it
            }
            await transaction.run(sql("put_outbox"), owed)

    async def answer_of(self, iid: UUID, transaction: Transaction) -> bytes:
        """Return the acknowledgement a message was given; empty where there is none."""
        rows = await transaction.fetch(sql("answer_of"), {"iid": iid})
        return bytes(rows[0].body) if rows else b""

    async def claim(
        self, transaction: Transaction, iid: UUID, sender: str, kind: str, value: str, digest: bytes
    ) -> bool:
        """Take an id of a sender for this message; False where another message has it."""
        params = {"sender": sender, "kind": kind, "value": value, "digest": digest, "iid": iid}
        return bool(await transaction.fetch(sql("claim_key"), params))

    async def known(self, transaction: Transaction, sender: str, keys: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return {kind: row} for those of a sender's ids that were seen before."""
        params = {"sender": sender, "kinds": [k for k, _ in keys], "values": [v for _, v in keys]}
        return {row.kind: row for row in await transaction.fetch(sql("find_keys"), params)}

    async def was_sent(self, message_id: str) -> bool:
        """Say whether a message with this id was sent from here."""
        return bool(await self.database.fetch(sql("sent_message"), {"id": message_id}))

    async def unsettled(self, limit: int = 100) -> list[Any]:
        """Return messages that were kept but never settled, as a kill leaves them."""
        params = {"before": self.clock.now() - UNSETTLED_AFTER, "limit": limit}
        rows = await self.database.fetch(sql("unsettled"), params)
        return [row._replace(raw=await self._opened(row.raw, row.iid)) for row in rows]

    async def listed(self, states: Sequence[str], limit: int = 200, *, code: str = "") -> list[Any]:
        """Return messages in these states (with one code, or "" for any), newest first, without their content."""
        return await self.database.fetch(sql("list_inbox"), {"states": list(states), "limit": limit, "code": code})

    async def counts(self) -> list[Any]:
        """Return how many messages are in each state, by reason."""
        return await self.database.fetch(sql("count_inbox"))

    async def show(self, iid: UUID) -> Any:
        """Return one message as it came, or None; the look is logged before it is returned."""
        rows = await self.database.fetch(sql("read_inbox"), {"iid": iid})
        if not rows:
            return None
        caller = system_caller("inbox show")
        params = caller.params(self.clock.now(), "read raw", f"inbox/{iid}")
        await self.database.run(sql("log_disclosure"), params | {"pid": rows[0].pid or 0, "rule": "system"})
        return rows[0] if rows[0].held is None else rows[0]._replace(raw=await self._opened(rows[0].held, iid))

    async def _opened(self, raw: bytes, iid: UUID) -> bytes:
        return raw if self.database.vault is None else await self.database.vault.open_loose(raw, _name(iid))


def _name(iid: UUID) -> str:
    """Return the name under which a message is sealed while it has no patient."""
    return f"inbox/{iid}"
