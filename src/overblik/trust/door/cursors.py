"""Paging cursors: encrypted, of one length, bound to the caller and the search.

A cursor holds only the key of the last row that was shown, so nothing of hidden rows is in it, and
another caller's cursor opens nothing.
"""

from __future__ import annotations

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from overblik.fhir.errors import Malformed

WIDTH = 72


class Cursors:
    """Seals and opens cursors with one key."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, last: str, scope: str, width: int = WIDTH) -> str:
        """Return the cursor that continues after `last`; all of one search have one `width`."""
        nonce = os.urandom(12)
        padded = last.encode().ljust(width)
        return base64.urlsafe_b64encode(nonce + self._aead.encrypt(nonce, padded, scope.encode())).decode()

    def open(self, cursor: str, scope: str) -> str:
        """Return what a cursor continues after; raise Malformed for any other text."""
        try:
            sealed = base64.urlsafe_b64decode(cursor)
            return self._aead.decrypt(sealed[:12], sealed[12:], scope.encode()).decode().rstrip()
        except (InvalidTag, binascii.Error, ValueError):
            raise Malformed("cursor-invalid", "This page link is not valid here; search again.") from None
