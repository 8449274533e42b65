"""`_include` and `_revinclude` (https://hl7.org/fhir/R4/search.html#include): which links a page follows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from overblik.fhir.definitions import r4
from overblik.fhir.index.catalogue import INDEXED, used
from overblik.fhir.index.parameters import with_customs

if TYPE_CHECKING:
    from overblik.fhir.index.catalogue import Custom

INCLUDES = frozenset({"_include", "_include:iterate", "_revinclude", "_revinclude:iterate"})
MOST_INCLUDES = 16


@dataclass(frozen=True, slots=True)
class Include:
    """One way to go on from a page: along reference parameters of `source`, to what they name or, in `reverse`, back.

    `target` is the only type that is meant at the other end, "" for any. Without `iterate` it goes from matches only.
    """

    source: str
    params: tuple[str, ...]
    target: str = ""
    reverse: bool = False
    iterate: bool = False


def includes(resource_type: str, name: str, value: str) -> tuple[Include, ...]:
    """Return what one parameter asks for, () where it names nothing that there is.

    `Type:param`, `Type:param:Target`, `Type:*` and `*`. What does not iterate must touch the type searched.
    """
    reverse, iterate = name.startswith("_rev"), name.endswith(":iterate")
    source, _, rest = value.partition(":")
    code, colon, target = rest.partition(":")
    known = r4().resource_types
    if value == "*":
        sources = sorted(known) if reverse or iterate else [resource_type]
        every = (Include(one, _every(one, resource_type if reverse else ""), "", reverse, iterate) for one in sources)
        return tuple(one for one in every if one.params)
    if source not in known or (colon and target not in known):
        return ()
    codes = _every(source, target) if code == "*" else tuple({code} & set(referring(source, target)))
    if not codes or not (iterate or (reverse and target in {"", resource_type}) or source == resource_type):
        return ()
    return (Include(source, codes, target, reverse, iterate),)


def _every(source: str, target: str) -> tuple[str, ...]:
    """Return what `*` stands for: a parameter that is still being indexed is not there yet."""
    known = used()
    return tuple(code for code in referring(source, target) if known.indexed(source, code) == INDEXED)


def referring(source: str, target: str = "") -> tuple[str, ...]:
    """Return the reference parameters of a type, or those that can name a `target`."""
    return _referring(source, target, used().of(source))


@lru_cache(maxsize=10_000)
def _referring(source: str, target: str, customs: tuple[Custom, ...]) -> tuple[str, ...]:
    every = (param for param in with_customs(source, customs).values() if param.type == "reference")
    return tuple(param.code for param in every if not target or not param.target or target in param.target)
