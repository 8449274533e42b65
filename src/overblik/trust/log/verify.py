"""The whole log checked against its signed heads: every entry, leaf, chain, node and head is made anew.

Nothing that is stored is believed but the signatures: hashes are computed from what the entries say.
Faults are named in the order of the tree, so that the first one tells where somebody began.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from overblik.store.merkle import EMPTY, Growing, root_of
from overblik.store.queries import sql
from overblik.store.tree import WIDE
from overblik.trust.log.checkpoint import COSIGNATURE, BadNote, Checkpoint, parsed, read_key
from overblik.trust.log.cosignature import cosignatures
from overblik.trust.log.entry import NOTHING, link_hash, record_name, sealed
from overblik.trust.log.heads import origin_of
from overblik.trust.log.rotation import Keys, Rotation

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from overblik.store.tree import Source

PAGE = 2000
MOST_FAULTS = 100


@dataclass(slots=True)
class Report:
    """What was checked and what is wrong; sound where `faults` is empty."""

    entries: int = 0
    records: int = 0
    heads: int = 0
    signed: int = 0
    witnessed: int = 0
    waiting: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, fault: str) -> None:
        """Note a fault; after a hundred nothing is learnt from more."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


class _Walk:
    """The tree made anew, leaf by leaf."""

    def __init__(self, report: Report, secret: bytes, heads: dict[int, list[Checkpoint]]) -> None:
        self.report = report
        self.tree = Growing()
        self._secret = secret
        self._heads = heads
        self._chains: dict[int, tuple[int, bytes]] = {}
        self._seq = 0
        self._rows: list[list[bytes]] = [[]]
        self.nodes: dict[tuple[int, int], bytes] = {}
        self._compare()

    def add(self, row: Any) -> None:
        """Check the next leaf and add what it must be."""
        n, report = self.tree.size, self.report
        name = f"entry {row.lid}, leaf {row.n}"
        if row.n != n:
            report.add(f"{name}: leaf {n} should stand here")
        entry = NOTHING if row.gone else sealed(row).hash
        if row.gone and row.entry != NOTHING:
            report.add(f"{name}: the entry is gone from the log")
            entry = row.entry
        elif entry != row.entry:
            report.add(f"{name}: the entry is not what was sealed")
        place, before = self._chains.get(row.pid, (0, NOTHING))
        if row.place != place + 1:
            report.add(f"{name}: its record's chain goes from {place} to {row.place}")
        if row.seq <= self._seq:
            report.add(f"{name}: its number {row.seq} is not after {self._seq}")
        self._seq = max(self._seq, row.seq)
        made = link_hash(record_name(self._secret, row.pid), place + 1, row.seq, before, entry)
        if made != row.hash:
            report.add(f"{name}: the leaf is not what was sealed")
        self._chains[row.pid] = place + 1, made
        self._grow(made)

    def _grow(self, leaf: bytes) -> None:
        self.tree.add(leaf)
        self._rows[0].append(leaf)
        for level, row in enumerate(self._rows):
            if len(row) < WIDE:
                break
            if level + 1 == len(self._rows):
                self._rows.append([])
            self._rows[level + 1].append(root_of(row))
            self.nodes[level + 1, (self.tree.size >> (8 * (level + 1))) - 1] = self._rows[level + 1][-1]
            row.clear()
        self._compare()

    def _compare(self) -> None:
        for head in self._heads.pop(self.tree.size, []):
            if head.root != self.tree.root:
                self.report.add(f"the signed head of {head.size} leaves is not that of the log")

    def end(self) -> None:
        """Say what is signed and not there."""
        self.report.records = len(self._chains)
        for size in sorted(self._heads):
            self.report.add(f"a head of {size} leaves was signed, and the log has {self.tree.size}")


