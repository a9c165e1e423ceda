"""Figures of a binary score, each with a bootstrap or Wilson interval over people.

AUC is the share of (positive, negative) pairs in which the positive scores higher, ties counting half. Kept as a matrix
of pairs it averages over repeats of a cross-validation and resamples over people without being computed again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from service.training.cohort import Flags, Floats

LEVEL = 0.95
_Z = 1.959963984540054  # the normal quantile of LEVEL, two-sided


@dataclass(frozen=True, slots=True)
class Figure:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CalibrationFit:
    """Logistic recalibration of the outcome on the logit of the prediction (ideal: slope 1, intercept 0), and Brier."""

    slope: float
    intercept: float
    brier: float


def auc(predicted: Floats, positive: Flags, *, resamples: int, seed: int) -> Figure:
    """AUC of `predicted` (n,), or the mean over repeats of (repeats, n); the bootstrap is stratified by class."""
    pairs = np.mean([_pairs(row, positive) for row in np.atleast_2d(predicted)], axis=0)
    generator = np.random.default_rng(seed)
    sizes = pairs.shape
    draws = [generator.multinomial(size, np.full(size, 1.0 / size), size=resamples) for size in sizes]
    samples = ((draws[0] @ pairs) * draws[1]).sum(axis=1) / (sizes[0] * sizes[1])
    return _figure(float(pairs.mean()), samples)


def _pairs(predicted: Floats, positive: Flags) -> Floats:
    difference = predicted[positive][:, np.newaxis] - predicted[~positive][np.newaxis, :]
    return np.asarray(0.5 * (np.sign(difference) + 1.0), dtype=np.float64)


def _figure(value: float, samples: Floats) -> Figure:
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(samples, [tail, 1.0 - tail])
    return Figure(value, float(low), float(high))


def spread(samples: Floats) -> Figure:
    """The mean of `samples` and the range that holds 95 % of them."""
    return _figure(float(samples.mean()), samples)


def share(flags: Flags) -> Figure:
    """The share of true `flags` (n,) with its Wilson score interval."""
    n, p = len(flags), float(flags.mean())
    centre = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    # A share of 0 or 1 is an end of its interval, which rounding would put beside it.
    return Figure(p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)))


def calibration(predicted: Floats, positive: Flags) -> CalibrationFit:
    """How far `predicted` (n,) are probabilities of `positive` (n,)."""
    logit = np.log(predicted / (1.0 - predicted)).reshape(-1, 1)
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(logit, positive.astype(np.int64))
    brier = float(((predicted - positive) ** 2).mean())
    return CalibrationFit(float(model.coef_[0, 0]), float(model.intercept_[0]), brier)


def roc_points(predicted: Floats, positive: Flags) -> tuple[tuple[float, float], ...]:
    """(1 - specificity, sensitivity) at every threshold that changes them, from (0, 0) to (1, 1)."""
    thresholds = np.unique(predicted)[::-1]
    called = predicted[np.newaxis, :] >= thresholds[:, np.newaxis]
    false, true = called[:, ~positive].mean(axis=1), called[:, positive].mean(axis=1)
    return ((0.0, 0.0), *zip(false.tolist(), true.tolist(), strict=True))


def calibration_points(predicted: Floats, positive: Flags, groups: int) -> tuple[tuple[float, float], ...]:
    """(mean prediction, observed share) in `groups` groups of equal size by prediction."""
    parts = np.array_split(np.argsort(predicted, kind="stable"), groups)
    return tuple((float(predicted[part].mean()), float(positive[part].mean())) for part in parts)
