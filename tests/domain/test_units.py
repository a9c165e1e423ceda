"""Accepted codes, exact factors and what never converts."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from service.domain.units import COMPARATORS, UnknownUnit, accepted_units, convert, convertible, parse_unit


def test_comparators_are_the_four_of_the_contract() -> None:
    assert COMPARATORS == ("<", "<=", ">=", ">")


@pytest.mark.parametrize(
    ("code", "dimension", "factor"),
    [
        pytest.param("g/L", "mass/volume", Decimal(1), id="base-mass"),
        pytest.param("ng/mL", "mass/volume", Decimal("1E-6"), id="ng-per-ml"),
        pytest.param("fg/mL", "mass/volume", Decimal("1E-12"), id="fg-per-ml"),
        pytest.param("amol/L", "amount/volume", Decimal("1E-18"), id="amol"),
        pytest.param("{copies}/uL", "{copies}/volume", Decimal("1E6"), id="copies"),
        pytest.param("{particles}/mL", "{particles}/volume", Decimal("1E3"), id="particles"),
        pytest.param("{particles}/ug", "{particles}/mass", Decimal("1E6"), id="particles-per-mass"),
        pytest.param("[iU]/mL", "[iU]/volume", Decimal("1E3"), id="international"),
        pytest.param("[arb'U]/mL", "[arb'U]/volume", Decimal("1E3"), id="arbitrary"),
        pytest.param("U/mL", "U/volume", Decimal("1E3"), id="catalytic"),
        pytest.param("min", "time", Decimal(60), id="minute"),
        pytest.param("uL", "volume", Decimal("1E-6"), id="microlitre"),
        pytest.param("a", "age", Decimal(1), id="year"),
        pytest.param("%", "1", Decimal("0.01"), id="percent"),
        pytest.param("1", "1", Decimal(1), id="one"),
        pytest.param("kg/m2", "mass/area", Decimal(1), id="body-mass-index"),
        pytest.param("{Cq}", "{Cq}", Decimal(1), id="annotation"),
        pytest.param("{house_index}", "{house_index}", Decimal(1), id="any-annotation"),
    ],
)
def test_accepted_codes(code: str, dimension: str, factor: Decimal) -> None:
    unit = parse_unit(code)
    assert (unit.code, unit.dimension, unit.factor) == (code, dimension, factor)


@pytest.mark.parametrize(
    ("code", "candidates"),
    [
        pytest.param("pM", ("pmol/L",), id="molar-letter"),
        pytest.param("M", ("mol/L",), id="molar-letter-alone"),
        pytest.param("µg/mL", ("ug/mL",), id="micro-sign"),
        pytest.param("μg/mL", ("ug/mL",), id="greek-mu"),
        pytest.param("mcg/mL", ("ug/mL",), id="mcg"),
        pytest.param("NG/ML", ("ng/mL",), id="capitals"),
        pytest.param("ng/ml", ("ng/mL",), id="small-litre"),
        pytest.param("IU/mL", ("[iU]/mL",), id="iu"),
        pytest.param("AU/mL", ("[arb'U]/mL",), id="au"),
        pytest.param("{copies}/ml", ("{copies}/mL",), id="annotated-case"),
        pytest.param("copies/µL", ("{copies}/uL",), id="no-braces"),
        pytest.param("Ct", ("{Cq}",), id="ct"),
        pytest.param("MFI", ("{MFI}",), id="mfi"),
        pytest.param("years", ("a",), id="years"),
        pytest.param("furlong", (), id="nonsense"),
        pytest.param("", (), id="empty"),
        pytest.param("{}", (), id="empty-annotation"),
        pytest.param("{a b}", (), id="space-in-annotation"),
        pytest.param("{a}{b}", (), id="two-annotations"),
        pytest.param("{" + "x" * 33 + "}", (), id="annotation-too-long"),
    ],
)
def test_refused_codes_name_the_accepted_one(code: str, candidates: tuple[str, ...]) -> None:
    with pytest.raises(UnknownUnit) as caught:
        parse_unit(code)
    assert caught.value.candidates == candidates
    assert not code or code not in str(caught.value).split()


@pytest.mark.parametrize(
    ("value", "source", "target", "molar_mass", "expected"),
    [
        pytest.param(0.1, "ng/mL", "pg/mL", None, 100.0, id="decimal-digits-count"),
        pytest.param(1.1, "ug/mL", "g/L", None, 0.0011, id="to-base"),
        pytest.param(90.0, "min", "h", None, 1.5, id="time"),
        pytest.param(1.0, "min", "h", None, 1 / 60, id="not-a-decimal-fraction"),
        pytest.param(12.5, "%", "1", None, 0.125, id="percent"),
        pytest.param(3.0, "{copies}/uL", "{copies}/mL", None, 3000.0, id="copies"),
        pytest.param(66.5, "ug/L", "nmol/L", Decimal("66500"), 1.0, id="mass-to-moles"),
        pytest.param(1.0, "nmol/L", "ug/L", Decimal("66500"), 66.5, id="moles-to-mass"),
        pytest.param(-0.3, "{zscore}", "{zscore}", None, -0.3, id="same-code"),
        pytest.param(1e308, "g/L", "pg/L", None, math.inf, id="beyond-doubles"),
        pytest.param(-1e308, "g/L", "pg/L", None, -math.inf, id="beyond-doubles-negative"),
        pytest.param(np.float64(0.1), "ng/mL", "pg/mL", None, 100.0, id="numpy-scalar"),
    ],
)
def test_conversion(value: float, source: str, target: str, molar_mass: Decimal | None, expected: float) -> None:
    assert convertible(source, target, molar_mass)
    assert convert(value, source, target, molar_mass) == expected


DIMENSIONLESS = ["{Cq}", "{log2}", "{RPM}", "{NPX}", "{zscore}", "1"]


@pytest.mark.parametrize("source", DIMENSIONLESS)
@pytest.mark.parametrize("target", DIMENSIONLESS)
def test_annotations_never_convert_into_each_other(source: str, target: str) -> None:
    assert convertible(source, target, Decimal(1)) is (source == target)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        pytest.param("ng/mL", "nmol/L", id="mass-and-moles-without-molar-mass"),
        pytest.param("nmol/L", "ng/mL", id="moles-and-mass-without-molar-mass"),
        pytest.param("[iU]/mL", "[arb'U]/mL", id="arbitrary-units"),
        pytest.param("U/mL", "[iU]/mL", id="activity"),
        pytest.param("{copies}/mL", "{particles}/mL", id="copies-and-particles"),
        pytest.param("{particles}/mL", "{particles}/ug", id="per-volume-and-per-mass"),
        pytest.param("a", "h", id="years-and-hours"),
        pytest.param("ng", "ng/mL", id="mass-and-concentration"),
    ],
)
def test_units_that_do_not_meet(source: str, target: str) -> None:
    assert not convertible(source, target, None)
    with pytest.raises(ValueError, match="do not convert"):
        convert(1.0, source, target)


def test_a_molar_mass_bridges_nothing_else() -> None:
    assert not convertible("ng/mL", "{copies}/mL", Decimal(1))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_only_finite_values_convert(value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        convert(value, "ng/mL", "pg/mL")


def test_unknown_code_in_a_conversion() -> None:
    with pytest.raises(UnknownUnit):
        convertible("ng/mL", "pM", None)


def test_factors_are_exact_ratios() -> None:
    assert Fraction(parse_unit("pg/mL").factor) * 10**9 == 1


def test_accepted_units_begin_with_the_target_and_go_on_by_size() -> None:
    codes = accepted_units("ng/mL")
    assert codes[:3] == ("ng/mL", "pg/uL", "ug/L")
    assert "nmol/L" not in codes
    assert all(convertible(code, "ng/mL", None) for code in codes)
    assert "nmol/L" in accepted_units("ng/mL", Decimal("25637"))
    assert accepted_units("{zscore}") == ("{zscore}",)
