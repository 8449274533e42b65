"""Files of those who sign: keys that are theirs alone, and what they remember, on disk before they answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

if TYPE_CHECKING:
    from pathlib import Path


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Return a key that nobody else can read; PermissionError for one that others can."""
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path} can be read by others; run chmod 600 on it")
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


def write_safely(path: Path, data: bytes) -> None:
    """Have a file be this or what it was, whatever happens; on disk when it returns."""
    fresh = path.with_suffix(".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    settle(path.parent)


def settle(folder: Path) -> None:
    """Have what was renamed in a folder be so on disk."""
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
