"""Merkle trees against the recursive definitions of RFC 9162 § 2.1, written down here as they stand there."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from overblik.store.merkle import (
    EMPTY,
    Growing,
    consistency_ranges,
    extends,
    full_subtrees,
    includes,
    inclusion_ranges,
    joined,
    leaf_hash,
    node_hash,
    root_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAVES = [leaf_hash(b"%d" % n) for n in range(70)]


def mth(leaves: Sequence[bytes]) -> bytes:
    """MTH of § 2.1.1, over leaf hashes."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


def proof(ranges: Sequence[tuple[int, int]], size: int) -> list[bytes]:
    assert all(0 <= lo < hi <= size for lo, hi in ranges)
    return [mth(LEAVES[lo:hi]) for lo, hi in ranges]


def test_the_trees_of_certificate_transparency_have_its_roots() -> None:
    """The leaves and roots that implementations of RFC 6962 test with, among them Go's sumdb."""
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    hashes = [leaf_hash(bytes.fromhex(leaf)) for leaf in leaves]
    for size, root in roots.items():
        assert root_of(hashes[:size]).hex() == root


def test_every_size_has_the_defined_root_however_it_is_computed() -> None:
    growing = Growing()
    assert growing.root == root_of([]) == EMPTY == mth([])
    for size in range(1, len(LEAVES) + 1):
        growing.add(LEAVES[size - 1])
        parts = [mth(LEAVES[lo:hi]) for lo, hi in full_subtrees(0, size)]
        assert growing.root == root_of(LEAVES[:size]) == joined(parts) == mth(LEAVES[:size])


def test_every_leaf_of_every_size_is_proved_and_no_other() -> None:
    for size in range(1, 40):
        root = mth(LEAVES[:size])
        for n in range(size):
            path = proof(inclusion_ranges(n, size), size)
            assert includes(LEAVES[n], n, size, path, root)
            assert not any(includes(LEAVES[n], other, size, path, root) for other in range(size) if other != n)
            assert not includes(LEAVES[n + 1], n, size, path, root)
            assert not includes(LEAVES[n], n, size, [*path, EMPTY], root)
            assert not path or not includes(LEAVES[n], n, size, path[:-1], root)


def test_every_size_is_proved_to_begin_with_every_smaller_one() -> None:
    for size in range(1, 40):
        for old in range(1, size + 1):
            path = proof(consistency_ranges(old, size), size)
            roots = mth(LEAVES[:old]), mth(LEAVES[:size])
            assert extends(old, roots[0], size, roots[1], path)
            assert not extends(old, EMPTY, size, roots[1], path)
            assert not extends(old, roots[0], size, EMPTY, path)
            assert not extends(old, roots[0], size, roots[1], [*path, EMPTY])
            assert old == size or not extends(old, roots[0], size, roots[1], path[:-1])


@given(st.data())
def test_u14_a_changed_proof_proves_nothing(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, len(LEAVES)))
    n = data.draw(st.integers(0, size - 1))
    path = proof(inclusion_ranges(n, size), size)
    at, bit = data.draw(st.integers(0, len(path) - 1)), data.draw(st.integers(0, 255))
    path[at] = (int.from_bytes(path[at]) ^ 1 << bit).to_bytes(32)
    assert not includes(LEAVES[n], n, size, path, mth(LEAVES[:size]))
