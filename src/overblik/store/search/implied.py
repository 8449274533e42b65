"""What a composite says without its ranges: a resource that has `code$gt5` has the code.

So an index of tokens can lead to what no index of composites does. The composite itself stays a condition.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from overblik.fhir.index.parameters import standard, standards
from overblik.fhir.query import Composites, Tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from overblik.fhir.query import Criterion
    from overblik.store.search.scope import Scope


def implied(criteria: Iterable[Criterion], scope: Scope) -> Iterator[Tokens]:
    """Walk tokens of which whatever meets the composites among some criteria has one."""
    for criterion in criteria:
        if isinstance(criterion, Composites):
            for place, code in _tokens_of(scope.type, criterion.param):
                parts = [value[place] for value in criterion.values]
                values = dict.fromkeys(part.values[0] for part in parts if isinstance(part, Tokens))
                if len(values) == 1:  # several common ones would all be collected
                    yield Tokens(code, tuple(values))


@cache
def _tokens_of(resource_type: str, composite: str) -> tuple[tuple[int, str], ...]:
    """Return (number of a component, token parameter that finds the same elements of the whole resource)."""
    param = standard(resource_type, composite)
    found = []
    for place, (_, expression) in enumerate(param.component if param is not None else ()):
        wanted = {f"{element}.{expression}" for element in _branches(param.expression if param else "", resource_type)}
        for code, other in standards(resource_type).items():
            if other.type == "token" and set(_branches(other.expression, resource_type)) == wanted:
                found.append((place, code))
    return tuple(found)


def _branches(expression: str, resource_type: str) -> list[str]:
    """Return the parts of a union that are about a type, without casts."""
    parts = (re.sub(r"^\(?(\S+) as \w+\)?$|\.as\(\w+\)$", r"\1", part.strip()) for part in expression.split("|"))
    return [part for part in parts if part.partition(".")[0] == resource_type]
