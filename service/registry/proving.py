"""The self-test of an artifact when it is registered: golden vectors, and the proof of what was lowered."""

from __future__ import annotations

from service.registry.artifact import Artifact, verify_artifact


def self_test(artifact: Artifact) -> None:
    """Raises ArtifactRejected where the artifact does not give its own values on this machine."""
    verify_artifact(artifact)
