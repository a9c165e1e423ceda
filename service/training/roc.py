"""Receiver operating characteristics on a grid of 1 - specificity, with an interval of the sensitivity at each point.

The interval is made as that of the AUC is (`intervals.py`): bootstrap samples of people go through the whole nested
cross-validation twice, what both runs share is what people account for, and it is never narrower than resampling the
predictions alone would make it. It holds for each point by itself, not for the whole curve at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.training.cohort import Flags, Floats
from service.training.intervals import interval, middle

GRID = np.linspace(0.0, 1.0, 101)
"""1 - specificity, where sensitivities are given."""


@dataclass(frozen=True, slots=True, eq=False)
class RocBand:
    """Sensitivity (g,) at each point of GRID, from `low` (g,) to `high` (g,)."""

    value: Floats
    low: Floats
    high: Floats


def sensitivities(logit: Floats, positive: Flags, weights: Floats) -> Floats:
    """Sensitivity (g,) at each point of GRID; between thresholds by straight lines, at a step its upper end."""
    values, place = np.unique(logit, return_inverse=True)
    # From the highest threshold down.
    cases, controls = (
        np.cumsum(np.bincount(place, weights=weights * side, minlength=len(values))[::-1])
        for side in (positive, ~positive)
    )
    true, false = np.append(0.0, cases / cases[-1]), np.append(0.0, controls / controls[-1])
    return np.asarray(np.interp(GRID, false, true), dtype=np.float64)


def cross_validated(runs: Sequence[Floats], resampled: Floats, floors: Floats) -> RocBand:
    """The mean of the sensitivities of `runs` (r of (g,)), with its band from `resampled` (b, 2, g).

    `floors` (g,) are the standard errors of resampled predictions.
    """
    each = np.array(runs)
    value = each.mean(axis=0)
    # Where no interval can be given, nothing is known; the line itself would say that all is.
    low, high = np.zeros(len(GRID)), np.ones(len(GRID))
    for place in range(len(GRID)):
        found = interval(each[:, place], resampled[:, :, place], float(floors[place]), "free")
        if found is not None and np.isfinite(found.low) and np.isfinite(found.high):
            low[place], high[place] = found.low, found.high
    return _inside(value, low, high)


def judged_once(value: Floats, resampled: Floats) -> RocBand:
    """The sensitivities (g,) of one given model, with the middle of `resampled` (b, g)."""
    ends = np.array([middle(column) for column in resampled.T])
    return _inside(value, ends[:, 0], ends[:, 1])


def _inside(value: Floats, low: Floats, high: Floats) -> RocBand:
    low, high = np.clip(np.minimum(low, value), 0.0, 1.0), np.clip(np.maximum(high, value), 0.0, 1.0)
    return RocBand(value, low, high)
