"""From a checked manifest to the scorer that answers for it. Reads no file and imports no scikit-learn."""

from __future__ import annotations

import numpy as np

from service.errors import ArtifactRejected
from service.registry.manifest import Manifest
from service.registry.manifest_estimator import Equation
from service.registry.scorer import LinearScorer
from service.registry.supported import verify_supported
from service.registry.transforms import column_transforms


def build_scorer(manifest: Manifest) -> LinearScorer:
    """The scorer of a linear version. Raises ArtifactRejected for what this release cannot serve."""
    verify_supported(manifest)
    estimator = manifest.estimator
    linear = estimator if isinstance(estimator, Equation) else estimator.lowered
    if linear is None:
        raise ArtifactRejected("An estimator that is not lowered needs a later release.")
    scorer = LinearScorer(
        [term.coefficient for term in linear.terms],
        intercept=linear.intercept,
        link=manifest.output.link,
        transforms=column_transforms(manifest.codes, manifest.normalisation),
    )
    _verify_bounded(manifest, scorer)
    return scorer


def _verify_bounded(manifest: Manifest, scorer: LinearScorer) -> None:
    # Every transform is monotone, so each term is largest at an end of its range: if these sums are finite, all are.
    ranges = [a.range for a in manifest.analytes] + [c.range for c in manifest.covariates]
    ends = np.array([[r.low for r in ranges], [r.high for r in ranges]], dtype=np.float64)
    try:
        terms = scorer.score(ends).terms
    except ValueError:
        terms = None
    with np.errstate(over="ignore"):
        if terms is None or not np.isfinite(np.abs(terms).max(axis=0).sum() + abs(scorer.baseline)):
            raise ArtifactRejected("The score is not finite over the whole plausible range.", "Correct range or terms.")
