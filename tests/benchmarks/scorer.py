"""The scorer against scikit-learn's `predict_proba` on the bundled linear model, one row and many; and what the
interval and the distance from the reference distribution add to it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import joblib
import numpy as np

from service.registry.bundled import load_bundled
from service.registry.distance import Distance
from service.registry.interval import ScoreVariance
from service.registry.scorer import LinearScorer
from service.registry.transforms import ColumnTransforms
from service.settings import shipped
from tests.registry.spread import reference_of

RUNS = 7


def main(_arguments: Sequence[str] = ()) -> None:
    """Print microseconds a row of both, and their ratio; medians of interleaved runs."""
    version = load_bundled(shipped("model_artifacts"), in_force=True).resolve("tb-exosomal-mirna")
    assert version.scorer is not None
    assert version.panel is not None
    lowered = version.scorer.score
    folder = shipped("model_artifacts") / version.name / version.version
    fitted = joblib.load(folder / "estimator.joblib").predict_proba
    random = np.random.default_rng(7)
    print(f"scoring, median of {RUNS} interleaved runs, microseconds a row")
    for rows, repeats in ((1, 300), (64, 300), (8192, 30)):
        matrix = random.normal(size=(rows, len(version.panel.codes)))
        ours, theirs = [], []
        for _ in range(RUNS):
            ours.append(timed(lowered, matrix, repeats) / rows)
            theirs.append(timed(fitted, matrix, repeats) / rows)
        one, other = statistics.median(ours), statistics.median(theirs)
        print(f"  {rows:5} rows: lowered {one:8.3f}, predict_proba {other:8.3f}, ratio {other / one:.1f}")
    print()
    print(f"best of {RUNS} runs, microseconds a row: the score, with its interval, the distance")
    for width in (6, 24):
        for rows in (1, 8192):
            found = [min(timings) for timings in _parts(width, rows)]
            print(f"  {width:2} columns, {rows:5} rows: {found[0]:7.3f} {found[1]:7.3f} {found[2]:7.3f}")
    print()


def _parts(width: int, rows: int) -> list[list[float]]:
    """Microseconds a row of the score, of the score with its interval, and of the distance, run after run."""
    random = np.random.default_rng(width)
    people = random.normal(size=(10 * width, width)) @ random.normal(size=(width, width))
    weights, covariance = random.normal(size=width), np.cov(random.normal(size=(100, width + 1)).T)
    plain = LinearScorer(weights, intercept=0.1, link="logit")
    variance = ScoreVariance(tuple(map(tuple, covariance.tolist())))
    sure = LinearScorer(weights, intercept=0.1, link="logit", variance=variance)
    distance = Distance(reference_of(people), ColumnTransforms((), width), range(width))
    matrix = random.normal(size=(rows, width))
    row = matrix[0].tolist()
    one = ((plain.score_one, row), (sure.score_one, row), (distance, row))
    many = ((plain.score, matrix), (sure.score, matrix), (distance.of_many, matrix))
    repeats = 2000 if rows == 1 else 20
    return [[timed(call, given, repeats) / rows for _ in range(RUNS)] for call, given in (one if rows == 1 else many)]


def timed(call: Callable[..., object], matrix: np.ndarray | list[float], repeats: int) -> float:
    """Mean microseconds of one call."""
    started = time.perf_counter()
    for _ in range(repeats):
        call(matrix)
    return (time.perf_counter() - started) / repeats * 1e6
