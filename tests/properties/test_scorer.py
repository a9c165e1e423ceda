"""Properties of scoring and lowering over generated models."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from service.registry.build import proven_scorer
from service.registry.calibration import CalibrationStep
from service.registry.estimator_scorer import EstimatorScorer
from service.registry.lower import lower, prove
from service.registry.manifest_estimator import Log2, MinMax, Scale, Step
from service.registry.scorer import BLOCK, LinearScorer, ScoredRows
from service.registry.sigmoid import sigmoid, sigmoid_of_one
from service.registry.transforms import column_transforms
from tests.registry.fitted import document_of, files_of, manifest_of, vectors_of, widened

finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(
    data=st.data(),
    rows=st.integers(1, 40),
    width=st.sampled_from([1, 6, 8, 12, 24]),
    order=st.sampled_from("CF"),
)
@settings(max_examples=80, deadline=None)
def test_bits_do_not_depend_on_the_company(data, rows: int, width: int, order: str) -> None:
    weights = data.draw(hnp.arrays(np.float64, width, elements=finite))
    matrix = np.asarray(data.draw(hnp.arrays(np.float64, (rows, width), elements=finite)), order=order)
    scorer = LinearScorer(
        weights.tolist(), intercept=data.draw(finite), link=data.draw(st.sampled_from(["logit", "identity"]))
    )
    together = scorer.score(matrix)
    index = data.draw(st.integers(0, rows - 1))
    alone = scorer.score(matrix[index : index + 1])
    assert alone.value.tobytes() == together.value[index : index + 1].tobytes()


@st.composite
def normalised(draw: st.DrawFn) -> tuple[LinearScorer, int]:
    """A scorer whose columns go through up to three steps each, and its width; any number of +-1e6 can be scored."""
    width = draw(st.sampled_from([1, 6, 12, 24]))
    codes = [f"c{index}" for index in range(width)]
    spread = st.floats(1e-3, 1e3)
    steps: list[Step] = []
    for code in codes:
        kinds = draw(st.lists(st.sampled_from(["log2", "scale", "min_max"]), max_size=3, unique=True))
        if "log2" in kinds:  # first, where its argument is known to be positive
            steps.append(Log2(step="log2", analytes=(code,), offset=draw(st.floats(1.0001e6, 1e9))))
        if "scale" in kinds:
            steps.append(Scale(step="scale", analyte=code, centre=draw(finite), spread=draw(spread)))
        if "min_max" in kinds:
            low = draw(finite)
            steps.append(MinMax(step="min_max", analyte=code, minimum=low, maximum=low + draw(spread)))
    weights = draw(st.lists(finite, min_size=width, max_size=width))
    link = draw(st.sampled_from(["logit", "identity"]))
    transforms = column_transforms(codes, steps)
    return LinearScorer(weights, intercept=draw(finite), link=link, transforms=transforms), width


@given(model=normalised(), rows=st.sampled_from([1, 7, BLOCK + 1]), order=st.sampled_from("CF"), data=st.data())
@settings(max_examples=150, deadline=None)
def test_one_row_has_the_bits_it_has_in_a_matrix(
    model: tuple[LinearScorer, int], rows: int, order: str, data: st.DataObject
) -> None:
    scorer, width = model
    seed, size = data.draw(st.integers(0, 2**32 - 1)), data.draw(st.sampled_from([1e-3, 1.0, 1e3, 1e6]))
    matrix = np.asarray(np.random.default_rng(seed).uniform(-size, size, size=(rows, width)), order=order)
    index = data.draw(st.integers(0, rows - 1))
    matrix[index] = data.draw(hnp.arrays(np.float64, width, elements=finite))
    together = scorer.score(matrix)
    for row in {0, index, rows - 1}:
        alone = scorer.score_one(matrix[row].tolist())
        assert repr(alone.value) == repr(float(together.value[row]))
        assert repr(alone.used) == repr(tuple(together.used[row].tolist()))
        assert together.terms is not None
        assert repr(alone.terms) == repr(tuple(together.terms[row].tolist()))
        assert (alone.raw, alone.baseline) == (None, together.baseline)


@given(hnp.arrays(np.float64, st.integers(1, 3000), elements=st.floats(allow_nan=False, allow_infinity=False)))
@settings(deadline=None)
def test_the_sigmoid_of_one_number_has_the_bits_of_the_sigmoid_of_many(values: np.ndarray) -> None:
    assert [repr(sigmoid_of_one(z)) for z in values.tolist()] == [repr(p) for p in sigmoid(values).tolist()]


@given(hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(allow_nan=False, allow_infinity=False)))
@settings(deadline=None)
def test_the_sigmoid_is_a_monotone_probability(values: np.ndarray) -> None:
    scored = sigmoid(np.sort(values))
    assert ((scored >= 0) & (scored <= 1)).all()
    assert (np.diff(scored) >= 0).all()
    assert np.abs(sigmoid(values) + sigmoid(-values) - 1).max() <= 1e-15


@st.composite
def pipelines(draw: st.DrawFn):
    width, rows = draw(st.sampled_from([1, 3, 6, 8, 12, 24])), draw(st.integers(40, 120))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** generator.uniform(-2, 2, size=width)
    matrix = generator.normal(size=(rows, width)) * scale + generator.normal(size=width) * scale
    labels = (matrix[:, 0] / scale[0] + generator.normal(size=rows) > np.median(matrix[:, 0] / scale[0])).astype(int)
    labels[:6] = [0, 1, 0, 1, 0, 1]
    classifier = LogisticRegression(C=draw(st.sampled_from([0.01, 1.0, 100.0])), solver="newton-cholesky")
    steps = [("scale", StandardScaler(with_mean=draw(st.booleans()), with_std=draw(st.booleans())))]
    if draw(st.booleans()):
        place = draw(st.integers(0, 1))
        steps.insert(place, ("impute", SimpleImputer(strategy=draw(st.sampled_from(["mean", "median"])))))
    if draw(st.booleans()):
        steps.insert(0, ("nothing", "passthrough"))
    estimator = Pipeline([*steps, ("classify", classifier)])
    method = draw(st.sampled_from(["sigmoid", "isotonic"]))
    calibrate = draw(st.sampled_from(["no", "frozen", "single", "averaged"]))
    if calibrate in {"frozen", "averaged"}:
        frozen = FrozenEstimator(estimator.fit(matrix, labels))
        estimator = CalibratedClassifierCV(frozen, method=method, ensemble=calibrate == "averaged", cv=3)
    elif calibrate == "single":
        estimator = CalibratedClassifierCV(estimator, method=method, ensemble=False, cv=3)
    return estimator.fit(matrix, labels), matrix


@given(case=pipelines(), rows=st.sampled_from([1, 7, BLOCK + 1]), order=st.sampled_from("CF"), seed=st.integers(0, 999))
@settings(max_examples=80, deadline=None)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_lowered_pipeline_gives_its_own_probabilities(case, rows: int, order: str, seed: int) -> None:
    estimator, matrix = case
    lowered = lower(estimator, width=matrix.shape[1])
    proof = prove(estimator, lowered, matrix)
    assert proof.max_abs_difference <= 1e-12
    assert proof.rows == len(matrix)
    scorer = lowered.scorer()
    if lowered.imputed is not None:
        missing = np.full((1, matrix.shape[1]), np.nan)
        imputed = scorer.score(np.array([lowered.imputed]))
        assert_agree(imputed, estimator.predict_proba(missing)[:, 1], lowered.calibration)
    generator = np.random.default_rng(seed)
    fresh = matrix[generator.integers(0, len(matrix), size=rows)] * generator.uniform(0.5, 1.5, size=(rows, 1))
    together = scorer.score(np.asarray(fresh, order=order))
    assert_agree(together, estimator.predict_proba(fresh)[:, 1], lowered.calibration)
    for row in {0, rows // 2, rows - 1}:
        alone = scorer.score_one(fresh[row].tolist())
        assert repr(alone.value) == repr(float(together.value[row]))
        assert repr(alone.raw) == repr(None if together.raw is None else float(together.raw[row]))
        assert repr(alone.terms) == repr(tuple(together.terms[row].tolist()))


def assert_agree(scored: ScoredRows, expected: np.ndarray, step: CalibrationStep | None) -> None:
    """To 1e-12; where a curve is so steep that rounding of its argument shows, as far as that rounding explains."""
    if step is None:
        assert np.abs(scored.value - expected).max() <= 1e-12
        return
    low, high = step.bounds(scored.raw, 1e-12)
    assert (low - 1e-12 <= expected).all()
    assert (expected <= high + 1e-12).all()
    flat = high - low < 1e-10  # a slope of 50: rounding by 1e-15 stays far below 1e-12
    assert np.abs(scored.value - expected)[flat].max(initial=0.0) <= 1e-12


@given(case=pipelines(), rows=st.sampled_from([1, 7, 700]), order=st.sampled_from("CF"), seed=st.integers(0, 999))
@settings(max_examples=5, deadline=None)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_pipeline_in_a_process_of_its_own_gives_its_own_probabilities(case, rows: int, order: str, seed: int) -> None:
    estimator, matrix = case
    files = files_of(estimator, widened(document_of(), matrix.shape[1]), matrix=matrix)
    manifest = manifest_of(files)
    scorer = proven_scorer(manifest, files, vectors_of(files))
    assert isinstance(scorer, EstimatorScorer)
    try:
        generator = np.random.default_rng(seed)
        fresh = matrix[generator.integers(0, len(matrix), size=rows)] * generator.uniform(0.5, 1.5, size=(rows, 1))
        together = scorer.score(np.asarray(fresh, order=order))
        alone = scorer.score_one(fresh[rows // 2].tolist())
    finally:
        scorer.close()
    lowered = lower(estimator, width=matrix.shape[1])
    raw = lowered.scorer().score(fresh).raw
    expected = estimator.predict_proba(fresh)[:, 1]
    assert_agree(dataclasses.replace(together, raw=raw), expected, lowered.calibration)
    middle = slice(rows // 2, rows // 2 + 1)
    one = ScoredRows(np.array([alone.value]), None if raw is None else raw[middle], fresh[middle], None, 0.0)
    assert_agree(one, estimator.predict_proba(fresh[middle])[:, 1], lowered.calibration)
