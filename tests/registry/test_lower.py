import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from service.errors import ArtifactRejected
from service.registry.lower import LoweredModel, NotLowerable, lower, prove

GENERATOR = np.random.default_rng(3)
MATRIX = GENERATOR.normal(size=(90, 3))
LABELS = (MATRIX[:, 0] + GENERATOR.normal(size=90) > 0).astype(int)


class RenamedRegression(LogisticRegression):
    """A subclass: it may do anything under its parent's name."""


@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (RandomForestClassifier(5, random_state=0), "RandomForestClassifier"),
        (make_pipeline(PolynomialFeatures(2), LogisticRegression()), "PolynomialFeatures"),
        (RenamedRegression(), "RenamedRegression"),
        (
            CalibratedClassifierCV(LogisticRegression(), method="isotonic", ensemble=False, cv=3),
            "CalibratedClassifierCV",
        ),
        (CalibratedClassifierCV(LogisticRegression(), method="sigmoid", ensemble=True, cv=3), "CalibratedClassifierCV"),
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
