"""Fit a penalised logistic regression, and choose its penalty and its cut-point without looking at held-out people.

Everything that is learned is learned inside the fold that uses it: scaling, penalty and coefficients. Seeds are fixed
and the solver runs to a tight tolerance, so a second run gives the same coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from service.registry.lower import LoweredModel, LoweringProof
from service.registry.scorer import LinearScorer
from service.training.cohort import Flags, Floats

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Inverse strengths C of the L2 penalty that are tried."""

FOLDS = 5
_GRID = np.arange(1, 1000) / 1000.0
_PROBABILITY_FLOOR = 1e-15


@dataclass(frozen=True, slots=True)
class CutPointChoice:
    """A cut-point on the probability scale with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def fit(values: Floats, positive: Flags, penalty: float) -> Pipeline:
    """Scaling and L2 logistic regression on `values` (n, k); C = `penalty`."""
    classifier = LogisticRegression(C=penalty, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    steps = [("scale", StandardScaler()), ("classify", classifier)]
    return Pipeline(steps).fit(values, positive.astype(np.int64))


def choose_penalty(values: Floats, positive: Flags, seed: int) -> float:
    """The C of `PENALTIES` with the least mean log loss over five stratified folds; the stronger penalty on a tie."""
    losses = np.zeros(len(PENALTIES))
    for train, test in _folds(values, positive, seed):
        for index, penalty in enumerate(PENALTIES):
            losses[index] += _log_loss(
                probability(fit(values[train], positive[train], penalty), values[test]), positive[test]
            )
    return PENALTIES[int(losses.argmin())]


def probability(model: Any, values: Floats) -> Floats:
    """P(positive) for each row of `values` (n, k)."""
    return np.asarray(model.predict_proba(values)[:, 1], dtype=np.float64)


def out_of_fold(values: Floats, positive: Flags, *, repeats: int, seed: int) -> Floats:
    """Nested cross-validation: for each repeat and person a prediction by a model that never saw the person.

    The penalty is chosen anew inside every training fold. Answers (repeats, n).
    """
    predicted = np.empty((repeats, len(values)))
    for repeat in range(repeats):
        for train, test in _folds(values, positive, seed + repeat):
            penalty = choose_penalty(values[train], positive[train], seed + repeat)
            predicted[repeat, test] = probability(fit(values[train], positive[train], penalty), values[test])
    return predicted


def choose_cut_point(predicted: Floats, positive: Flags, *, resamples: int, seed: int) -> CutPointChoice:
    """The probability, to three decimals, at which sensitivity + specificity is greatest for `>=`.

    `predicted` (repeats, n) is averaged as a curve, not as predictions, which would be less spread than one model's.
    Three decimals, because the cohort cannot tell finer cut-points apart and people must be able to read it. Of equally
    good values the lowest is taken, which favours sensitivity. The interval is a bootstrap over people, by class.
    """
    called = (predicted[np.newaxis, :, :] >= _GRID[:, np.newaxis, np.newaxis]).mean(axis=1)
    hits, false_alarms = called[:, positive], called[:, ~positive]
    generator = np.random.default_rng(seed)
    drawn = _resampled(hits, generator, resamples) - _resampled(false_alarms, generator, resamples)
    low, high = np.quantile(_GRID[drawn.argmax(axis=0)], [0.025, 0.975])
    chosen = _GRID[int((hits.mean(axis=1) - false_alarms.mean(axis=1)).argmax())]
    return CutPointChoice(float(chosen), float(low), float(high))


def _resampled(called: Floats, generator: np.random.Generator, resamples: int) -> Floats:
    people = called.shape[1]
    weights = generator.multinomial(people, np.full(people, 1.0 / people), size=resamples) / people
    return np.asarray(called @ weights.T, dtype=np.float64)


def _folds(values: Floats, positive: Flags, seed: int) -> Any:
    return StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(values, positive)


def _log_loss(predicted: Floats, positive: Flags) -> float:
    right = np.where(positive, predicted, 1.0 - predicted)
    return float(-np.log(np.maximum(right, _PROBABILITY_FLOOR)).mean())


@dataclass(frozen=True, slots=True)
class Effort:
    """How often each random procedure is repeated; the shipped version uses the defaults."""

    repeats: int = 20
    resamples: int = 2000
    permutations: int = 50


@dataclass(frozen=True, slots=True)
class FittedModel:
    """What the train split gave: the estimator, its lowered form with the proof, the penalty and the cut-point.

    `held_out` (repeats, n train) are the out-of-fold predictions the cut-point was chosen on.
    """

    estimator: Pipeline
    lowered: LoweredModel
    proof: LoweringProof
    penalty: float
    cut_point: CutPointChoice
    held_out: Floats

    @property
    def scorer(self) -> LinearScorer:
        """The lowered form as it will be served."""
        return LinearScorer(self.lowered.coefficients, intercept=self.lowered.intercept, link="logit")
