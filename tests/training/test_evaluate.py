import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

from service.training.calibration_groups import calibration_groups
from service.training.evaluate import auc, calibration, calibration_points, roc_points, share, spread
from service.training.fit import choose_cut_point

GENERATOR = np.random.default_rng(4)
POSITIVE = np.arange(120) % 3 == 0
PREDICTED = 1 / (1 + np.exp(-(GENERATOR.normal(size=120) + POSITIVE)))


def test_auc_is_scikit_learns_with_ties_counting_half() -> None:
    tied = PREDICTED.round(1)
    for predicted in (PREDICTED, tied):
        found = auc(predicted, POSITIVE, resamples=400, seed=1)
        assert found.value == pytest.approx(roc_auc_score(POSITIVE, predicted), abs=1e-12)
        assert found.low < found.value < found.high


def test_auc_over_repeats_is_their_mean() -> None:
    repeats = np.stack([PREDICTED, PREDICTED.round(1), 1 - PREDICTED])
    expected = np.mean([roc_auc_score(POSITIVE, row) for row in repeats])
    assert auc(repeats, POSITIVE, resamples=10, seed=1).value == pytest.approx(expected, abs=1e-12)


def test_the_bootstrap_interval_has_the_spread_of_a_resampled_auc() -> None:
    found = auc(PREDICTED, POSITIVE, resamples=4000, seed=1)
    generator = np.random.default_rng(9)
    cases, controls = PREDICTED[POSITIVE], PREDICTED[~POSITIVE]
    drawn = []
    for _ in range(600):
        scores = np.concatenate([generator.choice(cases, len(cases)), generator.choice(controls, len(controls))])
        drawn.append(roc_auc_score(np.arange(120) < len(cases), scores))
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([found.low, found.high], abs=0.025)


def test_wilson_interval_of_a_share() -> None:
    # 8 of 10: the Wilson score interval at 95 % is 0.4902 to 0.9433.
    found = share(np.array([True] * 8 + [False] * 2))
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)
    assert share(np.ones(5, dtype=bool)).high == 1.0
    assert share(np.zeros(5, dtype=bool)).low == 0.0


def test_calibration_recognises_a_stretched_score() -> None:
    generator = np.random.default_rng(0)
    logit = generator.normal(size=20_000)
    positive = generator.random(20_000) < 1 / (1 + np.exp(-logit))
    stretched = 1 / (1 + np.exp(-(2.0 * logit + 0.5)))
    found = calibration(stretched, positive)
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.intercept == pytest.approx(-0.25, abs=0.05)
    assert found.brier == pytest.approx(brier_score_loss(positive, stretched), abs=1e-12)


def test_curves_go_from_corner_to_corner() -> None:
    points = roc_points(PREDICTED, POSITIVE)
    false, true, _ = roc_curve(POSITIVE, PREDICTED, drop_intermediate=False)
    assert np.allclose(points, np.column_stack([false, true]))
    groups = calibration_points(PREDICTED, POSITIVE, groups=5)
    assert len(groups) == 5
    assert np.mean([observed for _, observed in groups]) == pytest.approx(POSITIVE.mean())


def test_spread_holds_the_middle_of_the_samples() -> None:
    found = spread(np.arange(1001) / 1000)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.025, 0.975))


def test_the_cut_point_is_youdens_and_the_lowest_of_equals() -> None:
    predicted = np.array([[0.1, 0.2, 0.3, 0.7, 0.8, 0.4]])
    positive = np.array([False, False, False, True, True, True])
    chosen = choose_cut_point(predicted, positive, resamples=50, seed=1)
    assert chosen.value == 0.301
    assert chosen.low <= chosen.value <= chosen.high
    averaged = choose_cut_point(np.concatenate([predicted, predicted + 0.05]), positive, resamples=50, seed=1)
    assert averaged.value == 0.351


def test_groups_by_prediction_hold_everybody_and_have_wilson_intervals() -> None:
    logit = np.log(PREDICTED / (1 - PREDICTED))
    found = calibration_groups(logit, POSITIVE)
    assert len(found.points) == len(found.shares) == 10
    assert np.array(found.points) == pytest.approx(np.array(calibration_points(PREDICTED, POSITIVE, groups=10)))
    assert [figure.value for figure in found.shares] == pytest.approx([y for _, y in found.points])
    assert all(figure.low <= figure.value <= figure.high for figure in found.shares)
    assert len(calibration_groups(logit[:99], POSITIVE[:99]).points) == 5
