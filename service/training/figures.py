"""The figures of one set of predictions, with weights, as one vector: what an interval is needed for.

Weights are how often a row counts in a bootstrap sample. A figure that has no value, such as a calibration slope where
all predictions are equal, is NaN. Sources: area under the curve as the share of pairs in the right order; calibration
as logistic recalibration of the outcome on the logit (ideal slope 1, intercept 0); net benefit as in decision curves,
true positives less false positives at the odds of the threshold, per person (doi 10.1177/0272989X06295361).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.training.cohort import Flags, Floats
from service.training.logistic import sigmoid

_LOGIT_LIMIT = 30.0
_STEPS = 30
_STEEPEST = 100.0


@dataclass(frozen=True, slots=True)
class FigurePlan:
    """Which figures are asked for: `cut_points` of the rule (1 or 2), `prevalences`, `thresholds` of net benefit."""

    cut_points: int
    prevalences: tuple[float, ...]
    thresholds: tuple[float, ...]

    @property
    def called(self) -> tuple[str, ...]:
        """The key of the sensitivity at each cut-point, the lowest first."""
        sides = ("",) if self.cut_points == 1 else (" at the lower cut-point", " at the upper cut-point")
        return tuple(f"sensitivity{side}" for side in sides)

    @property
    def names(self) -> tuple[str, ...]:
        """The figures' keys, in the order of the vector."""
        names = ["AUC", "Brier score", "calibration slope", "calibration intercept"]
        names += [key.replace("sensitivity", share) for key in self.called for share in ("sensitivity", "specificity")]
        for prevalence in self.prevalences:
            names += [f"PPV at {prevalence:g}", f"NPV at {prevalence:g}"]
        names += ["indeterminate share"] if self.cut_points > 1 else []
        return (*names, *(f"net benefit at {threshold:g}" for threshold in self.thresholds))


def figures(logit: Floats, positive: Flags, weights: Floats, cut_points: Floats, plan: FigurePlan) -> Floats:
    """The vector of `plan` for `logit` (n,), judged at `cut_points` (n, 1 or 2): each row at the ones it was given."""
    predicted = sigmoid(logit)
    slope, intercept = recalibration(logit, positive, weights)
    found = [area(logit, positive, weights), _mean((predicted - positive) ** 2, weights), slope, intercept]
    called = predicted[:, np.newaxis] >= cut_points
    shares = [(_mean(side, weights * positive), 1.0 - _mean(side, weights * ~positive)) for side in called.T]
    found += [share for pair in shares for share in pair]
    sure = _corrected(shares, weights, positive)
    for prevalence in plan.prevalences:
        # A positive answer is one at or above the upper cut-point, a negative one below the lower.
        found += [_ppv(*sure[-1], prevalence), _npv(*sure[0], prevalence)]
    if plan.cut_points > 1:
        found.append(_mean(called[:, 0] & ~called[:, -1], weights))
    found += [net_benefit(predicted, positive, weights, threshold) for threshold in plan.thresholds]
    return np.array(found, dtype=np.float64)


def reported(runs: Floats, positive: Flags, plan: FigurePlan) -> Floats:
    """The vector (m,) that is reported of `runs` (r, m): their mean, and predictive values from the mean shares.

    A predictive value is no straight line in sensitivity and specificity: the mean of the runs' own would contradict
    the shares it is printed beside, by half where a condition is rare.
    """
    finite = np.isfinite(runs)
    # A figure that no run has stays NaN.
    found = np.where(finite, runs, 0.0).sum(axis=0) / np.where(finite.any(axis=0), finite.sum(axis=0), np.nan)
    place = {name: index for index, name in enumerate(plan.names)}
    places = [(place[key], place[key.replace("sensitivity", "specificity")]) for key in plan.called]
    pairs = [(found[sensitivity], found[specificity]) for sensitivity, specificity in places]
    sure = _corrected(pairs, np.ones(len(positive)), positive)
    for prevalence in plan.prevalences:
        found[place[f"PPV at {prevalence:g}"]] = _ppv(*sure[-1], prevalence)
        found[place[f"NPV at {prevalence:g}"]] = _npv(*sure[0], prevalence)
    return np.asarray(found, dtype=np.float64)


def area(score: Floats, positive: Flags, weights: Floats) -> float:
    """The weighted share of (positive, negative) pairs in which the positive scores higher; ties count half."""
    values, place = np.unique(score, return_inverse=True)
    cases = np.bincount(place, weights=weights * positive, minlength=len(values))
    controls = np.bincount(place, weights=weights * ~positive, minlength=len(values))
    below = np.cumsum(controls) - controls
    return float((cases * (below + 0.5 * controls)).sum() / (cases.sum() * controls.sum()))


def recalibration(logit: Floats, positive: Flags, weights: Floats) -> tuple[float, float]:
    """Slope and intercept of the outcome on `logit`; NaN where they do not exist."""
    x = np.clip(logit, -_LOGIT_LIMIT, _LOGIT_LIMIT)
    rate = float((weights * positive).sum() / weights.sum())
    slope, intercept = 0.0, float(np.log(rate / (1.0 - rate)))
    for _ in range(_STEPS):
        chance = sigmoid(slope * x + intercept)
        residual, curve = weights * (positive - chance), weights * chance * (1.0 - chance)
        a, b, c = float((curve * x * x).sum()), float((curve * x).sum()), float(curve.sum())
        determinant = a * c - b * b
        if not determinant > 1e-12 * max(a * c, 1e-300):
            return float("nan"), float("nan")
        by_slope, by_intercept = float((residual * x).sum()), float(residual.sum())
        step = (c * by_slope - b * by_intercept) / determinant
        slope, intercept = slope + step, intercept + (a * by_intercept - b * by_slope) / determinant
        if abs(slope) > _STEEPEST:
            return float("nan"), float("nan")
        if abs(step) < 1e-8 * max(1.0, abs(slope)):
            return slope, intercept
    # Classes told apart by a threshold: the slope grows for ever.
    return float("nan"), float("nan")


def net_benefit(predicted: Floats, positive: Flags, weights: Floats, threshold: float) -> float:
    """Net benefit of acting at or above `threshold`, at the cohort's own share of positives."""
    called = weights * (predicted >= threshold)
    gained, lost = (called * positive).sum(), (called * ~positive).sum()
    return float((gained - lost * threshold / (1.0 - threshold)) / weights.sum())


def _mean(values: Floats | Flags, weights: Floats) -> float:
    return float((values * weights).sum() / weights.sum())


def _corrected(shares: Sequence[tuple[float, float]], weights: Floats, positive: Flags) -> list[tuple[float, float]]:
    """Shares at least half a person away from 0 and 1: a predictive value of nobody or of certainty is never seen."""
    cases, controls = float((weights * positive).sum()), float((weights * ~positive).sum())
    return [(_away(sensitivity, cases), _away(specificity, controls)) for sensitivity, specificity in shares]


def _away(share: float, people: float) -> float:
    return min(max(share, 0.5 / people), 1.0 - 0.5 / people)


def _ppv(sensitivity: float, specificity: float, prevalence: float) -> float:
    true, false = sensitivity * prevalence, (1.0 - specificity) * (1.0 - prevalence)
    return true / (true + false)


def _npv(sensitivity: float, specificity: float, prevalence: float) -> float:
    true, false = specificity * (1.0 - prevalence), (1.0 - sensitivity) * prevalence
    return true / (true + false)
