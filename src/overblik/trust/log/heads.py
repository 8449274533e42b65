"""Signed heads of the log: made after the leaves are committed, signed by another process, kept.

The order is what makes it safe: leaves are committed, then the signer remembers and signs, then the
note is kept here. After a break in between, the signer is ahead by a head of leaves that are committed.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from overblik.fhir.errors import OverblikError, Unavailable
from overblik.store import tree
from overblik.store.queries import sql
from overblik.trust.log.checkpoint import parsed
from overblik.trust.log.rotation import Rotation
from overblik.trust.log.witnessed import Witnessed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overblik.clock import Clock
    from overblik.store.database import Database, Transaction

EVERY = 1.0
AFTER_REFUSAL = 30.0
PATIENCE = 20.0
"""Seconds that the signer may take for an answer."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Head:
    """A signed head as it is kept."""

    size: int
    note: str


class SignerProcess:
    """The signer as this process sees it: a child that answers line by line, started when it is needed."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._child: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the signer's answer; Unavailable where there is none."""
        async with self._turn:
            try:
                return await asyncio.wait_for(self._exchange(request), PATIENCE)
            except (OSError, ValueError, asyncio.TimeoutError):  # noqa: UP041 - Python 3.11 has one name, 3.10 two
                await self._stop()
                raise Unavailable("signer-away", "The signer of the log does not answer.") from None
            except asyncio.CancelledError:
                await self._stop()
                raise

    async def close(self) -> None:
        """End the child."""
        async with self._turn:
            await self._stop()

    async def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._child is None or self._child.returncode is not None:
            pipe = asyncio.subprocess.PIPE
            self._child = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)
        child = self._child
        assert child.stdin is not None  # noqa: S101 - both are pipes
        assert child.stdout is not None  # noqa: S101 - as is this
        child.stdin.write(json.dumps(request).encode() + b"\n")
        await child.stdin.drain()
        return dict(json.loads(await child.stdout.readline()))

    async def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.kill()
            await child.wait()


class Heads:
    """The heads of one log."""

    def __init__(self, database: Database, clock: Clock, signer: SignerProcess, witnesses: Sequence[str] = ()) -> None:
        self._database = database
        self._clock = clock
        self.witnessed = Witnessed(database, clock, witnesses)
        self.signer = signer
        self._key = ""

    async def origin(self) -> str:
        """Return what the log is called in its heads and keys."""
        return origin_of((await self._database.fetch(sql("log_name")))[0].id)

    async def key(self) -> str:
        """Return the verifier key in force, as the signer states it."""
        if rotations := await self.rotations():
            return rotations[-1].new
        if not self._key:
            self._key = str((await self.signer.ask({"last": await self.origin()}))["key"])
        return self._key

    async def rotations(self) -> list[Rotation]:
        """Return how the key was replaced, the first time first."""
        rows = await self._database.fetch(sql("log_rotations"))
        return [Rotation(row.old_key, row.new_key, row.note) for row in rows]

    async def rotate(self) -> list[Rotation]:
        """Have the signer replace its key, and keep the head that both keys signed; return every rotation.

        Unavailable where the signer is away or refuses. A log that nothing of was signed yet has none to show.
        """
        async with self._database.transaction() as transaction:
            await transaction.fetch(sql("be_signing"))
            answer = await self.signer.ask({"rotate": True})
            if "rotated" not in answer:
                raise Unavailable("rotation-refused", f"The signer did not replace its key: {answer.get('refused')}.")
            await self._learn(transaction, await self.origin())
        return await self.rotations()

    async def _learn(self, transaction: Transaction, origin: str) -> None:
        """Keep what the signer knows of its keys."""
        known = await self.signer.ask({"last": origin})
        self._key = str(known["key"])
        for n, (old, new, note) in enumerate(known.get("rotations", ())):
            params = {"n": n, "old": old, "new": new, "note": note, "size": parsed(note).size, "at": self._clock.now()}
            await transaction.run(sql("put_log_rotation"), params)

    async def latest(self) -> Head | None:
        """Return the last signed head; None before the first. Where two keys have signed it, that is the note."""
        rows = await self._database.fetch(sql("log_head"))
        return Head(rows[0].size, rows[0].note) if rows else None

    async def sign(self) -> Head | None:
        """Have the log signed as it is, and return its last head; None where nothing is in it yet.

        One process at a time signs; another finds what is there. Raises Unavailable where the signer is
        away, and where it refuses: then the log is not what it was.
        """
        async with self._database.transaction() as transaction:
            if (await transaction.fetch(sql("try_signing")))[0].mine:
                await self._sign(transaction)
        return await self.latest()

    async def _sign(self, transaction: Transaction) -> None:
        name = (await transaction.fetch(sql("log_name")))[0]
        heads = await transaction.fetch(sql("log_head"))
        old = heads[0].size if heads else 0
        if name.size == old:
            return
        origin = origin_of(name.id)
        answer = await self._ask(transaction, origin, old, name.size)
        if old < answer.get("size", 0) <= name.size:
            answer = await self._ask(transaction, origin, answer["size"], name.size)
        if "note" not in answer:
            raise Unavailable("head-refused", f"The signer refuses the head of the log: {answer['refused']}.")
        if answer.get("key", self._key) != self._key:
            await self._learn(transaction, origin)
        params = {"size": name.size, "note": answer["note"], "at": self._clock.now()}
        await transaction.run(sql("put_log_head"), params)

    async def _ask(self, transaction: Transaction, origin: str, old: int, size: int) -> dict[str, Any]:
        try:
            root = await tree.root(transaction, size)
            proof = await tree.consistency(transaction, old, size) if old <= size else []
        except tree.TreeDamaged as error:
            raise Unavailable("log-damaged", f"The log has lost hashes ({error}); run overblik verify-log.") from error
        request = {
            "origin": origin,
            "size": size,
            "root": _coded(root),
            "old": old,
            "proof": [_coded(h) for h in proof],
        }
        return await self.signer.ask(request)


def origin_of(identifier: Any) -> str:
    """Return what a log is called."""
    return f"overblik/log/{identifier}"


def _coded(data: bytes) -> str:
    return b64encode(data).decode()


async def keep_signing(heads: Heads) -> None:
    """Have new heads signed once a second until cancelled; a fault is noted and tried again."""
    try:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await heads.sign()
            except OverblikError as error:
                log.warning("log.not-signed", code=error.code, reason=error.text)
                await asyncio.sleep(EVERY if error.code == "database-down" else AFTER_REFUSAL)
            except Exception:
                log.exception("log.fault")
                await asyncio.sleep(AFTER_REFUSAL)
    finally:
        await heads.signer.close()
