"""Groups of people by their prediction, with the share of positives in each: what a calibration curve is drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.training.cohort import Flags, Floats
from service.training.evaluate import Figure, calibration_points, share
from service.training.logistic import sigmoid

_LARGE = 100
"""Rows from which on ten groups hold ten or more each."""


@dataclass(frozen=True, slots=True)
class CalibrationGroups:
    """Mean predictions and shares of positives as `points`, ascending, and each share with its Wilson interval."""

    points: tuple[tuple[float, float], ...]
    shares: tuple[Figure, ...]


def calibration_groups(logit: Floats, positive: Flags) -> CalibrationGroups:
    """Ten groups of equal size of `logit` (n,), or five of fewer than a hundred rows.

    The intervals take rows for people: where some gave several samples, they are too narrow.
    """
    predicted = sigmoid(logit)
    groups = 10 if len(positive) >= _LARGE else 5
    parts = np.array_split(positive[np.argsort(predicted, kind="stable")], groups)
    return CalibrationGroups(calibration_points(predicted, positive, groups), tuple(share(part) for part in parts))
