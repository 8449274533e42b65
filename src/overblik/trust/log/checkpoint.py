"""Tree heads as signed notes: https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note.

ORIGIN
SIZE
ROOT in base64

— NAME base64(key id ‖ Ed25519 signature of the three lines)
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519, COSIGNATURE = b"\x01", b"\x04"
"""What a key is for, its first byte: notes of a log's own, or the cosignatures of a witness (cosignature.py)."""
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
SIGNATURE = "\u2014 "


class BadNote(ValueError):
    """A checkpoint or key that cannot be read, or whose signature is not this key's."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: whose, of how many leaves, and its root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def key_id(name: str, public: bytes, kind: bytes = ED25519) -> bytes:
    """Return the four bytes by which a note tells which key signed it."""
    return sha256(name.encode() + b"\n" + kind + public).digest()[:4]


def verifier_key(name: str, public: bytes, kind: bytes = ED25519) -> str:
    """Return a public key as text: NAME+ID+KEY."""
    return f"{name}+{key_id(name, public, kind).hex()}+{b64encode(kind + public).decode()}"


def signed(head: Checkpoint, name: str, *keys: Ed25519PrivateKey) -> str:
    """Return the note of a head, with a signature of each key."""
    lines = []
    for key in keys:
        identifier = key_id(name, key.public_key().public_bytes_raw())
        lines.append(f"{SIGNATURE}{name} {b64encode(identifier + key.sign(head.text.encode())).decode()}\n")
    return f"{head.text}\n{''.join(lines)}"


def read_key(vkey: str, kind: bytes = ED25519) -> tuple[str, bytes]:
    """Return name and public key of a verifier key; raise BadNote."""
    name, _, rest = vkey.strip().partition("+")
    identifier, _, coded = rest.partition("+")
    key = decoded(coded)
    if not name or len(key) != 33 or key[:1] != kind or key_id(name, key[1:], kind).hex() != identifier:
        raise BadNote("this is no Ed25519 verifier key" if kind == ED25519 else "this is no key of a witness")
    return name, key[1:]


def opened(note: str, vkey: str) -> Checkpoint:
    """Return the head of a note that this key has signed; raise BadNote for any other."""
    name, public = read_key(vkey)
    text, blank, signatures = note.partition("\n\n")
    if not blank:
        raise BadNote("this is no signed note")
    for line in signatures.splitlines():
        signer, _, coded = line.removeprefix(SIGNATURE).partition(" ")
        signature = decoded(coded)
        if line.startswith(SIGNATURE) and signer == name and signature[:4] == key_id(name, public):
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], f"{text}\n".encode())
            except InvalidSignature:
                raise BadNote("the signature of the checkpoint does not hold") from None
            return parsed(text + "\n")
    raise BadNote("the checkpoint is not signed with this key")


def parsed(text: str) -> Checkpoint:
    """Return the head that a note's text states, whoever signed it; raise BadNote."""
    lines = text.partition("\n\n")[0].split("\n")
    if len(lines) < 3 or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise BadNote("this is no checkpoint")
    root = decoded(lines[2])
    if len(root) != 32:
        raise BadNote("this is no checkpoint")
    return Checkpoint(lines[0], int(lines[1]), root)


def decoded(coded: str) -> bytes:
    """Return what a text in base64 says; raise BadNote for any other."""
    try:
        return b64decode(coded, validate=True)
    except ValueError:
        raise BadNote("this is not base64") from None
