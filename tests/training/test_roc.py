"""ROC curves on a grid, their bands, and what a build writes of them into the manifest."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from service.training.roc import GRID, cross_validated, judged_once, sensitivities

GENERATOR = np.random.default_rng(4)
POSITIVE = np.arange(120) % 3 == 0
LOGIT = GENERATOR.normal(size=120) + POSITIVE
WEIGHTS = GENERATOR.integers(0, 4, size=120).astype(np.float64)


@pytest.mark.parametrize("logit", [LOGIT, LOGIT.round(), np.zeros(120)], ids=["distinct", "ties", "all equal"])
def test_sensitivities_are_scikit_learns_with_weights(logit: np.ndarray) -> None:
    found = sensitivities(logit, POSITIVE, WEIGHTS)
    false, true, _ = roc_curve(POSITIVE, logit, sample_weight=WEIGHTS, drop_intermediate=False)
    for x, y in zip(GRID, found, strict=True):
        # At a step either end is right to whoever rounds otherwise.
        below, above = np.interp([x - 1e-9, x + 1e-9], false, true)
        assert below - 1e-6 <= y <= above + 1e-6
    assert (np.diff(found) >= 0).all()
    assert found[-1] == 1.0
    expected = roc_auc_score(POSITIVE, logit, sample_weight=WEIGHTS)
    assert float(np.trapezoid(found, GRID)) == pytest.approx(expected, abs=0.02)


def test_sensitivities_with_weights_are_those_of_the_rows_repeated() -> None:
    rows = np.repeat(np.arange(120), WEIGHTS.astype(int))
    repeated = sensitivities(LOGIT[rows], POSITIVE[rows], np.ones(len(rows)))
    assert sensitivities(LOGIT, POSITIVE, WEIGHTS) == pytest.approx(repeated, abs=1e-9)


def test_the_band_holds_its_line_and_has_the_spread_of_what_runs_share() -> None:
    line = np.sqrt(GRID)
    people, folds = 0.05 * GENERATOR.normal(size=(2000, 1, 1)), 0.08 * GENERATOR.normal(size=(2000, 2, 1))
    runs = [line + 0.001 * shift for shift in (-1.0, 1.0)]
    found = cross_validated(runs, line + people + folds, np.zeros(101))
    assert (found.low <= found.value).all()
    assert (found.value <= found.high).all()
    assert found.high[30] - found.low[30] == pytest.approx(2 * 1.96 * 0.05, rel=0.1)
    assert found.low.min() == 0.0
    assert found.high.max() == 1.0
    floored = cross_validated(runs, line + people + folds, np.full(101, 0.1))
    assert floored.high[30] - floored.low[30] == pytest.approx(2 * 1.96 * 0.1, rel=0.02)


def test_a_point_without_an_interval_may_lie_anywhere() -> None:
    resampled = np.full((100, 2, 101), 0.5) + 0.01 * GENERATOR.normal(size=(100, 1, 1))
    resampled[:50, :, 30] = np.nan
    found = cross_validated([np.full(101, 0.5)] * 2, resampled, np.zeros(101))
    assert (found.low[30], found.high[30]) == (0.0, 1.0)
    assert 0.4 < found.low[29] < found.high[29] < 0.6


def test_the_band_of_a_given_model_is_the_middle_of_the_samples_and_holds_its_line() -> None:
    line = np.full(101, 0.5)
    found = judged_once(line, line + GENERATOR.normal(scale=0.1, size=(4000, 101)))
    assert found.low == pytest.approx(0.5 - 0.196, abs=0.03)
    assert found.high == pytest.approx(0.5 + 0.196, abs=0.03)
    aside = judged_once(line, np.full((10, 101), 0.7))
    assert (aside.low == line).all()
