"""What the table itself gives away: rows that are nearly the same, values missing for one class more than the other,
and single analytes that tell the classes apart too well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import hypergeom, mannwhitneyu, rankdata

from service.training.cohort import Flags, Floats
from service.training.dataset import Rows
from service.training.folds import Indices

EXPECTED_FALSE = 0.01
"""How many false pairs of near-duplicates a clean cohort may be expected to have, all its samples together."""

CLOSEST = 0.5
"""A near-duplicate is never farther than this share of the usual distance to the nearest other sample."""

EXACT = 1e-9

DEALT = 200
"""How often outcomes are dealt out to learn what the best of all analytes reaches by chance."""


NEIGHBOUR = 4
"""Whose distance stands for the usual one where most samples have a copy: beyond three copies of one specimen."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Pairs of samples of different people: with equal values, and nearer than chance allows. `across` counts the
    held-out samples that have such a partner among those fitted on."""

    equal: int
    near: int
    across: int
    limit: float


def duplicates(rows: Rows, held_out: Rows | None = None) -> Duplicates:
    """Counts pairs whose distance over all analytes, each standardised, is far below the usual nearest distance.

    In d dimensions the share of nearest neighbours within the r-th part of the median distance is about r^d ln 2, by
    the volume of a ball; r is set so that `EXPECTED_FALSE` pairs are expected in the cohort. d is the effective number
    of dimensions, the participation ratio of the eigenvalues of the correlation, so that correlated analytes do not
    count twice.
    """
    filled = np.nan_to_num(rows.design.values)
    centre, spread = filled.mean(axis=0), filled.std(axis=0)
    varying = spread > 0
    standardised = (filled - centre)[:, varying] / spread[varying]
    count, width = standardised.shape
    gram = standardised @ standardised.T
    dimensions = max(1.0, float(np.trace(gram)) ** 2 / float((gram**2).sum()))
    distance = _distances(standardised, standardised)
    distance[rows.design.person[:, np.newaxis] == rows.design.person[np.newaxis, :]] = np.inf
    usual = _usual(distance, dimensions)
    ratio = min(CLOSEST, float((EXPECTED_FALSE * 2.0 / (count * np.log(2.0))) ** (1.0 / dimensions)))
    same = EXACT * np.sqrt(width) + 1e-6 * usual
    upper = np.triu(np.ones((count, count), dtype=bool), 1)
    equal = upper & (distance <= same)
    near = upper & (distance < ratio * usual) & ~equal
    across = 0
    if held_out is not None:
        others = (np.nan_to_num(held_out.design.values) - centre)[:, varying] / spread[varying]
        across = int((_distances(others, standardised).min(axis=1) < max(same, ratio * usual)).sum())
    return Duplicates(int(equal.sum()), int(near.sum()), across, ratio)


def _distances(ones: Floats, others: Floats) -> Floats:
    squares = (ones**2).sum(axis=1)[:, np.newaxis] + (others**2).sum(axis=1)[np.newaxis, :]
    return np.asarray(np.sqrt(np.maximum(squares - 2.0 * ones @ others.T, 0.0)))


def _usual(distance: Floats, dimensions: float) -> float:
    """The median distance (n, n) to the nearest sample; where most samples have a copy, what it would be without."""
    nearest = float(np.median(distance.min(axis=1)))
    farther = (
        np.partition(distance, NEIGHBOUR - 1, axis=1)[:, NEIGHBOUR - 1] if len(distance) >= NEIGHBOUR else distance
    )
    # Within the median distance of the k-th nearest lie about k - 1/3 samples, the median of a gamma distribution;
    # within that of the nearest, ln 2.
    without = float(np.median(farther)) * (np.log(2.0) / (NEIGHBOUR - 1.0 / 3.0)) ** (1.0 / dimensions)
    return without if np.isfinite(without) and nearest < CLOSEST * without else nearest


@dataclass(frozen=True, slots=True)
class MissingByClass:
    """The smallest p of any analyte times their number (at most 1), and the p of the number missing per sample."""

    analyte_p: float
    sample_p: float


def missing_by_class(rows: Rows) -> MissingByClass:
    """Whether values are missing more often in one class: Fisher's exact test per analyte, ranks per sample."""
    positive = rows.design.positive
    affected = rows.missing.any(axis=0) & ~rows.missing.all(axis=0)
    if not affected.any():
        return MissingByClass(1.0, 1.0)
    missing = rows.missing[:, affected]
    total, of_cases = missing.sum(axis=0), missing[positive].sum(axis=0)
    smallest = float(_fisher(of_cases, total, int(positive.sum()), len(positive)).min())
    per_sample = missing.sum(axis=1)
    ranks = mannwhitneyu(per_sample[positive], per_sample[~positive], method="asymptotic")
    return MissingByClass(min(1.0, smallest * int(affected.sum())), float(np.nan_to_num(ranks.pvalue, nan=1.0)))


def _fisher(of_cases: Floats | Flags, total: Floats | Flags, cases: int, people: int) -> Floats:
    # Twice the smaller tail, which is at least the two-sided p of Fisher's exact test as commonly defined.
    drawn = hypergeom(people, total, cases)
    tail = np.minimum(drawn.cdf(of_cases), drawn.sf(np.asarray(of_cases) - 1))
    return np.minimum(1.0, 2.0 * np.asarray(tail, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Strongest:
    """The analyte that tells the classes apart best by itself: its `column`, its AUC turned above 0.5, and the AUC the
    best of all analytes reaches on outcomes dealt out at random, once in a hundred."""

    column: int
    auc: float
    by_chance: float


def strongest_analyte(values: Floats, positive: Flags, person: Indices, generator: np.random.Generator) -> Strongest:
    """The strongest column of `values` (n, p); `person` (n,) keeps samples together when outcomes are dealt out."""
    ranks = rankdata(np.nan_to_num(values), axis=0)
    found = _areas(ranks, positive[np.newaxis])[0]
    case = np.zeros(int(person.max()) + 1, dtype=bool)
    case[person] = positive
    dealt = np.array([generator.permutation(case)[person] for _ in range(DEALT)])
    best = int(found.argmax())
    return Strongest(best, float(found[best]), float(np.quantile(_areas(ranks, dealt).max(axis=1), 0.99)))


def _areas(ranks: Floats, positive: Flags) -> Floats:
    """AUC of every column, turned above 0.5 (b, p), for b outcomes (b, n)."""
    cases = positive.sum(axis=1)[:, np.newaxis]
    others = positive.shape[1] - cases
    areas = (positive.astype(np.float64) @ ranks - cases * (cases + 1) / 2.0) / np.maximum(cases * others, 1)
    return np.asarray(np.maximum(areas, 1.0 - areas), dtype=np.float64)
