"""The whole procedure from a training set to a model: everything that is learned, learned from those people alone.

In this order: analytes too rarely detected are left out; a missing value becomes the mean of the training people;
analytes are ranked by the strength of their association with the outcome (the F statistic of two groups, per kind);
the best few of each kind and the covariates are standardised; a logistic regression with an L2 penalty is fitted. How
many analytes, which penalty and which cut-points are chosen by cross-validation inside the training set, on log loss;
of equally good settings the smaller and the more strongly penalised is taken.

Weights stand for how often a person counts: 0 leaves them out, 2 is a person drawn twice by a bootstrap. All rows of a
person lie in one fold, so a person drawn twice is never on both sides of a split.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from service.training.cohort import Flags, Floats
from service.training.cut_points import CutRule, choose
from service.training.folds import Indices, deal
from service.training.logistic import EXACT, TUNING, fit_many, sigmoid

_DIGITS = 10
"""Digits of an association that are compared: beyond them, processors differ, and a rank must not."""


@dataclass(frozen=True, eq=False)
class Design:
    """n rows on the normalised scale.

    `values` (n, p) analytes, NaN where missing; `detected` (n, p); `kinds` (p,) numbers the group of each analyte, and
    `covariates` (n, q) are in every model. `person` (n,) numbers people from 0. Columns should be centred on the whole
    table, which changes no model and keeps sums of squares exact.
    """

    values: Floats
    detected: Flags
    kinds: Indices
    covariates: Floats
    positive: Flags
    person: Indices

    @cached_property
    def absent(self) -> Floats | None:
        """1 where a value is missing (n, p), or None where none is."""
        missing = np.isnan(self.values)
        return missing.astype(np.float64) if missing.any() else None

    @cached_property
    def filled(self) -> Floats:
        """The values with 0 in place of missing ones (n, p)."""
        return self.values if self.absent is None else np.where(self.absent > 0, 0.0, self.values)

    @cached_property
    def squares(self) -> Floats:
        """The squares of `filled` (n, p)."""
        return np.asarray(self.filled**2, dtype=np.float64)

    @cached_property
    def seen(self) -> Floats | None:
        """1 where an analyte was detected (n, p), or None where all were."""
        return None if self.detected.all() else self.detected.astype(np.float64)

    def relabelled(self, positive: Flags, person: Indices | None = None) -> Design:
        """The same table with other outcomes, or other people."""
        return replace(self, positive=positive, person=self.person if person is None else person)


@dataclass(frozen=True, slots=True)
class Settings:
    """What is tried and how: `sizes` per kind of analyte (at most `limits`), `penalties` C from strong to weak.

    A kind that is `whole` enters with all its analytes whatever the size. `limits`, `whole` and `min_detected` have one
    entry per kind.
    """

    sizes: tuple[int, ...]
    limits: tuple[int, ...]
    whole: tuple[bool, ...]
    penalties: tuple[float, ...]
    inner_folds: int
    min_detected: tuple[float, ...]
    rule: CutRule


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A fitted model: `columns` (k,) of the design, coefficients on the design's own (centred) scale, and settings."""

    columns: Indices
    coefficients: Floats
    covariates: Floats
    intercept: float
    imputed: Floats
    size: int
    penalty: float
    cut_points: tuple[float, ...]

    def logit(self, design: Design) -> Floats:
        """The logit of the positive class for every row (n,)."""
        values = design.values[:, self.columns]
        values = np.where(np.isnan(values), self.imputed, values)
        return np.asarray(
            values @ self.coefficients + design.covariates @ self.covariates + self.intercept, dtype=np.float64
        )


def learn(
    design: Design, weights: Floats, settings: Settings, generator: np.random.Generator, *, runs: int = 1
) -> Model:
    """The procedure on the rows with a weight; `runs` repeats the inner cross-validation that chooses settings."""
    chosen = _tune(design, weights, settings, generator, runs)
    training = weights[np.newaxis]
    fitted = _prepare(design, training, _rank(design, training, settings), chosen.size)
    penalties = np.array([chosen.penalty])
    beta = fit_many(fitted.inputs, design.positive, training, penalties, tolerance=EXACT)[0]
    return _unscaled(fitted, beta, chosen)


