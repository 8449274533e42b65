"""Sealed notes: what we hand to a browser or a client and want back unread, unchanged and in time."""

from __future__ import annotations

import base64
import binascii
import json
import os
import time
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Seal:
    """Seals and opens notes with one key (AES-256-GCM); a note says for what use it is, and until when."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, note: dict[str, Any], use: str, seconds: int) -> str:
        """Return a note as text that can stand in a cookie or an address."""
        nonce = os.urandom(12)
        plain = json.dumps({**note, "until": int(time.time()) + seconds}, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(nonce + self._aead.encrypt(nonce, plain, use.encode())).decode().rstrip("=")

    def open(self, text: str, use: str) -> dict[str, Any] | None:
        """Return a note; None for any other text, another use, and one that is too old."""
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            note = json.loads(self._aead.decrypt(sealed[:12], sealed[12:], use.encode()))
        except (InvalidTag, binascii.Error, ValueError):
            return None
        return dict(note) if note["until"] > time.time() else None
