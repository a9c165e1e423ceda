"""How unlike a sample is to those a version was fitted on: its squared Mahalanobis distance from their distribution.

The scale is that of the normalised values, over the columns that have a term, in panel order: a reference gene or a
library total counts by what it makes of the others. With s = (values - location) / spread and L the lower-triangular
factor of the correlation, the distance is z . z where L z = s. What the version supplied for a missing value takes part
like a measured one.

Forward substitution goes column after column and elementwise, with the same bits for one row and for many.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce

import numpy as np

from service.registry.manifest_estimator import ReferenceDistribution
from service.registry.scorer import BLOCK, checked_matrix
from service.registry.transforms import ColumnTransforms, Floats


class Distance:
    """The squared distance of a row of values in the panel's units; `columns` are the places of those with a term.

    The reference must have passed the manifest's cross-checks.
    """

    def __init__(self, reference: ReferenceDistribution, transforms: ColumnTransforms, columns: Sequence[int]) -> None:
        self._transforms = transforms
        # Per column: its place, location and spread, the factor's row left of the diagonal, and the diagonal.
        self._rows = tuple(
            (column, location, spread, row[:place], row[place])
            for place, (column, location, spread, row) in enumerate(
                zip(columns, reference.location, reference.spread, reference.correlation_factor, strict=True)
            )
        )

    def __call__(self, row: Sequence[float]) -> float:
        """The distance of one row (k,)."""
        used = self._transforms.of_one(row)
        total = 0.0
        found: list[float] = []
        for column, location, spread, left, diagonal in self._rows:
            z = reduce(operator.sub, map(operator.mul, found, left), (used[column] - location) / spread) / diagonal
            found.append(z)
            total += z * z
        return total

    def bound(self, largest: Sequence[float]) -> float:
        """No row whose normalised values are at most `largest` (k,) in size is farther away; infinite on overflow."""
        total = 0.0
        found: list[float] = []
        for column, location, spread, left, diagonal in self._rows:
            terms = map(operator.mul, found, map(abs, left))
            z = reduce(operator.add, terms, (largest[column] + abs(location)) / spread) / diagonal
            found.append(z)
            total += z * z
        return total

    def of_many(self, matrix: Floats) -> Floats:
        """The distances (n,) of n rows (n, k). Raises ValueError for a wrong shape or a number that is not finite."""
        rows = checked_matrix(matrix, self._transforms.width)
        total = np.empty(len(rows), dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for start in range(0, len(rows), BLOCK):
                block = slice(start, start + BLOCK)
                total[block] = self._block(rows[block])
        return total

    def _block(self, rows: Floats) -> Floats:
        used = list(self._transforms.of_many(rows))
        total = np.zeros(len(rows), dtype=np.float64)
        found: list[Floats] = []
        for column, location, spread, left, diagonal in self._rows:
            rest = (used[column] - location) / spread
            for z, factor in zip(found, left, strict=True):
                rest -= z * factor
            rest /= diagonal
            found.append(rest)
            total += rest * rest
        return total
