import numpy as np
import pytest
from sklearn.feature_selection import f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from service.training.cut_points import GRID, CutRule, choose
from service.training.folds import deal, draw_people
from service.training.logistic import EXACT, fit_many
from service.training.recipe import Design, Settings, learn

GENERATOR = np.random.default_rng(5)
POSITIVE = np.arange(90) % 3 == 0
VALUES = GENERATOR.normal(size=(90, 40)) + 0.6 * POSITIVE[:, np.newaxis] * (np.arange(40) < 4)


def design(values: np.ndarray = VALUES, positive: np.ndarray = POSITIVE, person: np.ndarray | None = None) -> Design:
    n, p = values.shape
    return Design(
        values=values,
        detected=~np.isnan(values),
        kinds=np.zeros(p, dtype=np.int64),
        covariates=np.zeros((n, 0)),
        positive=positive,
        person=np.arange(n) if person is None else person,
    )


def settings(sizes: tuple[int, ...] = (3, 6), penalties: tuple[float, ...] = (0.1, 1.0)) -> Settings:
    return Settings(sizes, (max(sizes),), (False,), penalties, 3, (0.0,), CutRule("youden"))


@pytest.mark.parametrize("penalty", [1e-4, 0.1, 10.0, 1e4])
def test_coefficients_are_scikit_learns(penalty: float) -> None:
    inputs = (VALUES[:, :5] - VALUES[:, :5].mean(axis=0)) / VALUES[:, :5].std(axis=0)
    weights = GENERATOR.integers(0, 3, size=90).astype(np.float64)
    found = fit_many(inputs[np.newaxis], POSITIVE, weights[np.newaxis], np.array([penalty]), tolerance=EXACT)[0]
    model = LogisticRegression(C=penalty, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    model.fit(inputs, POSITIVE, sample_weight=weights)
    assert np.abs(found - np.append(model.coef_[0], model.intercept_)).max() < 1e-9


def test_problems_solved_together_do_not_touch_each_other() -> None:
    inputs = np.stack([VALUES[:, :5], VALUES[:, 5:10]])
    weights = np.ones((2, 90))
    both = fit_many(inputs, POSITIVE, weights, np.array([0.1, 5.0]), tolerance=EXACT)
    for place, penalty in enumerate((0.1, 5.0)):
        part = slice(place, place + 1)
        alone = fit_many(inputs[part], POSITIVE, weights[part], np.array([penalty]), tolerance=EXACT)
        assert np.abs(both[part] - alone).max() < 1e-9


def test_separated_classes_and_a_lost_class_end() -> None:
    inputs = np.where(POSITIVE, 1.0, -1.0)[np.newaxis, :, np.newaxis]
    separated = fit_many(inputs, POSITIVE, np.ones((1, 90)), np.array([1e6]), tolerance=1e-6)
    lost = fit_many(inputs, POSITIVE, (~POSITIVE)[np.newaxis].astype(float), np.array([1.0]), tolerance=1e-6)
    assert np.isfinite(separated).all()
    assert np.isfinite(lost).all()


def test_a_model_is_what_a_pipeline_fits_on_the_best_analytes() -> None:
    model = learn(design(), np.ones(90), settings(sizes=(6,), penalties=(0.5,)), np.random.default_rng(1))
    best = np.sort(np.argsort(-f_classif(VALUES, POSITIVE)[0])[:6])
    assert model.columns.tolist() == best.tolist()
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, solver="newton-cholesky", tol=1e-12))
    pipeline.fit(VALUES[:, best], POSITIVE)
    assert np.abs(model.logit(design()) - pipeline.decision_function(VALUES[:, best])).max() < 1e-9


def test_a_weight_of_two_is_a_row_twice() -> None:
    weights = np.ones(90)
    weights[:10] = 2.0
    weights[80:] = 0.0
    rows = np.concatenate([np.arange(80), np.arange(10)])
    twice = design(VALUES[rows], POSITIVE[rows], person=rows)
    one = settings(sizes=(6,), penalties=(0.5,))
    weighted = learn(design(), weights, one, np.random.default_rng(1))
    repeated = learn(twice, np.ones(90), one, np.random.default_rng(1))
    assert weighted.columns.tolist() == repeated.columns.tolist()
    assert np.abs(weighted.coefficients - repeated.coefficients).max() < 1e-9


def test_rows_without_weight_change_nothing() -> None:
    weights = (np.arange(90) < 70).astype(np.float64)
    spoilt = VALUES.copy()
    spoilt[70:] = 1e3
    one, other = (learn(design(v), weights, settings(), np.random.default_rng(1)) for v in (VALUES, spoilt))
    assert one.columns.tolist() == other.columns.tolist()
    assert np.abs(one.coefficients - other.coefficients).max() < 1e-9
    assert one.cut_points == other.cut_points


