"""Lower a linear scikit-learn classifier to coefficients and an intercept on the scale of its inputs.

A lowered model is served by numpy alone, so the coefficients must say exactly what `predict_proba` says. Lowering
follows the decision function through the steps as one affine map, `prove` then compares the two on real rows, and
anything that is not one of the known linear parts is refused by its type's name. A single sigmoid is folded into the
map; any other calibration of one linear part stays a step of its own. scikit-learn is imported only here, inside the
functions: a serving process never calls them.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from service.errors import ArtifactRejected
from service.registry.calibration import FOLD_AVERAGED, ISOTONIC, CalibrationStep, Isotonic, Sigmoid
from service.registry.scorer import LinearScorer
from service.registry.transforms import Floats

TOLERANCE = 1e-12
"""Largest difference from `predict_proba` a lowered model may show, on the probability scale; and before a calibration
step, on the scale of the decision function."""


class NotLowerable(ArtifactRejected):
    """The estimator is not one of the linear classifiers that can be lowered."""

    code = "not_lowerable"
    title = "The estimator cannot be lowered"


@dataclass(frozen=True, slots=True)
class LoweredModel:
    """`intercept` + inputs times `coefficients` (k,) is the logit of the positive class, or what `calibration` makes a
    probability of.

    `imputed` (k,) are the values an imputer inside the pipeline would put in for a missing input, on the scale of the
    inputs; None without an imputer. They belong in the panel's rules: a scorer never sees a missing value.
    """

    coefficients: tuple[float, ...]
    intercept: float
    imputed: tuple[float, ...] | None = None
    calibration: CalibrationStep | None = None

    @property
    def link(self) -> str:
        """The link that goes with it: a calibration step acts on the decision function itself."""
        return "logit" if self.calibration is None else "identity"

    def scorer(self) -> LinearScorer:
        """The scorer that answers for it, over inputs that need no normalisation."""
        return LinearScorer(self.coefficients, intercept=self.intercept, link=self.link, calibration=self.calibration)


@dataclass(frozen=True, slots=True)
class LoweringProof:
    """How many rows were compared, the largest difference found, and the library versions it holds for."""

    rows: int
    max_abs_difference: float
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Affine:
    """The inputs of the next step are inputs * scale + shift, column by column."""

    scale: Floats
    shift: Floats
    imputed: Floats | None = None


def lower(estimator: Any, *, width: int) -> LoweredModel:
    """The lowered form of a fitted binary classifier over `width` columns. Raises NotLowerable, naming the type."""
    return _lower(estimator, _Affine(np.ones(width), np.zeros(width)))


def prove(estimator: Any, lowered: LoweredModel, rows: Floats) -> LoweringProof:
    """Compares `lowered` with `estimator.predict_proba` on `rows` (n, k).

    An isotonic curve may be so steep that the last bit of its argument shows in the value. The two arguments differ by
    rounding, so what is compared there is the probability with all values the curve has within `TOLERANCE` of ours.
    Raises ArtifactRejected where any probability differs by more than `TOLERANCE`, or where `rows` is empty.
    """
    if not len(rows):
        raise ArtifactRejected("A proof needs at least one row.")
    scored = lowered.scorer().score(rows)
    low = high = scored.value
    if lowered.calibration is not None and scored.raw is not None:
        low, high = lowered.calibration.bounds(scored.raw, TOLERANCE)
    theirs = estimator.predict_proba(rows)[:, 1]
    # Written so that a NaN stays one: it is not within the tolerance.
    largest = float(np.maximum(np.maximum(low - theirs, theirs - high), 0.0).max())
    if not largest <= TOLERANCE:
        raise ArtifactRejected("The lowered coefficients do not give the estimator's probabilities.")
    return LoweringProof(len(rows), largest, library_versions())


def library_versions() -> dict[str, str]:
    """Versions of what takes part in a fit: Python, numpy, scipy and scikit-learn."""
    import scipy  # noqa: PLC0415
    import sklearn  # noqa: PLC0415

    versions = {"numpy": np.__version__, "python": platform.python_version()}
    return versions | {"scikit-learn": sklearn.__version__, "scipy": scipy.__version__}


def _lower(estimator: Any, before: _Affine) -> LoweredModel:
    from sklearn.calibration import CalibratedClassifierCV  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import Pipeline  # noqa: PLC0415

    # Exact types: a subclass may compute something else under the same name.
    if type(estimator) is Pipeline:
        return _pipeline([step for _, step in estimator.steps], before)
    if type(estimator) is LogisticRegression:
        return _logistic(estimator, before)
    if type(estimator) is CalibratedClassifierCV:
        return _calibrated(estimator, before)
    raise _refused(estimator)


def _pipeline(steps: Sequence[Any], before: _Affine) -> LoweredModel:
    for step in steps[:-1]:
        before = _transformer(step, before)
    return _lower(steps[-1], before)


def _transformer(step: Any, before: _Affine) -> _Affine:
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    if type(step) is StandardScaler:
        return _standard_scaler(step, before)
    if type(step) is SimpleImputer:
        return _simple_imputer(step, before)
    if step is None or step == "passthrough":
        return before
    raise _refused(step)


def _standard_scaler(step: Any, before: _Affine) -> _Affine:
    centre = step.mean_ if step.with_mean else np.zeros_like(before.shift)
    spread = step.scale_ if step.with_std else np.ones_like(before.scale)
    return replace(before, scale=before.scale / spread, shift=(before.shift - centre) / spread)


def _simple_imputer(step: Any, before: _Affine) -> _Affine:
    statistics = np.asarray(step.statistics_, dtype=np.float64)
    marks_missing = isinstance(step.missing_values, float) and np.isnan(step.missing_values)
    if step.add_indicator or not marks_missing or not np.isfinite(statistics).all() or before.imputed is not None:
        # An indicator adds columns, a sentinel makes a measured value missing, an empty column is dropped.
        raise _refused(step)
    return replace(before, imputed=(statistics - before.shift) / before.scale)


def _logistic(estimator: Any, before: _Affine) -> LoweredModel:
    weights = np.asarray(estimator.coef_, dtype=np.float64)
    if weights.shape != (1, len(before.scale)) or len(estimator.classes_) != 2:  # noqa: PLR2004
        raise _refused(estimator)
    intercept = float(estimator.intercept_[0]) + float((weights[0] * before.shift).sum())
    imputed = None if before.imputed is None else tuple(before.imputed.tolist())
    return LoweredModel(tuple((weights[0] * before.scale).tolist()), intercept, imputed)


def _calibrated(estimator: Any, before: _Affine) -> LoweredModel:
    folds = estimator.calibrated_classifiers_
    # Each fold may hold a copy of the same linear part; other parts have no terms in common.
    parts = {_decision(_thawed(fold.estimator), before) for fold in folds}
    if len(parts) != 1:
        raise _refused(estimator)
    (inner,) = parts
    curves = tuple(_curve(estimator, fold.calibrators) for fold in folds)
    if len(curves) > 1:
        return replace(inner, calibration=CalibrationStep(FOLD_AVERAGED, curves))
    (curve,) = curves
    if isinstance(curve, Isotonic):
        return replace(inner, calibration=CalibrationStep(ISOTONIC, curves))
    weights = tuple(curve.slope * w for w in inner.coefficients)
    return replace(inner, coefficients=weights, intercept=curve.slope * inner.intercept + curve.intercept)


def _curve(estimator: Any, calibrators: Sequence[Any]) -> Isotonic | Sigmoid:
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415

    (calibrator,) = calibrators
    if type(calibrator) is IsotonicRegression:
        x = np.asarray(calibrator.X_thresholds_, dtype=np.float64)
        y = np.asarray(calibrator.y_thresholds_, dtype=np.float64)
        if calibrator.out_of_bounds != "clip" or not (np.diff(x) > 0).all():
            raise _refused(calibrator)
        return Isotonic(tuple(x.tolist()), tuple(y.tolist()))
    if estimator.method == "sigmoid":
        # scikit-learn's is 1 / (1 + exp(a * f + b)) of the decision function f.
        return Sigmoid(-float(calibrator.a_), -float(calibrator.b_))
    raise _refused(estimator)


def _decision(estimator: Any, before: _Affine) -> LoweredModel:
    # What has no decision function, such as one that is calibrated itself, is calibrated on its probabilities.
    if not hasattr(estimator, "decision_function"):
        raise _refused(estimator)
    return _lower(estimator, before)


def _thawed(estimator: Any) -> Any:
    from sklearn.frozen import FrozenEstimator  # noqa: PLC0415

    return estimator.estimator if type(estimator) is FrozenEstimator else estimator


def _refused(part: Any) -> NotLowerable:
    return NotLowerable(
        f"{type(part).__name__}, as it is set, cannot be lowered to coefficients.",
        "Build it from StandardScaler, SimpleImputer and LogisticRegression, calibrated, if at all, over all folds.",
    )
