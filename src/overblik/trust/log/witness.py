"""A witness of logs: cosigns the checkpoints that extend what it cosigned before, and no others.

It belongs to somebody who does not run the log, with a folder of their own: a key, and the last checkpoint of
each log. Whoever has the signer's key could start a second history; no witness who saw the first cosigns it.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from overblik.store.merkle import extends
from overblik.trust.log.checkpoint import BadNote, Checkpoint, parsed
from overblik.trust.log.cosignature import cosignatures, cosigned, witness_key
from overblik.trust.log.files import read_private_key, write_safely

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from overblik.trust.log.rotation import Keys


class Refused(Exception):
    """A checkpoint that is not cosigned; says why."""


class Witness:
    """Cosigns under a name, which stands in its key. The folder is nobody else's."""

    def __init__(self, folder: Path, name: str) -> None:
        if not name or any(char.isspace() or char == "+" for char in name):
            raise Refused("the name of a witness has no blanks and no +")
        self._folder = folder
        self._name = name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._alone():
            if not (folder / "witness.key").exists():
                write_safely(folder / "witness.key", Ed25519PrivateKey.generate().private_bytes_raw())
            self._private = read_private_key(folder / "witness.key")

    @property
    def key(self) -> str:
        """Return its verifier key."""
        return witness_key(self._name, self._private)

    def last(self, origin: str) -> Checkpoint | None:
        """Return the checkpoint of a log that it cosigned last; Refused where what it kept was changed."""
        try:
            note = self._state(origin).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            held = cosignatures(note, [self.key])
        except BadNote:
            held = []
        if not held or parsed(note).origin != origin:
            raise Refused("what was cosigned last cannot be read")
        return parsed(note)

    def cosign(self, origin: str, note: str, keys: Keys, proof: list[bytes], at: int) -> str:
        """Return a note of a log with its cosignature, kept on disk; Refused for one that is not the log's next.

        `keys` are those the log may sign with, and `proof` shows that the note's tree begins with that of `last`.
        BadNote where no key of the log has signed it. The first one of a log is believed.
        """
        head = keys.opened(note)
        if head.origin != origin:
            raise Refused("the checkpoint is of another log")
        with self._alone():
            last = self.last(origin)
            if last and head.size < last.size:
                raise Refused(f"the log has become shorter: {head.size} leaves, and {last.size} were cosigned")
            if last and not extends(last.size, last.root, head.size, head.root, proof):
                raise Refused(f"the log is not the one whose {last.size} leaves were cosigned")
            made = f"{note.rstrip()}\n{cosigned(head, self._name, self._private, at)}"
            write_safely(self._state(origin), made.encode())
            return made

    def _state(self, origin: str) -> Path:
        return self._folder / f"{sha256(origin.encode()).hexdigest()[:32]}.note"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
