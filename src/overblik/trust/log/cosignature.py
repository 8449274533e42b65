"""Cosignatures: that a witness saw a checkpoint, and that it extends every one it saw before.

https://c2sp.org/tlog-cosignature: a signature line of a note, of a key whose kind is 4,

    — NAME base64(key id ‖ time, 8 bytes ‖ Ed25519 signature of "cosignature/v1", "time …" and the checkpoint's lines)
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from overblik.trust.log.checkpoint import (
    COSIGNATURE,
    SIGNATURE,
    BadNote,
    Checkpoint,
    decoded,
    key_id,
    read_key,
    verifier_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_LENGTH = 4 + 8 + 64
_LATEST = 2**63


class Cosignature(NamedTuple):
    """Which witness (its key) saw a checkpoint, when (seconds since 1970), and the line that says so."""

    witness: str
    at: int
    line: str


def witness_key(name: str, key: Ed25519PrivateKey) -> str:
    """Return the verifier key of a witness."""
    return verifier_key(name, key.public_key().public_bytes_raw(), COSIGNATURE)


def witness_keys(text: str) -> tuple[str, ...]:
    """Return the keys of a list with commas, each once; BadNote for what is no witness's."""
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for one in found:
        read_key(one, COSIGNATURE)
    return found


def cosigned(head: Checkpoint, name: str, key: Ed25519PrivateKey, at: int) -> str:
    """Return the line by which a witness says that it saw a head at a time."""
    identifier = key_id(name, key.public_key().public_bytes_raw(), COSIGNATURE)
    signature = key.sign(_said(head.text, at))
    return f"{SIGNATURE}{name} {b64encode(identifier + at.to_bytes(8, 'big') + signature).decode()}\n"


def cosignatures(note: str, witnesses: Sequence[str]) -> list[Cosignature]:
    """Return what these witnesses have signed of a note; raise BadNote for a line of theirs that does not hold."""
    text, _, lines = note.partition("\n\n")
    found = []
    for witness in witnesses:
        name, public = read_key(witness, COSIGNATURE)
        for line in lines.splitlines():
            signer, _, coded = line.removeprefix(SIGNATURE).partition(" ")
            if not line.startswith(SIGNATURE) or signer != name:
                continue
            data = decoded(coded)
            if data[:4] == key_id(name, public, COSIGNATURE):
                found.append(Cosignature(witness, _held(data, public, f"{text}\n"), f"{line}\n"))
                break
    return found


def _held(data: bytes, public: bytes, text: str) -> int:
    at = int.from_bytes(data[4:12], "big")
    if len(data) != _LENGTH or not 0 < at < _LATEST:
        raise BadNote("this is no cosignature")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(data[12:], _said(text, at))
    except InvalidSignature:
        raise BadNote("the signature of the witness does not hold") from None
    return at


def _said(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()
