"""Load the versions that ship with the product, each on its own: one that fails is rejected, the others serve.

`index.json` beside the model folders maps `name@version` to the digest of the manifest, so that a changed byte is found
even in the manifest itself. A folder the index does not list, and an entry without a folder, are rejected alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from service.errors import ArtifactRejected
from service.registry.active import PRODUCTION, ActiveModels, ModelVersion
from service.registry.artifact import Verified, read_artifact, verify_artifact
from service.registry.golden import example_values
from service.registry.manifest_decode import decode_object
from service.registry.semver import find_version, is_name

INDEX = "index.json"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_INDEX_MAX_BYTES = 1 << 20


def load_bundled(folder: Path, *, in_force: bool) -> ActiveModels:
    """Every version under `folder` (`<name>/<version>/`), loaded and self-tested.

    `in_force` is for development: verified versions become `approved` and each model's newest gets `production`; else
    they stop at `verified` and people decide. Never raises for a bad artifact or index: the versions are `rejected`.
    """
    fault: str | None = None
    index: Mapping[str, str] = {}
    try:
        index = read_index(folder)
    except ArtifactRejected as error:
        fault = error.message
    keys = sorted(set(_folders(folder)) | set(index))
    versions = [_load(folder, key, index.get(key), fault, "approved" if in_force else "verified") for key in keys]
    return ActiveModels(tuple(versions), _newest(versions) if in_force else {})


def read_index(folder: Path) -> Mapping[str, str]:
    """The bundled index, `name@version` -> manifest digest. Raises ArtifactRejected if missing, unreadable or
    malformed."""
    path = folder / INDEX
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _INDEX_MAX_BYTES:
            raise ArtifactRejected("The index of bundled versions is missing, a link, or too large.")
        raw = path.read_bytes()
    except OSError as error:
        raise ArtifactRejected(f"The index of bundled versions could not be read ({error.strerror}).") from None
    document = decode_object(raw, what=INDEX)
    if not all(_is_entry(key, value) for key, value in document.items()):
        raise ArtifactRejected("The index of bundled versions holds an entry that is not name@version and digest.")
    return document


def _is_entry(key: str, value: object) -> bool:
    name, _, version = key.partition("@")
    digest = isinstance(value, str) and _DIGEST.fullmatch(value) is not None
    return is_name(name) and find_version(version) is not None and digest


def _folders(folder: Path) -> list[str]:
    names = [name for name in _subfolders(folder) if not name.startswith((".", "_"))]
    return [f"{name}@{version}" for name in names for version in _subfolders(folder / name)]


def _subfolders(folder: Path) -> list[str]:
    try:
        # A name that is not ASCII is no model's or version's, and may not even be text that an answer can hold.
        return [entry.name for entry in folder.iterdir() if entry.name.isascii() and entry.is_dir()]
    except OSError:
        # What cannot be listed may still be in the index; that entry is then rejected with the system's reason.
        return []


def _load(folder: Path, key: str, digest: str | None, fault: str | None, state: str) -> ModelVersion:
    name, _, version = key.partition("@")
    try:
        verified = _verified(folder / name / version, digest, fault)
    except ArtifactRejected as error:
        return ModelVersion(name, version, digest or "", "rejected", reason=error.message)
    return _version(verified, state)


def _verified(folder: Path, digest: str | None, fault: str | None) -> Verified:
    if digest is None:
        raise ArtifactRejected(fault or "The version is not in the index of bundled versions.")
    return verify_artifact(read_artifact(folder, expected_digest=digest))


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
