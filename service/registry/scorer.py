"""From panel values to scores: one arithmetic for one row and for a million.

The result of a row must not depend on the rows around it, to the last bit. Matrix products and axis sums choose their
order of additions by shape and memory layout, so they are not used: terms are added elementwise, column after column
in panel order, over contiguous copies of at most `BLOCK` rows, and every transcendental function is numpy's.

A row alone goes through the same transforms and sums as Python floats, which are the same IEEE 754 doubles, because a
numpy call costs more than the arithmetic of a whole row. Property tests hold both to the same bits.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from service.registry.calibration import CalibrationStep
from service.registry.interval import ScoreVariance, half_width, half_width_of_one
from service.registry.sigmoid import sigmoid, sigmoid_of_one
from service.registry.transforms import ColumnTransforms, Floats

BLOCK = 8192
NOT_FINITE = "a score is not finite: the inputs are outside what the manifest was checked for"


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Scores of n rows: `value` (n,), in [0, 1] for the logit link and after a calibration step; `raw` (n,) what went
    into such a step, None without one; `used` (n, k) the inputs after normalisation; `terms` (n, k) on the scale of the
    link, 0 for a column without a term, None where not additive; `baseline` the constant the terms are added to;
    `interval` the low and the high end (n,) on the scale of `value`, None where no covariance is locked."""

    value: Floats
    raw: Floats | None
    used: Floats
    terms: Floats | None
    baseline: float
    interval: tuple[Floats, Floats] | None = None


class ScoredRow(NamedTuple):
    """The score of one row: `ScoredRows` of n = 1 without its arrays."""

    value: float
    raw: float | None
    used: tuple[float, ...]
    terms: tuple[float, ...] | None
    baseline: float
    interval: tuple[float, float] | None = None


class Scorer(Protocol):
    """Scores an (n, k) matrix whose columns are `Panel.codes`, in the panel's units, without NaN."""

    def score(self, matrix: Floats) -> ScoredRows:
        """The scores of all rows. Raises ValueError for a wrong shape or a number that is not finite."""
        ...

    def score_one(self, row: Sequence[float]) -> ScoredRow:
        """The score of one row, as `score` gives it. Raises ValueError likewise."""
        ...


