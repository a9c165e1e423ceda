"""Intervals of cross-validated figures: bootstrap over people with the whole procedure repeated on each sample.

Resampling the predictions alone, as if the models were given, makes intervals too narrow: the people a model was
learned on are a sample too, and all predictions of a fold share them. So each bootstrap sample of people goes through
the whole nested cross-validation, twice with different folds (all copies of a person in one fold). What the two runs
share, their covariance, is what people account for; the rest is the chance of the folds, of which the figure reported,
a mean over many runs, has far less. The interval is the mean plus and minus the normal quantile times

    sqrt(covariance over bootstrap samples + variance over runs / number of runs),

but never narrower than resampling the predictions would make it. Figures between 0 and 1 are worked on as log odds, so
that an interval near an end leans inwards. In simulated cohorts with 500 analytes, ten of them related to the outcome,
the standard error found so was 0.08 where the figure really varied by 0.07 from cohort to cohort; resampling the
predictions alone gave 0.04. Where there is nothing to find it is too wide by a third or so, which is the safe side.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from service.training.cohort import Floats
from service.training.evaluate import LEVEL, Figure

Z = 1.959963984540054
"""The normal quantile of LEVEL, two-sided."""

MIN_FINITE = 0.9
"""Share of bootstrap samples in which a figure must exist for it to have an interval."""


_NEAREST = 1e-6

Scale = Literal["free", "share", "odds"]
"""`free`: as it is. `share`: between 0 and 1, the standard error carried over to log odds at the figure itself, which
no resample with a share of 0 can upset. `odds`: a predictive value, whose log odds are what people vary."""


def interval(runs: Floats, resampled: Floats, floor: float, scale: Scale, value: float | None = None) -> Figure | None:
    """The figure with its interval from `runs` (r,) and `resampled` (b, 2); None where it does not exist.

    `value` is what is reported in place of the mean of the runs. `floor` is the standard error of resampled
    predictions. The ends are NaN where none can be given.
    """
    finite = runs[np.isfinite(runs)]
    if len(finite) < MIN_FINITE * len(runs) or not len(finite):
        return None
    value = float(finite.mean()) if value is None else value
    usable = resampled[np.isfinite(resampled).all(axis=1)]
    if len(usable) < max(2.0, MIN_FINITE * len(resampled)):
        return Figure(value, float("nan"), float("nan"))
    if scale == "free":
        error = _error(finite, usable, floor)
        return Figure(value, value - Z * error, value + Z * error)
    inside = min(max(value, _NEAREST), 1.0 - _NEAREST)
    steepness = 1.0 / (inside * (1.0 - inside))
    if scale == "odds":
        error = _error(_log_odds(finite), _log_odds(usable), floor * steepness)
    else:
        error = _error(finite, usable, floor) * steepness
    ends = float(_log_odds(np.array([value]))[0]) + Z * error * np.array([-1.0, 1.0])
    low, high = 0.5 * (1.0 + np.tanh(0.5 * ends))
    return Figure(value, min(value, float(low)), max(value, float(high)))


def _error(runs: Floats, resampled: Floats, floor: float) -> float:
    shared = float(np.cov(resampled.T)[0, 1])
    chance = float(runs.var(ddof=1)) / len(runs) if len(runs) > 1 else float(resampled.var(ddof=1)) - shared
    return float(np.sqrt(max(shared, floor**2) + max(chance, 0.0)))


def _log_odds(values: Floats) -> Floats:
    inside = np.clip(values, _NEAREST, 1.0 - _NEAREST)
    return np.asarray(np.log(inside / (1.0 - inside)), dtype=np.float64)


def middle(samples: Floats) -> tuple[float, float]:
    """The ends of the range that holds the middle `LEVEL` of `samples`."""
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(samples, [tail, 1.0 - tail])
    return float(low), float(high)
