"""Nested cross-validation: predictions for people by models that never saw them, everything learned inside the fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.training.cohort import Floats
from service.training.folds import deal
from service.training.recipe import Design, Settings, learn


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutPredictions:
    """Of one run: `logit` (n,) and the `cut_points` (n, c) of the model that judged each row; 0 for rows left out."""

    logit: Floats
    cut_points: Floats


def out_of_fold(
    design: Design, weights: Floats, settings: Settings, folds: int, generator: np.random.Generator
) -> HeldOutPredictions:
    """One run over the rows with a weight; each fold is predicted by a model learned on the others."""
    rows = np.flatnonzero(weights > 0)
    fold = np.full(len(weights), -1, dtype=np.int64)
    fold[rows] = deal(design.person[rows], design.positive[rows], folds, generator)
    logit = np.zeros(len(weights))
    cut_points = np.zeros((len(weights), settings.rule.count))
    for held in range(folds):
        inside = fold == held
        if not inside.any():
            continue
        model = learn(design, np.where(inside, 0.0, weights), settings, generator)
        logit[inside] = model.logit(design)[inside]
        cut_points[inside] = model.cut_points
    return HeldOutPredictions(logit, cut_points)