@dataclass(frozen=True, slots=True)
class _Chosen:
    size: int
    penalty: float
    cut_points: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Ranking:
    """Of b training sets: the best columns per kind, strongest first; mean and usability
    of every analyte (b, p)."""

    best: tuple[Indices, ...]
    whole: tuple[bool, ...]
    mean: Floats
    usable: Flags


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """Standardised inputs (b, n, k) of b training sets: analytes `columns` (b, k_a), then the covariates."""

    columns: Indices
    inputs: Floats
    centre: Floats
    spread: Floats
    imputed: Floats


def _tune(design: Design, weights: Floats, settings: Settings, generator: np.random.Generator, runs: int) -> _Chosen:
    training, held = _splits(design, weights, settings.inner_folds, generator, runs)
    penalties = np.array(settings.penalties)
    # One run after the other, so that a large cohort needs the memory of one.
    rankings = [(part, _rank(design, part, settings)) for part in np.split(training, runs)]
    best: tuple[float, int, float, Floats] | None = None
    for size in settings.sizes:
        paths = [_paths(design, part, _prepare(design, part, ranking, size), penalties) for part, ranking in rankings]
        logits = np.concatenate(paths, axis=1)
        losses = _log_losses(logits, design.positive, held)
        for index, loss in enumerate(np.round(losses, 9)):
            if best is None or loss < best[0]:
                best = (float(loss), size, float(penalties[index]), logits[index])
    assert best is not None  # noqa: S101 - a spec has at least one size and one penalty
    out_of_fold = (np.where(held > 0, sigmoid(best[3]), 0.0)).reshape(runs, -1, len(weights)).sum(axis=1)
    return _Chosen(best[1], best[2], choose(settings.rule, out_of_fold, design.positive, weights))


def _splits(
    design: Design, weights: Floats, folds: int, generator: np.random.Generator, runs: int
) -> tuple[Floats, Floats]:
    rows = np.flatnonzero(weights > 0)
    fold = np.full((runs, len(weights)), -1, dtype=np.int64)
    for run in range(runs):
        fold[run, rows] = deal(design.person[rows], design.positive[rows], folds, generator)
    inside = fold[:, np.newaxis, :] == np.arange(folds)[np.newaxis, :, np.newaxis]
    held = (weights * inside).reshape(runs * folds, -1)
    return weights * ~inside.reshape(runs * folds, -1), held


def _paths(design: Design, training: Floats, prepared: _Prepared, penalties: Floats) -> Floats:
    # All penalties of all folds in one call. Answers logits (penalties, folds, n).
    inputs = prepared.inputs
    count, folds = len(penalties), len(inputs)
    beta = fit_many(
        np.tile(inputs, (count, 1, 1)),
        design.positive,
        np.tile(training, (count, 1)),
        np.repeat(penalties, folds),
        tolerance=TUNING,
    )
    beta = beta.reshape(count, folds, -1)
    logits = np.matmul(inputs[np.newaxis], beta[:, :, :-1, np.newaxis])[..., 0]
    return np.asarray(logits + beta[:, :, -1:], dtype=np.float64)


def _log_losses(logits: Floats, positive: Flags, held: Floats) -> Floats:
    losses = np.logaddexp(0.0, np.where(positive, -logits, logits))
    return np.asarray((losses * held).sum(axis=(1, 2)) / held.sum(), dtype=np.float64)


