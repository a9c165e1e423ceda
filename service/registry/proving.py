"""The proof, made when a version is registered, that its lowered coefficients are its estimator's."""

from __future__ import annotations

from collections.abc import Mapping

from service.errors import ChildEnded, ChildFailed, EstimatorUnavailable
from service.registry.child import START_SECONDS
from service.registry.estimator_process import MANIFEST, start_worker
from service.registry.lower import LoweringProof
from service.registry.manifest import parse_manifest


def prove_lowered(files: Mapping[str, bytes], *, memory_bytes: int | None = None) -> LoweringProof:
    """Opens the estimator in a child process and compares it with the manifest's coefficients on the golden inputs.

    `files` are the artifact's, the manifest's bytes among them, digests and signature checked. Raises ArtifactRejected
    where they differ or the estimator cannot be opened, EstimatorUnavailable where the process fails.
    """
    manifest = parse_manifest(files[MANIFEST])
    try:
        with start_worker(manifest, files, memory_bytes=memory_bytes) as child:
            found, _ = child.call({"do": "prove"}, timeout=START_SECONDS)
    except (ChildEnded, ChildFailed) as error:
        raise EstimatorUnavailable(f"The lowering was not proved. {error.message}") from None
    return LoweringProof(**found)
