"""A version opened in this very process, its estimator included: for a child process alone, never for the server.

The server runs an estimator in a process of its own (`estimator_scorer`). A process that is nothing but one version's
needs no second one: it opens the estimator itself, gives the same numbers, and holds them to the same golden vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from service.errors import EstimatorFailed
from service.registry.active import ModelVersion
from service.registry.archive import MANIFEST
from service.registry.artifact import Artifact, Expected, Verified, examine
from service.registry.build import find_linear_scorer
from service.registry.golden import parse_golden, verify_golden
from service.registry.loading import in_state
from service.registry.manifest import Manifest
from service.registry.scorer import NOT_FINITE, ScoredRow, ScoredRows, Scorer, checked_matrix
from service.registry.transforms import Floats, transform_matrix
from service.registry.worker import OpenedEstimator


class OpenedScorer:
    """A `Scorer` over the estimator in an artifact's files, the manifest among them; `signed` says that a trusted
    publisher vouches for them. Raises ArtifactRejected where it cannot be opened. What it raises itself goes on as it
    is; EstimatorFailed where it gives no probability."""

    def __init__(self, manifest: Manifest, files: Mapping[str, bytes], *, signed: bool) -> None:
        self._width = len(manifest.codes)
        self._transforms = manifest.transforms()
        self._estimator = OpenedEstimator(files, signed=signed)

    def score(self, matrix: Floats) -> ScoredRows:
        """As `Scorer.score`, with `terms` None."""
        used = transform_matrix(checked_matrix(matrix, self._width), self._transforms)
        if not np.isfinite(used).all():
            raise ValueError(NOT_FINITE)
        value = self._estimator.predict(used)
        # Written so that a NaN fails. Adding 0.0 makes a negative zero positive, as everywhere else.
        if not ((value >= 0.0) & (value <= 1.0)).all():
            raise EstimatorFailed("The estimator gave no probability for this input.")
        return ScoredRows(value=value + 0.0, raw=None, used=used, terms=None, baseline=0.0)

    def score_one(self, row: Sequence[float]) -> ScoredRow:
        """As `Scorer.score_one`, with `terms` None."""
        scored = self.score(np.array([row], dtype=np.float64))
        return ScoredRow(float(scored.value[0]), None, tuple(scored.used[0].tolist()), None, 0.0)


def open_version(expected: Expected, files: Mapping[str, bytes], trusted: Sequence[str]) -> ModelVersion:
    """The version in these files, checked as at every load: `trusted` are the verifier keys of publishers.

    Raises ArtifactRejected where the files are not those of the version, its estimator cannot be opened, or it does not
    give its golden values here.
    """
    artifact = examine(files, trusted=trusted, expected=expected)
    manifest = artifact.manifest
    vectors = parse_golden(artifact.files["golden.json"], manifest)
    scorer = _scorer(artifact)
    verify_golden(manifest, vectors, scorer)
    return in_state(Verified(artifact, scorer, vectors), "approved")


def _scorer(artifact: Artifact) -> Scorer:
    manifest = artifact.manifest
    linear = find_linear_scorer(manifest)
    if linear is not None:
        return linear
    files = {MANIFEST: artifact.raw_manifest, **artifact.files}
    return OpenedScorer(manifest, files, signed=artifact.publisher is not None)
