"""The tree of the log as it is kept: leaves in `log_leaf`, full subtrees of 256 in `log_node`.

Read in tiles of up to 256 hashes, as https://c2sp.org/tlog-tiles has them: level 0 are leaves, each
hash of level 1 is that of 256 leaves. What lies between two levels is computed from the tile, so only
one hash in 255 is kept besides the leaves, and nothing that is written is ever changed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from overblik.store.merkle import Range, consistency_ranges, full_subtrees, inclusion_ranges, joined, root_of
from overblik.store.queries import sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, LiteralString

    from overblik.store.database import Transaction

    class Source(Protocol):
        """What hashes are fetched from: the database, or a transaction."""

        async def fetch(self, text: LiteralString, params: Mapping[str, Any] | None = None) -> list[Any]:
            """Run one statement and return its rows."""


WIDE = 256
_BITS = 8
_HASH = 32


class TreeDamaged(Exception):
    """The tree lacks hashes that it must have."""


async def complete(transaction: Transaction, before: int, after: int) -> None:
    """Keep the hash of every subtree of 256 that became full when a tree of `before` leaves grew to `after`."""
    level = 0
    while after // WIDE > before // WIDE:
        first, last = before // WIDE, after // WIDE
        tiles = await _read(transaction, [(level, n * WIDE, (n + 1) * WIDE) for n in range(first, last)])
        rows = [
            {"level": level + 1, "n": n, "hash": root_of(tile)}
            for n, tile in zip(range(first, last), tiles, strict=True)
        ]
        await transaction.run_many(sql("put_log_node"), rows)
        level, before, after = level + 1, first, last


async def roots(source: Source, ranges: Sequence[Range]) -> list[bytes]:
    """Return the hashes of subtrees; TreeDamaged where the tree does not have them."""
    parts = [list(full_subtrees(lo, hi)) for lo, hi in ranges]
    places = [[_place(lo, hi) for lo, hi in part] for part in parts]
    most: dict[tuple[int, int], int] = {}
    for level, lo, hi in (place for part in places for place in part):
        tile = level, lo // WIDE
        most[tile] = max(most.get(tile, 0), hi)
    found = await _read(source, [(level, n * WIDE, hi) for (level, n), hi in most.items()])
    tiles = dict(zip(most, found, strict=True))

    def hash_of(level: int, lo: int, hi: int) -> bytes:
        start = lo // WIDE * WIDE
        return root_of(tiles[level, lo // WIDE][lo - start : hi - start])

    def computed() -> list[bytes]:
        return [joined([hash_of(*place) for place in part]) for part in places]

    # Beside the event loop: the proofs of a few hundred entries are a third of a second of hashing.
    return await asyncio.to_thread(computed)


async def root(source: Source, size: int) -> bytes:
    """Return the root of the first `size` leaves."""
    return (await roots(source, [(0, size)]))[0]


async def inclusion(source: Source, leaves: Iterable[int], size: int) -> list[list[bytes]]:
    """Return the proof of each of these leaves in the tree of `size`."""
    wanted = [inclusion_ranges(n, size) for n in leaves]
    hashes = iter(await roots(source, [part for proof in wanted for part in proof]))
    return [[next(hashes) for _ in proof] for proof in wanted]


async def consistency(source: Source, old: int, size: int) -> list[bytes]:
    """Return the proof that the tree of `size` begins with that of `old`; nothing is needed from an empty one."""
    return await roots(source, consistency_ranges(old, size)) if old else []


def _place(lo: int, hi: int) -> tuple[int, int, int]:
    """Return where a full subtree is read: the level, and its hashes there, which lie in one tile."""
    level = ((hi - lo).bit_length() - 1) // _BITS
    return level, lo >> (_BITS * level), hi >> (_BITS * level)


async def _read(source: Source, ranges: Sequence[tuple[int, int, int]]) -> list[list[bytes]]:
    """Return the hashes of ranges (level, from, up to)."""
    if not ranges:
        return []
    levels, los, his = (list(part) for part in zip(*ranges, strict=True))
    rows = await source.fetch(sql("log_hashes"), {"levels": levels, "los": los, "his": his})
    found = []
    for (level, lo, hi), row in zip(ranges, rows, strict=True):
        data = row.hashes or b""
        if len(data) != (hi - lo) * _HASH:
            raise TreeDamaged(f"level {level}, {lo} to {hi}")
        found.append([data[i : i + _HASH] for i in range(0, len(data), _HASH)])
    return found
