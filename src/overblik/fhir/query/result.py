"""Parameters that say how a result is shown and not what is found (https://hl7.org/fhir/R4/search.html#return)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from overblik.fhir.dates import parse_interval
from overblik.fhir.errors import Malformed
from overblik.fhir.index.catalogue import used
from overblik.fhir.index.ordering import order_paths
from overblik.fhir.index.parameters import with_customs
from overblik.fhir.query.tree import DEFAULT_COUNT, MOST_COUNT, MOST_SORTS, Sort
from overblik.fhir.query.values import refuse

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.fhir.index.catalogue import Custom

RESULT = frozenset({"_count", "_cursor", "_format", "_pretty", "_total", "_summary", "_elements", "asOf"})
TOTALS = frozenset({"none", "estimate", "accurate"})


def count(text: str) -> int:
    """Return the size of a page, at most what one page holds."""
    if text == "":
        return DEFAULT_COUNT
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise refuse("_count", "_count takes a whole number.")
    return min(int(text), MOST_COUNT)


def total(text: str) -> str:
    """Return how the matches are to be counted, "" for not at all."""
    if text and text not in TOTALS:
        raise refuse("_total", f"_total is one of {', '.join(sorted(TOTALS))}.")
    return "" if text == "none" else text


def sortable(resource_type: str) -> frozenset[str]:
    """Return the parameters that `_sort` takes: those whose values have an order."""
    return _sortable(resource_type, used().of(resource_type))


@lru_cache(maxsize=1_000)
def _sortable(resource_type: str, customs: tuple[Custom, ...]) -> frozenset[str]:
    known = with_customs(resource_type, customs)
    ordered = {c for c, param in known.items() if param.type in _ORDERED or order_paths(param, resource_type)}
    return _OF_EVERY_TYPE | ordered


_ORDERED = frozenset({"date", "number", "quantity", "string"})
_OF_EVERY_TYPE = frozenset({"_id", "_lastUpdated"})


def sort(resource_type: str, text: str) -> tuple[Sort, ...]:
    """Return the keys of `_sort`, () where one of them is none."""
    keys = tuple(Sort(part.removeprefix("-"), part.startswith("-")) for part in text.split(",")) if text else ()
    known = sortable(resource_type)
    return keys if len(keys) <= MOST_SORTS and all(key.param in known for key in keys) else ()


def as_of(text: str) -> datetime | None:
    """Return the instant that `asOf` means, None for now; a bare date means when that day ended."""
    found = parse_interval(text.replace(" ", "+")) if text else None
    if text and found is None:
        say = "asOf takes a date or instant, such as 2026-11-22T10:00:00Z."
        raise Malformed("as-of-invalid", say, expression="http.asOf")
    return None if found is None else found.start if "T" in text else found.end
