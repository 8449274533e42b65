"""Units as exact factors of base units (docs/decisions/016-units.md)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overblik.fhir.units import LONGEST, Unit, unit


@pytest.mark.parametrize(
    ("code", "base", "factor"),
    [("mg", "g", "1/1000"), ("kg", "g", "1000"), ("[lb_av]", "g", "453.59237"), ("cm", "m", "1/100"),
     ("mg/dL", "g.m-3", "10"), ("g%", "g.m-3", "10000"), ("mmol/L", "m-3.mol", "1"), ("mol/l", "m-3.mol", "1000"),
     ("mm[Hg]", "g.m-1.s-2", "133322"), ("kPa", "g.m-1.s-2", "1000000"), ("cd", "cd", "1"), ("Pa", "g.m-1.s-2", "1000"),
     ("/min", "s-1", "1/60"), ("{beats}/min", "s-1", "1/60"), ("a", "s", "31557600"), ("mo", "s", "2629800"),
     ("%", "1", "1/100"), ("{score}", "1", "1"), ("10*3/uL", "m-3", "1000000000000"),
     ("10*9/L", "m-3", "1000000000000"),
     ("[IU]/mL", "[iU].m-3", "1000000"), ("m[IU]/L", "[iU].m-3", "1"), ("[CFU]/mL", "[CFU].m-3", "1000000"),
     ("mL/min/{1.73_m2}", "m3.s-1", "1/60000000"), ("12.mg", "g", "12/1000"), ("1/(4.m)", "m-1", "1/4"),
     ("J/kg", "m2.s-2", "1"), ("kg.m/(s2)", "g.m.s-2", "1000"), ("m/m", "1", "1")],
)  # fmt: skip
def test_a_unit_is_a_factor_of_its_base(code: str, base: str, factor: str) -> None:
    assert unit(code) == Unit(base, Fraction(factor))


@pytest.mark.parametrize(
    ("value", "code", "kelvin"),
    [("37.0", "Cel", "310.15"), ("98.6", "[degF]", "310.15"), ("0", "K", "0"), ("-40", "[degF]", "233.15"),
     ("-40", "Cel", "233.15"), ("80", "[degRe]", "373.15"), ("37000", "mCel", "310.15")],
)  # fmt: skip
def test_temperatures_have_their_zero(value: str, code: str, kelvin: str) -> None:
    known = unit(code)
    assert known is not None
    assert (known.base, known.convert(Decimal(value))) == ("K", Decimal(kelvin))


@pytest.mark.parametrize(
    "code",
    ["", "kilo", "mmHg", "GM", "[pH]", "dB", "Np", "%[slope]", "Cel/h", "Cel2", "m99", "/0mg", "kg/", "m m", "mg²",
     "(m", "{", "m" * (LONGEST + 1), "\x00", "http://unitsofmeasure.org"],
)  # fmt: skip
def test_what_is_not_converted_is_none(code: str) -> None:
    assert unit(code) is None


@given(st.text(st.sampled_from("mgLs/.()10*-+{}[]IU%k'"), max_size=LONGEST))
def test_any_text_is_a_unit_or_none(code: str) -> None:
    known = unit(code)
    assert known is None or known.factor > 0


@given(
    st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=4), min_size=2),
    st.sampled_from(("/min", "mo", "[degF]")),
)
def test_converting_keeps_the_order(values: list[Decimal], code: str) -> None:
    known = unit(code)
    assert known is not None
    assert [known.convert(v) for v in sorted(values)] == sorted(known.convert(v) for v in values)
    assert known.convert(Decimal("-Infinity")) == Decimal("-Infinity")
