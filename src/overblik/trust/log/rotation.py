"""The keys of one log, one after the other: where one takes over, both have signed the same head.

Whoever trusts one of them follows the others: forward, because the old key names the new one's head, and back, because
what is below a head that is signed is bound by it, whoever signed it first. A key is good for the heads from where it
took over until where it was replaced, and for no other: an old key that is stolen signs nothing any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from overblik.trust.log.checkpoint import BadNote, Checkpoint, opened, read_key

if TYPE_CHECKING:
    from collections.abc import Sequence

FURTHEST = 2**63


class Rotation(NamedTuple):
    """One key giving way to another: verifier keys, and the note of the head that both have signed."""

    old: str
    new: str
    note: str


class _Term(NamedTuple):
    """A key and the sizes of the heads that it is good for, both ends included."""

    key: str
    first: int
    last: int


class Keys:
    """The keys that a trusted one leads to; BadNote where a rotation is not signed by both, or leads elsewhere."""

    def __init__(self, trusted: str, rotations: Sequence[Rotation] = ()) -> None:
        read_key(trusted)
        terms = [_Term(trusted.strip(), 0, FURTHEST)]
        linked = 0
        for one in rotations:
            if one.old == terms[-1].key:
                size = _handed_over(one)
                terms[-1:] = [terms[-1]._replace(last=size), _Term(one.new, size, FURTHEST)]
                linked += 1
        for one in reversed(rotations):
            if one.new == terms[0].key:
                size = _handed_over(one)
                terms[:1] = [_Term(one.old, 0, size), terms[0]._replace(first=size)]
                linked += 1
        if linked != len(rotations) or any(term.first > term.last for term in terms):
            raise BadNote("the keys do not follow one another")
        self._terms = tuple(terms)

    def opened(self, note: str) -> Checkpoint:
        """Return the head of a note that the key of its time has signed; raise BadNote for any other."""
        fault = BadNote("the checkpoint is not signed with this key")
        for term in reversed(self._terms):
            try:
                head = opened(note, term.key)
            except BadNote as error:
                fault = error if len(self._terms) == 1 else fault
                continue
            if term.first <= head.size <= term.last:
                return head
            fault = BadNote("the checkpoint is signed with a key that was not in force")
        raise fault


def _handed_over(rotation: Rotation) -> int:
    """Return how many leaves there were when both keys signed."""
    head = opened(rotation.note, rotation.old)
    if opened(rotation.note, rotation.new) != head or read_key(rotation.old)[0] != read_key(rotation.new)[0]:
        raise BadNote("the two keys have not signed the same")
    return head.size
