"""The one model that is served: fitted by scikit-learn on all training people, equal to the engine's own fit.

The engine chooses the analytes, the penalty and the cut-points; scikit-learn fits the estimator file on the normalised
values of those analytes. Where the two disagree by more than 1e-9 on the logit nothing is written: the evaluation would
speak of another model than the one in the file.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import joblib
import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from service.errors import ArtifactRejected
from service.registry.lower import LoweredModel, LoweringProof, lower, prove
from service.training.applicability import Reference, reference
from service.training.cohort import Floats
from service.training.dataset import AnalyteColumn, Dataset, LibraryTotal, Rows
from service.training.recipe import Model

AGREEMENT = 1e-9
"""Largest difference of the logit between the engine and scikit-learn on any row."""

_CLOUD = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class FinalModel:
    """What is served. Columns (k,) are the panel's analytes, then the model's covariates, on the normalised scale.

    `totals` are the library totals the panel's counts are divided by: inputs of the score, but no columns of these, for
    nothing is learned of them.
    `imputed` (k,) stands in for a missing value; `covariance` (k + 1, k + 1) of intercept and coefficients.
    """

    model: Model
    analytes: tuple[AnalyteColumn, ...]
    totals: tuple[LibraryTotal, ...]
    estimator: Pipeline
    lowered: LoweredModel
    proof: LoweringProof
    reference: Reference
    imputed: Floats
    covariance: Floats

    def file(self) -> bytes:
        """The estimator as an uncompressed joblib file, which scanners for unsafe pickles can read."""
        buffer = io.BytesIO()
        joblib.dump(self.estimator, buffer)
        return buffer.getvalue()


def finish(dataset: Dataset, model: Model, refits: tuple[Model, ...], generator: np.random.Generator) -> FinalModel:
    """The final model from the engine's. Raises ArtifactRejected where no analyte is left, or the fits disagree."""
    if not len(model.columns):
        raise ArtifactRejected("No analyte may be used in enough people.", "Lower min_detected, or name others.")
    values = panel_values(dataset, dataset.fit, model)
    estimator = _fit(values, dataset, model)
    logit = estimator.decision_function(values)
    if not np.abs(logit - model.logit(dataset.fit.design)).max() <= AGREEMENT:
        raise ArtifactRejected("Two ways to fit the model disagree.", "Report this with the spec.")
    lowered = lower(estimator, width=values.shape[1])
    imputed = _imputed(dataset, model)
    complete = np.where(np.isnan(values), imputed, values)
    known = reference(complete, dataset.fit.design.person)
    proof = prove(estimator, lowered, np.concatenate([complete, _cloud(known, generator)]))
    analytes = tuple(dataset.analytes[column] for column in model.columns)
    divided_by = {analyte.total for analyte in analytes}
    return FinalModel(
        model=model,
        analytes=analytes,
        totals=tuple(total for total in dataset.totals if total.name in divided_by),
        estimator=estimator,
        lowered=lowered,
        proof=proof,
        reference=known,
        imputed=imputed,
        covariance=coefficient_covariance(dataset, model, refits),
    )


def panel_values(dataset: Dataset, rows: Rows, model: Model) -> Floats:
    """The model's columns of `rows` (n, k) on the normalised scale, as the service will compute them."""
    analytes = rows.design.values[:, model.columns] + dataset.centre[model.columns]
    return np.concatenate([analytes, rows.design.covariates], axis=1)


def coefficient_covariance(dataset: Dataset, model: Model, refits: tuple[Model, ...]) -> Floats:
    """Covariance of the intercept and the coefficients over refits of the whole procedure on people drawn anew.

    A refit may choose other analytes: of the panel's, those it left out have coefficient 0; those it chose outside the
    panel are held at their mean in the cohort, since they will not be measured.
    """
    if len(refits) < 2:  # noqa: PLR2004 - a draft has none
        return np.zeros((1 + len(model.columns) + len(model.covariates),) * 2)
    place = {int(column): position for position, column in enumerate(model.columns)}
    width = len(model.columns)
    rows = np.zeros((len(refits), 1 + width + len(model.covariates)))
    for row, refit in zip(rows, refits, strict=True):
        # Columns of the design are centred on the cohort, so what lies outside the panel adds nothing at its mean.
        row[0] = refit.intercept
        for column, weight in zip(refit.columns.tolist(), refit.coefficients.tolist(), strict=True):
            if column in place:
                row[1 + place[column]] = weight
                row[0] -= weight * dataset.centre[column]
        row[1 + width :] = refit.covariates
    return np.atleast_2d(np.cov(rows.T))


def _fit(values: Floats, dataset: Dataset, model: Model) -> Pipeline:
    steps: list[tuple[str, object]] = [("scale", StandardScaler())]
    if np.isnan(values).any():
        steps.insert(0, ("impute", SimpleImputer(strategy="mean")))
    classifier = LogisticRegression(C=model.penalty, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    pipeline = Pipeline([*steps, ("classify", classifier)])
    return pipeline.fit(values, dataset.fit.design.positive.astype(np.int64))


def _imputed(dataset: Dataset, model: Model) -> Floats:
    means = model.imputed + dataset.centre[model.columns]
    return np.concatenate([means, dataset.fit.design.covariates.mean(axis=0)])


def _cloud(known: Reference, generator: np.random.Generator) -> Floats:
    # Five times as wide as the cohort, so that the proof also holds where no person of it was.
    drawn = generator.standard_normal((_CLOUD, len(known.location)))
    return np.asarray(known.location + 5.0 * known.spread * drawn, dtype=np.float64)
