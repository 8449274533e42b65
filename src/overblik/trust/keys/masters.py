"""Master keys in a file: base64 of 32 bytes a line; the last is in force, the others open what they wrapped.

A key's name is made from the key, so that another key is never taken for it. The file is read again when it has
changed, and when it is gone nothing more can be wrapped or unwrapped. A service that keeps the master key to itself
(KMS, HSM) stands behind the same three functions, `Masters` in store/vault.py.
"""

from __future__ import annotations

import base64
import binascii
import os
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from overblik.fhir.errors import Unavailable
from overblik.store.vault import UnknownMaster

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LENGTH = 32
NONCE = 12


def name_of(key: bytes) -> str:
    """Return the name of a master key: 64 bits of a digest of it."""
    return sha256(b"overblik/master-key/1" + key).hexdigest()[:16]


class FileMasters:
    """The master keys of one file, which only its owner may read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._keys: dict[str, AESGCM] = {}

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Return the name of the key in force, and `key` as it wraps it."""
        name = await self.current()
        nonce = os.urandom(NONCE)
        return name, nonce + self._keys[name].encrypt(nonce, key, context)

    async def unwrap(self, master: str, wrapped: bytes, context: bytes) -> bytes:
        """Return a key that was wrapped; UnknownMaster where this file's keys did not wrap it so."""
        self._read()
        if master not in self._keys:
            raise UnknownMaster
        try:
            return self._keys[master].decrypt(wrapped[:NONCE], wrapped[NONCE:], context)
        except InvalidTag:
            raise UnknownMaster from None

    async def current(self) -> str:
        """Return the name of the key in force."""
        self._read()
        return next(reversed(self._keys))

    def names(self) -> list[str]:
        """Return the names of all keys, the one in force last."""
        self._read()
        return list(self._keys)

    def add(self) -> str:
        """Add a new key, which is in force from now on; a file is made where there is none. Return its name."""
        key = AESGCM.generate_key(256)
        made = datetime.now(UTC).strftime("%Y-%m-%d")
        lines = self._lines() if self._path.exists() else []
        self._write([*lines, f"{base64.b64encode(key).decode()} # {name_of(key)}, made {made}"])
        return name_of(key)

    def drop(self, names: Iterable[str]) -> None:
        """Destroy keys: what they wrapped and nobody wrapped anew can never be opened again."""
        gone = set(names)
        self._write([line for line in self._lines() if (key := _key(line)) is None or name_of(key) not in gone])

    def _read(self) -> None:
        try:
            found = self._path.stat()
        except OSError as error:
            raise _away(self._path) from error
        stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        if stamp == self._stamp:
            return
        if found.st_mode & 0o077:
            raise Unavailable("key-readable", f"{self._path} can be read by others; run chmod 600 on it.")
        keys = {name_of(key): AESGCM(key) for line in self._lines() if (key := _key(line)) is not None}
        if not keys:
            raise _away(self._path)
        self._keys, self._stamp = keys, stamp

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise _away(self._path) from error

    def _write(self, lines: list[str]) -> None:
        """Have the file be this or what it was, whatever happens; on disk when it returns."""
        fresh = self._path.with_name(self._path.name + ".new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write("".join(line + "\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self._stamp = None


def _key(line: str) -> bytes | None:
    """Return the key of a line; None for a blank one or a comment."""
    text = line.partition("#")[0].strip()
    if not text:
        return None
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != LENGTH:
        raise Unavailable("body-key-unreadable", "A line of the master keys is no base64 of 32 bytes.")
    return key


def _away(path: Path) -> Unavailable:
    text = f"The master keys cannot be read from {path}; bring the file back, or make one by `overblik keys make`."
    return Unavailable("body-keys-away", text)