def test_missing_values_become_the_mean_of_the_training_people() -> None:
    holes = VALUES.copy()
    holes[::7, 0] = np.nan
    filled = holes.copy()
    filled[::7, 0] = np.nanmean(holes[:, 0])
    one, other = (
        learn(design(v), np.ones(90), settings(sizes=(40,), penalties=(0.5,)), np.random.default_rng(1))
        for v in (holes, filled)
    )
    assert np.abs(one.coefficients - other.coefficients).max() < 1e-9
    assert one.imputed[0] == pytest.approx(np.nanmean(holes[:, 0]), abs=1e-12)


def test_an_analyte_rarely_detected_is_not_used() -> None:
    rare = Design(
        values=VALUES,
        detected=np.broadcast_to(np.arange(40) != 0, VALUES.shape) | (np.arange(90) < 20)[:, np.newaxis],
        kinds=np.zeros(40, dtype=np.int64),
        covariates=np.zeros((90, 0)),
        positive=POSITIVE,
        person=np.arange(90),
    )
    half = Settings((40,), (40,), (False,), (0.5,), 3, (0.5,), CutRule("youden"))
    model = learn(rare, np.ones(90), half, np.random.default_rng(1))
    assert 0 not in model.columns
    assert len(model.columns) == 39


def test_of_equals_the_first_in_the_table_is_taken() -> None:
    copies = np.column_stack([VALUES[:, 5], VALUES[:, 0], VALUES[:, 0], VALUES[:, 0]])
    model = learn(design(copies), np.ones(90), settings(sizes=(2,), penalties=(0.5,)), np.random.default_rng(1))
    assert model.columns.tolist() == [1, 2]


def test_folds_keep_people_together_and_classes_even() -> None:
    person = np.repeat(np.arange(30), 3)
    positive = person % 3 == 0
    fold = deal(person, positive, 5, np.random.default_rng(3))
    assert all(len(set(fold[person == p])) == 1 for p in range(30))
    assert np.bincount(fold[positive]).tolist() == [6] * 5
    assert np.bincount(fold[~positive]).tolist() == [12] * 5


def test_people_are_drawn_whole_and_by_class() -> None:
    person = np.repeat(np.arange(30), 3)
    positive = person % 3 == 0
    counts = draw_people(person, positive, np.random.default_rng(3))
    assert counts[positive].sum() == positive.sum()
    assert counts.sum() == len(person)
    assert all(len(set(counts[person == p])) == 1 for p in range(30))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (CutRule("youden"), (0.301,)),
        (CutRule("sensitivity_at_least", sensitivity=1.0), (0.4,)),
        (CutRule("sensitivity_at_least", sensitivity=0.6), (0.7,)),
        (CutRule("specificity_at_least", specificity=1.0), (0.301,)),
        (CutRule("specificity_at_least", specificity=0.6), (0.201,)),
        (CutRule("two_sided", 1.0, 1.0), (0.35, 0.35)),
    ],
    ids=["youden", "all positives", "two of three", "all negatives", "two negatives", "no zone"],
)
def test_cut_points_keep_what_the_rule_says(rule: CutRule, expected: tuple[float, ...]) -> None:
    predicted = np.array([[0.1, 0.2, 0.3, 0.7, 0.8, 0.4]])
    positive = np.array([False, False, False, True, True, True])
    assert choose(rule, predicted, positive, np.ones(6)) == pytest.approx(expected, abs=0.0006)


def test_a_two_sided_rule_leaves_a_zone_where_classes_overlap() -> None:
    generator = np.random.default_rng(0)
    predicted = 1 / (1 + np.exp(-generator.normal(size=(1, 90)) - POSITIVE))
    low, high = choose(CutRule("two_sided", 0.9, 0.9), predicted, POSITIVE, np.ones(90))
    assert low < high
    assert (predicted[0, POSITIVE] >= low).mean() >= 0.9
    assert (predicted[0, ~POSITIVE] < high).mean() >= 0.9


def test_a_rule_nothing_keeps_takes_the_end_of_the_grid() -> None:
    positive = np.array([True, False])
    assert choose(CutRule("sensitivity_at_least", 1.0), np.array([[0.0, 0.5]]), positive, np.ones(2)) == (GRID[0],)
    assert choose(CutRule("specificity_at_least", 0, 1.0), np.array([[0.5, 1.0]]), positive, np.ones(2)) == (GRID[-1],)
