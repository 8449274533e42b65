"""Bodies at rest, sealed: AES-256-GCM with a key for each record, which a master key kept elsewhere wraps.

    sealed = 01 ‖ kid (8) ‖ nonce (12) ‖ ciphertext ‖ tag (16)

A plain body begins with `,` or `}` (store/body.py), so both kinds can stand side by side while what was there is being
sealed. What a body belongs to (record, row, type, id, version) is authenticated with it: moved to another patient or
another version it does not open. Keys are unwrapped once and remembered for fifteen minutes; when the master keys
cannot be reached after that, nothing is read or written (docs/decisions/018).

https://nvlpubs.nist.gov/nistpubs/Legacy/SP/nistspecialpublication800-38d.pdf
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from overblik.fhir.errors import Damaged, Gone, Unavailable
from overblik.store.queries import sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from overblik.store.database import Database, Transaction

MARK = 1
LIFETIME = 15 * 60.0
"""Seconds that a key which was unwrapped is used without asking for the master keys again."""
MOST_KEYS = 20_000
NOBODY = 0
"""The record of the keys that seal what has no patient yet."""
_MARK = bytes([MARK])
_HEAD = struct.Struct(">Bq12s")
_PLACE = struct.Struct(">4sqqi")
Named = tuple[int, int]
"""(pid, kid) of a key."""
log = structlog.get_logger()


class Key(NamedTuple):
    """A key at hand, None for one that was destroyed, and until when it is used unasked."""

    aead: AESGCM | None
    until: float


class UnknownMaster(Exception):
    """A master key that is not there (any more), or not the one that wrapped this."""


class Masters(Protocol):
    """Who wraps and unwraps keys: a file (trust/keys/masters.py), or a service that keeps the master key to itself.

    `context` is authenticated with a key. `unwrap` raises UnknownMaster where it cannot be this key's, and both raise
    Unavailable where nobody can be asked.
    """

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Return the name of the master key that is in force, and the key as it wraps it."""

    async def unwrap(self, master: str, wrapped: bytes, context: bytes) -> bytes:
        """Return a key that was wrapped."""

    async def current(self) -> str:
        """Return the name of the master key in force."""


def context_of(pid: int, kid: int) -> bytes:
    """Return what a wrapped key is bound to: one record's key opens nothing of another's."""
    return b"overblik/record-key/1" + struct.pack(">qq", pid, kid)


def is_sealed(data: bytes | None) -> bool:
    """Say whether a stored body or message is sealed; none begins with this byte by itself."""
    return data is not None and data[:1] == _MARK


