"""The interval of a linear score: its variance from the covariance, and the way to the value's own scale."""

import math
import statistics

import numpy as np
import pytest
from scipy.stats import norm

from service.registry.calibration import CalibrationStep, Isotonic, Sigmoid
from service.registry.interval import LEVEL, QUANTILE, ScoreVariance, half_width, half_width_of_one
from service.registry.manifest_estimator import Matrix
from service.registry.scorer import LinearScorer
from service.registry.sigmoid import sigmoid


def covariance(width: int, seed: int = 3, rank: int | None = None) -> Matrix:
    rows = np.random.default_rng(seed).normal(size=(rank or 3 * width, width + 1))
    return tuple(map(tuple, (rows.T @ rows / len(rows)).tolist()))


def scorer(width: int, found: Matrix, **others: object) -> LinearScorer:
    weights = np.random.default_rng(width).normal(size=width)
    given = {"intercept": 0.3, "link": "logit", "variance": ScoreVariance(found)} | others
    return LinearScorer(weights, **given)


def test_the_quantile_is_that_of_the_normal_distribution() -> None:
    assert float(norm.ppf((1 + LEVEL) / 2)) == QUANTILE
    assert statistics.NormalDist().inv_cdf((1 + LEVEL) / 2) == pytest.approx(QUANTILE, abs=1e-15)


@pytest.mark.parametrize("width", [1, 6, 24])
def test_the_variance_is_the_quadratic_form_of_the_covariance(width: int) -> None:
    found = covariance(width)
    rows = np.random.default_rng(1).normal(size=(20, width))
    expected = [g @ np.array(found) @ g for g in np.column_stack([np.ones(20), rows])]
    variance = ScoreVariance(found)
    assert variance.of_many(list(rows.T)) == pytest.approx(expected, rel=1e-12)
    assert [variance.of_one(row) for row in rows.tolist()] == pytest.approx(expected, rel=1e-12)
    assert all(variance.bound(np.abs(row).tolist()) >= variance.of_one(row.tolist()) for row in rows)


def test_columns_without_a_term_take_no_part() -> None:
    found = covariance(2)
    few, all_of_them = ScoreVariance(found, columns=[0, 2]), ScoreVariance(found)
    assert few.of_one([0.5, 9.0, -0.25]) == all_of_them.of_one([0.5, -0.25])
    columns = [np.array([0.5]), np.array([9.0]), np.array([-0.25])]
    assert few.of_many(columns) == all_of_them.of_many([columns[0], columns[2]])


def test_it_covers_what_normal_coefficients_give() -> None:
    found = covariance(3)
    model = scorer(3, found)
    row = np.array([0.4, -0.2, 0.7])
    low, high = model.score_one(row.tolist()).interval or (math.nan, math.nan)
    drawn = np.random.default_rng(2).multivariate_normal([model.baseline, *model.coefficients], found, size=100_000)
    values = sigmoid(drawn @ np.array([1.0, *row]))
    assert np.mean((low <= values) & (values <= high)) == pytest.approx(LEVEL, abs=0.003)


@pytest.mark.parametrize("link", ["logit", "identity"])
@pytest.mark.parametrize(
    "curves",
    [(), (Isotonic((-1.0, 0.0, 0.5), (0.1, 0.1, 0.9)),), (Sigmoid(2.0, 0.0), Sigmoid(-3.0, 0.5))],
    ids=["none", "isotonic", "of two directions"],
)
def test_the_value_lies_in_its_interval(link: str, curves: tuple[Isotonic | Sigmoid, ...]) -> None:
    step = CalibrationStep("isotonic", curves) if curves else None
    model = scorer(6, covariance(6), link=link, calibration=step)
    rows = np.random.default_rng(4).normal(size=(500, 6))
    scored = model.score(rows)
    assert scored.interval is not None
    low, high = scored.interval
    assert ((low <= scored.value) & (scored.value <= high)).all()
    assert (low < high).any()
    for index in (0, 499):
        alone = model.score_one(rows[index].tolist())
        assert (alone.value, alone.interval) == (scored.value[index], (low[index], high[index]))
    if step is None and link == "identity":
        assert high - low == pytest.approx(2 * half_width(ScoreVariance(covariance(6)).of_many(list(rows.T))))


def test_a_covariance_of_zeros_gives_no_width() -> None:
    alone = scorer(2, ((0.0,) * 3,) * 3).score_one([0.5, 1.5])
    assert alone.interval == (alone.value, alone.value)


def test_rounding_below_zero_is_no_variance() -> None:
    assert half_width(np.array([-1e-20, 0.0, 4.0])).tolist() == [0.0, 0.0, 2 * QUANTILE]
    assert [half_width_of_one(v) for v in (-1e-20, 0.0, 4.0)] == [0.0, 0.0, 2 * QUANTILE]
    nearly_singular = covariance(6, rank=1)
    model = scorer(6, nearly_singular)
    rows = np.random.default_rng(5).normal(size=(200, 6))
    scored = model.score(rows)
    assert scored.interval is not None
    assert np.isfinite(scored.interval[0]).all()


def test_a_variance_that_overflows_is_no_interval() -> None:
    model = scorer(1, ((1e300, 0.0), (0.0, 1e300)))
    with pytest.raises(ValueError, match="finite"):
        model.score_one([1e10])
    with pytest.raises(ValueError, match="finite"):
        model.score(np.array([[1e10]]))


def test_without_a_covariance_there_is_none() -> None:
    model = scorer(2, covariance(2), variance=None)
    assert model.score_one([0.0, 0.0]).interval is None
    assert model.score(np.zeros((1, 2))).interval is None
