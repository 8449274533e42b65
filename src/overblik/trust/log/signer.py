"""The signer of the log: a process of its own, with a key of its own, that knows nothing of the database.

    python -m overblik.trust.log.signer FOLDER

It reads one request a line and answers with one line, both JSON. It signs a head only when the head
is shown to extend the last one that it signed for the same log, and remembers it, on disk, before it
answers; so whoever is master of the server and of the database can add to the log and nothing else.
It can run under another user or on another machine: OVERBLIK_LOG_SIGNER names the command to speak to.

    {"last": ORIGIN}                                      -> {"key": VKEY, "note": NOTE or ""}
                                                             and "rotations": [[OLD VKEY, NEW VKEY, NOTE], …]
    {"rotate": true}                              -> {"rotated": true}: from here on another key signs
    {"origin": …, "size": N, "root": …, "old": M, "proof": […]}  -> {"note": NOTE, "key": VKEY}
                                                          or {"refused": WHY, "size": last signed size}
"""

from __future__ import annotations

import fcntl
import json
import sys
from base64 import b64decode
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from overblik.store.merkle import EMPTY, extends
from overblik.trust.log.checkpoint import BadNote, Checkpoint, opened, parsed, signed, verifier_key
from overblik.trust.log.files import read_private_key, settle, write_safely
from overblik.trust.log.rotation import Rotation

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 1_000_000
"""The longest request, in characters; a proof has 64 hashes at most."""
MOST_ROTATIONS = 200


class Refused(Exception):
    """A head that is not signed; says why, and how large the log was when it was last signed."""

    def __init__(self, why: str, size: int) -> None:
        super().__init__(why)
        self.size = size


class Signer:
    """Signs the heads of logs, each with one history. The folder is nobody else's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._alone():
            if not (folder / "signer.key").exists():
                write_safely(folder / "signer.key", Ed25519PrivateKey.generate().private_bytes_raw())
            self._key = read_private_key(folder / "signer.key")

    def key(self, origin: str) -> str:
        """Return the verifier key of a log; its name is the log's."""
        return verifier_key(origin, self._key.public_key().public_bytes_raw())

    def known(self, origin: str) -> dict[str, Any]:
        """Return what there is to know of a log: its key, its last note, and the keys before."""
        with self._alone():
            return {"key": self.key(origin), "note": self.last(origin), "rotations": self.rotations(origin)}

    def last(self, origin: str) -> str:
        """Return the note of the last head that was signed for a log, "" before the first."""
        with suppress(FileNotFoundError):
            return self._state(origin).read_text(encoding="utf-8")
        return ""

    def rotations(self, origin: str) -> list[Rotation]:
        """Return how the key of a log was replaced, the first time first."""
        with suppress(FileNotFoundError):
            kept = json.loads(self._state(origin).with_suffix(".rotations").read_text(encoding="utf-8"))
            return [Rotation(*one) for one in kept]
        return []

    def rotate(self) -> None:
        """Put a new key in force: the head signed last, of each log, is signed by both; the old key is destroyed.

        From the moment that the new key is on disk it will be done: what a break leaves is done at the next request.
        """
        with self._alone():
            for state in self._folder.glob("*.note"):
                if len(self.rotations(parsed(state.read_text(encoding="utf-8")).origin)) >= MOST_ROTATIONS:
                    raise Refused("the key was replaced too often", 0)
            write_safely(self._folder / "next.key", Ed25519PrivateKey.generate().private_bytes_raw())
            self._hand_over()

    def _hand_over(self) -> None:
        """Have the next key take over, where there is one."""
        path = self._folder / "next.key"
        if not path.exists():
            return
        fresh = read_private_key(path)
        for state in self._folder.glob("*.note"):
            note = state.read_text(encoding="utf-8")
            origin = parsed(note).origin
            new = verifier_key(origin, fresh.public_key().public_bytes_raw())
            kept = self.rotations(origin)
            if not kept or kept[-1].new != new:
                made = signed(opened(note, self.key(origin)), origin, self._key, fresh)
                kept.append(Rotation(self.key(origin), new, made))
                write_safely(state.with_suffix(".rotations"), json.dumps(kept).encode())
            write_safely(state, kept[-1].note.encode())
        path.rename(self._folder / "signer.key")
        settle(self._folder)
        self._key = fresh

    def sign(self, head: Checkpoint, old: int, proof: list[bytes]) -> str:
        """Sign a head that extends the last one; raise Refused for any other.

        `proof` shows that it begins with the tree of `old` leaves, which must be the one signed last.
        """
        with self._alone():
            note = self.last(head.origin)
            try:
                last = opened(note, self.key(head.origin)) if note else Checkpoint(head.origin, 0, EMPTY)
            except BadNote:
                raise Refused("what was signed last cannot be read", 0) from None
            if head.size < last.size:
                raise Refused("the log has become shorter", last.size)
            if head.size == last.size and head.root == last.root and note:
                return note
            if old != last.size:
                raise Refused("the proof is not from the head signed last", last.size)
            if last.size and not extends(last.size, last.root, head.size, head.root, proof):
                raise Refused("the log is not the one that was signed last", last.size)
            made = signed(head, head.origin, self._key)
            write_safely(self._state(head.origin), made.encode())
            return made

    def _state(self, origin: str) -> Path:
        return self._folder / f"{sha256(origin.encode()).hexdigest()[:32]}.note"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no second signer with this folder read or write meanwhile."""
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (self._folder / "signer.key").exists():
                self._key = read_private_key(self._folder / "signer.key")  # another process may have replaced it
                self._hand_over()
            yield


def answer(signer: Signer, line: str) -> dict[str, Any]:
    """Answer one request; what cannot be read is refused."""
    try:
        asked = json.loads(line)
        if "last" in asked:
            return signer.known(str(asked["last"]))
        if "rotate" in asked:
            signer.rotate()
            return {"rotated": True}
        root, *proof = (b64decode(text, validate=True) for text in (asked["root"], *asked["proof"]))
        head = parsed(Checkpoint(str(asked["origin"]), int(asked["size"]), root).text)
        return {"note": signer.sign(head, int(asked["old"]), proof), "key": signer.key(head.origin)}
    except Refused as error:
        return {"refused": str(error), "size": error.size}
    except (ValueError, KeyError, TypeError):
        return {"refused": "the request cannot be read", "size": 0}


def main() -> None:
    """Answer requests until there are no more."""
    signer = Signer(Path(sys.argv[1]))
    while line := sys.stdin.readline(MOST):
        sys.stdout.write(json.dumps(answer(signer, line)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
