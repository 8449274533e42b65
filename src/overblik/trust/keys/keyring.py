"""The server's secret: one master key in a file, and a key derived from it for each use."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from overblik.fhir.errors import Unavailable

LENGTH = 32


class Keyring:
    """Derives the keys of each use (RFC 5869) from the master key."""

    def __init__(self, master: bytes) -> None:
        if len(master) < LENGTH:
            raise Unavailable("key-too-short", f"The server key needs {LENGTH} bytes.")
        self._master = master

    def key(self, use: str) -> bytes:
        """Return the 32-byte key of one use, such as `index` or `cursor`."""
        return HKDF(hashes.SHA256(), LENGTH, None, f"overblik/{use}/1".encode()).derive(self._master)


def open_keyring(path: Path) -> Keyring:
    """Read the master key, made at first use; refuse a file that others can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        raise Unavailable("key-readable", f"{path} can be read by others; run chmod 600 on it.")
    return Keyring(path.read_bytes())


def _make(path: Path) -> None:
    """Write a key that is whole and on disk before it has its name; the first of several processes wins."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".key-")
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(LENGTH))
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(name, path)
    Path(name).unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