async def verify(
    database: Source, vkey: str, notes: Sequence[str] = (), *, rotations: Sequence[Rotation] | None = None,
    witnesses: Sequence[str] = (), progress: Callable[[int], None] = lambda _: None,
) -> Report:  # fmt: skip
    """Check everything; `notes` are checkpoints that were kept elsewhere, such as the signer's last.

    `rotations` are those that the signer knows; without them the database's count, which are held against them.
    Of `witnesses` some head must be cosigned by each, here or in what was kept.
    Raises BadNote where the key cannot be read, or the keys before and after it are not signed for.
    """
    report = Report()
    stored = [Rotation(r.old_key, r.new_key, r.note) for r in await database.fetch(sql("log_rotations"))]
    known = stored if rotations is None else list(rotations)
    if stored != known[: len(stored)]:
        report.add("how the key was replaced is not what the signer knows")
    keys, notes = Keys(vkey, known), [*notes, *(one.note for one in known)]
    log = (await database.fetch(sql("log_secret")))[0]
    heads = await _heads(database, report, keys, origin_of(log.id), notes)
    await _check_witnesses(database, report, witnesses, notes)
    walk = _Walk(report, bytes(log.secret), heads)
    async with aclosing(_leaves(database)) as leaves:
        async for rows in leaves:
            for row in rows:
                walk.add(row)
            await _compare_nodes(database, walk)
            progress(len(rows))
    report.entries = walk.tree.size
    walk.end()
    for row in await database.fetch(sql("log_loose_nodes")):
        report.add(f"level {row.level}, node {row.n}: of leaves that are not there")
    for row in await database.fetch(sql("log_unsealed"), {"limit": MOST_FAULTS}):
        report.add(f"entry {row.lid}: it is in the log, and neither sealed nor waiting to be")
    for row in await database.fetch(sql("log_twice"), {"limit": MOST_FAULTS}):
        report.add(f"entry {row.lid}: it was sealed more than once")
    report.waiting = (await database.fetch(sql("log_waiting")))[0].waiting
    return report


async def _leaves(database: Source) -> AsyncGenerator[list[Any], None]:
    after, first = -1, True
    while True:
        rows = await database.fetch(sql("log_leaves"), {"after": after, "first": first, "limit": PAGE})
        if not rows:
            return
        # A page may end between two leaves of one number, which there must not be: take them all.
        last = rows[-1].n
        if len(rows) >= PAGE:
            rows = [row for row in rows if row.n != last]
            rows += await database.fetch(sql("log_leaves_at"), {"n": last})
        yield rows
        after, first = last, False


async def _heads(
    database: Source, report: Report, keys: Keys, origin: str, notes: Sequence[str]
) -> dict[int, list[Checkpoint]]:
    found: dict[int, list[Checkpoint]] = {}
    rows = [(row.size, row.note) for row in await database.fetch(sql("log_heads"))]
    for size, note in [*rows, *((None, note) for note in notes)]:
        try:
            head = keys.opened(note)
        except BadNote as error:
            report.add(f"the head of {size} leaves: {error}" if size is not None else f"a checkpoint kept: {error}")
            continue
        if size not in {head.size, None} or head.origin != origin:
            report.add(f"the head of {head.size} leaves of {head.origin} stands as that of {size} leaves")
        if head.size == 0 and head.root == EMPTY:
            continue
        found.setdefault(head.size, []).append(head)
        report.signed = max(report.signed, head.size)
    report.heads = len(rows)
    return found


async def _check_witnesses(database: Source, report: Report, witnesses: Sequence[str], notes: Sequence[str]) -> None:
    """Hold every cosignature that is kept, here and elsewhere, against the key it is of; each witness has one."""
    seen: dict[str, int] = {}
    rows = await database.fetch(sql("log_cosignatures"), {"size": None})
    stored = [(row.size, f"{row.note}{row.line}", [row.witness]) for row in rows]
    for size, note, keys in [*stored, *(("kept", note, witnesses) for note in notes)]:
        try:
            found = cosignatures(note, keys)
        except BadNote as error:
            report.add(f"the cosigned head of {size} leaves: {error}")
            continue
        if not found and size != "kept":
            report.add(f"the cosigned head of {size} leaves: its line is not the witness's")
        for one in found:
            seen[one.witness] = max(seen.get(one.witness, 0), parsed(note).size)
    for witness in witnesses:
        if witness not in seen:
            report.add(f"no head is cosigned by {read_key(witness, COSIGNATURE)[0]}")
    report.witnessed = max(seen.values(), default=0)


async def _compare_nodes(database: Source, walk: _Walk) -> None:
    """Hold the stored nodes against those that became full since the last time."""
    if not walk.nodes:
        return
    levels, ns = (list(part) for part in zip(*walk.nodes, strict=True))
    rows = await database.fetch(sql("log_nodes"), {"levels": levels, "ns": ns})
    stored = {(row.level, row.n): bytes(row.hash) for row in rows}
    for (level, n), made in walk.nodes.items():
        if stored.get((level, n)) != made:
            walk.report.add(f"level {level}, node {n}: not the hash of what is below")
    walk.nodes.clear()
