"""Units the product accepts, in UCUM, with exact factors.

Rules:
1. A code is accepted in one spelling only; `ml`, `µg/mL`, `NG/ML` and `pM` are refused with the accepted code named.
2. UCUM ignores annotations, the product does not: `{Cq}`, `{log2}`, `{zscore}` and `1` are all dimensionless to UCUM
   and mean different things. An annotation is a dimension of its own and converts only into itself.
3. Arbitrary units (`[arb'U]`, `[iU]`) and catalytic activity (`U`) never convert into each other.
4. A mass and an amount of substance meet only through a molar mass that the model states.
5. A quantification cycle falls as the amount rises; every other unit rises with it. MIQE (doi
   10.1373/clinchem.2008.112797) names Ct and Cp as other words for Cq.
6. A conversion is exact on the decimal digits that were sent and is rounded once, to the nearest double.

Source of codes: UCUM essence 2.2.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

COMPARATORS = ("<", "<=", ">=", ">")

_MASS = {
    "kg": "1E3",
    "g": "1",
    "mg": "1E-3",
    "ug": "1E-6",
    "ng": "1E-9",
    "pg": "1E-12",
    "fg": "1E-15",
    "ag": "1E-18",
}
_AMOUNT = {
    "mol": "1",
    "mmol": "1E-3",
    "umol": "1E-6",
    "nmol": "1E-9",
    "pmol": "1E-12",
    "fmol": "1E-15",
    "amol": "1E-18",
}
_VOLUME = {"L": "1", "dL": "1E-1", "mL": "1E-3", "uL": "1E-6"}
_OTHER = {
    "1": ("1", "1"),
    "%": ("1", "1E-2"),
    "s": ("time", "1"),
    "min": ("time", "60"),
    "h": ("time", "3600"),
    "d": ("time", "86400"),
    # Years are kept apart from hours: an age is never converted, and a year has no exact length in practice.
    "a": ("age", "1"),
    "kg/m2": ("mass/area", "1"),
    "[arb'U]": ("[arb'U]", "1"),
    "[iU]": ("[iU]", "1"),
    "U": ("U", "1"),
}
# UCUM annotations are printable ASCII between braces; the length bound keeps a caller's text out of the tables.
_ANNOTATION = re.compile(r"\{[!-z|~]{1,32}\}")

_SPELLINGS = {
    "au/ml": "[arb'U]/mL",
    "iu/ml": "[iU]/mL",
    "iu/l": "[iU]/L",
    "copies/ul": "{copies}/uL",
    "copies/ml": "{copies}/mL",
    "copies/l": "{copies}/L",
    "particles/ul": "{particles}/uL",
    "particles/ml": "{particles}/mL",
    "particles/l": "{particles}/L",
    "particles/ug": "{particles}/ug",
    "cq": "{Cq}",
    "ct": "{Cq}",
    "log2": "{log2}",
    "log10": "{log10}",
    "rpm": "{RPM}",
    "cpm": "{CPM}",
    "npx": "{NPX}",
    "zscore": "{zscore}",
    "z-score": "{zscore}",
    "mfi": "{MFI}",
    "au": "[arb'U]",
    "iu": "[iU]",
    "ratio": "1",
    "percent": "%",
    "minutes": "min",
    "hours": "h",
    "hr": "h",
    "years": "a",
    "y": "a",
    "kg/m^2": "kg/m2",
    "kg/m²": "kg/m2",
} | {f"{prefix}m": f"{prefix}mol/L" for prefix in ("", "m", "u", "n", "p", "f", "a")}


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: `factor` times the base unit of `dimension` (g, mol, L, s, or the annotation itself)."""

    code: str
    dimension: str
    factor: Decimal


_CYCLES = frozenset({"{cq}", "{ct}", "{cp}"})


def counts_cycles(code: str) -> bool:
    """Whether `code` is a quantification cycle, so that the greater number is the smaller amount."""
    return code.casefold() in _CYCLES


class UnknownUnit(ValueError):
    """The code is not one the product accepts. `candidates` are accepted codes it may have meant; it is not quoted."""

    def __init__(self, candidates: tuple[str, ...]) -> None:
        super().__init__("The unit is not a UCUM code the service accepts.")
        self.candidates = candidates


