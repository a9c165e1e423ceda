"""Calibration as a step of its own: from the linear score to a probability, by one curve or the mean of several.

A single sigmoid needs no step, because it is folded into the coefficients. What cannot be folded stands here: an
isotonic curve, and the mean of the curves that were fitted on the folds of a cohort over one common linear part. The
terms stay additive; the number they add up to is the answer's `raw`. Parameters are those scikit-learn fitted, and so
is the arithmetic: `IsotonicRegression` clips what lies outside, `CalibratedClassifierCV` takes the arithmetic mean.

One number and many go through the same numpy functions, so a row has the same bits alone and among many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from service.registry.manifest_estimator import Calibration, Parameters
from service.registry.sigmoid import sigmoid, sigmoid_of_one
from service.registry.transforms import Floats

ISOTONIC, FOLD_AVERAGED = "isotonic", "fold_averaged"
STEPS = frozenset({ISOTONIC, FOLD_AVERAGED})
"""The calibration methods that are a step of their own."""


class Curve(Protocol):
    """A monotone function of the raw score."""

    def of_many(self, raw: Floats) -> Floats:
        """Its values (n,) in [0, 1]."""
        ...

    def of_one(self, raw: float) -> float:
        """Its value for one number, with the bits it has among many."""
        ...


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """1 / (1 + exp(-(slope * raw + intercept)))."""

    slope: float
    intercept: float

    def of_many(self, raw: Floats) -> Floats:
        """As `Curve.of_many`."""
        with np.errstate(over="ignore"):  # the sigmoid of an infinity is 0 or 1
            return sigmoid(raw * self.slope + self.intercept)

    def of_one(self, raw: float) -> float:
        """As `Curve.of_one`."""
        return sigmoid_of_one(raw * self.slope + self.intercept)


class Isotonic:
    """Linear between the points (x, y), x ascending; before the first and after the last as at them."""

    def __init__(self, x: tuple[float, ...], y: tuple[float, ...]) -> None:
        self.x, self.y = x, y
        # Adding 0.0 makes a negative zero positive: SQLite would not give its sign back.
        self._x, self._y = np.array(x, dtype=np.float64), np.array(y, dtype=np.float64) + 0.0

    def of_many(self, raw: Floats) -> Floats:
        """As `Curve.of_many`."""
        # Rounding may carry an interpolated value past its neighbour.
        return np.minimum(np.interp(raw, self._x, self._y), 1.0)

    def of_one(self, raw: float) -> float:
        """As `Curve.of_one`."""
        return min(float(np.interp(raw, self._x, self._y)), 1.0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Isotonic) and (self.x, self.y) == (other.x, other.y)

    def __hash__(self) -> int:
        return hash((self.x, self.y))


@dataclass(frozen=True, slots=True)
class CalibrationStep:
    """The mean of `curves`, one of them for `isotonic`."""

    method: str
    curves: tuple[Curve, ...]

    def of_many(self, raw: Floats) -> Floats:
        """Calibrated values (n,) of raw scores (n,)."""
        total = np.zeros(len(raw), dtype=np.float64)
        for curve in self.curves:
            total += curve.of_many(raw)
        return np.asarray(total / len(self.curves), dtype=np.float64)

    def of_one(self, raw: float) -> float:
        """The calibrated value of one raw score, with the bits it has among many."""
        total = 0.0
        for curve in self.curves:
            total += curve.of_one(raw)
        return total / len(self.curves)

    def between(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """The least and the largest value (n,) that raw scores from `low` to `high` can have: each curve is monotone,
        whichever way it goes."""
        least, largest = np.zeros(len(low)), np.zeros(len(low))
        for curve in self.curves:
            ends = (curve.of_many(low), curve.of_many(high))
            least += np.minimum(*ends)
            largest += np.maximum(*ends)
        return least / len(self.curves), largest / len(self.curves)

    def between_one(self, low: float, high: float) -> tuple[float, float]:
        """`between` for one score, with the bits it has among many."""
        least = largest = 0.0
        for curve in self.curves:
            one, other = curve.of_one(low), curve.of_one(high)
            least += min(one, other)
            largest += max(one, other)
        return least / len(self.curves), largest / len(self.curves)

    def bounds(self, raw: Floats, margin: float) -> tuple[Floats, Floats]:
        """`between` for raw scores within `margin` of `raw`."""
        return self.between(raw - margin, raw + margin)

    def parameters(self) -> dict[str, list[float] | list[list[float]]]:
        """The step's parameters as a manifest holds them."""
        sigmoids = [curve for curve in self.curves if isinstance(curve, Sigmoid)]
        if sigmoids:
            return {"slope": [s.slope for s in sigmoids], "intercept": [s.intercept for s in sigmoids]}
        x, y = ([list(getattr(curve, axis)) for curve in self.curves] for axis in "xy")
        return {"x": x[0], "y": y[0]} if self.method == ISOTONIC else {"x": x, "y": y}


def calibration_step(calibration: Calibration) -> CalibrationStep | None:
    """The step a manifest names; None where calibration is none or was folded into the coefficients.

    The parameters must have passed `manifest_calibration.check_calibration`.
    """
    parameters = calibration.parameters
    if calibration.method == ISOTONIC:
        return CalibrationStep(ISOTONIC, (Isotonic(numbers(parameters["x"]), numbers(parameters["y"])),))
    if calibration.method != FOLD_AVERAGED:
        return None
    if "slope" in parameters:
        pairs = zip(numbers(parameters["slope"]), numbers(parameters["intercept"]), strict=True)
        return CalibrationStep(FOLD_AVERAGED, tuple(Sigmoid(*pair) for pair in pairs))
    curves = zip(lists(parameters["x"]), lists(parameters["y"]), strict=True)
    return CalibrationStep(FOLD_AVERAGED, tuple(Isotonic(x, y) for x, y in curves))


def numbers(value: Parameters) -> tuple[float, ...]:
    """`value` where it is a list of numbers. Raises TypeError for any other form."""
    if isinstance(value, tuple):
        return tuple(_number(item) for item in value)
    raise TypeError("a list of numbers is needed")


def lists(value: Parameters) -> tuple[tuple[float, ...], ...]:
    """`value` where it is a list of lists of numbers. Raises TypeError for any other form."""
    if isinstance(value, tuple) and all(isinstance(item, tuple) for item in value):
        return tuple(numbers(item) for item in value)
    raise TypeError("a list of lists of numbers is needed")


def _number(value: float | tuple[float, ...]) -> float:
    if isinstance(value, tuple):
        raise TypeError("a number is needed")
    return value
