"""The query tree: frozen values that say what is asked, and nothing of how it is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from overblik.fhir.index.catalogue import STANDARD, Catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from decimal import Decimal

    from overblik.fhir.dates import Interval
    from overblik.fhir.query.includes import Include

DEFAULT_COUNT = 50
MOST_COUNT = 1000
MOST_CRITERIA = 16
MOST_SORTS = 4
MOST_VALUES = 20
"""Values with a prefix in one parameter."""


class Base(NamedTuple):
    """The base units of an amount (`fhir/units.py`), such as `g.m-3`."""

    units: str


class Amount(NamedTuple):
    """A number as asked for: the value, and the bounds its digits imply, or those of `ap`."""

    value: Decimal
    lo: Decimal
    hi: Decimal


class Circle(NamedTuple):
    """What lies within `metres` of a place, which is given in degrees."""

    latitude: Decimal
    longitude: Decimal
    metres: float


@dataclass(frozen=True, slots=True)
class Ids:
    """`_id=a,b`."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Patients:
    """`patient=…`: by id of any of the record's Patient resources, by identifier, or by a criterion."""

    ids: tuple[str, ...] = ()
    identifiers: tuple[tuple[str, str], ...] = ()
    matching: Criterion | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """`code=system|value,…`; None for a part means *any*, "" means *without*."""

    param: str
    values: tuple[tuple[str | None, str | None], ...]


@dataclass(frozen=True, slots=True)
class Links:
    """`encounter=…`, `url=…`: each of `values` is a reference or uri as it is kept."""

    param: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dates:
    """`date=ge2026-01-01,…`: prefixes with the interval asked for."""

    param: str
    values: tuple[tuple[str, Interval], ...]


@dataclass(frozen=True, slots=True)
class Updated:
    """`_lastUpdated=ge2026-01-01,…`."""

    values: tuple[tuple[str, Interval], ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """`probability=gt0.8`, `value-quantity=5.4|system|mg`; a unit of None is *any*, its system of None too.

    A unit of UCUM that can be converted is its base: the amount is in base units then.
    """

    param: str
    values: tuple[tuple[str, Amount, tuple[str | None, str] | Base | None], ...]

    @property
    def measured(self) -> tuple[bool, ...]:
        """Say of each value whether it is in base units."""
        return tuple(isinstance(unit, Base) for _, _, unit in self.values)


How = Literal["begins", "inside", "ends", "whole", "gt", "lt", "ge", "le"]
"""How a text is compared: with a part of it, as a whole, or by the code points of both."""


@dataclass(frozen=True, slots=True)
class Near:
    """`near=55.7|12.6|5|km,…`."""

    param: str
    values: tuple[Circle, ...]


@dataclass(frozen=True, slots=True)
class Strings:
    """`name=jens,…`: folded; what begins so is found, or what compares so in another way."""

    param: str
    values: tuple[str, ...]
    how: How = "begins"


@dataclass(frozen=True, slots=True)
class Words:
    """`code:text=head`, `url:below=…`: the texts of tokens, as a whole or as they begin."""

    param: str
    whole: tuple[str, ...] = ()
    beginnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Composites:
    """`code-value-quantity=c$gt5,…`: each value is one part a component, all of one element."""

    param: str
    values: tuple[tuple[Tokens | Links | Dates | Numbers | Strings, ...], ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """`date:missing=true`."""

    param: str
    missing: bool


@dataclass(frozen=True, slots=True)
class Not:
    """`code:not=…`: the criterion does not hold, as where there is no value."""

    criterion: Criterion


@dataclass(frozen=True, slots=True)
class Either:
    """One of the criteria holds."""

    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Every one of the criteria holds."""

    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """`encounter.class=IMP`: the parameter refers to a resource of a type of which the criterion holds."""

    param: str
    type: str
    criterion: Criterion


@dataclass(frozen=True, slots=True)
class Has:
    """`_has:Observation:performer:code=…`: a resource of a type refers here and the criterion holds of it.

    A `param` of "" means that it is of the same patient.
    """

    type: str
    param: str
    criterion: Criterion


Coded = Tokens | Links | Words
Ranged = Dates | Numbers | Strings


@dataclass(frozen=True, slots=True)
class FullText:
    """`_text=…` and, where `whole`, `_content=…`: Danish words of the narrative, or of every text of a resource."""

    words: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Levels:
    """`location:below=42`: refers to one of `start`, each (type, id), or to what is below it, or above it (`up`)."""

    param: str
    up: bool
    start: tuple[tuple[str, str], ...]


Own = Levels | FullText | Ids | Patients | Coded | Ranged | Near | Updated | Composites | Missing
Criterion = Own | Not | Either | All | Chain | Has


def passed(criteria: Iterable[Criterion], *, named: bool = True) -> Iterator[str]:
    """Walk the types of the resources that criteria pass through; without `named`, not a Patient that an id names."""
    for criterion in criteria:
        match criterion:
            case Chain(_, kind, inner) | Has(kind, _, inner):
                yield kind
                yield from passed([inner], named=named)
            case Patients():
                if named or not criterion.ids:
                    yield "Patient"
                yield from passed([criterion.matching] if criterion.matching is not None else [], named=named)
            case Not(inner):
                yield from passed([inner], named=named)
            case Either(several) | All(several):
                yield from passed(several, named=named)


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of `_sort=param,-param`."""

    param: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A search of one type: every criterion must hold; within one, any value will do.

    The order is by `sort`, without any by the type's headline date, newest first. `total` is "estimate" or
    "accurate" where the matches are to be counted, `as_of` the past moment that is asked about. `includes` are
    the links that a page follows. `catalogue` has the parameters that it names beside the standard's.
    `known` is for what has been worked out from all this alone, such as its statement.
    """

    type: str
    criteria: tuple[Criterion, ...]
    count: int = DEFAULT_COUNT
    cursor: str = ""
    applied: tuple[tuple[str, str], ...] = ()
    sort: tuple[Sort, ...] = ()
    total: str = ""
    as_of: datetime | None = None
    includes: tuple[Include, ...] = ()
    catalogue: Catalogue = field(default=STANDARD, compare=False)
    known: dict[Any, Any] = field(init=False, default_factory=dict, compare=False, repr=False)


def searched(query: Query) -> frozenset[str]:
    """Return every type whose contents a search asks about: its own, and those that its criteria pass through.

    A Patient's id only says which record is meant, and asks nothing of the Patient; in the past it is looked up there.
    """
    return frozenset({query.type, *passed(query.criteria, named=query.as_of is not None)})
