"""Cross-checks on what a version knows of its own uncertainty: coefficient covariance and reference distribution."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from service.errors import Problem
from service.registry.manifest_estimator import Equation, Matrix, ReferenceDistribution
from service.registry.manifest_schema import Manifest
from service.registry.transforms import Floats

_COVARIANCE = "/estimator/coefficient_covariance"
_REFERENCE = "/reference_distribution"
_FACTOR = f"{_REFERENCE}/correlation_factor"

ROUNDING = 1e-9
"""How far two numbers may be apart that rounding alone keeps from being equal, against what they are parts of."""


def check_spread(manifest: Manifest) -> Iterator[Problem]:
    """Problems of the covariance and of the reference distribution."""
    estimator, reference = manifest.estimator, manifest.reference_distribution
    covariance = estimator.coefficient_covariance
    width = len(manifest.with_terms)
    if not isinstance(covariance, str):
        if not isinstance(estimator, Equation) and estimator.lowered is None:
            message = "An estimator that is not lowered has no coefficients."
            yield Problem(_COVARIANCE, "covariance", message, "Write not available, or lower the estimator.")
        elif not _square(covariance, width + 1):
            yield Problem(_COVARIANCE, "shape", "Not square over intercept and terms.", "Correct the matrix.")
        else:
            yield from _covariance(np.array(covariance))
            if isinstance(estimator, Equation) and estimator.intercept is None and any(covariance[0]):
                message = "Without an intercept its row and column are not 0."
                yield Problem(_COVARIANCE, "covariance", message, "Write zeros there.")
    if not isinstance(reference, str):
        yield from _reference(reference, width)


def _covariance(matrix: Floats) -> Iterator[Problem]:
    deviation = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    scale = np.outer(deviation, deviation)
    with np.errstate(over="ignore", invalid="ignore"):
        if not (np.abs(matrix - matrix.T) <= ROUNDING * scale).all():
            yield Problem(_COVARIANCE, "symmetry", "The covariance is not symmetric.", "Correct the matrix.")
        elif not _positive(matrix, scale):
            message = "The covariance is not positive semi-definite: some score would have a variance below 0."
            yield Problem(_COVARIANCE, "definiteness", message, "Estimate it from refits of the whole procedure.")


def _positive(matrix: Floats, scale: Floats) -> bool:
    # As a correlation, so that coefficients of any size count alike; one without variance has no covariance either.
    if (np.diag(matrix) < 0).any() or not np.isfinite(scale).all() or matrix[scale == 0].any():
        return False
    correlation = np.divide(matrix, scale, out=np.zeros_like(matrix), where=scale > 0)
    return bool(np.linalg.eigvalsh(correlation).min() >= -ROUNDING * len(matrix))


def _reference(reference: ReferenceDistribution, width: int) -> Iterator[Problem]:
    sized = len(reference.location) == width and len(reference.spread) == width
    if not sized or not _square(reference.correlation_factor, width):
        message = "Its sizes are not those of the columns with a term."
        yield Problem(_REFERENCE, "shape", message, "One entry per column.")
    else:
        yield from _factor(np.array(reference.correlation_factor))
    if reference.flag_limit > reference.fail_limit:
        yield Problem(_REFERENCE, "limits", "It fails before it flags.", "Swap the limits.")


def _factor(factor: Floats) -> Iterator[Problem]:
    if np.triu(factor, 1).any():
        yield Problem(_FACTOR, "triangle", "The factor is not lower-triangular.", "Leave zeros above the diagonal.")
    elif not (np.diag(factor) > 0).all():
        yield Problem(_FACTOR, "diagonal", "The factor's diagonal is not above 0.", "Factor the correlation anew.")
    elif not (np.abs(np.sqrt((factor**2).sum(axis=1)) - 1.0) <= ROUNDING).all():
        message = "A row of the factor does not have length 1: it is not the factor of a correlation."
        yield Problem(_FACTOR, "unit_rows", message, "Divide by the spread before factoring.")


def _square(matrix: Matrix, width: int) -> bool:
    return len(matrix) == width and all(len(row) == width for row in matrix)
