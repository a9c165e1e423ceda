"""A version opened in this very process, its estimator included: for a child process alone, never for the server.

The server runs an estimator in a process of its own (`estimator_scorer`). A process that is nothing but one version's
needs no second one: it opens the estimator itself, gives the same numbers, and holds them to the same golden vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from service.errors import ArtifactRejected, EstimatorFailed
from service.registry.active import ModelVersion
from service.registry.artifact import MANIFEST, SIGNATURE, sha256
from service.registry.build import linear_part, linear_scorer
from service.registry.golden import example_values, parse_golden, verify_golden
from service.registry.manifest import Manifest, parse_manifest
from service.registry.manifest_decode import decode_object
from service.registry.scorer import NOT_FINITE, ScoredRow, ScoredRows, Scorer, checked_matrix
from service.registry.supported import verify_supported
from service.registry.transforms import Floats, column_transforms, transform_matrix
from service.registry.worker import OpenedEstimator


class OpenedScorer:
    """A `Scorer` over an estimator that is opened here. What the estimator raises goes on as it is; EstimatorFailed
    where it gives no probability. Raises ArtifactRejected where it cannot be opened."""

    def __init__(self, manifest: Manifest, files: Mapping[str, bytes]) -> None:
        self._width = len(manifest.codes)
        self._transforms = column_transforms(manifest.codes, manifest.normalisation)
        self._estimator = OpenedEstimator(files)

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


def open_version(name: str, version: str, digest: str, files: Mapping[str, bytes]) -> ModelVersion:
    """The version in these files, checked again as at every load.

    Raises ArtifactRejected where the files are not those of the version, its estimator cannot be opened, or it does not
    give its golden values here.
    """
    raw = files[MANIFEST]
    manifest = parse_manifest(raw)
    if (manifest.name, manifest.version, sha256(raw)) != (name, version, digest):
        raise ArtifactRejected("The manifest is not the version's.")
    listed = {file: data for file, data in files.items() if file != SIGNATURE}
    if {file: sha256(data) for file, data in listed.items() if file != MANIFEST} != dict(manifest.files):
        raise ArtifactRejected("The files are not those the manifest lists.")
    vectors = parse_golden(files["golden.json"], manifest)
    scorer = _scorer(manifest, listed)
    verify_golden(manifest, vectors, scorer)
    return ModelVersion(
        name=name,
        version=version,
        digest=digest,
        state="approved",
        manifest=manifest,
        document=decode_object(raw, what=MANIFEST),
        panel=manifest.panel(),
        scorer=scorer,
        example=example_values(vectors),
    )


def _scorer(manifest: Manifest, files: Mapping[str, bytes]) -> Scorer:
    verify_supported(manifest)
    linear = linear_part(manifest)
    return OpenedScorer(manifest, files) if linear is None else linear_scorer(manifest, linear)
