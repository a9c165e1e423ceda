"""Golden vectors for a linear version: typical inputs, the corners of the plausible range, both sides of a cut-point.

Typical inputs are drawn from the distribution the model was fitted on, never taken from a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from service.domain.score import Category, find_category
from service.registry.scorer import LinearScorer
from service.training.cohort import Floats

Row = tuple[str, Floats]

CUT_POINT_MARGIN = 1e-9
"""Distance from a cut-point, on the link's scale: far enough that the last bit of another processor's exponential
cannot change the category, near enough to show on which side the comparator puts a value."""


def typical_rows(values: Floats, *, count: int, seed: int) -> Iterator[Row]:
    """`count` draws, to three decimals, from the multivariate normal with the mean and covariance of `values`."""
    generator = np.random.default_rng(seed)
    drawn = generator.multivariate_normal(values.mean(axis=0), np.cov(values.T), size=count, method="cholesky")
    yield from (("typical", row) for row in np.round(drawn, 3) + 0.0)  # + 0.0 turns -0.0 into 0.0


def boundary_rows(low: Floats, high: Floats) -> Iterator[Row]:
    """All inputs at the low end, all at the high end, all in the middle, and each alone at either end."""
    middle = (low + high) / 2.0
    yield "range boundary", low.copy()
    yield "range boundary", high.copy()
    yield "middle of the range", middle.copy()
    for column in range(len(low)):
        for end in (low, high):
            row = middle.copy()
            row[column] = end[column]
            yield "range boundary", row


def cut_point_rows(scorer: LinearScorer, cut_points: Sequence[float], start: Floats) -> Iterator[Row]:
    """For each cut-point and each column with a coefficient: just below and just above, by moving that column alone."""
    for cut_point in cut_points:
        target = float(np.log(cut_point / (1.0 - cut_point)))
        for column, weight in enumerate(scorer.coefficients):
            rest = scorer.baseline + sum(w * v for w, v in zip(scorer.coefficients, start, strict=True))
            for side in (-CUT_POINT_MARGIN, CUT_POINT_MARGIN):
                row = start.copy()
                row[column] = start[column] + (target + side - rest) / weight
                yield "cut-point", row


def golden_document(
    codes: Sequence[str],
    rows: Sequence[Row],
    *,
    scorer: LinearScorer,
    categories: Sequence[Category],
) -> dict[str, Any]:
    """The content of `golden.json` for `rows`, scored by `scorer`."""
    scored = scorer.score(np.array([row for _, row in rows], dtype=np.float64)).value
    vectors = []
    for (role, row), value in zip(rows, scored.tolist(), strict=True):
        category = find_category(value, categories)
        inputs = dict(zip(codes, row.tolist(), strict=True))
        vectors.append({"role": role, "inputs": inputs, "value": value, "category": category and category.code})
    return {"schema_version": 1, "vectors": vectors}