class LinearScorer:
    """A linear model on the link's scale: baseline + sum of coefficient times normalised value.

    `calibration` is a step after the inverse link; what goes into it is the answer's `raw`. With `variance` there is an
    interval. `silent` are the places of columns without a term, whose coefficients are 0: others are normalised by
    them.
    """

    def __init__(
        self,
        coefficients: Sequence[float],
        *,
        intercept: float | None,
        link: str,
        transforms: ColumnTransforms | None = None,
        calibration: CalibrationStep | None = None,
        variance: ScoreVariance | None = None,
        silent: Sequence[int] = (),
    ) -> None:
        if link not in {"logit", "identity"}:
            raise ValueError("link is neither logit nor identity")
        self.coefficients = tuple(float(w) for w in coefficients)
        # Adding 0.0 makes a negative zero positive: SQLite would not give its sign back.
        self.baseline = 0.0 if intercept is None else float(intercept) + 0.0
        self.link = link
        self._calibration = calibration
        self._variance = variance
        self._silent = frozenset(silent)
        self._transforms = ColumnTransforms((), len(self.coefficients)) if transforms is None else transforms
        self._changes = self._transforms.changes
        self._plain = calibration is None and variance is None and not silent
        if self._transforms.width != len(self.coefficients):
            raise ValueError("transforms of as many columns as there are coefficients are needed")

    def score(self, matrix: Floats) -> ScoredRows:
        """As `Scorer.score`; a row gives the same bits alone and among many."""
        rows = checked_matrix(matrix, len(self.coefficients))
        used = np.empty(rows.shape, dtype=np.float64)
        terms = np.empty(rows.shape, dtype=np.float64)
        linear, value = np.empty(len(rows), dtype=np.float64), np.empty(len(rows), dtype=np.float64)
        half = None if self._variance is None else np.empty(len(rows), dtype=np.float64)
        # What has no value is looked for once per block, below.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for start in range(0, len(rows), BLOCK):
                block = slice(start, start + BLOCK)
                parts = None if half is None else half[block]
                self._score_block(rows[block], used[block], terms[block], linear[block], parts)
                value[block] = self._inverse(linear[block])
        raw = None
        if self._calibration is not None:
            raw, value = value, self._calibration.of_many(value)
        interval = None if half is None else self._interval(linear, half, value)
        return ScoredRows(value=value, raw=raw, used=used, terms=terms, baseline=self.baseline, interval=interval)

    def score_one(self, row: Sequence[float]) -> ScoredRow:
        """As `Scorer.score_one`, bit for bit what `score` gives."""
        if len(row) != len(self.coefficients):
            raise ValueError(f"a row of {len(self.coefficients)} numbers is needed")
        used = self._transforms.of_one(row) if self._changes else tuple(row)
        terms = tuple(map(operator.mul, used, self.coefficients))
        total = self.baseline
        for term in terms:
            total += term
        if not math.isfinite(total):  # an input that is not finite shows here as well
            raise ValueError(NOT_FINITE)
        value = sigmoid_of_one(total) if self.link == "logit" else total
        if self._plain:
            return ScoredRow(value, None, used, terms, self.baseline)
        terms = tuple([0.0 if place in self._silent else term for place, term in enumerate(terms)])
        raw = None
        if self._calibration is not None:
            raw, value = value, self._calibration.of_one(value)
        interval = None if self._variance is None else self._interval_of_one(self._variance, used, total, value)
        return ScoredRow(value, raw, used, terms, self.baseline, interval)

    def _score_block(self, rows: Floats, used: Floats, terms: Floats, linear: Floats, half: Floats | None) -> None:
        # All but `rows` are views of the answer's arrays and are filled here.
        linear[:] = self.baseline
        columns = self._transforms.of_many(rows)
        if self._variance is not None and half is not None:
            columns = list(columns)
            half[:] = self._half_width(self._variance, columns)
        for column, (weight, value) in enumerate(zip(self.coefficients, columns, strict=True)):
            term = value * weight
            linear += term
            used[:, column] = value
            terms[:, column] = 0.0 if column in self._silent else term
        if not np.isfinite(linear).all():
            raise ValueError(NOT_FINITE)

    def _half_width(self, variance: ScoreVariance, columns: Sequence[Floats]) -> Floats:
        found = variance.of_many(columns)
        if not np.isfinite(found).all():
            raise ValueError(NOT_FINITE)
        return half_width(found)

    def _inverse(self, linear: Floats) -> Floats:
        return sigmoid(linear) if self.link == "logit" else linear

    def _interval(self, linear: Floats, half: Floats, value: Floats) -> tuple[Floats, Floats]:
        low, high = self._inverse(linear - half), self._inverse(linear + half)
        if self._calibration is not None:
            low, high = self._calibration.between(low, high)
        # Rounding must not put a value outside its own interval.
        return np.minimum(low, value), np.maximum(high, value)

    def _interval_of_one(
        self, variance: ScoreVariance, used: Sequence[float], linear: float, value: float
    ) -> tuple[float, float]:
        found = variance.of_one(used)
        if not math.isfinite(found):
            raise ValueError(NOT_FINITE)
        half = half_width_of_one(found)
        low, high = linear - half, linear + half
        if self.link == "logit":
            low, high = sigmoid_of_one(low), sigmoid_of_one(high)
        if self._calibration is not None:
            low, high = self._calibration.between_one(low, high)
        return min(low, value), max(high, value)


def checked_matrix(matrix: Floats, width: int) -> Floats:
    """`matrix` (n, `width`) in float64. Raises ValueError for another shape, type, or a number that is not finite."""
    rows = np.asarray(matrix)
    if rows.dtype != np.float64 or rows.ndim != 2 or rows.shape[1] != width:  # noqa: PLR2004
        raise ValueError(f"a float64 matrix with {width} columns is needed")
    if not np.isfinite(rows).all():
        raise ValueError("the matrix holds a number that is not finite")
    return rows
