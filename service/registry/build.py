"""From a checked manifest to the scorer that answers for it. Imports no scikit-learn.

A linear version is served from its manifest alone. An estimator that is not lowered is opened in a child process, and
only there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from service.errors import ArtifactRejected, ServiceError
from service.registry.calibration import calibration_step
from service.registry.estimator_scorer import EstimatorScorer
from service.registry.golden import GoldenVector, verify_golden
from service.registry.manifest import Manifest
from service.registry.manifest_estimator import Equation, Lowered
from service.registry.scorer import LinearScorer
from service.registry.supported import verify_supported
from service.registry.transforms import Floats, column_transforms, transform_matrix


def proven_scorer(
    manifest: Manifest, files: Mapping[str, bytes], vectors: Sequence[GoldenVector]
) -> LinearScorer | EstimatorScorer:
    """The scorer of a version that passed its golden self-test; one that fails leaves no process behind.

    `files` are the artifact's, the manifest's bytes among them. Raises ArtifactRejected for what this release cannot
    serve, for an estimator that cannot be opened and for a golden vector that fails; EstimatorUnavailable where a
    process fails.
    """
    scorer = build_scorer(manifest, files)
    try:
        verify_golden(manifest, vectors, scorer)
    except ServiceError:
        if isinstance(scorer, EstimatorScorer):
            scorer.close()
        raise
    return scorer


def build_scorer(manifest: Manifest, files: Mapping[str, bytes]) -> LinearScorer | EstimatorScorer:
    """The scorer of a version, without its self-test; raises as `proven_scorer`."""
    verify_supported(manifest)
    linear = linear_part(manifest)
    if linear is not None:
        return linear_scorer(manifest, linear)
    used = transform_matrix(_ends(manifest), column_transforms(manifest.codes, manifest.normalisation))
    if not np.isfinite(used).all():
        raise ArtifactRejected("The inputs are not finite over the whole plausible range.", "Correct range or steps.")
    return EstimatorScorer(manifest, files)


def linear_part(manifest: Manifest) -> Equation | Lowered | None:
    """Where the version's coefficients stand; None for an estimator that is not lowered."""
    estimator = manifest.estimator
    return estimator if isinstance(estimator, Equation) else estimator.lowered


def linear_scorer(manifest: Manifest, linear: Equation | Lowered) -> LinearScorer:
    """The scorer of a linear version. Raises ArtifactRejected where a score could overflow."""
    scorer = LinearScorer(
        [term.coefficient for term in linear.terms],
        intercept=linear.intercept,
        link=manifest.output.link,
        transforms=column_transforms(manifest.codes, manifest.normalisation),
        calibration=calibration_step(manifest.estimator.calibration),
    )
    _verify_bounded(manifest, scorer)
    return scorer


def _verify_bounded(manifest: Manifest, scorer: LinearScorer) -> None:
    # Every transform is monotone, so each term is largest at an end of its range: if these sums are finite, all are.
    try:
        terms = scorer.score(_ends(manifest)).terms
    except ValueError:
        terms = None
    with np.errstate(over="ignore"):
        if terms is None or not np.isfinite(np.abs(terms).max(axis=0).sum() + abs(scorer.baseline)):
            raise ArtifactRejected("The score is not finite over the whole plausible range.", "Correct range or terms.")


def _ends(manifest: Manifest) -> Floats:
    ranges = [a.range for a in manifest.analytes] + [c.range for c in manifest.covariates]
    return np.array([[r.low for r in ranges], [r.high for r in ranges]], dtype=np.float64)
