"""The scorer against scikit-learn's `predict_proba` on the bundled linear model, one row and many."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import joblib
import numpy as np

from service.registry.bundled import load_bundled
from service.settings import shipped

RUNS = 7


def main(_arguments: Sequence[str] = ()) -> None:
    """Print microseconds a row of both, and their ratio; medians of interleaved runs."""
    version = load_bundled(shipped("model_artifacts"), in_force=True).resolve("tb-exosomal-mirna")
    assert version.scorer is not None
    assert version.panel is not None
    lowered = version.scorer.score
    fitted = joblib.load(shipped("model_artifacts") / "tb-exosomal-mirna" / "1.0.0" / "estimator.joblib").predict_proba
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


def timed(call: Callable[..., object], matrix: np.ndarray, repeats: int) -> float:
    """Mean microseconds of one call."""
    started = time.perf_counter()
    for _ in range(repeats):
        call(matrix)
    return (time.perf_counter() - started) / repeats * 1e6
