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
from service.registry.sigmoid import sigmoid, sigmoid_of_one
from service.registry.transforms import Floats, Transform, identity

BLOCK = 8192
NOT_FINITE = "a score is not finite: the inputs are outside what the manifest was checked for"


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Scores of n rows: `value` (n,), in [0, 1] for the logit link and after a calibration step; `raw` (n,) what went
    into such a step, None without one; `used` (n, k) the inputs after normalisation; `terms` (n, k) on the scale of the
    link, None where not additive; `baseline` the constant the terms are added to."""

    value: Floats
    raw: Floats | None
    used: Floats
    terms: Floats | None
    baseline: float


class ScoredRow(NamedTuple):
    """The score of one row: `ScoredRows` of n = 1 without its arrays."""

    value: float
    raw: float | None
    used: tuple[float, ...]
    terms: tuple[float, ...] | None
    baseline: float


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

    `calibration` is a step after the inverse link; what goes into it is the answer's `raw`.
    """

    def __init__(
        self,
        coefficients: Sequence[float],
        *,
        intercept: float | None,
        link: str,
        transforms: Sequence[Transform] | None = None,
        calibration: CalibrationStep | None = None,
    ) -> None:
        if link not in {"logit", "identity"}:
            raise ValueError("link is neither logit nor identity")
        self.coefficients = tuple(float(w) for w in coefficients)
        # Adding 0.0 makes a negative zero positive: SQLite would not give its sign back.
        self.baseline = 0.0 if intercept is None else float(intercept) + 0.0
        self.link = link
        self._calibration = calibration
        self._transforms = tuple(transforms) if transforms is not None else (identity,) * len(self.coefficients)
        self._changes = any(transform is not identity for transform in self._transforms)
        if len(self._transforms) != len(self.coefficients):
            raise ValueError("one transform per coefficient is needed")

    def score(self, matrix: Floats) -> ScoredRows:
        """As `Scorer.score`; a row gives the same bits alone and among many."""
        rows = checked_matrix(matrix, len(self.coefficients))
        used = np.empty(rows.shape, dtype=np.float64)
        terms = np.empty(rows.shape, dtype=np.float64)
        value = np.empty(len(rows), dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # looked for once per block, below
            for start in range(0, len(rows), BLOCK):
                block = slice(start, start + BLOCK)
                value[block] = self._score_block(rows[block], used[block], terms[block])
        raw = None
        if self._calibration is not None:
            raw, value = value, self._calibration.of_many(value)
        return ScoredRows(value=value, raw=raw, used=used, terms=terms, baseline=self.baseline)

    def score_one(self, row: Sequence[float]) -> ScoredRow:
        """As `Scorer.score_one`, bit for bit what `score` gives."""
        if len(row) != len(self.coefficients):
            raise ValueError(f"a row of {len(self.coefficients)} numbers is needed")
        used = tuple(row)
        if self._changes:
            used = tuple([transform(value) for transform, value in zip(self._transforms, row, strict=True)])
        terms = tuple(map(operator.mul, used, self.coefficients))
        total = self.baseline
        for term in terms:
            total += term
        if not math.isfinite(total):  # an input that is not finite shows here as well
            raise ValueError(NOT_FINITE)
        value = sigmoid_of_one(total) if self.link == "logit" else total
        if self._calibration is None:
            return ScoredRow(value, None, used, terms, self.baseline)
        return ScoredRow(self._calibration.of_one(value), value, used, terms, self.baseline)

    def _score_block(self, rows: Floats, used: Floats, terms: Floats) -> Floats:
        # `used` and `terms` are views of the answer's arrays and are filled here.
        total = np.full(len(rows), self.baseline, dtype=np.float64)
        for column, (weight, transform) in enumerate(zip(self.coefficients, self._transforms, strict=True)):
            # numpy may take another code path, and give other last bits, for strided than for contiguous data.
            value = transform(np.ascontiguousarray(rows[:, column]))
            term = value * weight
            total += term
            used[:, column] = value
            terms[:, column] = term
        if not np.isfinite(total).all():
            raise ValueError(NOT_FINITE)
        return sigmoid(total) if self.link == "logit" else total


def checked_matrix(matrix: Floats, width: int) -> Floats:
    """`matrix` (n, `width`) in float64. Raises ValueError for another shape, type, or a number that is not finite."""
    rows = np.asarray(matrix)
    if rows.dtype != np.float64 or rows.ndim != 2 or rows.shape[1] != width:  # noqa: PLR2004
        raise ValueError(f"a float64 matrix with {width} columns is needed")
    if not np.isfinite(rows).all():
        raise ValueError("the matrix holds a number that is not finite")
    return rows