class Vault:
    """Seals and opens what one process writes and reads; remembers unwrapped keys for a while.

    With `only`, a body of a patient that is not sealed is Damaged: somebody put it in the place of a sealed one.
    """

    def __init__(
        self, database: Database, masters: Masters, *, only: bool = False, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._only = only
        self._now = now
        self._keys: dict[Named, Key] = {}
        self._reached = 0.0
        self.masters = masters

    async def prepare(self) -> None:
        """Try the master key in force, and every other that is in use.

        Raises Unavailable where one is missing, or another than was in use: a server must not start without.
        """
        await self._probe()
        async with self._database.transaction() as transaction:
            await transaction.fetch(sql("hold_masters"))
            for row in await transaction.fetch(sql("masters_in_use")):
                await self._unwrapped(row.pid, row.kid, transaction)

    async def open(self, rows: list[Any]) -> list[Any]:
        """Return rows with their `body` and `raw` opened; what is plain stays as it is.

        Such rows have `pid`, `rid`, and where they have a body `type`, `id` and `version`.
        Damaged where something was changed, Gone where its key was destroyed, Unavailable without master keys.
        """
        fields = rows[0]._fields if rows else ()
        columns = [fields.index(name) for name in ("body", "raw") if name in fields]
        if self._only:
            _require_sealed(rows, columns)
        closed = [(n, c) for c in columns for n, row in enumerate(rows) if row[c] is not None and row[c][:1] == _MARK]
        if not closed or "rid" not in fields:
            return rows
        keys = await self._learn({(rows[n].pid, _kid(rows[n][c])) for n, c in closed})
        opened = list(rows)
        for n, c in closed:
            row = opened[n]
            values = list(row)
            place = _bound(row) if fields[c] == "body" else raw_place(row.pid, row.rid)
            values[c] = _opened(keys, row.pid, row[c], place, row)
            opened[n] = row._make(values)
        return opened

    async def seal(self, transaction: Transaction, rows: Sequence[dict[str, Any]]) -> None:
        """Seal the `body` and `raw` of rows that are about to be written, in the transaction that writes them."""
        pids = sorted({row["pid"] for row in rows if row.get("body") is not None or row.get("raw") is not None})
        keys = await self._writing(transaction, pids) if pids else {}
        for row in rows:
            if row.get("body") is not None:
                row["body"] = _sealed(*keys[row["pid"]], row["body"], body_place(row))
            if row.get("raw") is not None:
                row["raw"] = _sealed(*keys[row["pid"]], row["raw"], raw_place(row["pid"], row["rid"]))

    async def seal_loose(self, transaction: Transaction, named: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return what is nobody's yet, such as a message that came in, each sealed under its name with one new key.

        The key is one of these alone, so that it can be destroyed when they are (`destroy_loose_key`).
        """
        if not named:
            return {}
        await transaction.fetch(sql("share_masters"))
        made, aead = await self._made(NOBODY)
        await transaction.run_many(sql("put_record_key"), [made])
        return {name: _sealed(made["kid"], aead, plain, loose_place(name)) for name, plain in named.items()}

    async def open_loose(self, data: bytes, name: str) -> bytes:
        """Return what `seal_loose` sealed under this name; what is plain as it is."""
        if not is_sealed(data):
            return data
        keys = await self._learn({(NOBODY, _kid(data))})
        return _opened(keys, NOBODY, data, loose_place(name), None)

    async def require(self) -> None:
        """Raise Unavailable where no master key was reached for longer than keys are remembered.

        For answers that are made of what the process still has in memory.
        """
        if self._now() - self._reached > LIFETIME:
            await self._probe()

    async def _probe(self) -> None:
        """Ask the master keys for something; Unavailable where they cannot be reached."""
        await self.masters.wrap(bytes(32), context_of(NOBODY, 0))
        self._reached = self._now()

    async def _writing(self, transaction: Transaction, pids: Sequence[int]) -> dict[int, tuple[int, AESGCM]]:
        """Return {pid: (kid, key)} to write records with; those that have none get one, in this transaction."""
        live: dict[int, tuple[int, AESGCM]] = {}
        for row in await transaction.fetch(sql("live_record_keys"), {"pids": list(pids)}):
            key = self._known(row.pid, row.kid) or await self._unwrapped(row.pid, row.kid, transaction, row)
            if key is not None and key.aead is not None:
                live[row.pid] = row.kid, key.aead
        if fresh := [pid for pid in pids if pid not in live]:
            await transaction.fetch(sql("share_masters"))
            made = [await self._made(pid) for pid in fresh]
            await transaction.run_many(sql("put_record_key"), [row for row, _ in made])
            for row, aead in made:
                live[row["pid"]] = row["kid"], aead
                self._keep(row["pid"], row["kid"], aead)
        return live

    def forget(self) -> None:
        """Forget every key that was unwrapped; what is needed is unwrapped again."""
        self._keys.clear()

    async def _made(self, pid: int) -> tuple[dict[str, Any], AESGCM]:
        """Return the row of a new key, and the key. Its number is random: nobody else's, if this transaction fails."""
        kid, key = int.from_bytes(os.urandom(8), "big") >> 1, AESGCM.generate_key(256)
        master, wrapped = await self.masters.wrap(key, context_of(pid, kid))
        self._reached = self._now()
        return {"pid": pid, "kid": kid, "master": master, "wrapped": wrapped}, AESGCM(key)

    def _known(self, pid: int, kid: int) -> Key | None:
        found = self._keys.get((pid, kid))
        return found if found is not None and found.until > self._now() else None

    def _keep(self, pid: int, kid: int, aead: AESGCM | None) -> Key:
        """Remember a key; of too many the one that was learnt first is forgotten."""
        self._keys.pop((pid, kid), None)
        if len(self._keys) >= MOST_KEYS:
            del self._keys[next(iter(self._keys))]
        key = self._keys[pid, kid] = Key(aead, self._now() + LIFETIME)
        return key

    async def _learn(self, named: set[Named]) -> dict[Named, Key]:
        """Return these keys, but those that there are none of."""
        keys = {one: key for one in named if (key := self._known(*one)) is not None}
        if missing := [one for one in named if one not in keys]:
            rows = await self._read(missing)
            new = await asyncio.gather(*(self._unwrapped(row.pid, row.kid, None, row) for row in rows))
            keys |= {(row.pid, row.kid): key for row, key in zip(rows, new, strict=True) if key is not None}
        return keys

    async def _read(self, named: Iterable[Named], transaction: Transaction | None = None) -> list[Any]:
        pids, kids = zip(*named, strict=True)
        params = {"pids": list(pids), "kids": list(kids)}
        fetch = transaction.fetch if transaction is not None else self._database.look_up
        return await fetch(sql("read_record_keys"), params)

    async def _unwrapped(self, pid: int, kid: int, transaction: Transaction | None, row: Any = None) -> Key | None:
        """Unwrap one key. It is read again where its master key is not known: it may just have been wrapped anew."""
        for attempt in range(2):
            if row is None or attempt:
                row = next(iter(await self._read([(pid, kid)], transaction)), None)
            if row is None:
                return None
            if row.wrapped is None:
                return self._keep(pid, kid, None)
            try:
                key = await self.masters.unwrap(row.master, bytes(row.wrapped), context_of(pid, kid))
            except UnknownMaster:
                if attempt:
                    text = f"The master key {row.master}, which wraps keys of records, is not among those given."
                    raise Unavailable("body-key-missing", text) from None
            else:
                self._reached = self._now()
                return self._keep(pid, kid, AESGCM(key))
        return None


def _sealed(kid: int, aead: AESGCM, plain: bytes, place: bytes) -> bytes:
    nonce = os.urandom(12)
    return _HEAD.pack(MARK, kid, nonce) + aead.encrypt(nonce, plain, place)


def _opened(keys: Mapping[Named, Key], pid: int, data: bytes, place: bytes, row: Any) -> bytes:
    _, kid, nonce = _HEAD.unpack_from(data)
    key = keys.get((pid, kid))
    if key is None:
        raise _damaged(row)
    if key.aead is None:
        raise Gone("record-erased", "This was erased: the key that it was sealed with was destroyed.")
    try:
        return key.aead.decrypt(nonce, memoryview(data)[_HEAD.size :], place)
    except InvalidTag:
        raise _damaged(row) from None


def body_place(row: dict[str, Any]) -> bytes:
    """Return what a body is bound to."""
    return _place(row["pid"], row["rid"], row["version"], row["type"], row["id"])


def raw_place(pid: int, rid: int) -> bytes:
    """Return what the bytes of a message in a record are bound to."""
    return _PLACE.pack(b"raw1", pid, rid, 0)


def loose_place(name: str) -> bytes:
    """Return what something of nobody's is bound to: the name it is kept under."""
    return b"loose1" + name.encode()


def _place(pid: int, rid: int, version: int, resource_type: str, resource_id: str) -> bytes:
    return _PLACE.pack(b"bdy1", pid, rid, version) + f"{resource_type}/{resource_id}".encode()


def _require_sealed(rows: list[Any], columns: list[int]) -> None:
    """Raise Damaged where something of a patient is plain; what belongs to none has no pid, or 0."""
    for row in rows if columns and "pid" in rows[0]._fields else ():
        if row.pid and any(row[c] is not None and not is_sealed(row[c]) for c in columns):
            raise _damaged(row)


def _bound(row: Any) -> bytes:
    return _place(row.pid, row.rid, row.version, row.type, row.id)


def _kid(data: bytes) -> int:
    if len(data) < _HEAD.size:
        raise _damaged(None)
    return int(_HEAD.unpack_from(data)[1])


def _damaged(row: Any) -> Damaged:
    log.error("body.damaged", type=getattr(row, "type", ""), id=getattr(row, "id", ""))
    text = "What is stored is not what was sealed here: it was changed, moved or cut. Nothing of it is shown."
    return Damaged("body-damaged", text)
