"""Read an artifact folder and believe nothing in it until its digest is known.

The order is fixed, and each step may assume all before it:
1. the folder holds plain files only, no links, none but the known names, none too large;
2. `manifest.json` has the expected digest (where one is expected: a bundled version's is in the bundled index);
3. the manifest fits its schema and its cross-checks, and its name and version are the folder's;
4. every listed file is there and has the listed digest, and no other file is there;
5. the golden vectors give their values through the scorer of the version.
Nothing is unpickled in this process: where a version is lowered, its estimator file is bytes with a digest and nothing
more, and any other estimator is opened in a child process.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from service.errors import ArtifactRejected
from service.registry.build import proven_scorer
from service.registry.estimator_scorer import EstimatorScorer
from service.registry.golden import GoldenVector, parse_golden
from service.registry.manifest import MANIFEST_MAX_BYTES, Manifest, parse_manifest
from service.registry.manifest_decode import decode_object
from service.registry.scorer import LinearScorer

MANIFEST = "manifest.json"
SIGNATURE = "signature"
FILE_MAX_BYTES = 64 << 20
TOTAL_MAX_BYTES = 128 << 20
MAX_FILES = 16


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact whose bytes are what its manifest says they are. `files` holds them all."""

    name: str
    version: str
    digest: str
    manifest: Manifest
    document: dict[str, Any]
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Verified:
    """An artifact that also passed its golden self-test: its scorer and its vectors."""

    artifact: Artifact
    scorer: LinearScorer | EstimatorScorer
    golden: tuple[GoldenVector, ...]


def sha256(data: bytes) -> str:
    """The digest of `data` in the form manifests use, `sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def read_artifact(folder: Path, *, expected_digest: str | None) -> Artifact:
    """Steps 1 to 4 for `folder`, which is `<name>/<version>`. Raises ArtifactRejected at the first step that fails."""
    files = _read_files(folder)
    raw = files.get(MANIFEST)
    if raw is None:
        raise ArtifactRejected("manifest.json is missing.")
    digest = sha256(raw)
    if expected_digest is not None and digest != expected_digest:
        raise ArtifactRejected("The manifest does not have the digest that was released.")
    manifest = parse_manifest(raw)
    # A path may be relative, even ".", and then does not hold the names of its folders.
    place = folder.resolve()
    if (place.parent.name, place.name) != (manifest.name, manifest.version):
        raise ArtifactRejected("The manifest's name and version are not the folder's.")
    _verify_files(manifest, files)
    return Artifact(
        name=manifest.name,
        version=manifest.version,
        digest=digest,
        manifest=manifest,
        document=decode_object(raw, what=MANIFEST),
        files=MappingProxyType(files),
    )


def verify_artifact(artifact: Artifact) -> Verified:
    """Step 5. Raises ArtifactRejected where this release cannot serve the version or a golden vector fails."""
    vectors = parse_golden(artifact.files["golden.json"], artifact.manifest)
    scorer = proven_scorer(artifact.manifest, artifact.files, vectors)
    return Verified(artifact=artifact, scorer=scorer, golden=vectors)


def _verify_files(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    present = set(files) - {MANIFEST, SIGNATURE}
    listed = set(manifest.files)
    if present != listed:
        fault = "a listed file is missing" if listed - present else "a file is not listed in the manifest"
        raise ArtifactRejected(fault)
    wrong = sorted(name for name in listed if sha256(files[name]) != manifest.files[name])
    if wrong:
        raise ArtifactRejected(f"{', '.join(wrong)} does not have the digest in the manifest.")


def _read_files(folder: Path) -> dict[str, bytes]:
    try:
        if folder.is_symlink() or folder.parent.is_symlink():
            raise ArtifactRejected("The folder is a link.")
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        _verify_entries(entries)
        return {entry.name: _read_plain(folder / entry.name) for entry in entries}
    except OSError as error:
        raise ArtifactRejected(f"A file could not be read ({error.strerror}).") from None


def _verify_entries(entries: list[os.DirEntry[str]]) -> None:
    if not all(entry.is_file(follow_symlinks=False) for entry in entries):
        raise ArtifactRejected("The folder holds something that is not a plain file.")
    if len(entries) > MAX_FILES:
        raise ArtifactRejected(f"The folder holds more than {MAX_FILES} files.")
    sizes = {entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries}
    if sizes.get(MANIFEST, 0) > MANIFEST_MAX_BYTES:
        raise ArtifactRejected("manifest.json is larger than 1 MiB.")
    if max(sizes.values(), default=0) > FILE_MAX_BYTES or sum(sizes.values()) > TOTAL_MAX_BYTES:
        raise ArtifactRejected("A file is larger than 64 MiB, or all together than 128 MiB.")


def _read_plain(path: Path) -> bytes:
    # Between the look and the open the name may have become a link or a pipe: the open file is what counts.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ArtifactRejected("The folder holds something that is not a plain file.")
        data = file.read(FILE_MAX_BYTES + 1)
    if len(data) > FILE_MAX_BYTES:
        raise ArtifactRejected("A file is larger than 64 MiB.")
    return data
