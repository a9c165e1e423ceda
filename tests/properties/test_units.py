"""Conversion is exact arithmetic with one rounding: held against fractions, round trips and chains."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.units import UnknownUnit, convert, convertible, parse_unit

EXPONENT = {"g/L": 0, "mg/L": -3, "mg/mL": 0, "ug/mL": -3, "ng/mL": -6, "pg/mL": -9, "fg/mL": -12, "ng/dL": -8}
CODES = st.sampled_from(sorted(EXPONENT))
VALUES = st.floats(min_value=-1e15, max_value=1e15).filter(lambda value: value == 0 or abs(value) > 1e-15)


@settings(deadline=None)
@given(VALUES, CODES, CODES)
def test_exact_against_fractions(value: float, source: str, target: str) -> None:
    exact = Fraction(Decimal(repr(value))) * Fraction(10) ** (EXPONENT[source] - EXPONENT[target])
    assert convert(value, source, target) == float(exact)


@settings(deadline=None)
@given(VALUES, CODES, CODES)
def test_round_trip(value: float, source: str, target: str) -> None:
    there = convert(value, source, target)
    assert convert(there, target, source) == pytest.approx(value, rel=4e-16, abs=0)


@settings(deadline=None)
@given(VALUES, CODES, CODES, CODES)
def test_a_detour_ends_where_the_direct_way_does(value: float, a: str, b: str, c: str) -> None:
    assert convert(convert(value, a, b), b, c) == pytest.approx(convert(value, a, c), rel=4e-16, abs=0)


@settings(deadline=None)
@given(st.integers(-(10**6), 10**6), CODES, CODES)
def test_order_and_sign_are_kept(number: int, source: str, target: str) -> None:
    low, high = convert(float(number), source, target), convert(float(number + 1), source, target)
    assert low < high


@settings(deadline=None)
@given(VALUES, st.decimals("0.001", "1e6", places=3))
def test_moles_and_back(value: float, molar_mass: Decimal) -> None:
    moles = convert(value, "ng/mL", "pmol/L", molar_mass)
    assert convert(moles, "pmol/L", "ng/mL", molar_mass) == pytest.approx(value, rel=4e-16, abs=0)


@settings(deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_a_unit_or_refused(a: str, b: str) -> None:
    try:
        units = parse_unit(a), parse_unit(b)
    except UnknownUnit as refusal:
        for code in refusal.candidates:
            assert parse_unit(code).code == code
    else:
        assert convertible(a, b, None) is (units[0].dimension == units[1].dimension)
