"""Parts of pages that are written once: an item of an overview looks the same until it, or the day, is another.

What is kept is keyed by the whole value that is shown, which came through the door for this request: nobody
gets a part of what was not disclosed to them (docs/decisions/017-parts-of-pages-are-kept.md).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from markupsafe import Markup

    Made: TypeAlias = OrderedDict[tuple[Hashable, ...], Markup]

BASE = "\0base\0"
"""Stands for the address of the session in what is kept; no text of a record has such a character."""
MOST = 8 * 1024 * 1024
"""How many characters of parts a process keeps; with the values they are of, some two times as much in memory."""
BESIDE = 1_000
"""What a part takes beside its text, counted in characters."""


class Fragments:
    """The parts a process has written lately, the least lately used given up first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._made: Made = OrderedDict()
        self._size = 0

    def within(self, *reader: Hashable) -> Callable[..., Markup]:
        """Return the function that templates call as `kept(macro, value, …)`.

        `reader` is whatever a part depends on beside its values: the language, the day, who reads.
        """
        made = self._made

        def kept(macro: Any, *values: Hashable) -> Markup:
            key = (macro.name, reader, values)
            found = made.get(key)
            if found is None:
                found = macro(*values)
                self._keep(key, found)
            else:
                made.move_to_end(key)
            return found

        return kept

    def _keep(self, key: tuple[Hashable, ...], text: Markup) -> None:
        self._made[key] = text
        self._size += len(text) + BESIDE
        while self._size > self._most:
            self._size -= len(self._made.popitem(last=False)[1]) + BESIDE