def _table() -> dict[str, Unit]:
    units = {code: Unit(code, dimension, Decimal(factor)) for code, (dimension, factor) in _OTHER.items()}
    simple = (("mass", _MASS), ("amount", _AMOUNT), ("volume", _VOLUME))
    units |= {code: Unit(code, name, Decimal(factor)) for name, table in simple for code, factor in table.items()}
    numerators = [unit for unit in units.values() if unit.dimension in {"mass", "amount", "[arb'U]", "[iU]", "U"}]
    numerators += [Unit(code, code, Decimal(1)) for code in ("{copies}", "{particles}")]
    for numerator in numerators:
        denominators = _VOLUME if numerator.code != "{particles}" else _VOLUME | _MASS
        for code, factor in denominators.items():
            name = "mass" if code in _MASS else "volume"
            ratio = Unit(
                f"{numerator.code}/{code}", f"{numerator.dimension}/{name}", numerator.factor / Decimal(factor)
            )
            units[ratio.code] = ratio
    return units


_UNITS = _table()
_FOLDED = {code.casefold(): code for code in _UNITS} | _SPELLINGS


def parse_unit(code: str) -> Unit:
    """The unit of an accepted code; `UnknownUnit` with the accepted codes it may have meant otherwise."""
    unit = _UNITS.get(code)
    if unit is not None:
        return unit
    if _ANNOTATION.fullmatch(code):
        return Unit(code, code, Decimal(1))
    folded = code.strip().replace("µ", "u").replace("μ", "u").casefold().replace("mcg", "ug")
    meant = _FOLDED.get(folded.removeprefix("{").removesuffix("}")) or _FOLDED.get(folded)
    raise UnknownUnit(() if meant is None else (meant,))


# Asked twice for every value in another unit; laboratories send few different ones.
@lru_cache(maxsize=1024)
def _ratio(source: Unit, target: Unit, molar_mass: Decimal | None) -> Fraction | None:
    """The exact number a value in `source` is multiplied by to give `target`, or None where the two do not meet."""
    ratio = Fraction(source.factor) / Fraction(target.factor)
    if source.dimension == target.dimension:
        return ratio
    if molar_mass is None:
        return None
    if (source.dimension, target.dimension) == ("mass/volume", "amount/volume"):
        return ratio / Fraction(molar_mass)
    if (source.dimension, target.dimension) == ("amount/volume", "mass/volume"):
        return ratio * Fraction(molar_mass)
    return None


def convertible(a: str, b: str, molar_mass: Decimal | None) -> bool:
    """Whether a value in `a` can be stated in `b`; `molar_mass` in g/mol. `UnknownUnit` for an unknown code."""
    return a == b or _ratio(parse_unit(a), parse_unit(b), molar_mass) is not None


def convert(value: float, source: str, target: str, molar_mass: Decimal | None = None) -> float:
    """`value` of `source` stated in `target`, exact on the shortest decimal form of `value` and rounded once.

    The same code gives the value back unchanged. A result beyond the doubles is an infinity, which no range accepts.
    `ValueError` where the units do not meet or `value` is not finite; `UnknownUnit` for an unknown code.
    """
    if source == target:
        return value
    ratio = _ratio(parse_unit(source), parse_unit(target), molar_mass)
    if ratio is None or not math.isfinite(value):
        raise ValueError("The units do not convert into each other, or the value is not finite.")
    numerator, denominator = Decimal(repr(float(value))).as_integer_ratio()
    try:
        # Python divides integers of any length exactly and rounds once.
        return numerator * ratio.numerator / (denominator * ratio.denominator)
    except OverflowError:
        return math.copysign(math.inf, value)


# Asked once for every wrong unit of a request, always for the few units of a panel.
@lru_cache(maxsize=1024)
def accepted_units(target: str, molar_mass: Decimal | None = None) -> tuple[str, ...]:
    """Every code of the product that converts into `target`: `target` first, then the nearest in size."""
    unit = parse_unit(target)
    ratios = {code: _ratio(other, unit, molar_mass) for code, other in _UNITS.items() if code != target}
    sizes = {code: abs(math.log10(ratio)) for code, ratio in ratios.items() if ratio is not None}
    return (target, *sorted(sizes, key=lambda code: (sizes[code], code)))
