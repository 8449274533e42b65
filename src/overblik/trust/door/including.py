"""What a page of a search brings along: `_include` and `_revinclude`, each through the same decision as a read.

A round is one statement for what belongs to patients and one for what belongs to nobody, however many
links there are; what iterates has another round, from what the last one brought. What the caller may
not see is not there, and nobody is told that a link led to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overblik.fhir.compartment import is_shared
from overblik.fhir.errors import Unprocessable
from overblik.fhir.index import linked
from overblik.store.search.linked import compile_linked, referring
from overblik.trust.door.access import disclosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from overblik.fhir.query import Include
    from overblik.store.search import Compiled
    from overblik.trust.door.access import Disclosed

    Run = Callable[[Compiled], Awaitable[list[Any]]]

MOST_INCLUDED = 1_000
MOST_ROUNDS = 4
MOST_LINKS = 50_000


async def included(
    run: Run, kind: Any, key: bytes, matches: Sequence[Disclosed], includes: Sequence[Include]
) -> tuple[Disclosed, ...]:
    """Return what the links of a page lead to; `run` runs a statement with the door's parameters."""
    found: list[Disclosed] = []
    last, going = list(matches), includes
    for _ in range(MOST_ROUNDS):
        known = [*matches, *found]
        named, digests = _named(last, going), _digests(key, last, going)
        last = []
        for shared in (False, True):
            wanted = [one for one in named if is_shared(one[0]) is shared and "\x00" not in one[1]]
            if wanted or digests[shared]:
                params = _params(wanted, digests[shared], known, MOST_INCLUDED - len(found) - len(last))
                last += map(disclosed, await run(compile_linked(kind, params, shared=shared)))
        found += last
        if len(found) > MOST_INCLUDED:
            raise _too_many()
        going = [include for include in includes if include.iterate]
        if not last or not going:
            break
    return tuple(found)


def _named(page: Iterable[Disclosed], includes: Iterable[Include]) -> list[tuple[str, str]]:
    """Return (type, id) of what a page refers to along its links."""
    forward = [include for include in includes if not include.reverse]
    sources = {include.source for include in forward}
    found: dict[tuple[str, str], None] = {}
    for one in page:
        resource = one.json() if one.type in sources else {}
        for include in forward:
            if include.source == one.type:
                for reference in (link for code in include.params for link in linked(resource, code)):
                    if include.target in {"", reference.type}:
                        found[reference.type, reference.id] = None
        if len(found) > MOST_LINKS:
            raise _too_many()
    return list(found)


def _digests(key: bytes, page: Sequence[Disclosed], includes: Iterable[Include]) -> tuple[list[int], list[int]]:
    """Return the digests by which what refers to a page is found: of patients, and of nobody."""
    found: tuple[list[int], list[int]] = ([], [])
    for include in includes:
        if include.reverse:
            links = [f"{one.type}/{one.id}" for one in page if include.target in {"", one.type}]
            found[is_shared(include.source)].extend(referring(key, include.source, include.params, links))
            if sum(map(len, found)) > MOST_LINKS:  # before the rest of them is made
                raise _too_many()
    return found


def _params(
    named: Iterable[tuple[str, str]], digests: list[int], known: Iterable[Disclosed], most: int
) -> dict[str, Any]:
    pairs, there = list(named), list(known)
    return {
        "types": [kind for kind, _ in pairs],
        "ids": [name for _, name in pairs],
        "digests": digests,
        "known_types": [one.type for one in there],
        "known_ids": [one.id for one in there],
        "most": max(most, 0),
    }


def _too_many() -> Unprocessable:
    text = (
        f"The links of this page lead to more than {MOST_INCLUDED} resources; ask for fewer links or a smaller _count."
    )
    return Unprocessable("include-too-large", text, kind="too-costly", expression="http._include")
