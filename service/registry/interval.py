"""How sure a linear score is of itself: the variance that follows from the covariance of its coefficients.

The score is g . beta with g = (1, the normalised value of each column that has a term), so its variance is g' C g, and
the interval is the score on the link's scale plus and minus a quantile of the normal distribution times its root. It
speaks of the coefficients alone: neither of the measurement nor of a calibration step's own uncertainty.

Like the score it is accumulated elementwise in panel order, with the same bits for one row and for many.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import reduce

import numpy as np

from service.registry.manifest_estimator import Matrix
from service.registry.transforms import Floats

LEVEL = 0.95
QUANTILE = 1.959963984540054
"""The 97.5 % point of the standard normal distribution, as scipy.stats.norm.ppf(0.975) gives it."""


class ScoreVariance:
    """The variance of a linear score, from the covariance of intercept and terms, in this order (k + 1, k + 1).

    `columns` (k,) are the places of the terms' columns in a row; None where each column has a term.
    """

    def __init__(self, covariance: Matrix, columns: Sequence[int] | None = None) -> None:
        self._columns = columns
        # g' C g by its upper triangle: row after row, from the diagonal on, what g is multiplied by.
        self._weights = tuple(
            (row[i], *(row[j] + covariance[j][i] for j in range(i + 1, len(row)))) for i, row in enumerate(covariance)
        )

    def of_one(self, used: Sequence[float]) -> float:
        """The variance at one row of normalised values (k,), on the link's scale squared."""
        return _quadratic(self._weights, self._given(used))

    def bound(self, largest: Sequence[float]) -> float:
        """No row whose values are at most `largest` (k,) in size has a greater variance."""
        return _quadratic([list(map(abs, weights)) for weights in self._weights], self._given(largest))

    def of_many(self, used: Sequence[Floats]) -> Floats:
        """The variance (n,) at n rows of normalised values, given as contiguous columns."""
        columns = [np.ones_like(used[0]), *(used if self._columns is None else [used[c] for c in self._columns])]
        total = np.zeros_like(used[0])
        for place, weights in enumerate(self._weights):
            part = columns[place] * weights[0]
            for weight, column in zip(weights[1:], columns[place + 1 :], strict=True):
                part += column * weight
            total += columns[place] * part
        return total

    def _given(self, used: Sequence[float]) -> tuple[float, ...]:
        return (1.0, *(used if self._columns is None else [used[column] for column in self._columns]))


def _quadratic(triangle: Sequence[Sequence[float]], row: tuple[float, ...]) -> float:
    total = 0.0
    for place, weights in enumerate(triangle):
        total += row[place] * reduce(operator.add, map(operator.mul, weights, row[place:]))
    return total


def half_width(variance: Floats) -> Floats:
    """Half the width of the interval at `LEVEL`; rounding may have put a variance below zero."""
    return np.asarray(np.sqrt(np.where(variance > 0.0, variance, 0.0)) * QUANTILE, dtype=np.float64)


def half_width_of_one(variance: float) -> float:
    """`half_width` of one number, with the same bits: IEEE 754 fixes those of a root."""
    return math.sqrt(variance if variance > 0.0 else 0.0) * QUANTILE
