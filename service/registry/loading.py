"""From the stored files of a version to what answers for it: every check again, at every load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.registry.active import ModelVersion
from service.registry.artifact import Expected, Verified, examine, verify_artifact
from service.registry.estimator_scorer import EstimatorScorer
from service.registry.golden import example_values
from service.registry.scorer import Scorer


def load_version(expected: Expected, files: Mapping[str, bytes], trusted: Sequence[str]) -> ModelVersion:
    """The version in these files, checked as when it was registered, its golden vectors included.

    Raises ArtifactRejected where the files are not those of the version, or it does not give its values here.
    """
    return in_state(verify_artifact(examine(files, trusted=trusted, expected=expected)), "approved")


def in_state(verified: Verified, state: str) -> ModelVersion:
    """A verified artifact as a version in a state."""
    artifact = verified.artifact
    return ModelVersion(
        name=artifact.name,
        version=artifact.version,
        digest=artifact.digest,
        state=state,
        manifest=artifact.manifest,
        document=artifact.document,
        panel=artifact.manifest.panel(),
        scorer=verified.scorer,
        example=example_values(verified.golden),
    )


def release(scorer: Scorer | None) -> None:
    """Let go of what the scorer of a version holds beyond memory; it is not used afterwards. May block for seconds."""
    if isinstance(scorer, EstimatorScorer):
        scorer.close()
