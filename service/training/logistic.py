"""Penalised logistic regression by Newton's method, many small problems at once.

The objective is scikit-learn's for `LogisticRegression(C=...)` with an L2 penalty and a free intercept: C times the
weighted log loss, plus half the squared length of the coefficients without the intercept. A test holds that the two
agree to 1e-9. Many problems of one shape are solved together, because for a few hundred people the cost of a numpy
call is larger than that of its arithmetic.
"""

from __future__ import annotations

import numpy as np

from service.training.cohort import Flags, Floats

TUNING = 1e-6
"""Tolerance while penalties are compared: a log loss is then right to far more digits than folds can tell apart."""

EXACT = 1e-13
"""Tolerance of a fit that is kept."""

_MAX_STEPS = 100
_MAX_HALVINGS = 30


def fit_many(inputs: Floats, positive: Flags, weights: Floats, penalties: Floats, *, tolerance: float) -> Floats:
    """Coefficients (b, k + 1), intercept last, of b problems.

    `inputs` (b, n, k) standardised; `positive` (n,); `weights` (b, n), 0 leaves a row out; `penalties` (b,) are C.
    `tolerance` bounds the gradient per unit of weight. A problem without progress keeps its best point.
    """
    design = np.concatenate([inputs, np.ones((*inputs.shape[:2], 1))], axis=2)
    pull = weights * penalties[:, np.newaxis]
    ridge = np.append(np.ones(inputs.shape[2]), 0.0)
    beta = np.zeros((len(inputs), len(ridge)))
    beta[:, -1] = _prior_logit(positive, weights)
    value = _objective(design, positive, pull, ridge, beta)
    enough = tolerance * np.maximum(1.0, pull.sum(axis=1))
    for _ in range(_MAX_STEPS):
        chance = sigmoid(np.matmul(design, beta[:, :, np.newaxis])[:, :, 0])
        gradient = np.matmul(np.swapaxes(design, 1, 2), (pull * (chance - positive))[:, :, np.newaxis])[:, :, 0]
        gradient += ridge * beta
        open_ = np.abs(gradient).max(axis=1) > enough
        if not open_.any():
            break
        curvature = np.matmul(np.swapaxes(design, 1, 2), design * (pull * chance * (1.0 - chance))[:, :, np.newaxis])
        curvature += np.diag(ridge + 1e-12)
        step = np.linalg.solve(curvature, gradient[:, :, np.newaxis])[:, :, 0] * open_[:, np.newaxis]
        beta, value, moved = _descend(design, positive, pull, ridge, beta, value, step)
        if not moved.any():
            break
    return beta


def _descend(
    design: Floats, positive: Flags, pull: Floats, ridge: Floats, beta: Floats, value: Floats, step: Floats
) -> tuple[Floats, Floats, Flags]:
    # Halved until the objective does not grow: far from the optimum a full step can overshoot.
    length = np.ones((len(beta), 1))
    for _ in range(_MAX_HALVINGS):
        tried = beta - length * step
        reached = _objective(design, positive, pull, ridge, tried)
        worse = reached > value + 1e-12 * np.abs(value)
        if not worse.any():
            break
        length[worse] /= 2.0
    accepted = ~worse
    moved = accepted & (np.abs(tried - beta).max(axis=1) > 0)
    return np.where(accepted[:, np.newaxis], tried, beta), np.where(accepted, reached, value), moved


def _objective(design: Floats, positive: Flags, pull: Floats, ridge: Floats, beta: Floats) -> Floats:
    logit = np.matmul(design, beta[:, :, np.newaxis])[:, :, 0]
    loss = np.logaddexp(0.0, np.where(positive, -logit, logit))
    return np.asarray((pull * loss).sum(axis=1) + 0.5 * (ridge * beta**2).sum(axis=1), dtype=np.float64)


def _prior_logit(positive: Flags, weights: Floats) -> Floats:
    # A bootstrap sample may leave a small fold without a class; its intercept then starts, and soon stops, far out.
    rate = np.clip(weights[:, positive].sum(axis=1) / weights.sum(axis=1), 1e-6, 1.0 - 1e-6)
    return np.asarray(np.log(rate / (1.0 - rate)), dtype=np.float64)


def sigmoid(logit: Floats) -> Floats:
    """The predicted probabilities, in the shape of `logit`, for all of training.

    Coefficients and cut-points hang on its last bits, so that of the serving path (`registry.sigmoid`), which rounds
    otherwise, does not take its place.
    """
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)), dtype=np.float64)
