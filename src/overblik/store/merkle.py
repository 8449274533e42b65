"""Merkle trees as in RFC 9162 § 2.1 (those of RFC 6962): pure, over hashes that are given.

A hash is 32 bytes of SHA-256. A subtree is a range of leaves (lo, hi), hi not included; what is in
the tree is known by such ranges, so that a proof is a list of ranges first, and hashes once they are read.

https://www.rfc-editor.org/rfc/rfc9162#section-2.1
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Range = tuple[int, int]
EMPTY = sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node from those of its two halves."""
    return sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """Return how many leaves are in the left half of a tree of two leaves or more."""
    return 1 << ((size - 1).bit_length() - 1)


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes, or over the hashes of full subtrees of one size but for the last."""
    row = list(hashes)
    while len(row) > 1:
        odd = row[len(row) & ~1 :]
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)] + odd
    return row[0] if row else EMPTY


def inclusion_ranges(n: int, size: int) -> list[Range]:
    """Return the subtrees whose hashes prove that leaf `n` is in the tree of `size` (§ 2.1.3.1)."""
    if not 0 <= n < size:
        raise ValueError("the tree has no such leaf")
    found: list[Range] = []
    lo, hi = 0, size
    while hi - lo > 1:
        middle = lo + split(hi - lo)
        if n < middle:
            found.append((middle, hi))
            hi = middle
        else:
            found.append((lo, middle))
            lo = middle
    return found[::-1]


def consistency_ranges(old: int, size: int) -> list[Range]:
    """Return the subtrees whose hashes prove that the tree of `size` begins with that of `old` (§ 2.1.4.1)."""
    if not 0 < old <= size:
        raise ValueError("only a larger tree can be consistent with one that has leaves")
    found: list[Range] = []
    lo, hi = 0, size
    while old < hi:
        middle = lo + split(hi - lo)
        if old <= middle:
            found.append((middle, hi))
            hi = middle
        else:
            found.append((lo, middle))
            lo = middle
    return ([] if lo == 0 else [(lo, hi)]) + found[::-1]


def full_subtrees(lo: int, hi: int) -> Iterator[Range]:
    """Return the full subtrees that a subtree (lo, hi) is made of, from the left."""
    while lo < hi:
        step = 1 << ((hi - lo).bit_length() - 1)
        yield lo, lo + step
        lo += step


def joined(hashes: Sequence[bytes]) -> bytes:
    """Return the hash of a subtree from those of its full subtrees, the largest first."""
    if not hashes:
        return EMPTY
    found = hashes[-1]
    for left in hashes[-2::-1]:
        found = node_hash(left, found)
    return found


def includes(hash_: bytes, n: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether a proof leads from leaf `n` to the root (§ 2.1.3.2)."""
    if not 0 <= n < size:
        return False
    place, last = n, size - 1
    found = hash_
    for step in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(step, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, step)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def extends(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether a proof shows that the tree of `size` begins with that of `old` (§ 2.1.4.2)."""
    if old == size:
        return not proof and old_root == root
    if not 0 < old < size:
        return old == 0 and not proof and old_root == EMPTY
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = now = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, now = node_hash(step, before), node_hash(step, now)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            now = node_hash(now, step)
        place, last = place >> 1, last >> 1
    return last == 0 and before == old_root and now == root


class Growing:
    """A tree that leaves are added to one by one; it keeps only the hashes of its full subtrees."""

    def __init__(self) -> None:
        self.size = 0
        self._full: list[bytes] = []

    def add(self, hash_: bytes) -> None:
        """Add a leaf."""
        self._full.append(hash_)
        self.size += 1
        size = self.size
        while not size & 1:
            right = self._full.pop()
            self._full.append(node_hash(self._full.pop(), right))
            size >>= 1

    @property
    def root(self) -> bytes:
        """The root over all leaves so far."""
        return joined(self._full)
