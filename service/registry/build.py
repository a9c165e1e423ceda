"""From a checked manifest to the scorer that answers for it. Imports no scikit-learn.

A linear version is served from its manifest alone. An estimator that is not lowered is opened in a child process, and
only there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from service.errors import ArtifactRejected, ServiceError
from service.registry.calibration import calibration_step
from service.registry.estimator_scorer import EstimatorScorer
from service.registry.golden import GoldenVector, verify_golden
from service.registry.interval import ScoreVariance
from service.registry.manifest import Manifest
from service.registry.manifest_normalisation import normalised_ranges
from service.registry.scorer import LinearScorer
from service.registry.transforms import Floats


def proven_scorer(
    manifest: Manifest, files: Mapping[str, bytes], vectors: Sequence[GoldenVector]
) -> LinearScorer | EstimatorScorer:
    """The scorer of a version that passed its golden self-test; one that fails leaves no process behind.

    `files` are the artifact's, the manifest's bytes among them. Raises ArtifactRejected for a version whose
    numbers could overflow, for an estimator that cannot be opened and for a golden vector that fails;
    EstimatorUnavailable where a process fails.
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
    return find_linear_scorer(manifest) or EstimatorScorer(manifest, files)


def find_linear_scorer(manifest: Manifest) -> LinearScorer | None:
    """The scorer of a linear version; None for an estimator that is not lowered.

    Raises ArtifactRejected, for either, where an input, the distance from the reference or a score could overflow.
    """
    largest = _verified_inputs(manifest)
    linear = manifest.linear
    if linear is None:
        return None
    weights = {term.input: term.coefficient for term in linear.terms}
    variance = _variance(manifest)
    scorer = LinearScorer(
        [weights.get(code, 0.0) for code in manifest.codes],
        intercept=linear.intercept,
        link=manifest.output.link,
        transforms=manifest.transforms(),
        calibration=calibration_step(manifest.estimator.calibration),
        variance=variance,
        silent=[place for place, code in enumerate(manifest.codes) if code not in weights],
    )
    # If the sums of the largest absolute values are finite, so is every sum on the way to a score.
    with np.errstate(over="ignore", invalid="ignore"):
        total = (largest * np.abs(scorer.coefficients)).sum() + abs(scorer.baseline)
        if variance is not None:
            total += variance.bound(largest.tolist())
    if not np.isfinite(total):
        raise ArtifactRejected("The score is not finite over the whole plausible range.", "Correct range or terms.")
    return scorer


def _variance(manifest: Manifest) -> ScoreVariance | None:
    covariance = manifest.estimator.coefficient_covariance
    if isinstance(covariance, str):
        return None
    places = manifest.places_with_terms
    return ScoreVariance(covariance, None if len(places) == len(manifest.codes) else places)


def _verified_inputs(manifest: Manifest) -> Floats:
    """The largest absolute value of each column after normalisation, (k,)."""
    ends = np.abs(np.array(normalised_ranges(manifest), dtype=np.float64))
    largest = np.maximum(ends[:, 0], ends[:, 1])
    if not np.isfinite(largest).all():
        raise ArtifactRejected("The inputs are not finite over the whole plausible range.", "Correct range or steps.")
    distance = manifest.distance()
    if distance is not None and not math.isfinite(distance.bound(largest.tolist())):
        message = "The distance from the reference is not finite over the whole plausible range."
        raise ArtifactRejected(message, "Correct range or reference distribution.")
    return largest
