import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

from service.training.evaluation import scale_of
from service.training.figures import FigurePlan, area, figures, net_benefit, recalibration, reported
from service.training.intervals import interval, middle
from service.training.workers import Silent, Workers

GENERATOR = np.random.default_rng(4)
POSITIVE = np.arange(120) % 3 == 0
LOGIT = GENERATOR.normal(size=120) + POSITIVE
WEIGHTS = GENERATOR.integers(0, 4, size=120).astype(np.float64)
PLAN = FigurePlan(2, (0.1,), (0.3,))


def named(weights: np.ndarray, cut_points: tuple[float, float] = (0.4, 0.6)) -> dict[str, float]:
    found = figures(LOGIT, POSITIVE, weights, np.tile(cut_points, (120, 1)), PLAN)
    return dict(zip(PLAN.names, found.tolist(), strict=True))


@pytest.mark.parametrize("score", [LOGIT, LOGIT.round(), np.zeros(120)], ids=["distinct", "ties", "all equal"])
def test_area_is_scikit_learns_with_weights(score: np.ndarray) -> None:
    expected = roc_auc_score(POSITIVE, score, sample_weight=WEIGHTS)
    assert area(score, POSITIVE, WEIGHTS) == pytest.approx(expected, abs=1e-12)


def test_figures_with_weights_are_figures_of_the_rows_repeated() -> None:
    rows = np.repeat(np.arange(120), WEIGHTS.astype(int))
    cut_points = np.tile((0.4, 0.6), (len(rows), 1))
    repeated = figures(LOGIT[rows], POSITIVE[rows], np.ones(len(rows)), cut_points, PLAN)
    assert figures(LOGIT, POSITIVE, WEIGHTS, np.tile((0.4, 0.6), (120, 1)), PLAN) == pytest.approx(repeated, abs=1e-9)


def test_figures_are_what_they_are_called() -> None:
    predicted = 1 / (1 + np.exp(-LOGIT))
    found = named(np.ones(120))
    assert found["Brier score"] == pytest.approx(brier_score_loss(POSITIVE, predicted), abs=1e-12)
    sensitivity, specificity = (predicted[POSITIVE] >= 0.6).mean(), (predicted[~POSITIVE] < 0.4).mean()
    assert found["sensitivity at the upper cut-point"] == pytest.approx(sensitivity)
    assert found["specificity at the lower cut-point"] == pytest.approx(specificity)
    assert found["indeterminate share"] == pytest.approx(((predicted >= 0.4) & (predicted < 0.6)).mean())
    false = (predicted[~POSITIVE] >= 0.6).mean()
    assert found["PPV at 0.1"] == pytest.approx(0.1 * sensitivity / (0.1 * sensitivity + 0.9 * false))
    missed = (predicted[POSITIVE] < 0.4).mean()
    assert found["NPV at 0.1"] == pytest.approx(0.9 * specificity / (0.9 * specificity + 0.1 * missed))
    called = predicted >= 0.3
    expected = ((called & POSITIVE).sum() - (called & ~POSITIVE).sum() * 0.3 / 0.7) / 120
    assert found["net benefit at 0.3"] == pytest.approx(expected)
    assert net_benefit(predicted, POSITIVE, np.ones(120), 1e-9) == pytest.approx(POSITIVE.mean())


def test_reported_predictive_values_are_those_of_the_shares_they_stand_beside() -> None:
    plan = FigurePlan(2, (0.01, 0.5), ())
    place = {name: index for index, name in enumerate(plan.names)}
    runs = np.random.default_rng(3).uniform(0.5, 1.0, size=(20, len(plan.names)))
    runs[5, place["calibration slope"]] = np.nan
    found = dict(zip(plan.names, reported(runs, POSITIVE, plan).tolist(), strict=True))
    for name in ("AUC", "sensitivity at the lower cut-point", "indeterminate share"):
        assert found[name] == pytest.approx(runs[:, place[name]].mean())
    assert found["calibration slope"] == pytest.approx(np.nanmean(runs[:, place["calibration slope"]]))
    true = 0.01 * found["sensitivity at the upper cut-point"]
    false = 0.99 * (1 - found["specificity at the upper cut-point"])
    assert found["PPV at 0.01"] == pytest.approx(true / (true + false))
    right = 0.5 * found["specificity at the lower cut-point"]
    wrong = 0.5 * (1 - found["sensitivity at the lower cut-point"])
    assert found["NPV at 0.5"] == pytest.approx(right / (right + wrong))


def test_predictive_values_are_never_certain() -> None:
    found = named(np.ones(120), (1e-9, 1 - 1e-9))
    assert 0.0 < found["PPV at 0.1"] < 1.0
    assert 0.0 < found["NPV at 0.1"] < 1.0


def test_recalibration_is_a_logistic_regression_and_ends_where_there_is_none() -> None:
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12)
    model.fit(LOGIT[:, np.newaxis], POSITIVE, sample_weight=WEIGHTS)
    expected = (model.coef_[0, 0], model.intercept_[0])
    assert recalibration(LOGIT, POSITIVE, WEIGHTS) == pytest.approx(expected, abs=1e-6)
    assert np.isnan(recalibration(np.zeros(120), POSITIVE, WEIGHTS)).all()
    assert np.isnan(recalibration(np.where(POSITIVE, 1.0, -1.0), POSITIVE, WEIGHTS)).all()


def test_an_interval_holds_what_people_account_for_and_little_of_the_folds() -> None:
    generator = np.random.default_rng(1)
    people, folds = 0.05 * generator.normal(size=(4000, 1)), 0.08 * generator.normal(size=(4000, 2))
    runs = 0.7 + 0.08 * generator.normal(size=400)
    found = interval(runs, 0.6 + people + folds, 0.0, "free")
    assert found is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(0.05**2 + 0.08**2 / 400), rel=0.06)
    assert found.low < found.value < found.high
    floored = interval(runs, 0.6 + people + folds, 0.2, "free")
    assert floored is not None
    assert floored.high - floored.low == pytest.approx(2 * 1.96 * 0.2, rel=0.01)
    share = interval(np.full(20, 0.99), np.tile(0.9 + 0.05 * people, 2), 0.02, "share")
    assert share is not None
    assert 0.0 < share.low < 0.99 < share.high < 1.0
    assert share.high - share.value < share.value - share.low


def test_a_figure_that_mostly_does_not_exist_has_no_interval() -> None:
    half = np.where(np.arange(20) % 2 == 0, np.nan, 0.7)
    assert interval(half, np.full((50, 2), 0.7), 0.0, "free") is None
    found = interval(np.full(20, 0.7), np.full((50, 2), np.nan), 0.0, "odds")
    assert found is not None
    assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize(
    ("name", "scale"),
    [("AUC", "share"), ("PPV at 0.1", "odds"), ("net benefit at 0.1", "free"), ("calibration slope", "free")],
)
def test_each_figure_has_its_scale(name: str, scale: str) -> None:
    assert scale_of(name) == scale


def test_the_middle_of_samples() -> None:
    assert middle(np.arange(1001) / 1000) == pytest.approx((0.025, 0.975))


def draw(generator: np.random.Generator) -> float:
    return float(generator.random())


def test_results_do_not_depend_on_the_number_of_workers() -> None:
    one, two = (Workers(jobs, 3, Silent()).run("stage", "kind", draw, 40) for jobs in (1, 2))
    assert one == two
    assert len(set(one)) == 40
    assert Workers(1, 3, Silent()).run("stage", "other kind", draw, 40) != one
    assert Workers(1, 4, Silent()).run("stage", "kind", draw, 40) != one
