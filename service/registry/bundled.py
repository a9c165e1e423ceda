"""Load the versions that ship with the product, each on its own: one that fails is rejected, the others serve.

Each has to be signed by a trusted publisher, whatever its format: a folder on a disk has no person who approved it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.errors import ArtifactRejected
from service.registry.active import PRODUCTION, ActiveModels, ModelVersion
from service.registry.artifact import Verified, read_artifact, verify_artifact
from service.registry.golden import example_values
from service.registry.publishers import PUBLISHERS


def load_bundled(folder: Path, *, in_force: bool, trusted: Sequence[str] = PUBLISHERS) -> ActiveModels:
    """Every version under `folder` (`<name>/<version>/`), loaded and self-tested.

    `in_force` is for development: verified versions become `approved` and each model's newest gets `production`; else
    they stop at `verified` and people decide. Never raises for a bad artifact: the version is `rejected`.
    """
    state = "approved" if in_force else "verified"
    versions = [_load(folder, name, version, trusted, state) for name, version in list_bundled(folder)]
    return ActiveModels(tuple(versions), _newest(versions) if in_force else {})


def read_bundled(folder: Path, *, trusted: Sequence[str] = PUBLISHERS) -> Verified:
    """The version in `folder` (`<name>/<version>`), signed and self-tested. Raises ArtifactRejected."""
    artifact = read_artifact(folder, trusted=trusted)
    if artifact.publisher is None:
        raise ArtifactRejected.because(
            "unsigned", "No publisher signed the version.", "Sign it with: exoscore model sign PATH."
        )
    return verify_artifact(artifact)


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
        verified = read_bundled(folder / name / version, trusted=trusted)
    except ArtifactRejected as error:
        return ModelVersion(name, version, "", "rejected", reason=error.message)
    return _version(verified, state)


def _version(verified: Verified, state: str) -> ModelVersion:
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


def _newest(versions: list[ModelVersion]) -> dict[str, dict[str, str]]:
    # A pre-release never goes into production by itself while a release stands beside it.
    ordered = ActiveModels(tuple(v for v in versions if v.state == "approved"), {})
    chosen: dict[str, dict[str, str]] = {}
    for name in ordered.names():
        candidates = ordered.versions_of(name)
        releases = [v for v in candidates if "-" not in v.version.partition("+")[0]]
        chosen[name] = {PRODUCTION: (releases or list(candidates))[-1].version}
    return chosen
