"""What is tested when a version is registered: golden vectors, and that lowered coefficients are the estimator's."""

from __future__ import annotations

from collections.abc import Mapping

from service.errors import ChildEnded, ChildFailed, EstimatorUnavailable
from service.registry.archive import MANIFEST
from service.registry.artifact import Artifact, verify_artifact
from service.registry.child import START_SECONDS
from service.registry.estimator_process import MEMORY_BYTES, start_worker
from service.registry.loading import release
from service.registry.lower import LoweringProof
from service.registry.manifest import parse_manifest
from service.registry.manifest_estimator import Fitted

NICENESS = 5
"""Where all cores are busy, those who are waiting for a score go before a proof."""


def prove_lowered(files: Mapping[str, bytes], *, memory_bytes: int | None = MEMORY_BYTES) -> LoweringProof:
    """Opens the estimator in a child process and compares it with the manifest's coefficients on the golden inputs.

    `files` are the artifact's, the manifest's bytes among them, digests and signature checked. Raises ArtifactRejected
    where they differ or the estimator cannot be opened, EstimatorUnavailable where the process fails.
    """
    manifest = parse_manifest(files[MANIFEST])
    try:
        with start_worker(manifest, files, memory_bytes=memory_bytes, niceness=NICENESS) as child:
            found, _ = child.call({"do": "prove"}, timeout=START_SECONDS)
    except (ChildEnded, ChildFailed) as error:
        raise EstimatorUnavailable(f"The lowering was not proved. {error.message}") from None
    return LoweringProof(**found)


def self_test(artifact: Artifact, *, prove: bool) -> None:
    """Raises ArtifactRejected where the artifact does not give its own values on this machine; with `prove` also where
    lowered coefficients are not its estimator's. EstimatorUnavailable where a process fails."""
    release(verify_artifact(artifact).scorer)
    estimator = artifact.manifest.estimator
    if prove and isinstance(estimator, Fitted) and estimator.lowered is not None:
        prove_lowered(artifact.parts())
