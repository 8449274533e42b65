"""What a page shows, as far as it matters whether it may still be shown: which rows of which records.

A page that is rendered collects it (`collecting`); the door adds to it what it discloses. It is kept nowhere:
it goes out sealed with the page and comes back when the page asks to be told (trust/live/watching.py).
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from overblik.trust.callers.identity import Caller
    from overblik.trust.keys.seal import Seal

LASTS = 24 * 3600
"""How long a mark is good for, in seconds: longer than any session."""
ANY = 2**62
"""Later than any change."""
NOT_SEEN = "-"
"""Stands for the digest of a record that may not be seen."""


class Seen(Struct, frozen=True):
    """Rows that were shown: those of `types` (or `rids` alone) in these records that were there by change `upto`.

    `digest` is of their rids. With `alone` each record is one of its own, without the others that were found to be
    the same person. `past` is the instant of knowledge of a page that shows one.
    """

    pids: tuple[int, ...]
    types: tuple[str, ...]
    digest: str
    upto: int = ANY
    rids: tuple[int, ...] | None = None
    alone: bool = False
    past: str | None = None


class _Page:
    """What one page has shown so far, to one viewer."""

    def __init__(self, viewer: str) -> None:
        self.viewer = viewer
        self.seen: list[Seen] = []


_page: ContextVar[_Page | None] = ContextVar("page", default=None)


@contextmanager
def collecting(caller: Caller) -> Iterator[None]:
    """Collect what the door discloses to this caller inside the block."""
    token = _page.set(_Page(caller.viewer))
    try:
        yield
    finally:
        _page.reset(token)


def note(
    caller: Caller, rows: Mapping[int, Iterable[int]], types: Iterable[str], *,
    upto: int = ANY, rids: tuple[int, ...] | None = None, alone: bool = False, past: datetime | None = None,
) -> None:  # fmt: skip
    """Add the rids of each record to what is shown, where somebody collects it for this caller."""
    page = _page.get()
    if page is None or page.viewer != caller.viewer or not rows:
        return
    pids = tuple(sorted(rows))
    digest = together([digest_of(rows[pid]) for pid in pids])
    page.seen.append(Seen(pids, tuple(types), digest, upto, rids, alone, past.isoformat() if past else None))


def collected() -> tuple[Seen, ...]:
    """Return what has been disclosed so far in the block that collects."""
    page = _page.get()
    return tuple(page.seen) if page else ()


def digest_of(rids: Iterable[int]) -> str:
    """Return the digest of one record's rows, as the statement `watch_set` works it out."""
    return hashlib.sha256(",".join(map(str, sorted(rids))).encode()).hexdigest()


def together(digests: Iterable[str]) -> str:
    """Return one digest for those of several records, in the order of the records."""
    return hashlib.sha256("|".join(digests).encode()).hexdigest()[:32]


def sealed(seal: Seal, seen: Iterable[Seen], caller: Caller) -> str:
    """Return what was shown as text that says nothing, for this viewer only."""
    parts = [
        {
            "p": _packed(s.pids), "t": s.types, "d": s.digest, "u": _packed((s.upto,)),
            "r": None if s.rids is None else _packed(s.rids), "a": s.alone, "o": s.past,
        }
        for s in seen
    ]  # fmt: skip
    return seal.seal({"seen": parts}, f"seen|{caller.viewer}", LASTS)


def opened(seal: Seal, text: str, caller: Caller) -> tuple[Seen, ...] | None:
    """Return what a mark says was shown; None for any other text, and for another viewer's."""
    found = seal.open(text, f"seen|{caller.viewer}")
    return None if found is None else tuple(map(_part, found["seen"]))


def _packed(numbers: Iterable[int]) -> str:
    """Write numbers in eight bytes each: by its length a mark would tell how many changes there have been."""
    return base64.b64encode(b"".join(number.to_bytes(8, signed=True) for number in numbers)).decode()


def _numbers(packed: str) -> tuple[int, ...]:
    data = base64.b64decode(packed)
    return tuple(int.from_bytes(data[i : i + 8], signed=True) for i in range(0, len(data), 8))


def _part(part: Any) -> Seen:
    rids = None if part["r"] is None else _numbers(part["r"])
    return Seen(_numbers(part["p"]), tuple(part["t"]), part["d"], _numbers(part["u"])[0], rids, part["a"], part["o"])
