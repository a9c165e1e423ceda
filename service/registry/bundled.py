"""Load the versions that ship with the product, each on its own: one that fails is rejected, the others serve.

Each has to be signed by a trusted publisher, whatever its format: a folder on a disk has no person who approved it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.errors import ArtifactRejected
from service.registry.active import ActiveModels, ModelVersion
from service.registry.artifact import Artifact, read_artifact, verify_artifact
from service.registry.lifecycle import PRODUCTION
from service.registry.loading import in_state
from service.registry.publishers import PUBLISHERS
from service.registry.semver import version_order


def load_bundled(folder: Path, *, in_force: bool, trusted: Sequence[str] = PUBLISHERS) -> ActiveModels:
    """Every version under `folder` (`<name>/<version>/`), loaded and self-tested.

    `in_force` is for development: verified versions become `approved` and each model's newest gets `production`; else
    they stop at `verified` and people decide. Never raises for a bad artifact: the version is `rejected`.
    """
    state = "approved" if in_force else "verified"
    versions = [_load(folder, name, version, trusted, state) for name, version in list_bundled(folder)]
    return ActiveModels(tuple(versions), _newest(versions) if in_force else {})


def read_bundled(folder: Path, *, trusted: Sequence[str] = PUBLISHERS) -> Artifact:
    """The version in `folder` (`<name>/<version>`), signed; not self-tested yet. Raises ArtifactRejected."""
    artifact = read_artifact(folder, trusted=trusted)
    if artifact.publisher is None:
        raise ArtifactRejected.because(
            "unsigned", "No publisher signed the version.", "Sign it with: exoscore model sign PATH."
        )
    return artifact


def list_bundled(folder: Path) -> list[tuple[str, str]]:
    """Name and version of every artifact folder under `folder`; nothing in them is read."""
    names = [name for name in _subfolders(folder) if not name.startswith((".", "_"))]
    return sorted((name, version) for name in names for version in _subfolders(folder / name))


def _subfolders(folder: Path) -> list[str]:
    try:
        # A name that is not ASCII is no model's or version's, and may not even be text that an answer can hold.
        return [entry.name for entry in folder.iterdir() if entry.name.isascii() and entry.is_dir()]
    except OSError:
        return []


def _load(folder: Path, name: str, version: str, trusted: Sequence[str], state: str) -> ModelVersion:
    try:
        verified = verify_artifact(read_bundled(folder / name / version, trusted=trusted))
    except ArtifactRejected as error:
        return ModelVersion(name, version, "", "rejected", reason=error.message)
    return in_state(verified, state)


def newest_release(versions: Sequence[str]) -> str:
    """The newest of these versions; a pre-release only where there is no release."""
    ordered = sorted(versions, key=version_order)
    releases = [version for version in ordered if "-" not in version.partition("+")[0]]
    return (releases or ordered)[-1]


def _newest(versions: list[ModelVersion]) -> dict[str, dict[str, str]]:
    approved: dict[str, list[str]] = {}
    for version in versions:
        if version.state == "approved":
            approved.setdefault(version.name, []).append(version.version)
    return {name: {PRODUCTION: newest_release(found)} for name, found in approved.items()}
