"""What the model was fitted on, as a distribution a new sample can be compared with.

The distance of a sample is the squared Mahalanobis distance on the normalised scale. The correlation is shrunk towards
independence as Ledoit and Wolf do (doi 10.1016/S0047-259X(03)00096-4), because with few people it would otherwise call
every new one strange. The limits come from people the distribution has not seen: each person in turn is left out with
all their samples, and their distance is taken from the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2
from sklearn.covariance import ledoit_wolf_shrinkage

from service.training.cohort import Floats
from service.training.folds import Indices

FLAG, FAIL, NORMAL = 0.95, 0.99, 0.999
"""Shares of left-out samples within the flag limit and the fail limit; and the chi-squared quantile below which the
fail limit never lies, so that a small cohort does not refuse everybody who is a little unlike it."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """`location` (k,), `spread` (k,), lower-triangular `factor` (k, k) of the correlation, and the two limits."""

    location: Floats
    spread: Floats
    factor: Floats
    flag_limit: float
    fail_limit: float

    @property
    def limits_source(self) -> str:
        """How the limits were set, for people."""
        return (
            f"Squared Mahalanobis distances of people left out one at a time with all their samples: flag above "
            f"{FLAG:.0%} of them, fail above {FAIL:.0%} of them, the fail limit not below the {NORMAL:.1%} point of "
            f"chi-squared with {len(self.location)} degrees of freedom; correlation shrunk after Ledoit and Wolf"
        )


def reference(values: Floats, person: Indices) -> Reference:
    """The distribution of `values` (n, k), complete and on the normalised scale, with limits."""
    distances = []
    for left_out in np.unique(person):
        inside = person != left_out
        distances += squared_distances(values[~inside], *_distribution(values[inside])).tolist()
    flag, fail = np.quantile(distances, [FLAG, FAIL], method="higher")
    fail = max(float(fail), float(chi2.ppf(NORMAL, values.shape[1])))
    location, spread, factor = _distribution(values)
    return Reference(location, spread, factor, min(float(flag), fail), fail)


def squared_distances(values: Floats, location: Floats, spread: Floats, factor: Floats) -> Floats:
    """The squared Mahalanobis distance of each row of `values` (n, k)."""
    standardised = (values - location) / spread
    whitened = np.linalg.solve(factor, standardised.T)
    return np.asarray((whitened**2).sum(axis=0), dtype=np.float64)


def _distribution(values: Floats) -> tuple[Floats, Floats, Floats]:
    location, spread = values.mean(axis=0), values.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    standardised = (values - location) / spread
    shrinkage = float(ledoit_wolf_shrinkage(standardised, assume_centered=True)) if values.shape[1] > 1 else 0.0
    correlation = (1.0 - shrinkage) * (standardised.T @ standardised / len(values))
    np.fill_diagonal(correlation, 1.0)
    # A hair of independence more, so that the factor exists also where columns are copies of each other.
    correlation = (1.0 - 1e-6) * correlation + 1e-6 * np.eye(len(location))
    return location, spread, np.linalg.cholesky(correlation)
