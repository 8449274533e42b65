"""What is known of how many rows meet a criterion, before it is asked: from PostgreSQL's own statistics."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from overblik.store.search.conditions import digests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overblik.fhir.query import Links, Tokens
    from overblik.store.search.scope import Scope

EVERYWHERE = frozenset({"_profile", "_security", "_tag", "_source", "status", "category", "gender", "active", "class",
                        "intent", "priority", "language", "clinical-status", "verification-status", "deceased",
                        "lifecycle-status", "use", "kind", "outcome"})  # fmt: skip
"""Parameters of few values: most rows match, as long as nothing better is known."""
FEWEST, MOST_FEW = 16, 2_000
SHARE = 0.01
PAGE = 20


class Common:
    """The tokens that stand in a good part of all rows: a search by them alone walks the newest rows.

    Of the process: digests are keyed, so those of another database are other digests. `learned` counts how often it
    has learned: a statement that was chosen before is chosen anew.
    """

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._bound = 0.0
        self.few = FEWEST
        self.learned = 0

    def learn(self, counts: Mapping[int, int], rows: int = 0, records: int = 0) -> None:
        """Take what the statistics say: in how many rows each token stands, and how many rows and records there are.

        Without any, the names of parameters decide which tokens are common. A walk for a page passes
        PAGE * rows / count rows, and collecting passes count: beyond the root of PAGE * rows a walk is shorter.
        A unit's relations are few up to about the root of all records: there both sides cost the same, a walk that
        passes records / relations rows for each it finds, and a look into every related record (a hundred rows' worth).
        """
        self._counts = dict(counts)
        self.learned += 1
        self._bound = min(SHARE * rows, sqrt(PAGE * rows))
        self.few = min(max(int(0.7 * records**0.5), FEWEST), MOST_FEW)

    @property
    def collected(self) -> int:
        """How many are collected at the most where a walk of the newest may find a page of them."""
        return 6 * self.few

    def has(self, criterion: Tokens | Links, scope: Scope) -> bool:
        """Say whether one of a criterion's values is common."""
        return self._exceeds(criterion, scope, self._bound)

    def leads_to_many(self, criterion: Tokens | Links, scope: Scope) -> bool:
        """Say whether so many rows meet a criterion that looking into the record of each is too dear."""
        return self._exceeds(criterion, scope, min(self._bound, self.collected))

    def _exceeds(self, criterion: Tokens | Links, scope: Scope, bound: float) -> bool:
        if not self._counts:
            return criterion.param in EVERYWHERE
        return self._stand_in(digests(criterion, scope)) > bound

    def are(self, tokens: list[int]) -> bool:
        """Say whether some tokens are common."""
        return self._stand_in(tokens) > self._bound

    def _stand_in(self, tokens: list[int]) -> int:
        """Return in how many rows some tokens stand, as far as the statistics know them."""
        return sum(self._counts.get(token, 0) for token in tokens)


COMMON = Common()
