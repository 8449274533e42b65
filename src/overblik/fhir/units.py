"""Units of measure as exact factors of base units (UCUM, https://ucum.org/ucum).

`ucumvert` parses a code and brings UCUM's own table. What pint makes of it is not used: it computes in
floating point and takes every arbitrary unit for the number one.

Two choices, so that only what measures the same thing compares:
- an arbitrary unit ([IU], [CFU], …) is a base of its own, as UCUM asks for;
- so is mol, which UCUM holds to be a number: a bound in mmol/L would find counts of cells too.

Temperatures have a zero of their own. Units on other scales (pH, decibel, …) are not converted.
"""

from __future__ import annotations

from contextvars import ContextVar
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

UCUM = "http://unitsofmeasure.org"
LONGEST = 40
"""Characters of a code that is parsed: the parser's work grows faster than its input."""
HIGHEST = 30
"""The greatest power of a unit that is computed."""
DIGITS = 40
"""Digits to which a converted value is rounded, half to even: rounding keeps the order of values."""
_ROUND = Context(prec=DIGITS)
_ZEROES = {"Cel": Fraction("273.15"), "[degF]": Fraction("459.67") * 5 / 9, "[degRe]": Fraction("273.15")}
"""In kelvin, where a temperature's scale has its zero."""


class Unit(NamedTuple):
    """A value of x units is x · `factor` + `zero` of the `base`, such as `g.m-3`; "1" for a mere number."""

    base: str
    factor: Fraction
    zero: Fraction = Fraction(0)

    def convert(self, value: Decimal) -> Decimal:
        """Return a value in base units; infinite ones stay so."""
        if not value.is_finite():
            return value
        exact = Fraction(value) * self.factor + self.zero
        return _ROUND.divide(Decimal(exact.numerator), Decimal(exact.denominator))


class Bound:
    """Bounds the units that are met inside its blocks, by the characters of their codes, each code once.

    A long code takes some 15 ms to parse, and whoever writes or asks could name any number of them; `error` is raised
    where they are too many.
    """

    def __init__(self, most: int, error: Exception) -> None:
        self._met: set[str] = set()
        self._left = most
        self._error = error

    def __enter__(self) -> None:
        self._outer = _bound.set(self)

    def __exit__(self, *_: object) -> None:
        _bound.reset(self._outer)

    def meet(self, code: str) -> None:
        """Count a code."""
        if code not in self._met:
            self._met.add(code)
            self._left -= len(code)
        if self._left < 0:
            raise self._error


_bound: ContextVar[Bound | None] = ContextVar("bound", default=None)


def unit(code: str) -> Unit | None:
    """Return what a UCUM code stands for, None for what is no code, or on a scale that is not converted.

    >>> unit("mg/dL")
    Unit(base='g.m-3', factor=Fraction(10, 1), zero=Fraction(0, 1))
    """
    if not code or len(code) > LONGEST or not code.isascii():
        return None
    if (bound := _bound.get()) is not None:
        bound.meet(code)
    return _parsed(code)


@lru_cache(maxsize=5000)
def _parsed(code: str) -> Unit | None:
    from lark.exceptions import LarkError  # noqa: PLC0415 - with pint a third of a second, where units are met

    try:
        found = _main(_parser()(code))
    except (LarkError, _Unknown):
        return None
    powers = [base if power == 1 else f"{base}{power}" for base, power in sorted(found.powers.items()) if power]
    return Unit(".".join(powers) or "1", found.factor, found.zero)


def warm() -> None:
    """Make the table before it is needed."""
    unit("mg/dL")


class _Unknown(Exception):
    """A unit that is not converted."""


class _Part(NamedTuple):
    """A part of a unit: its factor, and the power of each base."""

    factor: Fraction
    powers: dict[str, int]
    zero: Fraction = Fraction(0)


_ONE = _Part(Fraction(1), {})


@cache
def _parser() -> Callable[[str], Any]:
    from ucumvert.parser import get_ucum_parser  # noqa: PLC0415 - as above

    return get_ucum_parser().parse  # type: ignore[no-any-return]  # the library has no types


def _main(tree: Any) -> _Part:
    """Evaluate a parse tree: a rule with children, or the token of an annotation, which has no meaning."""
    return _ONE if isinstance(tree, str) else _RULES[tree.data](tree.children)


def _simple(parts: list[Any]) -> _Part:
    *prefix, atom = map(str, parts)
    if atom.isdigit():
        return _Part(Fraction(int(atom)), {})
    found = _atom(atom)
    return found._replace(factor=found.factor * _prefixes()[prefix[0]]) if prefix else found


def _product(one: _Part, other: _Part, sign: int) -> _Part:
    if one.zero or other.zero:
        raise _Unknown
    powers = dict(one.powers)
    for base, power in other.powers.items():
        powers[base] = powers.get(base, 0) + sign * power
    return _Part(one.factor * other.factor**sign, powers)


def _power(one: _Part, power: int) -> _Part:
    if abs(power) > HIGHEST or one.zero:
        raise _Unknown
    return _Part(one.factor**power, {base: own * power for base, own in one.powers.items()})


_RULES: dict[str, Callable[[list[Any]], _Part]] = {
    "main_term": lambda parts: _main(parts[0]) if len(parts) == 1 else _product(_ONE, _main(parts[1]), -1),
    "term": lambda parts: _product(_main(parts[0]), _main(parts[2]), -1 if parts[1] == "/" else 1),
    "component": lambda parts: _main(parts[0]),
    "annotatable": lambda parts: _power(_main(parts[0]), int(parts[1])),
    "simple_unit": _simple,
}


@cache
def _atom(code: str) -> _Part:
    """Evaluate one unit of UCUM's table, by the unit that defines it."""
    stated = _table().get(code)
    if stated is None or code == "mol":
        return _Part(Fraction(1), {code: 1})
    if code in _ZEROES:
        return _Part(
            Fraction(1) if code == "Cel" else Fraction(5, 9 if code == "[degF]" else 4), {"K": 1}, _ZEROES[code]
        )
    if stated.is_special:
        raise _Unknown
    if stated.is_arbitrary and stated.defining_unit == "1":
        return _Part(Fraction(1), {code: 1})
    within = _main(_parser()(stated.defining_unit))
    return within._replace(factor=within.factor * Fraction(str(stated.conversion_factor)))


@cache
def _table() -> dict[str, Any]:
    """Return UCUM's table of units but the base ones, by code."""
    from ucumvert.xml_util import get_units_with_full_definition  # noqa: PLC0415 - as above

    return {known.code_cs: known for known in get_units_with_full_definition()}


@cache
def _prefixes() -> dict[str, Fraction]:
    from ucumvert.xml_util import root  # noqa: PLC0415 - as above

    return {
        known.attrib["Code"]: Fraction(known.find("{*}value").attrib["value"]) for known in root.findall("{*}prefix")
    }