def _prepare(design: Design, training: Floats, ranking: _Ranking, size: int) -> _Prepared:
    columns = _columns(ranking, size)
    rows = np.arange(len(training))[:, np.newaxis]
    values = np.swapaxes(design.values.T[columns], 1, 2)
    imputed = ranking.mean[rows, columns]
    if design.absent is not None:
        values = np.where(np.isnan(values), imputed[:, np.newaxis, :], values)
    covariates = np.broadcast_to(design.covariates, (len(training), *design.covariates.shape))
    inputs = np.concatenate([values, covariates], axis=2)
    total = training.sum(axis=1)[:, np.newaxis]
    centre = np.matmul(training[:, np.newaxis, :], inputs)[:, 0, :] / total
    inputs -= centre[:, np.newaxis, :]
    spread = np.sqrt(np.matmul(training[:, np.newaxis, :], inputs**2)[:, 0, :] / total)
    spread = np.where(spread > 0, spread, 1.0)
    inputs /= spread[:, np.newaxis, :]
    # An analyte that may not be used in this training set fills its place with nothing.
    inputs[:, :, : columns.shape[1]] *= ranking.usable[rows, columns][:, np.newaxis, :]
    return _Prepared(columns, inputs, centre, spread, imputed)


def _columns(ranking: _Ranking, size: int) -> Indices:
    # In the order of the table, whatever their rank: the order of a panel must not depend on chance.
    if not ranking.best:
        return np.zeros((len(ranking.mean), 0), dtype=np.int64)
    parts = zip(ranking.best, ranking.whole, strict=True)
    return np.concatenate([np.sort(best if whole else best[:, :size], axis=1) for best, whole in parts], axis=1)


def _rank(design: Design, training: Floats, settings: Settings) -> _Ranking:
    total = training.sum(axis=1)[:, np.newaxis]
    cases = training * design.positive
    sums, squares, case_sums = training @ design.filled, training @ design.squares, cases @ design.filled
    mean = sums / total
    if design.absent is not None:
        missing = training @ design.absent
        mean = sums / np.maximum(total - missing, 1e-300)
        sums, squares = sums + mean * missing, squares + mean**2 * missing
        case_sums = case_sums + mean * (cases @ design.absent)
    n_cases = np.maximum(cases.sum(axis=1)[:, np.newaxis], 1e-300)
    variation = squares - sums**2 / total
    between = case_sums**2 / n_cases + (sums - case_sums) ** 2 / np.maximum(total - n_cases, 1e-300) - sums**2 / total
    usable = variation > 1e-12 * squares + 1e-300
    if design.seen is not None and any(settings.min_detected):
        enough = np.array(settings.min_detected)[design.kinds]
        usable &= training @ design.seen >= enough * total - 1e-9
    strength = np.where(usable, between / np.where(variation > 0, variation, 1.0), -1.0)
    return _Ranking(_strongest(design, strength, settings), settings.whole, mean, usable)


def _strongest(design: Design, strength: Floats, settings: Settings) -> tuple[Indices, ...]:
    rounded = np.round(strength, _DIGITS)
    found = []
    for kind, limit in enumerate(settings.limits):
        members = np.flatnonzero(design.kinds == kind)
        take = min(limit, len(members))
        if take == len(members):
            order = np.argsort(-rounded[:, members], axis=1, kind="stable")
        else:
            # Only what may be taken is sorted; all equals of the last one taken compete by their place in the table.
            order = np.array([_first(row, take) for row in rounded[:, members]])
        found.append(members[order])
    return tuple(found)


def _first(strength: Floats, take: int) -> Indices:
    bound = np.partition(strength, len(strength) - take)[len(strength) - take]
    near = np.flatnonzero(strength >= bound)
    return np.asarray(near[np.argsort(-strength[near], kind="stable")][:take], dtype=np.int64)


def _unscaled(fitted: _Prepared, beta: Floats, chosen: _Chosen) -> Model:
    slopes = beta[:-1] / fitted.spread[0]
    count = fitted.columns.shape[1]
    used = fitted.inputs[0, :, :count].any(axis=0)
    slopes[:count] *= used
    return Model(
        columns=fitted.columns[0][used],
        coefficients=slopes[:count][used],
        covariates=slopes[count:],
        intercept=float(beta[-1] - (slopes * fitted.centre[0]).sum()),
        imputed=fitted.imputed[0][used],
        size=chosen.size,
        penalty=chosen.penalty,
        cut_points=chosen.cut_points,
    )
