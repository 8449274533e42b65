"""Search parameters that a server has beside the standard's: which, and how far each is indexed.

A catalogue belongs to one database and never changes; a change makes another, of the next generation.
Which one is meant is the context's (`using`): every function between the text of a search and its SQL,
and every one between a resource and its index row, asks which parameters there are. Outside of it the
standard's are all.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from overblik.fhir.definitions import SearchParameter

FIRST_PLACE, LAST_PLACE = 51, 62
"""The bits of `present` that are theirs in each type; below stand the standard's, and bit 63 is the sign."""
MOST_OF_TYPE = LAST_PLACE - FIRST_PLACE + 1
INDEXED = 100


@dataclass(frozen=True, slots=True)
class Custom:
    """One definition: `number` is given out once and never again, `places` are (type, bit in `present`)."""

    number: int
    param: SearchParameter
    places: tuple[tuple[str, int], ...]

    @property
    def kept(self) -> str:
        """The name under which its rows and tokens are kept: of this definition, whatever took its code before."""
        return kept_name(self.param.code, self.number)


def kept_name(code: str, number: int) -> str:
    """Return the name of a definition in the index; no code of the standard has such a character."""
    return f"{code}#{number}"


@dataclass(frozen=True, eq=False, slots=True)
class Catalogue:
    """Every definition in force, by type; `progress` has (type, code) of those not wholly indexed, in percent."""

    generation: int = 0
    by_type: Mapping[str, tuple[Custom, ...]] = field(default_factory=dict)
    progress: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def of(self, resource_type: str) -> tuple[Custom, ...]:
        """Return the definitions of a type."""
        return self.by_type.get(resource_type, ())

    def find(self, resource_type: str, code: str) -> Custom | None:
        """Return the definition of a type by its code."""
        return next((custom for custom in self.of(resource_type) if custom.param.code == code), None)

    def indexed(self, resource_type: str, code: str) -> int:
        """Return how much of a type a parameter finds, in percent."""
        return self.progress.get((resource_type, code), INDEXED)


STANDARD = Catalogue()
_used: ContextVar[Catalogue] = ContextVar("catalogue", default=STANDARD)


def used() -> Catalogue:
    """Return the catalogue of the context."""
    return _used.get()


@contextmanager
def using(catalogue: Catalogue) -> Iterator[None]:
    """Let this catalogue be the one that is meant inside the block."""
    token = _used.set(catalogue)
    try:
        yield
    finally:
        _used.reset(token)
