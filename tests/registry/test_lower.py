import copy
import dataclasses

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from service.errors import ArtifactRejected
from service.registry.calibration import CalibrationStep, Isotonic
from service.registry.lower import LoweredModel, NotLowerable, lower, prove

GENERATOR = np.random.default_rng(3)
MATRIX = GENERATOR.normal(size=(90, 3))
LABELS = (MATRIX[:, 0] + GENERATOR.normal(size=90) > 0).astype(int)


class RenamedRegression(LogisticRegression):
    """A subclass: it may do anything under its parent's name."""


CALIBRATED = CalibratedClassifierCV(LogisticRegression(), ensemble=False, cv=3)


@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (RandomForestClassifier(5, random_state=0), "RandomForestClassifier"),
        (make_pipeline(PolynomialFeatures(2), LogisticRegression()), "PolynomialFeatures"),
        (RenamedRegression(), "RenamedRegression"),
        (CalibratedClassifierCV(LogisticRegression(), method="sigmoid", ensemble=True, cv=3), "CalibratedClassifierCV"),
        (CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=3), "CalibratedClassifierCV"),
        (
            CalibratedClassifierCV(LogisticRegression(), method="temperature", ensemble=False, cv=3),
            "CalibratedClassifierCV",
        ),
        (CalibratedClassifierCV(CALIBRATED, ensemble=False, cv=3), "CalibratedClassifierCV"),
        (CalibratedClassifierCV(RandomForestClassifier(5, random_state=0), ensemble=False, cv=3), "RandomForest"),
        (make_pipeline(SimpleImputer(add_indicator=True), LogisticRegression()), "SimpleImputer"),
        (make_pipeline(SimpleImputer(missing_values=-1.0), LogisticRegression()), "SimpleImputer"),
        (make_pipeline(SimpleImputer(), SimpleImputer(), LogisticRegression()), "SimpleImputer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_linear_is_refused_by_name(estimator, named: str) -> None:
    with pytest.raises(NotLowerable, match=named):
        lower(estimator.fit(MATRIX, LABELS), width=3)


def test_more_than_two_classes_are_refused() -> None:
    labels = np.arange(90) % 3
    with pytest.raises(NotLowerable, match="LogisticRegression"):
        lower(LogisticRegression().fit(MATRIX, labels), width=3)


def test_another_width_is_refused() -> None:
    with pytest.raises(NotLowerable):
        lower(LogisticRegression().fit(MATRIX, LABELS), width=4)


def test_a_proof_fails_where_the_coefficients_are_not_the_estimators() -> None:
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(MATRIX, LABELS)
    lowered = lower(estimator, width=3)
    proof = prove(estimator, lowered, MATRIX)
    assert set(proof.versions) == {"numpy", "python", "scikit-learn", "scipy"}
    with pytest.raises(ArtifactRejected, match="probabilities"):
        prove(estimator, LoweredModel(lowered.coefficients, lowered.intercept + 1e-9), MATRIX)
    with pytest.raises(ArtifactRejected, match="one row"):
        prove(estimator, lowered, MATRIX[:0])


def calibrated(method: str, *, ensemble: bool) -> CalibratedClassifierCV:
    base = FrozenEstimator(make_pipeline(StandardScaler(), LogisticRegression()).fit(MATRIX, LABELS))
    return CalibratedClassifierCV(base, method=method, ensemble=ensemble, cv=3).fit(MATRIX, LABELS)


@pytest.mark.parametrize(
    ("method", "ensemble", "step", "curves"),
    [
        ("sigmoid", False, None, 0),
        ("isotonic", False, "isotonic", 1),
        ("sigmoid", True, "fold_averaged", 3),
        ("isotonic", True, "fold_averaged", 3),
    ],
)
def test_a_calibration_of_one_linear_part_is_lowered(
    method: str, ensemble: bool, step: str | None, curves: int
) -> None:
    estimator = calibrated(method, ensemble=ensemble)
    lowered = lower(estimator, width=3)
    found = lowered.calibration
    assert (found and found.method, len(found.curves) if found else 0) == (step, curves)
    assert lowered.link == ("identity" if step else "logit")
    assert prove(estimator, lowered, MATRIX).max_abs_difference <= 1e-12
    # The last bit of the decision function may show in a steep curve; these rows lie where it does not.
    rows = GENERATOR.normal(size=(200, 3))
    low, high = found.bounds(lowered.scorer().score(rows).raw, 1e-12) if found else (np.zeros(200), np.zeros(200))
    flat = high - low < 1e-10
    assert flat.sum() > 150
    difference = np.abs(lowered.scorer().score(rows).value - estimator.predict_proba(rows)[:, 1])
    assert difference[flat].max() <= 1e-12


def test_a_fold_that_is_loaded_again_is_still_the_same_linear_part() -> None:
    estimator = calibrated("isotonic", ensemble=True)
    first, *rest = estimator.calibrated_classifiers_
    for fold in rest:
        fold.estimator = copy.deepcopy(first.estimator)
    assert lower(estimator, width=3).calibration is not None
    rest[0].estimator.estimator[-1].coef_ += 1e-9
    with pytest.raises(NotLowerable, match="CalibratedClassifierCV"):
        lower(estimator, width=3)


@pytest.mark.parametrize("setting", [{"out_of_bounds": "nan"}, {"X_thresholds_": np.zeros(2)}], ids=["bounds", "order"])
def test_a_curve_that_is_not_ours_is_refused(setting: dict[str, object]) -> None:
    estimator = calibrated("isotonic", ensemble=False)
    vars(estimator.calibrated_classifiers_[0].calibrators[0]).update(setting)
    with pytest.raises(NotLowerable, match="IsotonicRegression"):
        lower(estimator, width=3)


def test_a_proof_fails_where_the_curve_is_not_the_estimators() -> None:
    estimator = calibrated("isotonic", ensemble=False)
    lowered = lower(estimator, width=3)
    assert lowered.calibration is not None
    (curve,) = lowered.calibration.curves
    assert isinstance(curve, Isotonic)
    moved = Isotonic(curve.x, (*curve.y[:-1], curve.y[-1] - 1e-9))
    changed = dataclasses.replace(lowered, calibration=CalibrationStep("isotonic", (moved,)))
    with pytest.raises(ArtifactRejected, match="probabilities"):
        prove(estimator, changed, MATRIX)
    with pytest.raises(ArtifactRejected, match="probabilities"):
        prove(estimator, dataclasses.replace(lowered, intercept=lowered.intercept + 1e-3), MATRIX)


@pytest.mark.parametrize("before", [True, False], ids=["imputer first", "scaler first"])
def test_what_an_imputer_would_put_in_is_told_on_the_scale_of_the_inputs(before: bool) -> None:
    with_gaps = MATRIX.copy()
    with_gaps[::7, 1] = np.nan
    steps = [SimpleImputer(strategy="median"), StandardScaler()]
    estimator = make_pipeline(*(steps if before else reversed(steps)), LogisticRegression()).fit(with_gaps, LABELS)
    lowered = lower(estimator, width=3)
    assert lowered.imputed == pytest.approx(np.nanmedian(with_gaps, axis=0).tolist(), abs=1e-12)
    # A panel rule that puts the locked value in gives what the pipeline gives for a gap.
    for column in range(3):
        row = MATRIX[:1].copy()
        row[0, column] = np.nan
        expected = estimator.predict_proba(row)[0, 1]
        row[0, column] = lowered.imputed[column]
        assert lowered.scorer().score(row).value[0] == pytest.approx(expected, abs=1e-12)
