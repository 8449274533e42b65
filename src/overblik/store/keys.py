"""Random keys: record keys, row keys, resource ids. Drawn per use, never from a shared generator."""

from __future__ import annotations

import secrets
from typing import Protocol


class Keys(Protocol):
    """Where new keys come from; tests inject their own."""

    def number(self) -> int:
        """Return a random positive 63-bit key."""

    def id(self) -> str:
        """Return a random 128-bit resource id."""


class RandomKeys:
    """Keys from the operating system's random source."""

    def number(self) -> int:
        """Return a random positive 63-bit key."""
        return secrets.randbits(63) or 1

    def id(self) -> str:
        """Return a random 128-bit resource id, 32 hexadecimal digits."""
        return secrets.token_hex(16)
